"""What the limiter makes of what a server, or redis-py, says: by a client of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import redis.asyncio as aioredis
from redis import exceptions

from exotel_async import ConfigurationError
from exotel_async.redis.connection import Unreachable, Unusable
from exotel_async.redis.server import SCRIPT, Server, is_cancelled
from tests.support.virtual_time import run


class _Pool(aioredis.ConnectionPool):
    """Its kind tells the limiter that connections are to be left to the client."""


class Client(aioredis.Redis):
    """One that does as it is told."""

    def __init__(self, does: Callable[[], Awaitable[Any]], **settings: Any) -> None:
        super().__init__(connection_pool=_Pool(**settings))
        self._does = does
        self.said: list[tuple[Any, ...]] = []

    async def evalsha(self, sha: str, numkeys: int, *words: Any) -> Any:
        self.said.append((sha, numkeys, *words))
        return await self._does()

    async def eval(self, script: str, numkeys: int, *words: Any) -> Any:
        self.said.append((script, numkeys, *words))
        return '{"from": "eval"}'


def server(does: Callable[[], Awaitable[Any]], **settings: Any) -> tuple[Server, Client]:
    client = Client(does, **settings)
    return Server(client, account="acme1", category="voice", timeout=0.25), client


def answering(answer: object) -> Callable[[], Awaitable[Any]]:
    async def does() -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return does


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (exceptions.AuthenticationError("WRONGPASS no"), Unusable, "WRONGPASS no"),
        (exceptions.AuthorizationError("NOAUTH no"), Unusable, "NOAUTH no"),
        (exceptions.NoPermissionError("NOPERM no"), Unusable, "NOPERM no"),
        (exceptions.ReadOnlyError("a replica"), Unusable, "a replica"),
        (exceptions.ResponseError("WRONGTYPE no"), Unusable, "WRONGTYPE no"),
        (exceptions.ResponseError("LOADING the data"), Unreachable, "LOADING the data"),
        (exceptions.ResponseError("MISCONF disk"), Unreachable, "MISCONF disk"),
        (exceptions.ResponseError("BUSYNESS is none"), Unusable, "BUSYNESS is none"),
        (exceptions.OutOfMemoryError("no room"), Unreachable, "no room"),
        (exceptions.ConnectionError("refused"), Unreachable, "refused"),
        (OSError("None of it"), Unreachable, "None of it"),
        (exceptions.ConnectionError(), Unreachable, "ConnectionError"),
        (KeyError("secret"), Unreachable, "KeyError"),
        (exceptions.TimeoutError("x"), Unreachable, "no answer within 1 s "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_is_one_that_passes_or_one_that_does_not(
    error: Exception, kind: type[Exception], words: str
) -> None:
    place, _ = server(answering(error))
    with pytest.raises(kind) as raised:
        run(place.ask({}))
    said = str(raised.value)
    assert said == words or (words.endswith(" s ") and said.startswith(words))
    assert raised.value.__suppress_context__


def test_the_words_of_a_server_are_short_and_hold_no_password() -> None:
    place, _ = server(answering(OSError("hunter2 is wrong, " * 40)), password="hunter2")
    with pytest.raises(Unreachable) as raised:
        run(place.ask({}))
    said = str(raised.value)
    assert said.startswith("*** is wrong, *** is wrong")
    assert said.endswith("...")
    assert len(said) == 160 + 3


@pytest.mark.parametrize("answer", ["", "[]", "1", "{}", "no JSON", None, b"\xff"])
def test_an_answer_that_is_no_object_is_none_of_a_ledger(answer: object) -> None:
    place, _ = server(answering(answer))
    with pytest.raises(Unusable) as raised:
        run(place.ask({}))
    assert str(raised.value) == "its answer is not one that this package knows"


@pytest.mark.parametrize("answer", ['{"a": 1}', b'{"a": 1}'])
def test_it_is_asked_by_the_name_of_the_script_under_the_key_of_the_account(
    answer: object,
) -> None:
    place, client = server(answering(answer))
    assert run(place.ask({"b": [2, "c"]})) == {"a": 1}
    [(sha, keys, key, text)] = client.said
    assert (len(sha), keys, key) == (40, 1, "exotel_async:{acme1}:voice")
    assert text == '{"b":[2,"c"]}'


def test_a_server_that_does_not_know_the_script_is_told_it() -> None:
    place, client = server(answering(exceptions.NoScriptError("NOSCRIPT")))
    assert run(place.ask({})) == {"from": "eval"}
    assert client.said[1] == (SCRIPT, 1, "exotel_async:{acme1}:voice", "{}")


def test_to_connect_takes_four_times_as_long_as_to_answer() -> None:
    async def main() -> list[float]:
        loop, answers, waited = asyncio.get_running_loop(), iter([100, 0, 100, 100]), []

        async def does() -> str:
            await asyncio.sleep(next(answers))
            return '{"a": 1}'

        place, _ = server(does)
        # Not connected yet; on a connection of its own; and not any more.
        for concurrent in (False, None, True, False):
            if concurrent is None:
                await place.ask({})
                continue
            began = loop.time()
            with pytest.raises(
                Unreachable, match=r"within 1 s \(timeout=0.25 s, by socket_timeout"
            ):
                await place.ask({}, concurrent=concurrent)
            waited.append(loop.time() - began)
        return waited

    assert run(main()) == pytest.approx([1.0, 1.0, 1.0], abs=0.001)


def test_a_connection_that_is_there_has_to_answer_in_its_time() -> None:
    async def main() -> float:
        loop, answers = asyncio.get_running_loop(), iter([0.9, 0.2, 100])

        async def does() -> str:
            await asyncio.sleep(next(answers))
            return '{"a": 1}'

        place, _ = server(does)
        await place.ask({})
        await place.ask({})
        began = loop.time()
        with pytest.raises(Unreachable, match=r"no answer within 0.25 s"):
            await place.ask({})
        return loop.time() - began

    assert run(main()) == pytest.approx(0.25, abs=0.001)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://", "localhost:6379, database 0"),
        ("redis://h", "h:6379, database 0"),
        ("redis://h/3", "h:6379, database 3"),
        ("redis://u:secret@h:7000/0", "h:7000, database 0"),
        ("valkey://h", "h:6379, database 0"),
        ("valkeys://h:7000/1", "h:7000, database 1"),
        ("unix:///run/valkey.sock", "unix:/run/valkey.sock, database 0"),
        ("unix:///run/valkey.sock?db=2", "unix:/run/valkey.sock, database 2"),
    ],
)
def test_its_address_is_told_without_credentials(url: str, address: str) -> None:
    place = Server(url, account="a", category="b", timeout=None)
    assert place.address == address
    assert place.timeout == 0.25


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "redis://host?timeout=soon",
            "the URL of the shared limiter is not valid: timeout= must be there once, as a "
            "positive number of seconds",
        ),
        (
            "http://host",
            "the URL of the shared limiter is not valid: must be redis://host/database, rediss://, "
            "valkey://, valkeys:// or unix://path, with special characters in %xx",
        ),
    ],
)
def test_of_a_url_that_is_none_it_says_what_it_must_be(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Server(url, account="a", category="b", timeout=None)
    assert str(raised.value) == words


def test_the_address_behind_sentinels_is_the_name_they_know() -> None:
    sentinels = aioredis.Sentinel([("host", 26379)])  # type: ignore[no-untyped-call]
    client = sentinels.master_for("our-valkey", db=4)
    place = Server(client, account="a", category="b", timeout=None)
    assert place._client is client
    assert place.address == "our-valkey, database 4"


def test_of_a_client_of_ones_own_it_takes_the_settings_and_not_the_connections() -> None:
    client = aioredis.Redis(host="host", port=7000, db=3, username="me", password="hunter2")
    place = Server(client, account="a", category="b", timeout=None)
    ours, theirs = place._client.connection_pool, client.connection_pool
    assert ours is not theirs
    assert ours.connection_class is theirs.connection_class
    for name in ("host", "port", "db", "username", "password", "socket_timeout"):
        assert ours.connection_kwargs[name] == theirs.connection_kwargs[name]
    assert place.address == "host:7000, database 3"


@pytest.mark.parametrize("kind", ["url", "client", "blocking client"])
async def test_nothing_is_tried_twice(kind: str) -> None:
    """Of a message that may have arrived only the lease knows whether it may be sent again."""
    connections = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        pool = aioredis.ConnectionPool if kind == "client" else aioredis.BlockingConnectionPool
        ours: Any = (
            f"redis://127.0.0.1:{port}"
            if kind == "url"
            else aioredis.Redis(connection_pool=pool(host="127.0.0.1", port=port))
        )
        place = Server(ours, account="a", category="b", timeout=None)
        with pytest.raises(Unreachable):
            await place.ask({})
        await place.aclose()
    assert connections == 1


class Closes(Client):
    """One that notes that it is closed."""

    is_closed = False

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        self.is_closed = True


def test_a_client_that_was_given_is_not_closed() -> None:
    client = Closes(answering("[]"))
    place = Server(client, account="a", category="b", timeout=None)
    with pytest.raises(Unusable):
        run(place.ask({}))
    run(place.aclose())
    assert not client.is_closed


async def test_connections_of_its_own_are_closed_in_the_end_and_where_it_is_unfit(
    valkey: str,
) -> None:
    place = Server(valkey, account="a", category="b", timeout=5.0)
    look: dict[str, Any] = {"version": 2, "look": True, "limit": 60, "per": 60_000_000}
    assert (await place.ask(look))["account"]
    pool = place._client.connection_pool
    assert isinstance(pool, aioredis.ConnectionPool)
    [connection] = pool._available_connections
    assert connection.is_connected
    with pytest.raises(Unusable):
        await place.ask({"version": "none"})
    assert not connection.is_connected
    await place.ask(look)
    assert connection.is_connected
    await place.aclose()
    assert not connection.is_connected


def test_closing_waits_for_nothing_but_a_turn_of_the_loop() -> None:
    async def main() -> float:
        place = Server("redis://host", account="a", category="b", timeout=None)
        await place.aclose()
        return asyncio.get_running_loop().time()

    assert run(main()) < 0.001


def test_a_task_knows_that_it_is_cancelled_even_if_somebody_has_lost_that() -> None:
    async def loses_it() -> bool:
        before = is_cancelled()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
        return not before and is_cancelled()

    async def main() -> bool:
        task = asyncio.create_task(loses_it())
        await asyncio.sleep(0.5)
        task.cancel()
        return await task

    assert run(main())

"""The claim store on a server: what is claimed, for how long, and what comes of an outage."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import re
import signal
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio as aioredis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exotel_async import ClaimsUnavailable, ConfigurationError
from exotel_async.redis import ValkeyClaims, connection
from exotel_async.webhooks import Claim, ClaimStore, ExotelWebhooks, MemoryClaims, StatusCallback
from tests.conftest import SOON
from tests.redis.conftest import Valkey
from tests.support.ports import free_port
from tests.support.virtual_time import run
from tests.webhooks.payloads import LONG, SID
from tests.webhooks.serving import Served, new_hooks, path, serving

TAKEN, HELD, DONE = Claim.TAKEN, Claim.HELD, Claim.DONE
SECRET = "s3cr3t/word"
IN_URL = "s3cr3t%2Fword"
LEASE = 60.0


@pytest.fixture(autouse=True)
def _logs_keep_the_secret(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert SECRET not in caplog.text
    assert IN_URL not in caplog.text


@asynccontextmanager
async def opened(url: Any, **options: Any) -> AsyncIterator[ValkeyClaims]:
    # A busy computer may let the server wait for its turn.
    async with ValkeyClaims(
        url, **(dict[str, Any](name="shop", socket_timeout=SOON) | options)
    ) as claims:
        yield claims


@pytest.fixture
async def claims(valkey: str) -> AsyncIterator[ValkeyClaims]:
    async with opened(valkey) as claims:
        yield claims


@pytest.fixture
def client(valkey: str) -> Iterator[redis.Redis]:
    """Another who looks at what is in the server."""
    with redis.Redis.from_url(valkey, decode_responses=True) as client:
        yield client


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """One of our own, which can be stopped."""
    one = Valkey(tmp_path, free_port())
    one.start()
    yield one
    one.kill()


def server_does(client: redis.Redis, *words: str) -> Any:
    return client.execute_command(*words)  # type: ignore[no-untyped-call]


# What is whose


async def test_an_event_is_claimed_by_one(claims: ValkeyClaims) -> None:
    store: ClaimStore = claims
    assert await store.claim("event", "me", LEASE) is TAKEN
    assert await store.claim("event", "you", LEASE) is HELD
    assert await store.claim("other", "you", LEASE) is TAKEN
    await store.done("event")
    assert await store.claim("event", "you", LEASE) is DONE
    assert await store.claim("event", "me", LEASE) is DONE


async def test_a_claim_is_its_owners(claims: ValkeyClaims) -> None:
    assert await claims.claim("event", "me", LEASE) is TAKEN
    await claims.release("event", "you")
    assert await claims.claim("event", "you", LEASE) is HELD
    await claims.release("event", "me")
    assert await claims.claim("event", "you", LEASE) is TAKEN
    await claims.release("event", "me")
    assert await claims.claim("event", "me", LEASE) is HELD
    # It was handled by the one whose claim was over: that is so, and stays so.
    await claims.done("event")
    await claims.release("event", "you")
    assert await claims.claim("event", "you", LEASE) is DONE


async def test_a_claim_whose_answer_was_lost_may_be_made_again(claims: ValkeyClaims) -> None:
    assert await claims.claim("event", "me", LEASE) is TAKEN
    assert await claims.claim("event", "me", LEASE) is TAKEN
    assert await claims.claim("event", "you", LEASE) is HELD


@pytest.mark.parametrize("word", ["done", "by me", ""])
async def test_no_name_of_an_owner_is_taken_for_a_state(claims: ValkeyClaims, word: str) -> None:
    assert await claims.claim("event", word, LEASE) is TAKEN
    assert await claims.claim("event", "me", LEASE) is HELD
    await claims.release("event", "me")
    assert await claims.claim("event", "me", LEASE) is HELD
    await claims.release("event", word)
    assert await claims.claim("event", "me", LEASE) is TAKEN


async def test_a_claim_is_over_with_its_lease(claims: ValkeyClaims, client: redis.Redis) -> None:
    assert await claims.claim("event", "dead", 0.3) is TAKEN
    (key,) = client.keys()
    assert 0 < client.pttl(key) <= 300
    async with asyncio.timeout(SOON):
        while (state := await claims.claim("event", "you", LEASE)) is HELD:
            await asyncio.sleep(0.01)
    assert state is TAKEN
    # If it is not dead after all, the claim is not its any more.
    await claims.release("event", "dead")
    assert await claims.claim("event", "dead", LEASE) is HELD


async def test_what_was_handled_is_remembered_for_so_long(valkey: str, client: redis.Redis) -> None:
    async with opened(valkey, remember=timedelta(milliseconds=300)) as claims:
        assert await claims.claim("event", "me", LEASE) is TAKEN
        await claims.done("event")
        (key,) = client.keys()
        assert 0 < client.pttl(key) <= 300
        async with asyncio.timeout(SOON):
            while await claims.claim("event", "me", LEASE) is DONE:
                await asyncio.sleep(0.01)


async def test_it_is_remembered_for_a_day_if_nothing_is_said(
    claims: ValkeyClaims, client: redis.Redis
) -> None:
    await claims.done("event")
    (key,) = client.keys()
    assert 0 <= 24 * 3600 * 1000 - client.pttl(key) < 60_000


async def test_nothing_stays_for_good(claims: ValkeyClaims, client: redis.Redis) -> None:
    for number in range(100):
        assert await claims.claim(f"event-{number}", "me", LEASE) is TAKEN
        if number % 2:
            await claims.done(f"event-{number}")
        elif number % 4:
            await claims.release(f"event-{number}", "me")
    keys = client.keys()
    assert len(keys) == 75
    assert all(client.pttl(key) > 0 for key in keys)


async def test_one_of_many_that_come_at_once_has_it(valkey: str) -> None:
    async with opened(valkey) as one, opened(valkey) as two:
        for number in range(20):
            states = await asyncio.gather(
                *(
                    store.claim(f"event-{number}", f"{store!r} {attempt} {id(store)}", LEASE)
                    for store in (one, two)
                    for attempt in range(20)
                )
            )
            assert sorted(state.value for state in states) == ["held"] * 39 + ["taken"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "done", "release"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["me", "you"]),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_it_does_as_the_store_in_memory_does(
    valkey_for_all: str, steps: list[tuple[str, str, str]]
) -> None:
    memory, holders = MemoryClaims(), dict[str, str]()
    with redis.Redis.from_url(valkey_for_all) as client:
        client.flushall()
    async with opened(valkey_for_all) as claims:
        for step, key, owner in steps:
            if step == "claim":
                expected = await memory.claim(key, owner, LEASE)
                if expected is TAKEN:
                    holders[key] = owner
                elif expected is HELD and holders[key] == owner:
                    expected = TAKEN  # as of a claim whose answer was lost
                assert await claims.claim(key, owner, LEASE) is expected
            elif step == "done":
                await asyncio.gather(memory.done(key), claims.done(key))
            else:
                await memory.release(key, owner)
                await claims.release(key, owner)


async def test_a_pool_of_few_connections_is_no_outage(valkey: str) -> None:
    async with opened(f"{valkey}{'&' if '?' in valkey else '?'}max_connections=3") as claims:
        states = await asyncio.gather(
            *(claims.claim(f"event-{number}", "me", LEASE) for number in range(40))
        )
    assert {*states} == {TAKEN}


# What the server gets to see


async def test_nothing_of_an_event_is_in_the_server(
    claims: ValkeyClaims, client: redis.Redis
) -> None:
    await claims.claim(f"status_callback:{SID}:+919812300001", "owner", LEASE)
    await claims.done(f"dial_event:{SID}:+919812300001 \ud800")
    keys: Any = client.keys()
    assert len(keys) == 2
    for key in keys:
        assert re.fullmatch(r"exotel_async:claims:shop:[0-9a-f]{32}", key)
    assert {client.get(key) for key in keys} == {"by owner", "done"}


async def test_applications_that_share_a_server_have_claims_of_their_own(valkey: str) -> None:
    async with opened(valkey, name="shop") as shop, opened(valkey, name="crm") as crm:
        assert await shop.claim("event", "shop", LEASE) is TAKEN
        await shop.done("event")
        assert await crm.claim("event", "crm", LEASE) is TAKEN


async def test_a_client_of_ones_own_is_used_and_left_open(valkey: str) -> None:
    for options in ({}, {"decode_responses": True}, {"protocol": 3}):
        async with aioredis.Redis.from_url(valkey, **options) as own:
            key = f"event {options}"
            async with ValkeyClaims(own, name="shop") as claims:
                assert await claims.claim(key, "me", LEASE) is TAKEN
                await claims.done(key)
                assert await claims.claim(key, "me", LEASE) is DONE
            assert await own.ping()


RIGHTS = "~exotel_async:* +evalsha +eval +get +set +del"


async def test_a_user_needs_no_more_rights_than_the_page_says(
    claims: ValkeyClaims, valkey: str, client: redis.Redis
) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/several-workers.md").read_text("utf-8")
    assert f"`{RIGHTS}`" in " ".join(page.split())
    for missing in (None, "evalsha", "get", "set", "del"):
        rights = [right for right in RIGHTS.split() if right != f"+{missing}"]
        server_does(client, "ACL", "SETUSER", "web", "reset", "on", ">web", *rights)
        url = valkey.replace("redis://", "redis://web:web@")
        if missing is None:
            async with opened(url) as as_user:
                assert await as_user.claim("event", "me", LEASE) is TAKEN
                await as_user.release("event", "me")
                await as_user.done("event")
        else:
            with pytest.raises(ConfigurationError, match=rf"cannot be used: .*{missing}"):
                async with opened(url):
                    pass
    server_does(client, "ACL", "DELUSER", "web")


@pytest.mark.parametrize("missing", ["evalsha", "eval", "get", "set", "del"])
async def test_each_missing_right_is_found_at_the_start(
    claims: ValkeyClaims, valkey: str, client: redis.Redis, missing: str
) -> None:
    """Though another process has had the server cache the script, and its claims come and go."""
    rights = [right for right in RIGHTS.split() if right != f"+{missing}"]
    server_does(client, "ACL", "SETUSER", "web", "reset", "on", ">web", *rights)
    try:
        with pytest.raises(ConfigurationError, match="cannot be used: "):
            async with opened(valkey.replace("redis://", "redis://web:web@")):
                pass
    finally:
        server_does(client, "ACL", "DELUSER", "web")


def test_its_name_has_to_be_said() -> None:
    """With one for all, applications would take each other's events for handled."""
    with pytest.raises(TypeError, match="name"):
        ValkeyClaims("redis://localhost")  # type: ignore[call-arg]


# A server that is away


def everything_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error.__context__)


@pytest.mark.parametrize(
    "step",
    [
        lambda claims: claims.claim("event", "me", LEASE),
        lambda claims: claims.done("event"),
        lambda claims: claims.release("event", "me"),
    ],
)
async def test_each_step_fails_while_it_is_away(
    step: Callable[[ValkeyClaims], Any], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    async with ValkeyClaims(f"redis://user:{IN_URL}@127.0.0.1:{port}/2", name="shop") as claims:
        with pytest.raises(ClaimsUnavailable) as raised:
            await step(claims)
    said = f"the server of the claim store, 127.0.0.1:{port}, database 2, cannot be reached: "
    assert str(raised.value).startswith(said)
    assert SECRET not in everything_said(raised.value)
    # Once, however often it is tried.
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        str(raised.value).replace("the server", "The server", 1)
    ]


async def test_one_that_is_back_is_used_again(
    server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(server.url) as claims:
        assert await claims.claim("event", "me", LEASE) is TAKEN
        server.kill()
        for _ in range(2):
            with pytest.raises(ClaimsUnavailable):
                await claims.claim("event", "you", LEASE)
        server.start()
        assert await claims.claim("event", "you", LEASE) is HELD
        await claims.done("event")
        assert await claims.claim("event", "you", LEASE) is DONE
    logged = [record.getMessage() for record in caplog.records if record.name == "exotel_async"]
    assert len(logged) == 2
    assert "cannot be reached" in logged[0]
    assert logged[1] == "The server of the claim store is back"


async def test_one_that_hangs_is_waited_for_no_longer_than_is_said(server: Valkey) -> None:
    async with ValkeyClaims(server.url, name="shop", socket_timeout=0.05) as claims:
        server.signal(signal.SIGSTOP)
        # Those that wait for a connection wait no longer than the others.
        async with asyncio.timeout(SOON):
            ended = await asyncio.gather(
                *(claims.claim(f"event-{number}", "me", LEASE) for number in range(200)),
                return_exceptions=True,
            )
        assert {type(one) for one in ended} == {ClaimsUnavailable}
        assert {str(one).partition("reached: ")[2] for one in ended} == {
            "no answer within 0.2 s (timeout=0.05 s, by socket_timeout= or ?timeout= in its URL)"
        }
        server.signal(signal.SIGCONT)


@pytest.mark.slow
async def test_a_slow_server_is_no_silent_one(
    server: Valkey, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for one of our own connections is not counted as its."""
    monkeypatch.setattr(connection, "_AT_ONCE", 2)
    # An answer takes a twentieth of the second there is, and those before it more than a second.
    async with (
        far_away(server.url, 0.05) as url,
        ValkeyClaims(url, name="shop", socket_timeout=0.25) as claims,
    ):
        states = await asyncio.gather(
            *(claims.claim(f"event-{number}", "me", LEASE) for number in range(60))
        )
    assert states == [TAKEN] * 60
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.slow(1)
async def test_a_loop_that_stands_still_is_no_silent_server(server: Valkey) -> None:
    async with ValkeyClaims(server.url, name="shop", socket_timeout=0.25) as claims:
        steps = [
            asyncio.create_task(claims.claim(f"event-{number}", "me", LEASE))
            for number in range(60)
        ]
        await asyncio.sleep(0)
        time.sleep(1.1)  # noqa: ASYNC251 - a handler that is not async may do that
        assert await asyncio.gather(*steps) == [TAKEN] * 60


@asynccontextmanager
async def far_away(url: str, seconds: float) -> AsyncIterator[str]:
    """The server, with so many seconds for each round trip."""
    loop = asyncio.get_running_loop()

    relays: set[asyncio.Task[None] | None] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                loop.call_later(seconds / 2, writer.write, data)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relays.add(asyncio.current_task())
        there, back = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        await asyncio.gather(carry(reader, back), carry(there, writer))

    async with await asyncio.start_server(connect, "127.0.0.1", 0, backlog=500) as relay:
        yield f"redis://127.0.0.1:{relay.sockets[0].getsockname()[1]}"
        # Those who use it have left by now.
        await asyncio.wait([task for task in relays if task])


async def test_a_claim_that_is_given_up_does_not_mix_up_the_answers(server: Valkey) -> None:
    async with opened(server.url) as claims:
        await claims.done("done")
        for _ in range(5):
            server.signal(signal.SIGSTOP)
            given_up = [
                asyncio.create_task(claims.claim(f"free-{number}", "me", LEASE))
                for number in range(40)
            ]
            await asyncio.sleep(0.01)
            for task in given_up:
                task.cancel()
            server.signal(signal.SIGCONT)
            await asyncio.gather(*given_up, return_exceptions=True)
            assert {await claims.claim("done", "me", LEASE) for _ in range(40)} == {DONE}
            assert await claims.claim(f"other-{_}", "me", LEASE) is TAKEN


@pytest.mark.parametrize(
    "words", [("CLIENT", "KILL", "TYPE", "normal"), ("SCRIPT", "FLUSH")], ids=" ".join
)
async def test_what_operators_do_is_not_noticed(
    claims: ValkeyClaims, client: redis.Redis, words: tuple[str, ...]
) -> None:
    assert await claims.claim("event", "me", LEASE) is TAKEN
    with contextlib.suppress(redis.ConnectionError):  # its own is cut as well
        server_does(client, *words)
    assert await claims.claim("event", "you", LEASE) is HELD
    await claims.done("event")
    assert await claims.claim("event", "you", LEASE) is DONE


async def test_a_crowd_has_few_connections(claims: ValkeyClaims, client: redis.Redis) -> None:
    await asyncio.gather(*(claims.claim(f"event-{n}", "me", LEASE) for n in range(500)))
    assert len(client.client_list()) <= 32 + 1


# What cannot work


async def test_a_wrong_password_is_said_at_the_start(server: Valkey) -> None:
    server.command("CONFIG", "SET", "requirepass", "another")
    url = server.url.replace("//", f"//:{IN_URL}@")
    with pytest.raises(ConfigurationError, match=r"claim store, .* cannot be used: ") as raised:
        async with opened(url):
            pass
    assert SECRET not in everything_said(raised.value)


async def test_a_replica_holds_no_claims(server: Valkey) -> None:
    async with opened(server.url) as claims:
        server.command("REPLICAOF", "127.0.0.1", str(free_port()))
        with pytest.raises(ConfigurationError, match="cannot be used"):
            await claims.claim("event", "me", LEASE)
        server.command("REPLICAOF", "NO", "ONE")
        assert await claims.claim("event", "me", LEASE) is TAKEN


async def test_a_key_of_another_kind_is_no_claim(claims: ValkeyClaims, client: redis.Redis) -> None:
    await claims.done("event")
    (key,) = client.keys()
    client.delete(key)
    client.rpush(key, "x")
    with pytest.raises(ConfigurationError, match="cannot be used: WRONGTYPE"):
        await claims.claim("event", "me", LEASE)


async def test_a_closed_store_is_closed(valkey: str) -> None:
    async with opened(valkey) as claims:
        pass
    with pytest.raises(ConfigurationError, match="this claim store is closed"):
        await claims.claim("event", "me", LEASE)
    await claims.aclose()  # a second time does nothing
    async with claims:  # and this opens it again
        assert await claims.claim("event", "me", LEASE) is TAKEN


def test_it_can_be_opened_again_in_another_loop(valkey: str) -> None:
    """As an application is that is started twice, by the clients of tests."""
    claims = ValkeyClaims(valkey, name="shop", socket_timeout=SOON)

    async def use() -> Claim:
        async with claims:
            # As many as have to wait in line, whose locks belong to the loop.
            return (
                await asyncio.gather(*(claims.claim("event", "me", LEASE) for _ in range(100)))
            )[0]

    assert [asyncio.run(use()) for _ in range(3)] == [TAKEN] * 3


async def test_closing_waits_for_steps_under_way(server: Valkey) -> None:
    async with opened(server.url) as claims, opened(server.url) as other:
        await claims.claim("event", "me", LEASE)
        server.signal(signal.SIGSTOP)
        step = asyncio.create_task(claims.done("event"))
        async with asyncio.timeout(SOON):
            while not claims._steps:
                await asyncio.sleep(0)
        closing = asyncio.create_task(claims.aclose())
        await asyncio.wait({closing}, timeout=0.05)
        assert not closing.done()
        with pytest.raises(ConfigurationError, match="closed"):
            await claims.claim("event", "you", LEASE)
        server.signal(signal.SIGCONT)
        await asyncio.gather(step, closing)
        # Nothing has connected again behind its back: there are the other, and who asks.
        await other.done("other")
        assert server.command("INFO", "clients")["connected_clients"] == 2
        assert await other.claim("event", "you", LEASE) is DONE


def test_a_store_belongs_to_the_loop_it_is_first_used_in(valkey: str) -> None:
    claims = ValkeyClaims(valkey, name="shop", socket_timeout=SOON)

    async def use() -> Claim:
        return await claims.claim("event", "me", LEASE)

    with asyncio.Runner() as first, asyncio.Runner() as second:
        assert first.run(use()) is TAKEN
        with pytest.raises(ConfigurationError, match="belongs to another event loop"):
            second.run(use())
        first.run(claims.aclose())


def test_it_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="a claim store is not pickled"):
        pickle.dumps(ValkeyClaims("redis://localhost", name="shop"))


def test_its_repr_has_no_password() -> None:
    claims = ValkeyClaims(f"valkeys://me:{IN_URL}@db.example:7000/3?timeout=1", name="shop")
    assert repr(claims) == "<ValkeyClaims db.example:7000, database 3>"
    assert claims._connection.timeout == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"remember": timedelta()}, "remember="),
        ({"remember": timedelta(days=-1)}, "remember="),
        ({"remember": timedelta.max}, "remember="),
        ({"remember": 3600}, "remember=3600"),
        ({"name": ""}, "name must be a word"),
        ({"name": "redis://user:s3cr3t@host"}, "name must be a word"),
        ({"socket_timeout": 0}, "socket_timeout=0"),
        ({"socket_timeout": True}, "socket_timeout=True"),
        ({"url_or_client": "redis://user:12#s3cr3t@host"}, "write %23 for #"),
        ({"url_or_client": "redis://user:12?s3cr3t@host"}, "%40 for @"),
        ({"url_or_client": "redis://user:12?timeout=s3cr3t@host"}, "%40 for @"),
        ({"url_or_client": "localhost"}, "the URL of the claim store is not valid: must be redis"),
        ({"url_or_client": "redis://x?timeout=0"}, "the URL of the claim store .*timeout="),
        ({"url_or_client": "redis://x?max_connections=1"}, "max_connections= must be 2 or more"),
        ({"url_or_client": None}, "url_or_client is a NoneType"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as raised:
        ValkeyClaims(**({"url_or_client": "redis://localhost", "name": "shop"} | options))
    assert "s3cr3t" not in str(raised.value)


# In an application


def application(claims: ClaimStore) -> tuple[ExotelWebhooks, list[StatusCallback]]:
    hooks, handled = new_hooks(claims=claims), list[StatusCallback]()

    @hooks.status_callback
    async def handle(event: StatusCallback) -> None:
        handled.append(event)

    return hooks, handled


async def post(served: Served) -> int:
    return (await served.client.post(path("status_callback"), json=LONG)).status_code


async def test_while_it_is_away_an_event_has_to_come_again(server: Valkey) -> None:
    server.kill()
    async with ValkeyClaims(server.url.replace("//", f"//:{IN_URL}@"), name="shop") as claims:
        hooks, handled = application(claims)
        async with serving(hooks) as served, asyncio.timeout(SOON):
            assert [await post(served), await post(served)] == [500, 500]
            assert not handled
            await hooks.aclose(0.1)
    async with opened(server.url) as claims:
        hooks, handled = application(claims)
        async with serving(hooks) as served:
            assert await post(served) == 500
            server.start()
            assert [await post(served), await post(served)] == [200, 200]
    assert len(handled) == 1


def test_an_application_waits_for_one_that_hangs_no_longer_than_for_a_handler() -> None:
    """And the lease that it may have made is over in time."""

    class Silent(aioredis.Redis):
        async def evalsha(self, *_: Any) -> Any:
            await asyncio.Event().wait()

    async def main() -> float:
        claims = ValkeyClaims(Silent(connection_pool=_Pool(host="silent")), name="shop")
        hooks, handled = application(claims)
        route = hooks._route_to("status_callback", None)
        began = asyncio.get_running_loop().time()
        event = StatusCallback(sid=SID)
        assert not await hooks._runner.handle(route, event)
        assert not handled
        return asyncio.get_running_loop().time() - began

    assert run(main()) == pytest.approx(2.0, abs=0.01)  # the claim, and giving it up


class _Pool(aioredis.ConnectionPool):
    """Its kind tells the store that connections are to be left to the client."""

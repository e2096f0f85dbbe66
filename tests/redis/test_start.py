"""What cannot work says so at once, and what may work yet is waited for."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio as aioredis

from exotel_async import ConfigurationError, LimiterUnavailable, Priority, RateLimit, RequestOutcome
from exotel_async.redis import Fallback, SharedTokenBucket
from tests.conftest import SOON
from tests.redis.conftest import Valkey
from tests.support.ports import free_port

pytestmark = pytest.mark.usefixtures("short_final_release")

RATE = RateLimit(100, per=1.0)
KEY = "exotel_async:{acme1}:voice"
SECRET = "s3cr3t/word"
IN_URL = "s3cr3t%2Fword"

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def limiter(url_or_client: Any, rate: RateLimit = RATE, **options: Any) -> SharedTokenBucket:
    settings: dict[str, Any] = {"account": "acme1", "exchange": 0.2, "outage_wait": 0.4}
    return SharedTokenBucket(url_or_client, rate, **settings | options)


async def use(one: SharedTokenBucket) -> None:
    (await one.acquire()).finish(RequestOutcome(status=200))


async def start(one: SharedTokenBucket) -> None:
    async with one:
        pass


async def start_and_use(one: SharedTokenBucket) -> None:
    async with one:
        await use(one)


async def use_only(one: SharedTokenBucket) -> None:
    try:
        await use(one)
    finally:
        await one.aclose()


async def use_together(one: SharedTokenBucket) -> None:
    """All of those that wait are told."""
    try:
        async with asyncio.timeout(SOON):
            ended = await asyncio.gather(
                *(one.acquire(priority) for priority in Priority for _ in range(5)),
                return_exceptions=True,
            )
        assert len({str(error) for error in ended}) == 1
        assert isinstance(ended[0], BaseException)
        raise ended[0]
    finally:
        await one.aclose()


async def look(one: SharedTokenBucket) -> None:
    try:
        await one.account()
    finally:
        await one.aclose()


ways = pytest.mark.parametrize("way", [start, use_only, use_together])


def everything_said(error: BaseException) -> str:
    """What a log, a report or a debugger may show of an error, and of those it came from."""
    said, seen = "".join(traceback.format_exception(error)), list[BaseException]()
    rest: list[BaseException | None] = [error]
    while rest:
        one = rest.pop()
        if one is not None and one not in seen:
            seen.append(one)
            said += f"{one} {one!r} {one.args} {vars(one)}"
            rest += [one.__cause__, one.__context__]
    return said


async def refused(
    one: SharedTokenBucket, way: Callable[[SharedTokenBucket], Awaitable[None]] = start
) -> str:
    """Return the words of the refusal, which must come soon."""
    with pytest.raises(ConfigurationError) as caught:
        async with asyncio.timeout(SOON):
            await way(one)
    assert SECRET not in everything_said(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def _logs_keep_the_secret(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert SECRET not in caplog.text
    assert IN_URL not in caplog.text


USERS = {
    "full": "~* &* +@all",
    "no_scripts": "~* &* +@all -@scripting",
    "no_evalsha": "~* &* +@all -evalsha",
    "no_publish": "~* &* +@all -publish",
    "no_subscribe": "~* &* +@all -subscribe",
    "no_info": "~* &* +@all -info",
    "no_channel": "~* resetchannels +@all",
    "other_keys": "~other:* &* +@all",
    "reads": "%R~* &* +@all",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a Valkey that wants a password, and has users who may not do all."""
    port = free_port()
    server = Valkey(tmp_path_factory.mktemp("guarded"), port)
    server.start()
    for name, rules in USERS.items():
        server.command("ACL", "SETUSER", name, "on", f">{SECRET}", *rules.split())
    server.command("CONFIG", "SET", "requirepass", SECRET)
    yield f"127.0.0.1:{port}"
    server.kill()


@pytest.fixture
def ours(valkey: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey) as client:
        yield client


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """Something on a port that is not a Valkey."""

    async def answer_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await answer(reader, writer)
        writer.close()

    async with await asyncio.start_server(answer_and_close, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


# What is wrong with the way in


@pytest.mark.slow(2)
@ways
@pytest.mark.parametrize(
    ("who", "problem"),
    [
        ("", "authenticat"),
        (f":wrong-{IN_URL}@", "invalid username-password pair"),
        (f"nobody:{IN_URL}@", "invalid username-password pair"),
        (f"no_scripts:{IN_URL}@", "no permissions to run the 'evalsha' command"),
        (f"no_evalsha:{IN_URL}@", "no permissions to run the 'evalsha' command"),
        (f"no_publish:{IN_URL}@", "no permissions to run the 'publish' command"),
        (f"no_subscribe:{IN_URL}@", "no permissions to run the 'subscribe' command"),
        (f"no_info:{IN_URL}@", "no permissions to run the 'info' command"),
        (f"no_channel:{IN_URL}@", "No permissions to access a channel"),
        (f"other_keys:{IN_URL}@", "No permissions to access a key"),
        (f"reads:{IN_URL}@", "No permissions to access a key"),
    ],
    ids=["no password", "wrong password", "unknown user", *list(USERS)[1:]],
)
async def test_who_may_not_is_told_what_it_may_not(
    place: str, who: str, problem: str, way: Any
) -> None:
    one = limiter(f"redis://{who}{place}")
    assert SECRET not in repr(one)
    said = await refused(one, way)
    assert place in said
    assert problem.lower() in said.lower()  # a sentence of the server's, or a part of one


async def test_the_right_password_will_do(place: str) -> None:
    await start_and_use(limiter(f"redis://full:{IN_URL}@{place}"))
    await start_and_use(limiter(f"valkey://:{IN_URL}@{place}/3"))


def acl(ours: Any, *words: str) -> None:
    ours.execute_command("ACL", *words)


def user(ours: redis.Redis, name: str, rules: str) -> Iterator[str]:
    """A user who may do what the rules say, as the URL names him."""
    acl(ours, "SETUSER", name, "reset", "on", f">{SECRET}", *rules.split())
    yield f"{name}:{IN_URL}@"
    acl(ours, "DELUSER", name)


@pytest.fixture
def least(ours: redis.Redis) -> Iterator[str]:
    """A user who may do what the documentation says he must."""
    page = Path(__file__).parents[2] / "docs/how-to/several-workers.md"
    text = page.read_text(encoding="utf-8")
    (rules,) = re.findall(r"`(~exotel_async:\*\s&[^`]+)`", text)
    yield from user(ours, "least", rules)


@pytest.mark.slow(3)
async def test_the_rights_that_the_documentation_names_will_do(
    least: str, ours: redis.Redis, valkey: str
) -> None:
    place = valkey.removeprefix("redis://")

    async def do_all(url: str) -> None:
        async with limiter(url) as one, limiter(url) as two:
            await asyncio.gather(*(use(each) for each in (one, two) for _ in range(10)))
            assert len((await one.account()).processes) == 2
            (await one.acquire()).finish(RequestOutcome(status=429, retry_after=0.5))
            async with asyncio.timeout(SOON):
                while not two.statistics().paused_for:
                    await asyncio.sleep(0.001)
                await use(two)

    await do_all(f"redis://{least}{place}")
    ours.script_flush()
    await do_all(f"redis://{least}{place}/0")
    acl(ours, "SETUSER", "least", "+select")
    await do_all(f"redis://{least}{place}/3")


@pytest.fixture
def deaf(ours: redis.Redis) -> Iterator[str]:
    yield from user(ours, "deaf", "~* &* +@all -subscribe")


async def test_who_may_listen_later_works_then(deaf: str, ours: redis.Redis, valkey: str) -> None:
    one = limiter(f"redis://{deaf}{valkey.removeprefix('redis://')}")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="'subscribe' command"):
            await one.acquire()
    acl(ours, "SETUSER", "deaf", "+subscribe")
    async with asyncio.timeout(SOON), limiter(valkey) as other:
        await use(one)
        (await other.acquire()).finish(RequestOutcome(status=429, retry_after=3))
        while not one.statistics().paused_for:
            await asyncio.sleep(0.001)
    await one.aclose()


async def test_a_client_with_a_wrong_password(place: str) -> None:
    host, port = place.split(":")
    async with aioredis.Redis(host=host, port=int(port), password=f"not {SECRET}") as client:
        said = await refused(limiter(client))
    assert place in said


@ways
async def test_a_database_that_is_not_there(valkey: str, way: Any) -> None:
    said = await refused(limiter(f"{valkey}/99"), way)
    assert valkey.removeprefix("redis://") in said
    assert "database 99" in said
    assert "out of range" in said


@pytest.mark.parametrize("command", ["EVALSHA", "EVAL"])
async def test_a_server_without_scripts(tmp_path: Path, command: str) -> None:
    server = Valkey(tmp_path, free_port(), **{"rename-command": f'{command} ""'})
    server.start()
    try:
        for way in (start, use_only, look):
            said = await refused(limiter(server.url), way)
            assert server.url.removeprefix("redis://") in said
            assert f"unknown command '{command}'" in said
    finally:
        server.kill()


async def test_a_replica(tmp_path: Path) -> None:
    server = Valkey(tmp_path, free_port(), replicaof=f"127.0.0.1 {free_port()}")
    server.start()
    try:
        for way in (start, use_only):
            said = await refused(limiter(server.url), way)
            assert server.url.removeprefix("redis://") in said
            assert "read only replica" in said
    finally:
        server.kill()


async def an_http_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def a_mail_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.com ESMTP\r\n")
    await writer.drain()
    await reader.read(1)


def commands(words: bytes) -> int:
    """Count those in a packet: redis-py sends some together, and waits for as many answers."""
    return sum(line[:1] == b"*" for line in words.split(b"\r\n"))


async def a_polite_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One that calls everything by a name of its own."""
    while words := await reader.read(10_000):
        writer.write(b"-ERR unknown command\r\n" * commands(words))
        await writer.drain()


async def a_server_of_ones(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while words := await reader.read(10_000):
        writer.write(b":1\r\n" * commands(words))
        await writer.drain()


async def test_an_answer_that_is_none(caplog: pytest.LogCaptureFixture) -> None:
    async with answering(a_server_of_ones) as url:
        for way in (start, use_only):
            said = await refused(limiter(f"{url}?protocol=2"), way)
            assert url.removeprefix("redis://") in said


@pytest.mark.parametrize("answer", [an_http_server, a_mail_server, a_polite_server])
@ways
async def test_something_else_on_the_port(answer: Answer, way: Any) -> None:
    async with answering(answer) as url:
        said = await refused(limiter(url), way)
    assert url.removeprefix("redis://") in said
    assert "Protocol Error" in said or "unknown command" in said


@pytest.mark.parametrize("stored", [b"\x81\xa7version\x7f", b"hello"], ids=["newer", "foreign"])
async def test_another_ledger(ours: redis.Redis, valkey: str, stored: bytes) -> None:
    ours.set(KEY, stored)
    for way in (start, use_only, look):
        said = await refused(limiter(valkey), way)
        assert valkey.removeprefix("redis://") in said
        if stored.endswith(b"\x7f"):
            assert "another version of exotel_async" in said
    assert ours.get(KEY) == stored, "it is left as it was"


async def test_a_key_of_another_kind(ours: redis.Redis, valkey: str) -> None:
    ours.hset(KEY, "a", "b")
    assert "wrong kind of value" in await refused(limiter(valkey))


@ways
async def test_another_rate(valkey: str, way: Any) -> None:
    async with limiter(valkey) as first:
        await use(first)
        for other in (RateLimit(99, per=1.0), RateLimit(100, per=2.0)):
            said = await refused(limiter(valkey, other), way)
            assert "RateLimit(100, per=1" in said
        await use(first)
        assert len((await first.account()).processes) == 1


async def test_what_could_not_start_is_closed(ours: redis.Redis, valkey: str) -> None:
    one = limiter(valkey)
    ours.hset(KEY, "a", "b")
    assert "wrong kind of value" in await refused(one)
    for way in (start, use_only, look):
        assert "closed" in await refused(one, way)


async def test_what_is_mended_meanwhile_works(ours: redis.Redis, valkey: str) -> None:
    one = limiter(valkey)
    ours.hset(KEY, "a", "b")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="wrong kind of value"):
            await one.acquire()
    ours.delete(KEY)
    async with asyncio.timeout(SOON):
        await use_only(one)


async def test_a_start_that_is_cancelled_leaves_nothing() -> None:
    async def hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    before = asyncio.all_tasks()
    async with answering(hangs) as url:
        one = limiter(url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await start(one)
        await asyncio.sleep(0.1)
        mine = {task for task in asyncio.all_tasks() - before if "Keeper" in repr(task)}
        assert mine == set()


# What is wrong with the arguments


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@host",
        f"redis://:{SECRET}@host:port",
        f"redis://:{IN_URL}@host:port",
        f"redis://:{IN_URL}@host:99999",
        f"redis://:{IN_URL}@[host",
        f"redis://:{IN_URL}@host?socket_timeout={IN_URL}",
        f"redis://:{IN_URL}@host?nonsense={IN_URL}",
        f"redis://:{IN_URL}@host?timeout={IN_URL}",
        f"redis://:{IN_URL}@host?timeout=",
        f"redis://:{IN_URL}@host?timeout",
        f"redis://:{IN_URL}@host?timeout=1=2",
        f"redis://:{IN_URL}@host?timeout=0",
        f"redis://:{IN_URL}@host?timeout=-1",
        f"redis://:{IN_URL}@host?timeout=nan",
        f"redis://:{IN_URL}@host?timeout=1e9",
        f"redis://:{IN_URL}@host?timeout=1&timeout=1",
        f"redis://:{IN_URL}@host?timeout=1&nonsense={IN_URL}",
        f"redis://:{IN_URL}@host/database",
        f"redis:/:{IN_URL}@host",
        f"redis:{IN_URL}@host",
        f"http://:{IN_URL}@host",
        f":{IN_URL}@host",
        f"{IN_URL}",
        "host:6379",
        "",
    ],
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL") as caught:
        limiter(url)
    # A traceback shows the lines of this file, but not what is in its variables.
    said = everything_said(caught.value)
    assert SECRET not in said
    assert IN_URL not in said
    assert SECRET.partition("/")[0] not in said


@pytest.mark.parametrize(
    ("url", "timeout"),
    [
        ("redis://host/0?timeout=1", 1.0),
        ("redis://host?client_name=web&timeout=2.5&db=3", 2.5),
        ("unix:///run/valkey?timeout=1", 1.0),
        ("redis://host?client_name=timeout%3D9", 0.25),
        ("redis://host", 0.25),
    ],
)
def test_its_timeout_is_a_part_of_the_url(url: str, timeout: float) -> None:
    one = limiter(url)
    assert one._server.timeout == timeout
    settings = one._server._client.connection_pool.connection_kwargs
    assert settings["socket_connect_timeout"] == 4 * timeout
    assert settings.get("client_name") in {None, "web", "timeout=9"}
    assert limiter(url, socket_timeout=3)._server.timeout == 3, "what is given goes first"


@pytest.mark.parametrize("value", [None, 5, b"redis://host", Path("/run/valkey"), object()])
def test_a_server_that_is_none(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"url_or_client is a {type(value).__name__}"):
        limiter(value)


def test_a_client_that_blocks(ours: redis.Redis) -> None:
    with pytest.raises(ConfigurationError, match=r"redis\.asyncio"):
        limiter(ours)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("account", ""),
        ("account", " "),
        ("account", "two words"),
        ("account", "{acme1}"),
        ("account", 5),
        ("category", ""),
        ("category", None),
        ("category", "a}b"),
        ("exchange", 0),
        ("exchange", "90"),
        ("exchange", float("nan")),
        ("exchange", 1e9),
        ("outage_wait", True),
        ("outage_wait", -1),
        ("socket_timeout", 0),
        ("socket_timeout", float("inf")),
        ("on_outage", 0.25),
        ("on_outage", True),
        ("on_outage", Fallback),
        ("rate", 200),
        ("rate", 0),
        ("rate", "200/60"),
        ("name", 5),
        ("max_in_flight", "64"),
        ("max_in_flight", -1),
        ("max_in_flight", True),
    ],
)
def test_arguments_of_the_wrong_kind(argument: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{argument}[ =]"):
        limiter("redis://host", **{argument: value})


@pytest.mark.parametrize("share", [0, -1, 1.5, True, "0.25", float("nan")])
def test_a_share_that_is_none(share: Any) -> None:
    with pytest.raises(ConfigurationError, match="share"):
        Fallback(share=share)


def test_the_environment_names_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="EXOTEL_ACCOUNT_SID"):
        SharedTokenBucket("redis://host")
    monkeypatch.setenv("EXOTEL_ACCOUNT_SID", "acme1")
    assert "'acme1'" in repr(SharedTokenBucket("redis://host"))


# What may be there yet


async def never_answers(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def hangs_up(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """What a proxy in front of a server that is down does."""


async def loads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(10_000):
        writer.write(b"-LOADING Valkey is loading the dataset in memory\r\n")
        await writer.drain()


async def unavailable(one: SharedTokenBucket, at_least: float) -> str:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(4), one:
        began = loop.time()
        with pytest.raises(LimiterUnavailable) as caught:
            await use(one)
        assert loop.time() - began >= at_least
        began = loop.time()
        with pytest.raises(LimiterUnavailable):
            await one.account()
        assert loop.time() - began < 2
    assert SECRET not in everything_said(caught.value)
    return str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "problem"),
    [(never_answers, "no answer"), (hangs_up, "onnection"), (loads, "loading the dataset")],
)
async def test_an_outage_at_the_start_is_no_error(answer: Answer, problem: str) -> None:
    async with answering(answer) as url:
        place = url.removeprefix("redis://")
        said = await unavailable(limiter(f"redis://:{IN_URL}@{place}", socket_timeout=0.05), 0.4)
    assert place in said
    assert "0.4 s" in said
    assert problem in said


@pytest.mark.slow(1)
async def test_nobody_on_the_port_is_no_error() -> None:
    place = f"127.0.0.1:{free_port()}"
    said = await unavailable(limiter(f"redis://:{IN_URL}@{place}"), 0.4)
    assert place in said
    assert "onnect" in said


@pytest.mark.slow(1)
async def test_tls_where_there_is_none_looks_like_an_outage(valkey: str) -> None:
    # A Valkey waits for the end of a line that a TLS client will never send.
    place = valkey.removeprefix("redis://")
    said = await unavailable(limiter(f"rediss://{place}", socket_timeout=0.05), 0.4)
    assert place in said


@pytest.mark.slow(1)
async def test_a_server_that_comes_in_time(tmp_path: Path) -> None:
    server = Valkey(tmp_path, free_port())
    async with limiter(server.url, outage_wait=10) as one:
        waiting = [asyncio.create_task(use(one)) for _ in range(5)]
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in waiting)
        await asyncio.to_thread(server.start)
        try:
            async with asyncio.timeout(SOON):
                await asyncio.gather(*waiting)
            assert one.statistics().in_contact
        finally:
            await one.aclose()
            server.kill()


@pytest.mark.slow(1)
async def test_a_server_that_is_busy_with_a_script(tmp_path: Path) -> None:
    server = Valkey(tmp_path, free_port(), **{"busy-reply-threshold": "10"})
    server.start()

    def be_busy() -> None:
        with suppress(redis.RedisError):
            server.command("EVAL", "while true do end", 0)

    busy = threading.Thread(target=be_busy)
    busy.start()
    one = limiter(server.url, outage_wait=10)
    try:
        await asyncio.sleep(0.1)
        async with asyncio.timeout(8), one:
            assert not one.statistics().in_contact
            waiting = asyncio.create_task(use(one))
            await asyncio.sleep(0.3)
            assert not waiting.done()
            server.command("SCRIPT", "KILL")
            await waiting
            assert one.statistics().in_contact
    finally:
        server.kill()
        await asyncio.to_thread(busy.join)

"""A server that dies, hangs, comes back or loses what it was told, and a way there that breaks.

What counts is a book of our own: when each request was let through, and when it was finished.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from exotel_async import (
    ConfigurationError,
    LimiterUnavailable,
    Permit,
    Priority,
    RateLimit,
    RateLimitTimeout,
    RequestOutcome,
    Timeouts,
)
from exotel_async.emulator import Emulator
from exotel_async.redis import Fallback, SharedTokenBucket
from exotel_async.redis.messages import LeaseTerms
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, session
from tests.redis.conftest import Valkey
from tests.support.ports import free_port

pytestmark = [pytest.mark.slow(3), pytest.mark.usefixtures("short_settling", "short_final_release")]

BULK, INTERACTIVE = Priority.BULK, Priority.INTERACTIVE
OK = RequestOutcome(status=200)
RATE = RateLimit(40, per=0.6)
PERMITS = RATE.limit - 1
EXCHANGE = 0.2
LEASE, HOLD = RATE.per / 2, EXCHANGE + RATE.per
SETTLE = 1.5
OUTAGE_WAIT = 0.3

Open = Callable[..., Awaitable[SharedTokenBucket]]


class Book:
    """Who was let through when, and when that was over."""

    def __init__(self, seed: int = 0) -> None:
        self._chance = random.Random(seed)
        self._crowd: list[asyncio.Task[None]] = []
        self.spans: list[tuple[float, float]] = []
        self.unavailable = 0

    def begin(self, *limiters: SharedTokenBucket, number: int = 12) -> None:
        """Always have so many requests of each under way, some of them slow."""
        for limiter in limiters:
            self._crowd += [asyncio.create_task(self._work(limiter)) for _ in range(number)]

    async def end(self) -> None:
        """Stop them. None may have ended by itself."""
        for task in self._crowd:
            task.cancel()
        ended = await asyncio.gather(*self._crowd, return_exceptions=True)
        self._crowd.clear()
        assert [error for error in ended if not isinstance(error, asyncio.CancelledError)] == []

    async def _work(self, limiter: SharedTokenBucket) -> None:
        priority = BULK if self._chance.random() < 0.8 else INTERACTIVE
        while True:
            try:
                permit = await limiter.acquire(priority)
            except LimiterUnavailable:
                self.unavailable += 1
                continue
            await self._send(permit)

    async def _send(self, permit: Permit) -> None:
        time = asyncio.get_running_loop().time
        began = time()
        try:
            late = self._chance.random() < 0.2
            await asyncio.sleep(self._chance.random() * (EXCHANGE if late else 0.02))
        finally:
            self.spans.append((began, time()))
            permit.finish(OK)

    def most_out(self) -> int:
        """How many were out at once, from leave to send until a window after the answer.

        Wherever between the two each of them reached the service, no window had more.
        """
        steps = [(began, 1) for began, _ in self.spans]
        steps += [(ended + RATE.per, -1) for _, ended in self.spans]
        out = most = 0
        for _, step in sorted(steps):
            out += step
            most = max(most, out)
        return most

    async def share(self, seconds: float) -> float:
        """What part of the budget is used from now on."""
        time = asyncio.get_running_loop().time
        before, began = len(self.spans), time()
        await asyncio.sleep(seconds)
        return (len(self.spans) - before) / (PERMITS * (time() - began) / RATE.per)

    async def until_busy(self) -> None:
        """Wait until most of it is used."""
        async with asyncio.timeout(30):
            while await self.share(RATE.per / 2) < 0.6:
                pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path, free_port())
    server.start()
    yield server
    with suppress(AssertionError):
        server.signal(signal.SIGCONT)
    server.kill()


@pytest.fixture
async def settles(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new ledger after the first waits longer than the small `per` of the tests would have it.

    The processes that know of the old one have to be back before, also on a busy computer. With a
    `per` of a minute there are two seconds.
    """
    async with SharedTokenBucket(server.url, RATE, account="acme1", exchange=EXCHANGE) as first:
        (await first.acquire()).release()
    of = LeaseTerms.of
    monkeypatch.setattr(LeaseTerms, "of", lambda *args: evolve(of(*args), settle=SETTLE))


needs_time = pytest.mark.usefixtures("settles")


@pytest.fixture
async def opened(server: Valkey) -> AsyncIterator[Open]:
    """Opens a limiter as another process would have it."""
    limiters: list[SharedTokenBucket] = []

    async def opened(**options: Any) -> SharedTokenBucket:
        settings: dict[str, Any] = {
            "url_or_client": server.url,
            "rate": RATE,
            "account": "acme1",
            "exchange": EXCHANGE,
            "outage_wait": OUTAGE_WAIT,
        }
        limiter = SharedTokenBucket(**settings | options)
        limiters.append(limiter)
        return await limiter.__aenter__()

    yield opened
    await asyncio.gather(*(limiter.aclose() for limiter in limiters))


async def send(limiter: SharedTokenBucket, **options: Any) -> None:
    (await limiter.acquire(**options)).finish(OK)


async def restart(server: Valkey, data: str = "kept") -> None:
    await asyncio.to_thread(server.start, data=data)


async def lease_over(limiter: SharedTokenBucket) -> None:
    turns = 0
    while turns < 5:  # in which an answer is read that came before the server's end
        turns = 0 if limiter.statistics().valid_for > 0 else turns + 1
        await asyncio.sleep(0.01)


async def nothing_is_lost(limiter: SharedTokenBucket) -> None:
    """After a lease, an exchange and a window all permits are there again."""
    async with asyncio.timeout(2 * (LEASE + HOLD) + RATE.per + SETTLE + 5):
        while True:
            with suppress(LimiterUnavailable):
                account = await limiter.account()
                if account.window_used == 0:
                    assert account.window_size == PERMITS
                    return
            await asyncio.sleep(0.05)


async def nothing_is_stuck(book: Book, *limiters: SharedTokenBucket) -> None:
    """They find the full pace again, and everything is accounted for when they stop."""
    await book.until_busy()
    await book.end()
    assert book.most_out() <= PERMITS
    for limiter in limiters:
        statistics = limiter.statistics()
        assert (statistics.in_flight, statistics.waiting_bulk) == (0, 0)
    await nothing_is_lost(limiters[0])


# It is gone


async def test_what_is_held_is_used_until_the_lease_ends(server: Valkey, opened: Open) -> None:
    limiter = await opened(rate=RateLimit(20, per=3.0), outage_wait=0.8)
    async with asyncio.timeout(10):
        while limiter.statistics().window_size == limiter.statistics().window_used:
            await send(limiter)
    server.kill()
    assert limiter.statistics().valid_for > 0
    async with asyncio.timeout(limiter.statistics().valid_for):
        await send(limiter)
    await lease_over(limiter)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(LimiterUnavailable) as caught:
        await send(limiter)
    assert 0.79 <= loop.time() - began <= 3, "counted from when there was nothing left to use"
    said = str(caught.value)
    assert server.url.removeprefix("redis://") in said
    assert "could not be reached for 0.8 s" in said
    assert not limiter.statistics().in_contact
    assert limiter.statistics().waiting_interactive == 0


async def test_each_waits_for_its_own_time(server: Valkey, opened: Open) -> None:
    limiter = await opened()
    await send(limiter)
    server.kill()
    await lease_over(limiter)
    with pytest.raises(LimiterUnavailable):
        await send(limiter)
    loop = asyncio.get_running_loop()
    for _ in range(2):  # it is known to be gone, and each may still see it come back
        began = loop.time()
        with pytest.raises(LimiterUnavailable):
            await send(limiter)
        assert OUTAGE_WAIT - 0.01 <= loop.time() - began <= OUTAGE_WAIT + 2


async def test_max_wait_ends_it_before(server: Valkey, opened: Open) -> None:
    limiter = await opened(outage_wait=5)
    await send(limiter)
    server.kill()
    await lease_over(limiter)
    loop = asyncio.get_running_loop()
    with pytest.raises(LimiterUnavailable):
        await send(limiter, max_wait=0.5)
    for _ in range(2):
        began = loop.time()
        with pytest.raises(LimiterUnavailable, match=r"0\.2 s"):
            await send(limiter, max_wait=0.2)
        assert 0.19 <= loop.time() - began <= 2
    with pytest.raises(LimiterUnavailable):
        await send(limiter, max_wait=0)


@pytest.mark.parametrize("max_wait", [0, 0.01, 0.1, 0.4])
@pytest.mark.parametrize("how", ["killed", "hangs"])
async def test_the_first_request_of_a_process_that_never_reached_it(
    server: Valkey, how: str, max_wait: float
) -> None:
    server.kill() if how == "killed" else server.signal(signal.SIGSTOP)
    limiter = SharedTokenBucket(server.url, RATE, account="acme1", outage_wait=5)
    try:
        for _ in range(2):
            with pytest.raises(LimiterUnavailable, match=r"server of the shared limiter"):
                await send(limiter, max_wait=max_wait)
        assert limiter.statistics().waiting_interactive == 0
    finally:
        await limiter.aclose()


@pytest.mark.parametrize("how", ["killed", "hangs"])
@pytest.mark.parametrize("after", [0.0, 0.1, 0.25])
@pytest.mark.parametrize("max_wait", [0.8, 1.5])
async def test_who_waits_when_it_goes_away(
    server: Valkey, opened: Open, how: str, after: float, max_wait: float
) -> None:
    """Whether it is noticed while they wait, or by the end of the lease alone."""
    rate = RateLimit(10, per=RATE.per)
    limiter = await opened(rate=rate, outage_wait=0.7, max_in_flight=100)
    permits: list[Permit] = []
    while len(permits) < rate.limit - 1:  # it has all of them, and waits
        with suppress(LimiterUnavailable):  # of a busy computer, before anything was done to it
            permits.append(await limiter.acquire())
    waiting = [asyncio.create_task(send(limiter, max_wait=max_wait)) for _ in range(3)]
    await asyncio.sleep(after)
    server.kill() if how == "killed" else server.signal(signal.SIGSTOP)
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(error) for error in ended} == {LimiterUnavailable}
    with pytest.raises(LimiterUnavailable):
        await send(limiter, max_wait=0.05)
    for permit in permits:
        permit.finish(OK)


async def test_what_the_budget_does_not_allow_is_no_outage(server: Valkey, opened: Open) -> None:
    limiter = await opened(rate=RateLimit(4, per=4))
    for _ in range(3):
        await send(limiter)
    with pytest.raises(RateLimitTimeout):  # by the estimate
        await send(limiter, max_wait=1)
    (await opened(rate=RateLimit(4, per=4))).statistics()
    server.kill()
    async with asyncio.timeout(20):
        while limiter.statistics().in_contact:
            with pytest.raises((RateLimitTimeout, LimiterUnavailable)):
                await send(limiter, max_wait=0.1)
    with pytest.raises(LimiterUnavailable):  # whose permits there are, nobody can tell any more
        await send(limiter, max_wait=1)


async def test_a_max_wait_beyond_it_is_an_outage(server: Valkey, opened: Open) -> None:
    limiter = await opened()
    await send(limiter)
    server.kill()
    await lease_over(limiter)
    for _ in range(2):
        with pytest.raises(LimiterUnavailable):
            await send(limiter, max_wait=5)


async def test_a_pause_is_not_the_outage(server: Valkey, opened: Open) -> None:
    """One that was asked for before is waited out with it."""
    limiter = await opened(outage_wait=2.0, socket_timeout=1.0)
    await send(limiter)
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcome = RequestOutcome(status=429, retry_after=3.2, longest_pause=3.2)
    (await limiter.acquire()).finish(outcome)
    await asyncio.sleep(0.1)
    server.kill()
    await lease_over(limiter)
    with pytest.raises(LimiterUnavailable):
        await send(limiter)
    waiting = asyncio.create_task(send(limiter))
    await asyncio.sleep(0.1)
    assert not waiting.done(), "it may be back in time"
    await restart(server)
    async with asyncio.timeout(15):
        await waiting
    assert loop.time() - began >= 3.1


async def test_the_next_outage_has_a_time_of_its_own(server: Valkey, opened: Open) -> None:
    """Whoever waits since the first may wait as long in the second."""
    limiter = await opened(outage_wait=2.0, max_in_flight=1)
    permit = await limiter.acquire()
    waiting = asyncio.create_task(send(limiter))
    server.kill()
    await lease_over(limiter)
    await asyncio.sleep(0.5)
    await restart(server)
    while not limiter.statistics().valid_for:
        await asyncio.sleep(0.01)
    server.kill()
    await lease_over(limiter)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(LimiterUnavailable):
        await waiting
    assert loop.time() - began >= 1.6
    permit.finish(OK)


@needs_time
async def test_a_server_that_comes_back_in_time(server: Valkey, opened: Open) -> None:
    limiters = [await opened(outage_wait=10) for _ in range(2)]
    book = Book()
    book.begin(*limiters)
    await book.until_busy()
    server.kill()
    await asyncio.sleep(LEASE + HOLD)
    assert await book.share(RATE.per / 2) == 0, "nobody goes without a lease"
    await restart(server)
    await nothing_is_stuck(book, *limiters)
    assert book.unavailable == 0


@needs_time
async def test_killed_again_and_again(server: Valkey, opened: Open) -> None:
    limiters = [await opened() for _ in range(3)]
    book = Book(seed=1)
    book.begin(*limiters)
    await book.until_busy()
    for down, up in ((0.0, 0.3), (0.7, SETTLE + LEASE), (0.0, 0.3)):
        server.kill()
        await asyncio.sleep(down)
        await restart(server, "lost")
        await asyncio.sleep(up)
    await nothing_is_stuck(book, *limiters)


@needs_time
async def test_a_server_that_took_over_with_old_data(
    server: Valkey, opened: Open, tmp_path: Path
) -> None:
    limiters = [await opened()]
    book = Book(seed=2)
    book.begin(*limiters)
    await book.until_busy()
    shutil.copytree(tmp_path / "valkey", tmp_path / "old")  # all of it belongs to the first
    limiters += [await opened(), await opened()]
    book.begin(*limiters[1:])
    await asyncio.sleep(1.5 * RATE.per)
    server.kill()
    shutil.rmtree(tmp_path / "valkey")
    shutil.move(tmp_path / "old", tmp_path / "valkey")
    await restart(server)
    await nothing_is_stuck(book, *limiters)


@needs_time
async def test_a_process_that_comes_while_another_is_away(server: Valkey, opened: Open) -> None:
    """A ledger that is new to all of them waits for those that know more than it does."""
    first = await opened()
    book = Book(seed=3)
    book.begin(first)
    await book.until_busy()
    server.kill()
    await restart(server, "lost")
    second = await opened()
    book.begin(second)
    await nothing_is_stuck(book, first, second)


# It hangs


async def test_a_server_that_hangs_holds_up_nobody(server: Valkey, opened: Open) -> None:
    limiter = await opened(outage_wait=20, socket_timeout=0.1)
    await send(limiter)
    server.signal(signal.SIGSTOP)
    await lease_over(limiter)
    loop = asyncio.get_running_loop()
    waiting = [asyncio.create_task(limiter.acquire(priority)) for priority in (BULK, INTERACTIVE)]
    began = loop.time()
    while limiter.statistics().in_contact:
        await asyncio.sleep(0.01)
    assert loop.time() - began <= 2, "it is noticed"
    turns = 0
    end = loop.time() + 0.5
    while loop.time() < end:
        await asyncio.sleep(0.005)
        turns += 1
    assert turns >= 5, "the loop turns"
    began = loop.time()
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    assert loop.time() - began <= 1
    assert limiter.statistics().waiting_bulk == 0
    began = loop.time()
    await limiter.aclose()
    assert loop.time() - began <= 2
    with pytest.raises(ConfigurationError, match="closed"):
        await waiting[1]


@needs_time
async def test_a_server_that_hangs_and_goes_on(server: Valkey, opened: Open) -> None:
    limiters = [await opened(outage_wait=10, socket_timeout=0.1) for _ in range(2)]
    book = Book(seed=4)
    book.begin(*limiters)
    await book.until_busy()
    for seconds in (0.05, 0.3, LEASE + HOLD):
        server.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        server.signal(signal.SIGCONT)
        await asyncio.sleep(0.3)
    await nothing_is_stuck(book, *limiters)
    assert book.unavailable == 0


# Going on without it


@needs_time
async def test_a_fallback_goes_on_with_its_part(server: Valkey, opened: Open) -> None:
    fallback = Fallback(share=0.5)
    limiters = [await opened(on_outage=fallback, outage_wait=10) for _ in range(2)]
    book = Book(seed=5)
    book.begin(*limiters)
    await book.until_busy()
    server.kill()
    await asyncio.sleep(LEASE + RATE.per)
    part, loop = int(PERMITS * fallback.share / 2), asyncio.get_running_loop()
    for limiter in limiters:
        async with asyncio.timeout(10):
            own = 0
            while own < 0.6 * part:
                before, began = limiter.statistics().granted, loop.time()
                await asyncio.sleep(RATE.per * 0.95)
                own = limiter.statistics().granted - before
                if loop.time() - began < RATE.per:
                    assert own <= part
    await restart(server, "lost")
    await nothing_is_stuck(book, *limiters)
    assert book.unavailable == 0


async def test_a_fallback_of_who_held_nothing(server: Valkey, opened: Open) -> None:
    """It waits until all that the others may have sent is out of the window, or does not."""
    careful = await opened(on_outage=Fallback(share=0.25), outage_wait=0.3)
    hasty = await opened(on_outage=Fallback(share=0.25, at_once=True))
    server.kill()
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(LEASE + 5):
        await send(hasty)
    with pytest.raises(LimiterUnavailable):
        await send(careful)
    async with asyncio.timeout(15):
        while True:
            with suppress(LimiterUnavailable):
                await send(careful)
                break
    assert loop.time() - began >= LEASE + HOLD


async def test_who_waits_for_a_fallback_is_served_by_it(server: Valkey, opened: Open) -> None:
    limiter = await opened(on_outage=Fallback(share=0.25), outage_wait=LEASE + HOLD + 0.5)
    server.kill()
    async with asyncio.timeout(15):
        await asyncio.gather(*(send(limiter) for _ in range(15)))


@pytest.mark.parametrize("at_once", [False, True])
async def test_who_never_heard_of_the_others_takes_no_part(
    server: Valkey, opened: Open, at_once: bool
) -> None:
    """It does not know how many there are."""
    fallback = Fallback(share=0.25, at_once=at_once)
    server.kill()
    limiters = await asyncio.gather(*(opened(on_outage=fallback) for _ in range(6)))
    loop = asyncio.get_running_loop()
    began = loop.time()
    ended = await asyncio.gather(*(send(one) for one in limiters), return_exceptions=True)
    assert loop.time() - began >= OUTAGE_WAIT - 0.01
    assert {type(error) for error in ended} == {LimiterUnavailable}
    await asyncio.sleep(LEASE + HOLD)
    with pytest.raises(LimiterUnavailable):
        await send(limiters[0])
    assert [limiter.statistics().granted for limiter in limiters] == [0] * 6
    await restart(server)
    async with asyncio.timeout(10):
        for limiter in limiters:
            while not limiter.statistics().granted:
                with suppress(LimiterUnavailable):
                    await send(limiter)


async def test_a_session_says_so_and_sends_nothing(
    server: Valkey, opened: Open, emulator: Emulator
) -> None:
    limiter = await opened(outage_wait=2.0)
    # What it may have had in flight is out for that long once the server is back.
    timeouts = Timeouts(exchange=2, read=1)
    async with session(emulator, rate_limit=limiter, timeout=timeouts) as exotel:
        await exotel.account.balance()
        server.kill()
        await lease_over(limiter)
        before = len(emulator.requests)
        with pytest.raises(LimiterUnavailable):
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        assert len(emulator.requests) == before
        await restart(server)
        assert (await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)).sid


# The way there breaks


class Proxy:
    """A way to a server, on which things go wrong. Only what the limiter asks is counted."""

    def __init__(self, url: str, fate: Callable[[], str]) -> None:
        self._target = int(url.rpartition(":")[2])
        self._fate = fate
        self._tasks = set[asyncio.Task[None]]()
        self.fates: list[str] = []
        self.port = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, to_there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        lose_answer = asyncio.Event()

        async def forth() -> None:
            while words := await reader.read(100_000):
                fate = self._fate() if b"EVALSHA" in words else "passes"
                self.fates.append(fate)
                if fate == "is lost":
                    return
                if fate == "is late":
                    await asyncio.sleep(0.15)
                if fate == "answer is lost":
                    lose_answer.set()
                to_there.write(words)
                await to_there.drain()

        async def back() -> None:
            while words := await there.read(100_000):
                if lose_answer.is_set():
                    return
                writer.write(words)
                await writer.drain()

        ways = {asyncio.create_task(forth()), asyncio.create_task(back())}
        self._tasks |= ways
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._tasks -= ways
            for end in (writer, to_there):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()

    def cut(self) -> None:
        """Break all connections there are."""
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def proxy(url: str, fate: Callable[[], str] = lambda: "passes") -> AsyncIterator[Proxy]:
    one = Proxy(url, fate)
    async with await asyncio.start_server(one.carry, "127.0.0.1", 0) as listener:
        one.port = listener.sockets[0].getsockname()[1]
        yield one
        one.cut()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("fate", ["is lost", "answer is lost", "is late"])
async def test_a_message_that_ends_halfway(valkey: str, fate: str) -> None:
    chance = random.Random(6)
    async with (
        proxy(valkey, lambda: fate if chance.random() < 0.3 else "passes") as way,
        AsyncExitStack() as stack,
    ):
        limiters = [
            await stack.enter_async_context(
                SharedTokenBucket(
                    f"redis://127.0.0.1:{way.port}",
                    RATE,
                    account="acme1",
                    exchange=EXCHANGE,
                    socket_timeout=0.1,
                )
            )
            for _ in range(3)
        ]
        book = Book(seed=7)
        book.begin(*limiters)
        async with asyncio.timeout(30):
            while way.fates.count(fate) < 10:
                await asyncio.sleep(0.05)
        fate = "passes"
        await nothing_is_stuck(book, *limiters)


async def test_a_way_that_is_cut_again_and_again(valkey: str) -> None:
    async with proxy(valkey) as way, AsyncExitStack() as stack:
        limiters = [
            await stack.enter_async_context(
                SharedTokenBucket(
                    f"redis://127.0.0.1:{way.port}", RATE, account="acme1", exchange=EXCHANGE
                )
            )
            for _ in range(3)
        ]
        book = Book(seed=8)
        book.begin(*limiters)
        chance = random.Random(9)
        for _ in range(40):
            await asyncio.sleep(chance.random() * 0.05)
            way.cut()
        await nothing_is_stuck(book, *limiters)


@needs_time
async def test_what_operators_do(server: Valkey, opened: Open) -> None:
    limiters = [await opened(outage_wait=10) for _ in range(3)]
    book = Book(seed=10)
    book.begin(*limiters)
    await book.until_busy()
    for words in (
        ("CLIENT", "KILL", "TYPE", "normal"),
        ("CLIENT", "KILL", "TYPE", "pubsub"),
        ("SCRIPT", "FLUSH"),
        ("FLUSHALL",),
        ("CONFIG", "SET", "maxmemory", "1"),
        ("CONFIG", "SET", "maxmemory", "0"),
        ("CLIENT", "PAUSE", "200"),
    ):
        server.command(*words)
        await asyncio.sleep(0.25)
    await nothing_is_stuck(book, *limiters)
    assert book.unavailable == 0


async def test_a_server_whose_memory_is_full(server: Valkey, opened: Open) -> None:
    limiter = await opened(outage_wait=1.0)
    await send(limiter)
    server.command("CONFIG", "SET", "maxmemory", "1")
    await lease_over(limiter)
    with pytest.raises(LimiterUnavailable, match="maxmemory"):
        await send(limiter)
    server.command("CONFIG", "SET", "maxmemory", "0")
    async with asyncio.timeout(10):
        await send(limiter)


async def test_a_server_that_turns_into_a_replica(server: Valkey, opened: Open) -> None:
    """A failover leaves the old one read-only for a while: an outage, once it has worked."""
    limiter = await opened(outage_wait=10)
    await send(limiter)
    server.command("REPLICAOF", "127.0.0.1", str(free_port()))
    await lease_over(limiter)
    waiting = asyncio.create_task(send(limiter))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    server.command("REPLICAOF", "NO", "ONE")
    async with asyncio.timeout(10):
        await waiting


# A server that is far away

FAR = 0.15  # seconds each way: together more than an answer may take if nothing is said


@asynccontextmanager
async def far_away(url: str) -> AsyncIterator[int]:
    """A way to a server on which everything takes its time, in both directions. Yields a port."""
    target = int(url.rpartition(":")[2])
    tasks = set[asyncio.Task[None]]()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection("127.0.0.1", target)
        loop = asyncio.get_running_loop()

        async def one_way(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while words := await source.read(100_000):
                loop.call_later(FAR, sink.write, words)

        ways = {
            asyncio.create_task(one_way(*ends)) for ends in ((reader, to_there), (there, writer))
        }
        tasks.update(ways)
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, to_there):
            end.close()

    async with await asyncio.start_server(carry, "127.0.0.1", 0) as listener:
        yield listener.sockets[0].getsockname()[1]
        for task in tasks:
            task.cancel()
        await asyncio.sleep(FAR + 0.05)


@pytest.mark.parametrize("by", ["URL", "argument", "both"])
async def test_a_server_300_ms_away_works_with_a_timeout_of_its_own(valkey: str, by: str) -> None:
    rate = RateLimit(200, per=9)
    async with far_away(valkey) as port:
        url, options = f"redis://127.0.0.1:{port}/0", dict[str, Any](account="acme1", exchange=1)
        if by != "argument":
            url += "?timeout=1" if by == "URL" else "?timeout=0.01"
        if by != "URL":
            options["socket_timeout"] = 1.0
        limiters = [SharedTokenBucket(url, rate, **options) for _ in range(2)]
        try:
            await asyncio.gather(*(limiter.__aenter__() for limiter in limiters))
            crowd = (send(one, priority=BULK) for one in limiters for _ in range(5))
            async with asyncio.timeout(30):
                await asyncio.gather(*crowd)
                for limiter in limiters:
                    await send(limiter)
                    assert limiter.statistics().in_contact
            assert sum(limiter.statistics().granted for limiter in limiters) == 12
            assert (await limiters[0].account()).window_used > 0
        finally:
            await asyncio.gather(*(limiter.aclose() for limiter in limiters))


async def test_with_too_little_time_it_says_what_to_set(valkey: str) -> None:
    async with far_away(valkey) as port:
        url = f"redis://127.0.0.1:{port}/0?timeout=0.05&client_name=web"
        limiter = SharedTokenBucket(url, RATE, account="acme1", outage_wait=0.3)
        with pytest.raises(LimiterUnavailable, match=r"no answer within 0\.2 s.*timeout=0\.05 s"):
            await send(limiter)
        with pytest.raises(LimiterUnavailable, match=r"socket_timeout= or \?timeout= in its URL"):
            await limiter.account()
        await limiter.aclose()

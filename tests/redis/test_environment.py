"""`EXOTEL_RATE_LIMIT_URL`: sessions share the account's budget through the server it names."""

from __future__ import annotations

import asyncio
import functools
import gc
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from exotel_async import (
    AsyncExotel,
    ConfigurationError,
    LimiterUnavailable,
    Priority,
    RateLimit,
    RateLimited,
    Timeouts,
    TokenBucket,
)
from exotel_async.emulator import Emulator, Fault
from exotel_async.redis import AccountStatistics, SharedTokenBucket, environment
from tests.cli.support import pointing_at, ran
from tests.conftest import CUSTOMER, session
from tests.support.ports import free_port

pytestmark = [pytest.mark.slow(1), pytest.mark.usefixtures("short_settling")]

VARIABLE = "EXOTEL_RATE_LIMIT_URL"
SECRET = "canary-password-77c2"


@pytest.fixture
def shared(valkey: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of the server, as the environment names it."""
    monkeypatch.setenv(VARIABLE, valkey)
    return valkey


def limiter_of(exotel: AsyncExotel) -> SharedTokenBucket:
    limiter = exotel.limiter
    assert isinstance(limiter, SharedTokenBucket)
    return limiter


async def account(url: str, emulator: Emulator, category: str = "voice") -> AccountStatistics:
    """The account as somebody sees it who holds nothing of it."""
    rate = RateLimit(emulator.rate, per=emulator.per / emulator.speed)
    async with SharedTokenBucket(
        url, rate, account=emulator.account_sid, category=category, name="observer"
    ) as limiter:
        known = await limiter.account()
    assert limiter.statistics().window_size == 0
    return known


async def others(url: str, emulator: Emulator) -> int:
    known = await account(url, emulator)
    return sum(process.name != "observer" for process in known.processes)


async def begun(url: str, emulator: Emulator) -> None:
    """Have a ledger of the account's usual budget, which a command need not wait for then."""
    async with SharedTokenBucket(url, account=emulator.account_sid) as limiter:
        (await limiter.acquire()).release()


# One limiter


async def test_sessions_of_an_account_share_one_limiter(shared: str, emulator: Emulator) -> None:
    async with session(emulator) as first, session(emulator) as second:
        assert limiter_of(first) is limiter_of(second)
        await asyncio.gather(first.account.balance(), second.account.balance())
        assert first.limiter.statistics().granted == 2
        assert emulator.account_sid in repr(first.limiter)


async def test_another_account_has_another_one(shared: str, emulator: Emulator) -> None:
    async with session(emulator) as first, session(emulator, account_sid="other") as second:
        assert limiter_of(first) is not limiter_of(second)


async def test_exophones_have_another_budget(shared: str, emulator: Emulator) -> None:
    rate = RateLimit(50, per=2.0)
    async with (
        session(emulator, exophone_rate_limit=rate) as first,
        session(emulator, exophone_rate_limit=rate) as second,
    ):
        limiter = first.exophones.limiter
        assert limiter is second.exophones.limiter
        assert limiter is not first.limiter
        assert isinstance(limiter, SharedTokenBucket)
        assert limiter.rate == rate
        assert [phone async for phone in first.exophones.list()]
        assert (limiter.statistics().granted, first.limiter.statistics().granted) == (1, 0)
        assert (await limiter.account()).window_size == 49


async def test_two_loops_keep_to_one_budget(shared: str) -> None:
    """Another loop is what another process is: only the server is between them."""
    async with Emulator(speed=60) as emulator:
        await two_loops(emulator)


async def two_loops(emulator: Emulator) -> None:
    enough = 2 * emulator.rate  # for more than two windows, however long that takes
    seen = 0

    async def campaign(*, looks: bool = False) -> None:
        nonlocal seen
        async with session(emulator) as exotel, asyncio.timeout(60):
            bulk = exotel.with_options(priority=Priority.BULK).numbers

            async def work() -> None:
                nonlocal seen
                while len(emulator.requests) <= enough:
                    await bulk.lookup(CUSTOMER)
                    if looks:
                        known = exotel.limiter.statistics()
                        seen = max(seen, len(getattr(known, "account").processes))  # noqa: B009

            await asyncio.gather(*(work() for _ in range(8)))

    elsewhere = asyncio.to_thread(lambda: asyncio.run(campaign()))
    await asyncio.gather(campaign(looks=True), elsewhere)
    assert seen == 2
    assert emulator.refused == 0
    assert emulator.busiest_window() <= emulator.rate


# What is taken instead


async def test_a_limiter_goes_before_the_variable(shared: str, emulator: Emulator) -> None:
    own, phones = TokenBucket(), TokenBucket(RateLimit(50))
    async with session(emulator, rate_limit=own, exophone_rate_limit=phones) as exotel:
        assert exotel.limiter is own
        assert exotel.exophones.limiter is phones
    async with session(emulator, rate_limit=own) as exotel:
        assert exotel.limiter is own
        assert isinstance(exotel.exophones.limiter, SharedTokenBucket)


async def test_a_limiter_that_was_given_is_not_closed(valkey: str, emulator: Emulator) -> None:
    rate = RateLimit(emulator.rate, per=emulator.per / emulator.speed)
    async with SharedTokenBucket(valkey, rate, account="acme1") as limiter:
        for _ in range(2):
            async with session(emulator, rate_limit=limiter) as exotel:
                await exotel.account.balance()


@pytest.mark.parametrize("value", ["", "  "])
async def test_nothing_is_shared_without_a_server(
    value: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    async with session(emulator) as exotel:
        assert isinstance(exotel.limiter, TokenBucket)


# Closing


async def test_the_last_session_closes_it(shared: str, emulator: Emulator) -> None:
    first, second = session(emulator), session(emulator)
    await asyncio.gather(first.account.balance(), second.account.balance())
    limiter = limiter_of(first)
    await first.aclose()
    await first.aclose()
    await second.account.balance()
    assert await others(shared, emulator) == 1
    await second.aclose()
    known = await account(shared, emulator)
    assert [process.name for process in known.processes if process.name != "observer"] == []
    with pytest.raises(ConfigurationError, match="closed"):
        await limiter.acquire()


async def test_closing_gives_back_at_once_and_keeps_what_was_used(
    shared: str, emulator: Emulator
) -> None:
    async with session(emulator) as exotel:
        await asyncio.gather(*(exotel.numbers.lookup(CUSTOMER) for _ in range(10)))
    known = await account(shared, emulator)
    assert known.window_used == 10


async def test_a_new_session_gets_a_new_one(shared: str, emulator: Emulator) -> None:
    async with session(emulator) as exotel:
        await exotel.account.balance()
        before = limiter_of(exotel)
        closing = asyncio.create_task(exotel.aclose())
        while not before._closed:
            await asyncio.sleep(0)
        assert not closing.done()
        async with session(emulator) as new:  # while the other one leaves
            assert new.limiter is not before
            await new.account.balance()
            await closing
            await new.account.balance()


async def test_a_session_that_was_not_used_has_nothing_to_leave(
    shared: str, emulator: Emulator
) -> None:
    async with session(emulator) as exotel:
        await exotel.account.balance()
        await session(emulator).aclose()
        await exotel.account.balance()


def test_a_session_that_is_never_closed_does_not_keep_its_loop(shared: str) -> None:
    async def use() -> None:
        exotel = AsyncExotel(account_sid="acme1", api_key="k", api_token="t")
        (await exotel.limiter.acquire()).release()

    gc.collect()
    before = len(environment._common)
    asyncio.run(use())
    gc.collect()
    assert len(environment._common) == before


# What does not fit


async def test_another_rate_is_refused(shared: str, emulator: Emulator) -> None:
    async with session(emulator) as exotel, session(emulator, rate_limit=RateLimit(7)) as other:
        await exotel.account.balance()
        with pytest.raises(ConfigurationError, match=r"rate_limit=RateLimit\(limit=7.*one budget"):
            await other.account.balance()
    async with session(emulator, rate_limit=RateLimit(7, per=2.0)) as other:
        await other.account.balance()


async def test_another_server_is_refused(
    shared: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with session(emulator) as exotel:
        await exotel.account.balance()
        monkeypatch.setenv(VARIABLE, f"{shared}/1")
        with pytest.raises(ConfigurationError, match=f"{VARIABLE}.*another server"):
            await session(emulator).account.balance()


async def test_it_knows_how_long_an_exchange_may_take(shared: str, emulator: Emulator) -> None:
    """The permits of a process that has died are out until its last request is."""
    short, long = Timeouts(read=2, exchange=5), Timeouts(read=3, exchange=5)
    per = emulator.per / emulator.speed
    async with session(emulator, timeout=short) as exotel, session(emulator, timeout=long) as later:
        assert limiter_of(exotel)._lease.terms.hold == 2 + 5 + per
        assert limiter_of(later)._lease.terms.hold == 3 + 5 + per
    async with session(emulator, timeout=long) as later, session(emulator, timeout=short) as exotel:
        assert limiter_of(later) is limiter_of(exotel)
        assert limiter_of(later)._lease.terms.hold == 3 + 5 + per


async def test_a_session_tells_a_limiter_of_ones_own(valkey: str, emulator: Emulator) -> None:
    account = emulator.account_sid
    rate = RateLimit(emulator.rate, per=emulator.per / emulator.speed)
    async with SharedTokenBucket(valkey, rate, account=account, exchange=1.0) as limiter:
        timeouts = Timeouts(read=2, exchange=5)
        async with session(emulator, rate_limit=limiter, timeout=timeouts) as exotel:
            await exotel.account.balance()
            assert limiter._lease.terms.hold == 2 + 5 + rate.per
        known = await limiter.account()
        assert known.window_size == rate.limit - 1, "it is not the session's to close"


@pytest.mark.parametrize(
    ("account", "category", "given_as"),
    [
        ("other", "voice", "rate_limit"),
        ("other", "exophones", "exophone_rate_limit"),
        (None, "voice", "exophone_rate_limit"),
        (None, "exophones", "rate_limit"),
    ],
)
async def test_a_limiter_of_something_else_is_refused(
    valkey: str, emulator: Emulator, account: str | None, category: str, given_as: str
) -> None:
    rate = RateLimit(emulator.rate, per=emulator.per / emulator.speed)
    account = account or emulator.account_sid
    async with SharedTokenBucket(valkey, rate, account=account, category=category) as limiter:
        given: dict[str, Any] = {given_as: limiter}
        async with session(emulator, **given) as exotel:
            with pytest.raises(ConfigurationError, match="must be for account"):
                if given_as == "rate_limit":
                    await exotel.account.balance()
                else:
                    assert [phone async for phone in exotel.exophones.list()]
    assert not emulator.requests


async def test_it_lets_as_many_into_the_air_as_its_sessions(
    shared: str, emulator: Emulator
) -> None:
    async with session(emulator, max_in_flight=3) as few:
        assert limiter_of(few)._max_in_flight == 3
        async with session(emulator, max_in_flight=5) as more:
            assert limiter_of(more)._max_in_flight == 5


BAD = [
    f"localhost:6379?{SECRET}",
    f"http://user:{SECRET}@localhost",
    f"redis://user:{SECRET}@localhost:port",
    f"redis://user:{SECRET}@localhost:99999",
    f"rediss://user:{SECRET}/x@localhost",
    f"redis://user:{SECRET}@localhost/word",
    f"unix://user:{SECRET}@",
]


@pytest.mark.parametrize("url", BAD)
def test_a_bad_url_is_refused_before_anything_is_sent(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, url)
    with pytest.raises(ConfigurationError, match=VARIABLE) as refused:
        AsyncExotel(account_sid="acme1", api_key="k", api_token="t")
    assert SECRET not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "unix"])
async def test_schemes(scheme: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    place = "/run/valkey" if scheme == "unix" else "localhost/2"
    monkeypatch.setenv(VARIABLE, f"{scheme}://user:{SECRET}@{place}")
    async with session(emulator) as exotel:
        assert SECRET not in repr(exotel.limiter)


@pytest.fixture
def somebody(valkey: str) -> Iterator[str]:
    """A URL with the wrong password of a user there is."""
    with redis.Redis.from_url(valkey) as client:
        client.acl_setuser(
            "worker", enabled=True, passwords=["+right"], keys="*", channels="*", commands=["+@all"]
        )
        yield valkey.replace("redis://", f"redis://worker:{SECRET}@")
        client.acl_deluser("worker")


async def test_a_wrong_password_is_told_by_the_first_call(
    somebody: str,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(VARIABLE, somebody)
    async with session(emulator) as exotel:
        with pytest.raises(ConfigurationError, match="server of the shared limiter") as refused:
            await exotel.account.balance()
        assert SECRET not in f"{refused.value!r} {exotel.limiter!r} {caplog.text}"
    assert not emulator.requests
    monkeypatch.setenv(VARIABLE, somebody.replace(SECRET, "right"))
    async with session(emulator) as exotel:
        await exotel.account.balance()


async def test_a_wrong_database_is_told_by_the_first_call(
    shared: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"{shared}/9999")
    async with session(emulator) as exotel:
        with pytest.raises(ConfigurationError, match=r"database 9999.*out of range"):
            await exotel.account.balance()
    assert not emulator.requests


async def test_a_server_that_is_away(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"redis://:{SECRET}@127.0.0.1:{free_port()}")
    impatient: Any = functools.partial(SharedTokenBucket, outage_wait=0.3)
    monkeypatch.setattr(environment, "SharedTokenBucket", impatient)
    async with session(emulator) as exotel:
        began = time.monotonic()
        with pytest.raises(LimiterUnavailable, match=r"could not be reached for 0\.3 s") as away:
            await exotel.numbers.lookup(CUSTOMER)
        assert 0.3 <= time.monotonic() - began < 3
        assert SECRET not in str(away.value)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    assert not emulator.requests


# What is imported

CREDENTIALS = "account_sid='a', api_key='k', api_token='t'"


def program(code: str, **env: str) -> str:
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=env,
    )
    return shown.stdout.strip()


def test_redis_is_imported_only_if_it_is_needed() -> None:
    check = "print('exotel_async.redis' in sys.modules, 'redis' in sys.modules)"
    begin = "import sys; from exotel_async import *; "
    made = program(f"{begin} AsyncExotel({CREDENTIALS}); {check}")
    assert made == "False False"
    url = "redis://localhost"
    given = "rate_limit=TokenBucket(), exophone_rate_limit=TokenBucket()"
    made = program(f"{begin} AsyncExotel({CREDENTIALS}, {given}); {check}", **{VARIABLE: url})
    assert made == "False False"
    made = program(f"{begin} AsyncExotel({CREDENTIALS}); {check}", **{VARIABLE: url})
    assert made == "True True"


def test_without_redis_py_it_says_what_to_install() -> None:
    code = f"""
import sys
sys.modules["redis"] = sys.modules["redis.asyncio"] = None
from exotel_async import AsyncExotel, ConfigurationError
try:
    AsyncExotel({CREDENTIALS})
except ConfigurationError as error:
    print(error)
"""
    assert program(code) == ""
    told = program(code, **{VARIABLE: "redis://localhost"})
    assert "pip install 'exotel-async[redis]'" in told


# The command line


async def test_doctor_says_with_how_many_the_budget_is_shared(
    shared: str, emulator: Emulator
) -> None:
    await begun(shared, emulator)
    env = pointing_at(emulator, **{VARIABLE: shared})
    ended = await ran("doctor", env=env)
    assert ended.code == 0, ended
    assert ended.out.strip().endswith(
        f"shared through {VARIABLE}, with 0 other processes at the moment"
    )
    assert len(emulator.requests) == 1


async def test_doctor_clears_a_pause(shared: str, emulator: Emulator) -> None:
    await begun(shared, emulator)
    env = pointing_at(emulator, **{VARIABLE: shared})
    ended = await ran("doctor", "--clear-pause", env=env)
    assert ended.code == 0, ended
    assert ended.out.startswith("no pause to clear: the account's requests are not paused\nall is")
    async with session(emulator, rate_limit=RateLimit(200)) as exotel:
        await exotel.account.balance()
        emulator.faults.add(Fault.too_many_requests(retry_after=86_400))
        with pytest.raises(RateLimited):
            await exotel.with_options(timeout=1).account.balance()
        paused = exotel.limiter.statistics().paused_for
        assert 170 < paused <= 180
        before = len(emulator.requests)
        ended = await ran("doctor", env=env)
        assert (ended.code, ended.out) == (1, "")
        assert "the account's requests are paused until 20" in ended.error_lines[-1]
        assert "--clear-pause" in ended.error_lines[-1]
        assert len(emulator.requests) == before
        waiting = asyncio.create_task(exotel.account.balance())
        ended = await ran("doctor", "--clear-pause", env=env)
        assert ended.code == 0, ended
        said = re.match(
            r"cleared: .* paused for (\d+) s more, until .* UTC\nall is well", ended.out
        )
        assert said, ended.out
        assert 100 < int(said[1]) <= 180
        async with asyncio.timeout(10):
            await waiting


@pytest.mark.parametrize("voice", [False, True])
async def test_doctor_clears_the_pause_of_requests_for_exophones(
    shared: str, emulator: Emulator, voice: bool
) -> None:
    """They have a budget of their own, and so a pause."""
    env = pointing_at(emulator, **{VARIABLE: shared})
    limits = {"rate_limit": RateLimit(200), "exophone_rate_limit": RateLimit(50)}
    async with session(emulator, **limits) as exotel:
        assert [phone async for phone in exotel.exophones.list()]
        await exotel.account.balance()
        hasty = exotel.with_options(timeout=1)
        emulator.faults.add(Fault.too_many_requests(retry_after=86_400))
        with pytest.raises(RateLimited):
            await anext(hasty.exophones.list().pages())
        if voice:
            emulator.faults.add(Fault.too_many_requests(retry_after=86_400))
            with pytest.raises(RateLimited):
                await hasty.account.balance()
        ended = await ran("doctor", "--clear-pause", env=env)
        assert ended.code == 0, ended
        pause = r"the account's requests%s would have been paused for \d+ s more, until [^;]* UTC"
        pauses = [pause % requests for requests in ("", " for ExoPhones")[not voice :]]
        assert re.match("cleared: " + "; ".join(pauses) + "\nall is well", ended.out), ended.out
        async with asyncio.timeout(10):
            assert [phone async for phone in exotel.exophones.list()]


async def test_doctor_has_no_pause_to_clear_where_none_is_shared(emulator: Emulator) -> None:
    ended = await ran("doctor", "--clear-pause", env=pointing_at(emulator))
    assert ended.code == 0, ended
    assert ended.out.startswith(f"no pause to clear: {VARIABLE} is not set, and no budget")


async def test_doctor_has_no_pause_to_clear_where_the_server_is_away(emulator: Emulator) -> None:
    url = f"redis://:{SECRET}@127.0.0.1:{free_port()}"
    ended = await ran("doctor", "--clear-pause", env=pointing_at(emulator, **{VARIABLE: url}))
    assert (ended.code, ended.out) == (1, "")
    assert "server of the shared limiter" in ended.error_lines[-1]
    assert SECRET not in ended.err


async def test_doctor_finds_the_server_away_at_once(emulator: Emulator) -> None:
    url = f"redis://:{SECRET}@127.0.0.1:{free_port()}"
    began = time.monotonic()
    ended = await ran("doctor", env=pointing_at(emulator, **{VARIABLE: url}))
    assert time.monotonic() - began < 15
    assert (ended.code, ended.out) == (1, "")
    assert "server of the shared limiter" in ended.error_lines[-1]
    assert SECRET not in ended.err
    assert not emulator.requests


async def test_doctor_tells_a_url_that_is_not_valid(emulator: Emulator) -> None:
    ended = await ran("doctor", env=pointing_at(emulator, **{VARIABLE: BAD[1]}))
    assert (ended.code, ended.out) == (1, "")
    assert VARIABLE in ended.error_lines[-1]
    assert SECRET not in ended.err

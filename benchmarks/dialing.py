"""Dialers that run campaigns, each measured in a process of its own."""

from __future__ import annotations

import asyncio
import gc
import random
import resource
import sqlite3
import statistics
import threading
import time
import tracemalloc
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from benchmarks.bare import number
from benchmarks.exchange import BUSY, counted
from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN
from benchmarks.traffic import MINUTE, RATE, Recorder
from exotel_async import AsyncExotel, Priority, RateLimit
from exotel_async.campaigns import Campaign, Contact, Retries, Retry, Schedule
from exotel_async.campaigns.dialer import Dialer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from exotel_async import RateLimiter

CAMPAIGN: Final = "diwali"
LOCKED: Final = 3.0
"""Seconds for which somebody else locks the ledger, again and again."""
POLL: Final = 15.0  # seconds of a minute's window, as a dialer has it by default
RETRIED_AFTER: Final = timedelta(seconds=5)

_OFTEN: Final = 3.0  # seconds until a call is asked for, so that there are some retries

_PLENTY: Final = RateLimit(10**6, per=1.0, burst=10**4)
_ALWAYS: Final = Schedule(hours="00:00-24:00")
_APART: Final = 7919  # numbers of a list are in no order
_MEAN_GAP: Final = 3.0  # seconds of a minute's window between two interactive requests
_LEDGER: Final = "exotel-ledger"  # how the names of its threads begin


def contacts(count: int) -> Iterator[Contact]:
    """Yield contacts as somebody's list has them."""
    for index in range(count):
        fields = {"first_name": "Someone", "amount": 1200 + index % 100, "city": "Bengaluru"}
        place = index * _APART % 99_999_989
        yield Contact(number(place), key=f"customer-{index}", fields=fields)


@asynccontextmanager
async def _dialing(
    base_url: str, place: str, limit: RateLimit | RateLimiter, *, interval: float
) -> AsyncIterator[tuple[AsyncExotel, Dialer]]:
    async with (
        AsyncExotel(
            account_sid=ACCOUNT,
            api_key=KEY,
            api_token=TOKEN,
            base_url=base_url,
            rate_limit=limit,
        ) as exotel,
        Dialer(exotel, place, poll_interval=interval) as dialer,
    ):
        yield exotel, dialer


def _campaign(**settings: Any) -> Campaign:
    return Campaign(CAMPAIGN, flow=926, caller_ids=[EXOPHONE], schedule=_ALWAYS, **settings)


# All that there is in the budget.


@frozen(kw_only=True)
class Case:
    """A campaign of so many contacts, each rung once, at 200 requests in each `per` seconds.

    Attributes:
        base_url: of the emulator.
        per: W.
        contacts: how many.
        place: the ledger; None: there is none, and `calls.connect_many` dials them.
    """

    base_url: str
    per: float
    contacts: int
    place: str | None


@frozen(kw_only=True)
class Dialled:
    """How it went.

    Attributes:
        rung: contacts whose call has ended, as the dialer says.
        seconds: the time it took.
        response: mean seconds from the permit to the answer, the ledger's own included.
        cpu: CPU of the process for each contact, in ms.
        ledger_cpu: of that, in the ledger's threads.
    """

    rung: int
    seconds: float
    response: float
    cpu: float
    ledger_cpu: float


def dial(case: Case) -> Dialled:
    """Dial all of them."""
    return asyncio.run(_dial(case))


async def _dial(case: Case) -> Dialled:
    recorder = Recorder(RateLimit(RATE, per=case.per))
    interval = POLL * case.per / MINUTE
    if case.place is None:
        return await _dial_without(case, recorder, interval)
    async with _dialing(case.base_url, case.place, recorder, interval=interval) as (_, dialer):
        await dialer.create(_campaign())
        await dialer.add(CAMPAIGN, contacts(case.contacts))
        began, cpu, ledger = time.perf_counter(), time.process_time(), _ledger_cpu()
        async with dialer.run(CAMPAIGN) as outcomes:
            rung = [outcome async for outcome in outcomes]
        seconds, spent = time.perf_counter() - began, time.process_time() - cpu
        return _dialled(len(rung), recorder, seconds, spent, _ledger_cpu() - ledger)


async def _dial_without(case: Case, recorder: Recorder, interval: float) -> Dialled:
    async with AsyncExotel(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        base_url=case.base_url,
        rate_limit=recorder,
    ) as exotel:
        began, cpu = time.perf_counter(), time.process_time()
        numbers = (contact.number for contact in contacts(case.contacts))
        async with exotel.calls.connect_many(
            numbers, flow=926, caller_id=EXOPHONE, interval=interval
        ) as dials:
            ends = dials.ended()
            placed = sum([1 async for outcome in dials if outcome.error is None])
            rung = [ended async for ended in ends]
            if placed != len(rung):
                raise RuntimeError(f"{placed} calls were placed, and {len(rung)} have ended")
        seconds, spent = time.perf_counter() - began, time.process_time() - cpu
        return _dialled(len(rung), recorder, seconds, spent, 0.0)


def _dialled(rung: int, recorder: Recorder, seconds: float, cpu: float, ledger: float) -> Dialled:
    took = [
        one.finished - one.granted
        for one in recorder.sent
        if one.granted is not None and one.finished is not None
    ]
    return Dialled(
        rung=rung,
        seconds=seconds,
        response=statistics.fmean(took),
        cpu=cpu / rung * 1e3,
        ledger_cpu=ledger / rung * 1e3,
    )


def _ledger_cpu() -> float:
    """Return the CPU seconds of the ledger's threads so far."""
    return sum(
        time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        for thread in threading.enumerate()
        if thread.name.startswith(_LEDGER) and thread.ident is not None
    )


# Lists of any length.


@frozen(kw_only=True)
class ListCase:
    """A list to be added, and of which some are dialled, without a budget.

    Attributes:
        base_url: of the emulator.
        place: the ledger.
        contacts: how many there are.
        dialled: how many of them are dialled.
    """

    base_url: str
    place: str
    contacts: int
    dialled: int


@frozen(kw_only=True)
class Added:
    """How it went.

    Attributes:
        rate: contacts added per second.
        cpu: CPU for each, in µs: of the event loop's thread, and of the ledger's.
        held: the most CPU of the event loop's thread for one turn, in ms.
        statistics: seconds until the statistics were there, the longest of several times.
        resident: the most memory of the process, in MB.
        allocated: the most memory that Python had allocated while they were dialled, in MB.
    """

    rate: float
    cpu: tuple[float, float]
    held: float
    statistics: float
    resident: float
    allocated: float


def add(case: ListCase) -> Added:
    """Add all, and dial some."""
    return asyncio.run(_add(case))


async def _add(case: ListCase) -> Added:
    async with _dialing(case.base_url, case.place, _PLENTY, interval=1.0) as (_, dialer):
        await dialer.create(_campaign())
        longest = _LongestTurn()
        gc.freeze()  # what a look for garbage takes is not the dialer's
        began, cpu, ledger = time.perf_counter(), time.thread_time(), _ledger_cpu()
        with longest.watched():
            result = await dialer.add(CAMPAIGN, contacts(case.contacts))
        seconds = time.perf_counter() - began
        spent = time.thread_time() - cpu, _ledger_cpu() - ledger
        if result.added != case.contacts:
            raise RuntimeError(f"{result.added:,} of {case.contacts:,} were added")
        asked = []
        for _ in range(5):
            began = time.perf_counter()
            await dialer.statistics(CAMPAIGN)
            asked.append(time.perf_counter() - began)
        tracemalloc.start()
        rung = 0
        async with dialer.run(CAMPAIGN) as outcomes:
            async for _ in outcomes:
                rung += 1
                if rung == case.dialled:
                    break
        allocated = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return Added(
            rate=case.contacts / seconds,
            cpu=(spent[0] / case.contacts * 1e6, spent[1] / case.contacts * 1e6),
            held=longest.seconds * 1e3,
            statistics=max(asked),
            resident=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            allocated=allocated / 2**20,
        )


class _LongestTurn:
    """The most CPU that the thread of the event loop takes between two turns of a task."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch, in this block."""
        task = asyncio.get_running_loop().create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()

    async def _watch(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            self.seconds = max(self.seconds, time.thread_time() - before)
            await asyncio.sleep(0.002)


# Somebody else in the same session.


@frozen(kw_only=True)
class BesideCase:
    """Interactive requests beside a campaign.

    Attributes:
        base_url: of the emulator.
        place: the ledger, a SQLite file.
        per: W.
        windows: how many.
        locked: whether another connection locks the ledger, three seconds of four.
    """

    base_url: str
    place: str
    per: float
    windows: int
    locked: bool


@frozen
class Beside:
    """How it went.

    Attributes:
        waits: seconds in `limiter.acquire`, of the interactive requests.
        dials: requests of the campaign meanwhile.
    """

    waits: Sequence[float]
    dials: int


def beside(case: BesideCase) -> Beside:
    """Measure one campaign."""
    return asyncio.run(_beside(case))


async def _beside(case: BesideCase) -> Beside:
    recorder = Recorder(RateLimit(RATE, per=case.per))
    rng = random.Random(0)
    interval = POLL * case.per / MINUTE
    async with _dialing(case.base_url, case.place, recorder, interval=interval) as (exotel, dialer):
        await dialer.create(_campaign())
        await dialer.add(CAMPAIGN, contacts(RATE * (case.windows + 2)))
        over = threading.Event()
        locker = threading.Thread(target=_lock, args=(case.place, over), daemon=True)
        async with dialer.run(CAMPAIGN):
            await asyncio.sleep(case.per)
            if case.locked:
                locker.start()
            first = len(recorder.sent)
            until = time.monotonic() + case.per * case.windows
            tasks = []
            while time.monotonic() < until:
                await asyncio.sleep(rng.expovariate(MINUTE / _MEAN_GAP / case.per))
                lookup = exotel.numbers.lookup(number(0), priority=Priority.INTERACTIVE)
                tasks.append(asyncio.create_task(lookup))
            await asyncio.gather(*tasks)
            sent = recorder.sent[first:]
            over.set()
        if case.locked:
            await asyncio.to_thread(locker.join)
    interactive = [one for one in sent if one.priority is Priority.INTERACTIVE]
    waits = [one.granted - one.asked for one in interactive if one.granted is not None]
    return Beside(waits, len(sent) - len(interactive))


def _lock(place: str, over: threading.Event) -> None:
    connection = sqlite3.connect(place, isolation_level=None, timeout=60)
    while not over.is_set():
        connection.execute("BEGIN IMMEDIATE")
        over.wait(LOCKED)
        connection.execute("ROLLBACK")
        over.wait(LOCKED / 3)
    connection.close()


# Retries among many others.


@frozen(kw_only=True)
class RetryCase:
    """A contact who is busy, at the real rate, while many others wait for their first attempt.

    Attributes:
        base_url: of the emulator.
        place: the ledger, a SQLite file.
        waiting: the others.
        seconds: how long it is watched.
    """

    base_url: str
    place: str
    waiting: int
    seconds: float


@frozen
class Retried:
    """How it went.

    Attributes:
        late: seconds from the moment each retry was due to its arrival.
        others: first attempts that were made meanwhile.
    """

    late: Sequence[float]
    others: int


def retry(case: RetryCase) -> Retried:
    """Watch one campaign."""
    return asyncio.run(_retry(case))


async def _retry(case: RetryCase) -> Retried:
    campaign = _campaign(retries=Retries(busy=Retry(10, RETRIED_AFTER)))
    due: set[int] = set()
    limit = RateLimit(RATE, per=MINUTE)
    async with _dialing(case.base_url, case.place, limit, interval=_OFTEN) as (_, dialer):
        await dialer.create(campaign)
        await dialer.add(CAMPAIGN, [BUSY])
        await dialer.add(CAMPAIGN, contacts(case.waiting))
        async with dialer.run(CAMPAIGN):
            until = time.monotonic() + case.seconds
            while time.monotonic() < until:
                await asyncio.sleep(0.2)
                due.update(await asyncio.to_thread(_due, case.place))
    seen = await asyncio.to_thread(counted, case.base_url)
    came = [one.at for one in seen.requests if one.dials == BUSY]
    late = []
    for moment in due:
        at = moment / 1000 - seen.started_at.timestamp()
        if after := [one for one in came if one >= at]:
            late.append(min(after) - at)
    return Retried(late, sum(one.dials is not None for one in seen.requests) - len(came))


def _due(place: str) -> list[int]:
    """Return when those are due who wait for a retry, in milliseconds since the epoch."""
    connection = sqlite3.connect(Path(place).as_uri() + "?mode=ro", uri=True)
    rows = connection.execute("SELECT due_at FROM contacts WHERE state = 'waiting'").fetchall()
    connection.close()
    return [moment for (moment,) in rows]

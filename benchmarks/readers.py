"""Readers of call records, to be run in a process of their own."""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import time
from asyncio import events
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import httpx
from attrs import frozen

from benchmarks.books import DAYS, PLENTY
from benchmarks.server import ACCOUNT, KEY, TOKEN
from benchmarks.tables import Spread
from benchmarks.traffic import MINUTE, RATE, Recorder, Sent, Steady, steady
from exotel_async import AsyncExotel, Priority, RateLimit
from exotel_async.wire import responses
from exotel_async.wire.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = 100


@frozen(kw_only=True)
class Case:
    """One list to be read.

    Attributes:
        base_url: where.
        per: W; None: no budget.
        windows: slices side by side; None: a plain loop over bare httpx, one page after another.
        limit: calls at most; None: all.
    """

    base_url: str
    per: float | None = None
    windows: int | None = 1
    limit: int | None = None


@frozen(kw_only=True)
class Reading:
    """How it went.

    Attributes:
        calls: how many came.
        requests: what they cost.
        refused: answers 429.
        seconds: the time it took.
        steady: the rate in whole windows.
        memory: the most the process has had by then, in MB.
    """

    calls: int
    requests: int
    refused: int
    seconds: float
    steady: Steady
    memory: float


def read(case: Case) -> Reading:
    """Read a list to its end."""
    return asyncio.run(_list(case) if case.windows else _plain_loop(case))


async def _list(case: Case) -> Reading:
    per = case.per or MINUTE
    recorder = Recorder(RateLimit(RATE if case.per else PLENTY, per=per))
    calls, before = 0, ""
    async with AsyncExotel(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        base_url=case.base_url,
        rate_limit=recorder,
    ) as exotel:
        began = time.perf_counter()
        records = exotel.calls.list(since=_since(), concurrency=case.windows or 1, limit=case.limit)
        async for call in records:
            created = call.raw["DateCreated"]
            # No two of them are of the same second.
            if before and created >= before:
                raise RuntimeError(f"{created} comes after {before}")
            calls, before = calls + 1, created
        took = time.perf_counter() - began
    return _reading(calls, recorder.sent, took, per)


async def _plain_loop(case: Case) -> Reading:
    """Do as clients without a limiter do: the next page when there is the one before."""
    per = case.per or MINUTE
    loop = asyncio.get_running_loop()
    sent: list[Sent] = []
    calls = 0
    async with httpx.AsyncClient(base_url=case.base_url, auth=(KEY, TOKEN)) as client:
        began = time.perf_counter()
        now = datetime.now(UTC) - timedelta(seconds=5)
        for month in range(0, DAYS, 30):
            until = now - timedelta(days=month)
            query = {
                "DateCreated": f"gte:{_ist(until - timedelta(days=30) + timedelta(seconds=1))};"
                f"lte:{_ist(until)}",
                "SortBy": "DateCreated:desc",
                "PageSize": str(PAGE),
            }
            while True:
                record = Sent(Priority.BULK, loop.time(), loop.time())
                response = await client.get(f"/v1/Accounts/{ACCOUNT}/Calls.json", params=query)
                record.finished, record.status = loop.time(), response.status_code
                sent.append(record)
                if response.status_code == 429:
                    await asyncio.sleep(per / MINUTE)
                    continue
                page = response.json()
                calls += len(page["Calls"])
                following = page["Metadata"]["NextPageUri"]
                if following is None or (case.limit and calls >= case.limit):
                    break
                query["After"] = parse_qs(urlsplit(following).query)["After"][0]
        took = time.perf_counter() - began
    return _reading(calls, sent, took, per)


def _since() -> datetime:
    return datetime.now(UTC) - timedelta(days=DAYS)


def _ist(moment: datetime) -> str:
    return f"{moment + timedelta(hours=5, minutes=30):%Y-%m-%d %H:%M:%S}"


def _reading(calls: int, sent: list[Sent], took: float, per: float) -> Reading:
    return Reading(
        calls=calls,
        requests=len(sent),
        refused=sum(one.status == 429 for one in sent),
        seconds=took,
        steady=steady(sent, per),
        memory=_most_memory(),
    )


def _most_memory() -> float:
    # Not getrusage: what the parent had when it forked counts there.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@frozen
class Decoding:
    """CPU for one page, in microseconds, and its size in bytes."""

    page: Spread
    loads: Spread
    ratio: Spread
    bytes: int


@frozen(kw_only=True)
class DecodingCase:
    """A page from there, so many times decoded."""

    base_url: str
    rounds: int
    details: bool


def decode(case: DecodingCase) -> Decoding:
    """Decode one page, by the SDK and as bare JSON in turn."""
    response = httpx.get(
        f"{case.base_url}/v1/Accounts/{ACCOUNT}/Calls.json",
        params={"PageSize": str(PAGE), "details": str(case.details).lower()},
        auth=(KEY, TOKEN),
    )
    answer = Response(response.status_code, response.headers, response.content)
    assert len(responses.read_page(answer).calls) == PAGE
    took: list[tuple[float, float]] = []
    gc.collect()
    for number in range(case.rounds):
        # Each goes first in every other round.
        pair = [_decoded(answer), 0.0] if number % 2 else [0.0, _loaded(answer)]
        pair[number % 2] = _loaded(answer) if number % 2 else _decoded(answer)
        took.append((pair[0], pair[1]))
    pages, loads = zip(*took, strict=True)
    ratio = Spread.of([page / load for page, load in took])
    return Decoding(Spread.of(pages), Spread.of(loads), ratio, len(answer.body))


def _decoded(answer: Response) -> float:
    began = time.process_time()
    responses.read_page(answer)
    return (time.process_time() - began) * 1e6


def _loaded(answer: Response) -> float:
    began = time.process_time()
    json.loads(answer.body)
    return (time.process_time() - began) * 1e6


@frozen
class Turns:
    """The longest turn of the event loop for each of so many pages, in ms of CPU."""

    pages: int
    median: float
    longest: float


def turns(base_url: str) -> Turns:
    """Time each turn of the loop while a list is read."""
    return asyncio.run(_turns(base_url))


async def _turns(base_url: str) -> Turns:
    longest: list[float] = []
    async with AsyncExotel(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        base_url=base_url,
        rate_limit=RateLimit(PLENTY),
    ) as exotel:
        await exotel.calls.list()  # connections, caches
        with _timed() as took:
            async for _ in exotel.calls.list(since=_since()).pages():
                longest.append(max(took))
                took.clear()
                took.append(0.0)
    return Turns(len(longest), statistics.median(longest) * 1e3, max(longest) * 1e3)


@contextmanager
def _timed() -> Iterator[list[float]]:
    """Write down the CPU of each callback the loop runs, in seconds."""
    took = [0.0]
    run = events.Handle._run  # noqa: SLF001 - nothing else sees each turn

    def timed(handle: events.Handle) -> None:
        began = time.thread_time()
        run(handle)
        took.append(time.thread_time() - began)

    with mock.patch.object(events.Handle, "_run", timed):
        yield took

"""A process that starts right after another one has used up the budget: how often it is refused."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import Final
from urllib.parse import urlsplit

import httpx
from attrs import frozen

from benchmarks import processes, tables
from benchmarks.bare import number
from benchmarks.server import ACCOUNT, KEY, TOKEN, refused_so_far, running
from benchmarks.tables import Target
from benchmarks.traffic import KINDS, RATE, SIDE_BY_SIDE, Kind
from exotel_async import AsyncExotel, Priority, RateLimit, RateLimited

MAX_MEAN: Final = 10
MAX_EVER: Final = 20
_WAITING: Final = 400


@frozen
class Case:
    """One restart."""

    kind: Kind
    per: float
    seed: int
    retry_after: bool


@frozen
class Result:
    """Refusals after it, and requests that failed for good."""

    refused: int
    failed: int


def report(per: float, seeds: int) -> list[Target]:
    """Print the table; return the targets."""
    tables.heading(
        "limiter: restart",
        f"{RATE} requests are sent at once by somebody else, at a random moment of the window; "
        f"then a new AsyncExotel starts with",
        f"{_WAITING} numbers.lookup gathered. How many of these are refused, with Retry-After (to "
        "the second) and without.",
        f"Runs: {seeds} seeds; W = {per:g} s.",
    )
    cases = [
        Case(kind, per, seed, retry_after)
        for seed in range(seeds)
        for kind in KINDS
        for retry_after in (True, False)
    ]
    results = processes.run_all(run, cases, at_once=SIDE_BY_SIDE)
    rows, reached = [], []
    for kind in KINDS:
        shown = []
        for retry_after in (True, False):
            refused = [
                one.refused
                for case, one in zip(cases, results, strict=True)
                if case.kind == kind and case.retry_after == retry_after
            ]
            mean, most = sum(refused) / len(refused), max(refused)
            shown.append(f"{mean:.1f} (most {most})")
            reached.append(
                Target(
                    f"{kind.name}, {'with' if retry_after else 'without'} Retry-After",
                    f"mean {mean:.1f}, most {most}",
                    f"mean at most {MAX_MEAN}, none above {MAX_EVER}",
                    mean <= MAX_MEAN and most <= MAX_EVER,
                )
            )
        rows.append((kind.name, *shown))
    tables.table(
        "429s after a restart, mean (most)",
        ("the service counts by", "with Retry-After", "without"),
        rows,
    )
    failed = sum(one.failed for one in results)
    return [*reached, Target("requests given up", str(failed), "0", failed == 0)]


def run(case: Case) -> Result:
    """Measure one restart."""
    server = case.kind.server(case.per, case.seed, retry_after=case.retry_after)
    with running(server) as base_url:
        return asyncio.run(_run(case, base_url))


async def _run(case: Case, base_url: str) -> Result:
    await asyncio.sleep(random.Random(case.seed).uniform(0, case.per))
    async with (
        httpx.AsyncClient() as client,  # made before, for it takes a while
        AsyncExotel(
            account_sid=ACCOUNT,
            api_key=KEY,
            api_token=TOKEN,
            base_url=base_url,
            rate_limit=RateLimit(RATE, per=case.per),
            http_client=client,
        ) as exotel,
    ):
        await asyncio.gather(*(_send(base_url) for _ in range(RATE)))
        refused_before = await refused_so_far(base_url)
        lookup = exotel.with_options(priority=Priority.BULK).numbers.lookup
        ended = await asyncio.gather(
            *(lookup(number(index)) for index in range(_WAITING)), return_exceptions=True
        )
    for one in ended:
        if isinstance(one, BaseException) and not isinstance(one, RateLimited):
            raise one
    failed = sum(isinstance(one, RateLimited) for one in ended)
    return Result(await refused_so_far(base_url) - refused_before, failed)


async def _send(base_url: str) -> None:
    """Send one request the quickest way: a budget that is used up comes back at once."""
    url = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    credentials = base64.b64encode(f"{KEY}:{TOKEN}".encode()).decode()
    writer.write(
        f"GET /v1/Accounts/{ACCOUNT}/Numbers/{number(0)}.json HTTP/1.1\r\nHost: {url.netloc}\r\n"
        f"Authorization: Basic {credentials}\r\nConnection: close\r\n\r\n".encode()
    )
    await reader.read()
    writer.close()

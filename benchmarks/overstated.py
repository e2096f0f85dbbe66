"""A `RateLimit` above what the account has: when that is found out, and what it costs.

`TokenBucket` runs in virtual time. Two processes of a `SharedTokenBucket` need a Valkey and real
time, and are measured by `report_shared`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from attrs import define, frozen

from benchmarks import tables
from benchmarks.server import response_time
from benchmarks.tables import Target
from benchmarks.traffic import KINDS, MINUTE, RATE, Kind
from exotel_async import Priority, RateLimit, RequestOutcome, TokenBucket
from exotel_async.emulator.rate_limit import new_window
from tests.support.virtual_time import run as run_in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exotel_async import RateLimiter

FOUND: Final = 3  # windows
TRIAL: Final = 3  # refusals in ten windows
TEN: Final = 10
WINDOWS: Final = 33
SETTLED: Final = 5  # windows after which the rate is counted
REALS: Final = (100, 20)
_WAITING: Final = 40


@frozen(kw_only=True)
class Case:
    """An account that takes `real` requests in `per`, though it is said to take `RATE`."""

    kind: Kind
    real: int
    retry_after: bool
    per: float = MINUTE
    windows: int = WINDOWS
    stated: int = RATE
    seed: int = 0


@define
class Result:
    """How it went, in windows from the first request on.

    Attributes:
        case: what was measured.
        refused: when each refusal came.
        taken: when each request was taken.
        learned: what the limiter has learned, and when.
    """

    case: Case
    refused: list[float]
    taken: list[float]
    learned: list[tuple[float, int | None]]

    @property
    def found(self) -> float:
        """When it was found out."""
        return next((when for when, limit in self.learned if limit is not None), math.inf)

    @property
    def first_ten(self) -> int:
        """How many were refused in the first ten windows."""
        return sum(when < TEN for when in self.refused)

    @property
    def worst_ten(self) -> int:
        """How many were refused in any ten windows after those."""
        later = [when for when in self.refused if when >= TEN]
        return max((sum(one <= when < one + TEN for when in later) for one in later), default=0)

    @property
    def rate(self) -> float:
        """The rate once it has settled, as a part of what the account takes."""
        taken = sum(when >= SETTLED for when in self.taken)
        return taken / (self.case.windows - SETTLED) / self.case.real


async def drive(case: Case, limiters: Sequence[RateLimiter]) -> Result:
    """Send through limiters of one account as much as they let."""
    chance = random.Random(case.seed)
    loop = asyncio.get_running_loop()
    began, phase = loop.time(), chance.random() * case.per
    service = new_window(
        case.kind.window,
        case.real,
        case.per,
        leaky_burst=min(20, case.real),
        count_refusals=case.kind.count_refusals,
    )
    result = Result(case, [], [], [(0.0, None)])

    async def send(limiter: RateLimiter) -> None:
        retry = False
        while True:
            permit = await limiter.acquire(Priority.BULK, retry=retry)
            there, back = response_time(case.per / MINUTE, chance)
            await asyncio.sleep(there)
            now = loop.time() - began
            taken = service.admit(now + phase)
            after = math.ceil(service.wait(now + phase)) if case.retry_after else None
            (result.taken if taken else result.refused).append(now / case.per)
            await asyncio.sleep(back)
            permit.finish(RequestOutcome(status=200 if taken else 429, retry_after=after))
            retry = not taken
            limit = limiter.statistics().learned_limit
            if limit != result.learned[-1][1]:
                result.learned.append(((loop.time() - began) / case.per, limit))

    crowd = [asyncio.create_task(send(one)) for one in limiters for _ in range(_WAITING)]
    await asyncio.sleep(case.windows * case.per)
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    return result


def run(case: Case) -> Result:
    """Measure one case with a `TokenBucket`."""
    return run_in_virtual_time(drive(case, [TokenBucket(RateLimit(case.stated, per=case.per))]))


def run_shared(case: Case) -> Result:
    """Measure one case with two processes' parts of a `SharedTokenBucket`."""
    from exotel_async.redis import SharedTokenBucket  # noqa: PLC0415
    from tests.support import valkey  # noqa: PLC0415 - it needs the extra `bench`

    async def main(url: str) -> Result:
        rate = RateLimit(case.stated, per=case.per)
        async with AsyncExitStack() as stack:
            limiters = [
                await stack.enter_async_context(SharedTokenBucket(url, rate, account="acme1"))
                for _ in range(2)
            ]
            return await drive(case, limiters)

    with valkey.running() as url:
        return asyncio.run(main(url))


def report() -> list[Target]:
    """Print the table of `TokenBucket`; return the targets."""
    tables.heading(
        "limiter: overstated",
        f"A RateLimit({RATE}) for an account that takes {' or '.join(map(str, REALS))} a minute: "
        f"{WINDOWS} windows in virtual time, always more to send.",
        "Found: windows until the limiter knows. Refused: in the first ten windows, and in any ten "
        f"after those. Rate: after {SETTLED} windows, of what the account takes.",
    )
    return _report(
        [
            run(Case(kind=kind, real=real, retry_after=told))
            for kind in KINDS
            for real in REALS
            for told in (True, False)
        ]
    )


def report_shared(per: float) -> list[Target]:
    """Print the table of `SharedTokenBucket`; return the targets."""
    tables.heading(
        "shared: overstated",
        f"A RateLimit({RATE}) for an account that takes {REALS[0]} in W = {per:g} s, shared by two "
        f"processes: {WINDOWS} windows.",
    )
    return _report(
        [run_shared(Case(kind=kind, real=REALS[0], retry_after=False, per=per)) for kind in KINDS]
    )


def _report(results: Sequence[Result]) -> list[Target]:
    logging.getLogger("exotel_async").setLevel(logging.ERROR)
    tables.table(
        "What is refused until it is known, and after",
        ("the service counts by", "it takes", "Retry-After", "found", "refused", "rate"),
        [
            (
                one.case.kind.name,
                str(one.case.real),
                "yes" if one.case.retry_after else "no",
                f"{one.found:.1f}",
                f"{one.first_ten}, {one.worst_ten}",
                f"{one.rate:.1%}",
            )
            for one in results
        ],
    )
    found, worst = max(one.found for one in results), max(one.worst_ten for one in results)
    return [
        Target("found out after", f"{found:.1f} windows", f"at most {FOUND}", found <= FOUND),
        Target("refused in ten windows", str(worst), f"at most {TRIAL}", worst <= TRIAL),
    ]

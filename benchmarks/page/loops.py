"""Synchronous loops over `requests`, as most of what is written against Exotel has them.

The loops over lookups have neither a limiter nor a timeout, and send no refused request again.
"""

from __future__ import annotations

import asyncio
import enum
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from benchmarks.bare import BatchResult, number
from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN, refused_so_far, running
from benchmarks.traffic import RATE

if TYPE_CHECKING:
    import requests

    from benchmarks.traffic import Kind

SECOND_PARTY: Final = "09812300001"
_THREADS: Final = 10
_TRIES: Final = 3
_PAUSE: Final = 0.01  # seconds before another try


class Loop(enum.Enum):
    """What runs the loop."""

    FOR = "requests in a for loop"
    POOL = "requests in a pool of 10 threads"


@frozen
class Case:
    """So many requests against one emulator in one of the loops."""

    kind: Kind
    per: float
    loop: Loop
    requests: int


def run(case: Case) -> BatchResult:
    """Measure one case."""
    with running(case.kind.server(case.per, seed=0)) as base_url:
        began = time.monotonic()
        ask = partial(_lookup, base_url)
        indices = range(case.requests)
        match case.loop:
            case Loop.FOR:
                statuses = [ask(index) for index in indices]
            case Loop.POOL:
                with ThreadPoolExecutor(_THREADS) as pool:
                    statuses = list(pool.map(ask, indices))
        took = time.monotonic() - began
        refused = asyncio.run(refused_so_far(base_url))
    ideal = case.requests / RATE * case.per
    return BatchResult(refused, statuses.count(200), took / ideal)


def _lookup(base_url: str, index: int) -> int:
    import requests  # noqa: PLC0415 - it needs the extra `bench`

    url = f"{base_url}/v1/Accounts/{ACCOUNT}/Numbers/{number(index)}.json"
    return requests.get(url, auth=(KEY, TOKEN)).status_code  # noqa: S113 - so it is written


def dial(base_url: str, phone: str, **settings: Any) -> requests.Response:
    """Dial once."""
    import requests  # noqa: PLC0415

    return requests.post(  # noqa: S113
        f"{base_url}/v1/Accounts/{ACCOUNT}/Calls/connect.json",
        auth=(KEY, TOKEN),
        data={"From": phone, "To": SECOND_PARTY, "CallerId": EXOPHONE},
        **settings,
    )


def dial_with_retries(base_url: str, phone: str) -> None:
    """Dial until it is accepted, three times at most: the retry one writes first."""
    import requests  # noqa: PLC0415

    for attempt in range(_TRIES):
        try:
            dial(base_url, phone, timeout=10).raise_for_status()
        except requests.RequestException:
            time.sleep(_PAUSE * 2**attempt)
        else:
            return

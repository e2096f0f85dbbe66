"""A batch that is sent all at once: what is refused, and when it is through."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from benchmarks import bare, processes, windows
from benchmarks.page import loops
from benchmarks.page.figures import Figure, Figures
from benchmarks.traffic import SIDE_BY_SIDE

if TYPE_CHECKING:
    from benchmarks.page.settings import Settings

OURS: Final = "exotel_async"
_BUSY: Final = os.cpu_count() or 1  # at the same time, of those that do not wait
_WAITING: Final = (
    bare.Way.LIMITER,
    bare.Way.SAFE_LIMITER,
    bare.Way.LIMITS,
    bare.Way.PYRATE,
)


def measure(settings: Settings) -> Figures:
    """Measure each way against each way of counting."""
    per, requests = settings.per, settings.requests
    named = {kind.name: kind for kind in settings.kinds}
    ours = processes.run_all(
        windows.run,
        [windows.Case(kind, per, 0, requests) for kind in named.values()],
        at_once=SIDE_BY_SIDE,
    )
    measured: dict[str, Figures] = {
        OURS: {
            name: _figures(requests, bare.BatchResult(one.refused, requests, one.of_ideal))
            for name, one in zip(named, ours, strict=True)
        }
    }
    for ways, at_once in ((_WAITING, SIDE_BY_SIDE), ((bare.Way.RETRY_ONLY,), _BUSY)):
        cases = [bare.Case(kind, per, way, requests) for way in ways for kind in named.values()]
        ended = iter(processes.run_all(bare.run, cases, at_once=at_once))
        for way in ways:
            measured[way.name] = {name: _figures(requests, next(ended)) for name in named}
    loop_cases = [
        loops.Case(kind, per, loop, requests) for loop in loops.Loop for kind in named.values()
    ]
    looped = iter(processes.run_all(loops.run, loop_cases, at_once=_BUSY))
    for loop in loops.Loop:
        measured[loop.name] = {name: _figures(requests, next(looped)) for name in named}
    return measured


def _figures(requests: int, result: bare.BatchResult) -> Figures:
    return {
        "refused": Figure(result.refused, "responses 429"),
        "not_done": Figure(requests - result.done, "requests that never got through"),
        "time": Figure(result.of_ideal, "of the ideal time, requests / 200 x W"),
    }

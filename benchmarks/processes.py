"""Work in fresh processes: nothing measured before is in their memory."""

from __future__ import annotations

import logging
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

C = TypeVar("C")
R = TypeVar("R")


def run(work: Callable[[C], R], case: C) -> R:
    """Do one piece of work."""
    return run_all(work, [case], at_once=1)[0]


def run_all(work: Callable[[C], R], cases: Iterable[C], *, at_once: int) -> list[R]:
    """Do one piece of work for each case; the results are in order."""
    with ProcessPoolExecutor(
        at_once,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_quietly,
        max_tasks_per_child=1,
    ) as pool:
        return list(pool.map(work, cases))


def _quietly() -> None:
    # Refusals are counted here; the SDK would also warn of each.
    logging.getLogger("exotel_async").setLevel(logging.ERROR)

"""Collects what the SDK warns of while a campaign is dialled, for people to see."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from attrs import evolve

from exotel_async.cli.dial_display import Problem

_KEPT: Final = 10
_SDK: Final = logging.getLogger("exotel_async")
_POLLS: Final = "exotel_async.polls"
"""Logs each poll of calls that has failed and is retried, at level INFO: while all channels are in
use, there may be no other sign that Exotel does not respond."""


class ProblemLog(logging.Handler):
    """Keeps the last warnings of the SDK, equal ones in a row as one.

    Args:
        on_problem: called with each; of equal ones in a row with the 1st, 2nd, 4th, 8th and so on.
    """

    def __init__(self, on_problem: Callable[[Problem], object]) -> None:
        super().__init__(logging.INFO)
        self._on_problem = on_problem
        self._problems: deque[Problem] = deque(maxlen=_KEPT)

    @property
    def problems(self) -> Sequence[Problem]:
        """The last ones, the newest last."""
        return tuple(self._problems)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Collect what the SDK logs while the block runs."""
        level = _SDK.level
        _SDK.setLevel(logging.INFO)
        _SDK.addHandler(self)
        try:
            yield
        finally:
            _SDK.removeHandler(self)
            _SDK.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Add a warning, or the failure of a poll."""
        if record.levelno < logging.WARNING and record.name != _POLLS:
            return
        try:
            self.add(record.getMessage())
        except Exception:  # noqa: BLE001 - logging must not make the caller fail
            self.handleError(record)

    def add(self, text: str) -> None:
        """Add something that went wrong."""
        now = datetime.now(UTC)
        problem = Problem(at=now, text=text)
        if self._problems and self._problems[-1].text == text:
            problem = evolve(problem, count=self._problems.pop().count + 1)
        self._problems.append(problem)
        if problem.count.bit_count() == 1:
            self._on_problem(problem)

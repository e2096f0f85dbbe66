"""What the SDK warns of while a campaign is dialled, for people to see."""

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
"""Says at level INFO of each poll for calls that it has failed and is made again: while all
channels are in use, there may be no other sign that Exotel does not answer."""


class ProblemLog(logging.Handler):
    """Keeps the last warnings of the SDK, equal ones as one.

    Args:
        on_problem: is told of each; of equal ones in a row of the 1st, 2nd, 4th, 8th and so on.
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
        """Take note of what the SDK says while the block runs."""
        level = _SDK.level
        _SDK.setLevel(logging.INFO)
        _SDK.addHandler(self)
        try:
            yield
        finally:
            _SDK.removeHandler(self)
            _SDK.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a warning."""
        if record.levelno < logging.WARNING and record.name != _POLLS:
            return
        try:
            self.add(record.getMessage())
        except Exception:  # noqa: BLE001 - whoever warns must not fail by that
            self.handleError(record)

    def add(self, text: str) -> None:
        """Take note of something that went wrong."""
        now = datetime.now(UTC)
        problem = Problem(at=now, text=text)
        if self._problems and self._problems[-1].text == text:
            problem = evolve(problem, count=self._problems.pop().count + 1)
        self._problems.append(problem)
        if problem.count.bit_count() == 1:
            self._on_problem(problem)

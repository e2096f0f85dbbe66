"""Dialling stops where Exotel does not answer: a row of failures opens the circuit, and one dial at
a time tries whether it may be closed.

Each dial without an answer is in doubt for hours: there must not be many.
"""

from __future__ import annotations

import logging
from typing import Final

_IN_A_ROW: Final = 5
_FIRST: Final = 1.0
_LONGEST: Final = 60.0

logger: Final = logging.getLogger("exotel_async")


class Circuit:
    """Says whether may be dialled. Moments are seconds by the clock of the event loop."""

    def __init__(self) -> None:
        self.failures: int = 0
        """Dials in a row without an answer."""
        self._wait = _FIRST
        self._opens_at = 0.0
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether dialling has stopped."""
        return self.failures >= _IN_A_ROW

    def allows(self, now: float) -> bool:
        """Whether a dial may begin."""
        return not self.is_open or (not self._is_probing and now >= self._opens_at)

    def begin(self) -> bool:
        """Take note of a dial that begins. Returns whether it is the one that tries."""
        if self.is_open:
            self._is_probing = True
        return self.is_open

    def answered(self) -> None:
        """Take note of an answer, whatever it says."""
        if self.is_open:
            logger.info("Exotel responds again: dialling continues")
        self.failures, self._wait, self._is_probing = 0, _FIRST, False

    def failed(self, now: float, reason: str, *, was_probe: bool) -> None:
        """Take note of a dial without an answer, of why, and whether it was the one that tries."""
        self.failures += 1
        if self.failures == _IN_A_ROW:
            logger.warning(
                "Exotel does not respond: %d dials in a row had no answer. Dialling is paused, and"
                " one dial at a time is tried. The last one: %s",
                _IN_A_ROW,
                reason,
            )
        # Those that were on their way when it opened say nothing new.
        if was_probe or self.failures == _IN_A_ROW:
            self._opens_at = now + self._wait
            self._wait = min(_LONGEST, self._wait * 2)
        self.not_sent(was_probe=was_probe)

    def not_sent(self, *, was_probe: bool) -> None:
        """Take note of a dial that was not sent after all, and whether it was to try."""
        if was_probe:
            self._is_probing = False

    def next_try(self, now: float) -> float:
        """Return the seconds until a dial may begin."""
        return max(0.0, self._opens_at - now) if self.is_open else 0.0

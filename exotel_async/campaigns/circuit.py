"""A circuit breaker: consecutive dials without a response stop the dialling. While the circuit is
open, one dial at a time probes whether Exotel responds again.

Each dial without a response is in doubt for hours, so there must not be many.
"""

from __future__ import annotations

import logging
from typing import Final

_IN_A_ROW: Final = 5
_FIRST: Final = 1.0
_LONGEST: Final = 60.0

logger: Final = logging.getLogger("exotel_async")


class Circuit:
    """Decides whether dials may be sent. Moments are seconds by the clock of the event loop."""

    def __init__(self) -> None:
        self.failures: int = 0
        """Consecutive dials without a response."""
        self._wait = _FIRST
        self._opens_at = 0.0
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether dialling is stopped, except for probes."""
        return self.failures >= _IN_A_ROW

    def allows(self, now: float) -> bool:
        """Return whether a dial may begin."""
        return not self.is_open or (not self._is_probing and now >= self._opens_at)

    def begin(self) -> bool:
        """Record that a dial begins. Return whether it is the probe."""
        if self.is_open:
            self._is_probing = True
        return self.is_open

    def answered(self) -> None:
        """Record a response, whatever it says: close the circuit."""
        if self.is_open:
            logger.info("Exotel responds again: dialling continues")
        self.failures, self._wait, self._is_probing = 0, _FIRST, False

    def failed(self, now: float, reason: str, *, was_probe: bool) -> None:
        """Record a dial without a response, the reason, and whether it was the probe."""
        self.failures += 1
        if self.failures == _IN_A_ROW:
            logger.warning(
                "Exotel does not respond: %d dials in a row had no answer. Dialling is paused, and"
                " one dial at a time is tried. The last one: %s",
                _IN_A_ROW,
                reason,
            )
        # Failures of dials that were in flight when it opened do not count again.
        if was_probe or self.failures == _IN_A_ROW:
            self._opens_at = now + self._wait
            self._wait = min(_LONGEST, self._wait * 2)
        self.not_sent(was_probe=was_probe)

    def not_sent(self, *, was_probe: bool) -> None:
        """Record that a dial was not sent after all, and whether it was the probe."""
        if was_probe:
            self._is_probing = False

    def next_try(self, now: float) -> float:
        """Return the seconds until a dial may begin."""
        return max(0.0, self._opens_at - now) if self.is_open else 0.0

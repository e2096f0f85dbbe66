"""Numbers that may be called although they are on the DND register (NDNC; VOICE_V1 8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from exotel_async.emulator.clock import Clock
from exotel_async.emulator.number_map import ByNumber

VALID_FOR = 180 * 86_400
"""Emulator seconds for which a number stays on the whitelist: "6 months"."""


class Whitelist(AbstractSet[str]):
    """The numbers on it, in their national form; `in` takes them however they are written."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: ByNumber[float] = ByNumber({})

    def add(self, numbers: Iterable[str]) -> None:
        """Add numbers, or renew them."""
        self._until.update(dict.fromkeys(numbers, self._clock.elapsed() + VALID_FOR))

    def clear(self) -> None:
        """Remove all numbers."""
        self._until.clear()

    def seconds_left(self, number: str) -> float:
        """Return how long a number stays, in emulator seconds; 0 for one that is not on it."""
        return max(0.0, self._until.get(number, 0.0) - self._clock.elapsed())

    def __contains__(self, number: object) -> bool:
        return isinstance(number, str) and self.seconds_left(number) > 0

    def __iter__(self) -> Iterator[str]:
        # A copy: requests may change it in another thread than the one that iterates.
        return (number for number in tuple(self._until) if number in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<Whitelist of {len(self)}>"

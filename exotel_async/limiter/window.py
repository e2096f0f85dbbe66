"""Permits, each of them free, in flight, or spent until a known time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable


class Window:
    """The permits of a budget, or a part of them. Times are those of the loop's clock."""

    __slots__ = ("in_flight", "returns", "size")

    def __init__(self, size: int) -> None:
        self.size: int = size
        self.in_flight: int = 0
        self.returns: list[float] = []  # a heap: the first is the next to return

    @property
    def used(self) -> int:
        """Number of permits that are in flight or not back yet."""
        return self.in_flight + len(self.returns)

    @property
    def free(self) -> int:
        """Number of free permits. Negative if the size was reduced below the number in use."""
        return self.size - self.in_flight - len(self.returns)

    def spend(self, back: float) -> bool:
        """End one in flight, free again at `back`. Return whether it is the next to return."""
        # In this order, so that a limiter of another thread that continues from here misses none.
        heapq.heappush(self.returns, back)
        self.in_flight -= 1
        return self.returns[0] == back

    def take_back(self, now: float) -> None:
        """Free the permits whose time has come."""
        while self.returns and self.returns[0] <= now:
            heapq.heappop(self.returns)

    def receive(self, size: int, moments: Iterable[float]) -> None:
        """Change the size, and add permits that return at these moments."""
        self.size = size
        for moment in moments:
            heapq.heappush(self.returns, moment)

    def moment(self, place: int) -> float | None:
        """Return when the permit at a place in the order of return is back; None: not known yet."""
        if place >= len(self.returns):
            return None
        return heapq.nsmallest(place + 1, self.returns)[place]

"""Permits, and where each of them is: free, in flight, or out until a known moment."""

from __future__ import annotations

import heapq
from collections.abc import Iterable


class Window:
    """The permits of a budget, or a part of them. Moments are those of the loop's clock."""

    __slots__ = ("in_flight", "returns", "size")

    def __init__(self, size: int) -> None:
        self.size: int = size
        self.in_flight: int = 0
        self.returns: list[float] = []  # a heap: the next one is the first

    @property
    def used(self) -> int:
        """How many are out."""
        return self.in_flight + len(self.returns)

    @property
    def free(self) -> int:
        """How many are left. Below zero where some were taken away that were out."""
        return self.size - self.in_flight - len(self.returns)

    def spend(self, back: float) -> bool:
        """Note that one in flight has ended, and when it is free again. True: as the next one."""
        # In this order: a limiter of another thread, which continues from here, misses none.
        heapq.heappush(self.returns, back)
        self.in_flight -= 1
        return self.returns[0] == back

    def take_back(self, now: float) -> None:
        """Free those whose moment has come."""
        while self.returns and self.returns[0] <= now:
            heapq.heappop(self.returns)

    def receive(self, size: int, moments: Iterable[float]) -> None:
        """Have another size from now on, with some more that come back at these moments."""
        self.size = size
        for moment in moments:
            heapq.heappush(self.returns, moment)

    def moment(self, place: int) -> float | None:
        """When the one at a place in the order of their return is back; None: not known yet."""
        if place >= len(self.returns):
            return None
        return heapq.nsmallest(place + 1, self.returns)[place]

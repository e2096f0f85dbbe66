"""Which request is next: interactive before bulk, retries first, and first come first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from exotel_async.config import Priority

_COMPACT_AT: Final = 64


class Lane:
    """A queue of futures of one priority. Those that are done count as gone."""

    __slots__ = ("_gone", "priority", "queue")

    def __init__(self, priority: Priority) -> None:
        self.priority: Final = priority
        self.queue: deque[asyncio.Future[Any]] = deque()
        self._gone = 0

    def __len__(self) -> int:
        return len(self.queue) - self._gone

    def join(self, waiter: asyncio.Future[Any]) -> None:
        """Append a waiter."""
        self.queue.append(waiter)

    def leave(self) -> None:
        """Count one waiter, which is done, as gone. It is removed later, singly or in bulk."""
        self._gone += 1
        if self._gone > _COMPACT_AT and self._gone * 2 > len(self.queue):
            left = deque(waiter for waiter in self.queue if not waiter.done())
            self._gone -= len(self.queue) - len(left)
            self.queue = left

    def has_waiter(self) -> bool:
        """Return whether there is a waiter."""
        queue = self.queue
        while queue:
            if not queue[0].done():
                return True
            queue.popleft()
            self._gone -= 1
        return False

    def pop(self) -> asyncio.Future[Any]:
        """Remove and return the first waiter. There must be one: call `has_waiter` before."""
        return self.queue.popleft()


class PriorityQueue:
    """Four lanes: retries and newcomers, each interactive and bulk. Every step is O(1)."""

    __slots__ = ("_lanes",)

    def __init__(self) -> None:
        self._lanes = [Lane(priority) for priority in Priority for _ in ("retries", "newcomers")]

    def lane(self, priority: Priority, *, retry: bool) -> Lane:
        """Return the lane to join."""
        return self._lanes[2 * priority + (not retry)]

    def first(self) -> Lane | None:
        """Return the lane whose turn it is; None if there is no waiter."""
        for lane in self._lanes:
            if lane.queue and lane.has_waiter():
                return lane
        return None

    def is_clear(self, priority: Priority) -> bool:
        """Return whether a newcomer of this priority would be the first."""
        first = self.first()
        return first is None or first.priority > priority

    def waiting(self, priority: Priority) -> int:
        """Return the number of waiters of a priority."""
        return sum(len(lane) for lane in self._lanes if lane.priority is priority)

    def waiters(self) -> Iterator[asyncio.Future[Any]]:
        """Yield all waiters, and some that have left."""
        for lane in self._lanes:
            yield from lane.queue

    def ahead_of(self, priority: Priority) -> int:
        """Return the number of waiters that go before a newcomer of this priority."""
        return sum(len(lane) for lane in self._lanes if lane.priority <= priority)

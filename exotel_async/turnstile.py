"""Who is next: interactive before bulk, retries first, and first come first served."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from exotel_async.config import Priority

_COMPACT_AT = 64


class _Line:
    """A queue of futures in which those that are done count as gone."""

    __slots__ = ("_gone", "_queue")

    def __init__(self) -> None:
        self._queue: deque[asyncio.Future[Any]] = deque()
        self._gone = 0

    def __len__(self) -> int:
        return len(self._queue) - self._gone

    def append(self, waiter: asyncio.Future[Any]) -> None:
        self._queue.append(waiter)

    def discard_one(self) -> None:
        """Count one waiter, done by now, as gone. It is dropped when it is met, or in bulk."""
        self._gone += 1
        if self._gone > _COMPACT_AT and self._gone * 2 > len(self._queue):
            left = deque(waiter for waiter in self._queue if not waiter.done())
            self._gone -= len(self._queue) - len(left)
            self._queue = left

    def peek(self) -> asyncio.Future[Any] | None:
        while self._queue:
            if not self._queue[0].done():
                return self._queue[0]
            self._queue.popleft()
            self._gone -= 1
        return None

    def pop(self) -> None:
        self._queue.popleft()


class Turnstile:
    """Four lines: retries and newcomers, each interactive and bulk. Every step is O(1)."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines = {priority: (_Line(), _Line()) for priority in Priority}

    def append(self, waiter: asyncio.Future[Any], priority: Priority, *, retry: bool) -> None:
        """Join a line."""
        self._lines[priority][0 if retry else 1].append(waiter)

    def discard(self, priority: Priority, *, retry: bool) -> None:
        """Leave a line, the waiter being done."""
        self._lines[priority][0 if retry else 1].discard_one()

    def next_priority(self) -> Priority | None:
        """Whose turn it is; None when nobody waits."""
        for priority, lines in self._lines.items():
            if any(line.peek() is not None for line in lines):
                return priority
        return None

    def pop(self, priority: Priority) -> asyncio.Future[Any]:
        """Take the first of a priority out of its line; there must be one."""
        for line in self._lines[priority]:
            waiter = line.peek()
            if waiter is not None:
                line.pop()
                return waiter
        raise LookupError(f"nobody waits at {priority!r}")

    def waiting(self, priority: Priority) -> int:
        """How many wait at a priority."""
        return sum(len(line) for line in self._lines[priority])

    def ahead_of(self, priority: Priority) -> int:
        """How many a newcomer of this priority has before it."""
        return sum(self.waiting(other) for other in Priority if other <= priority)

    def is_clear(self, priority: Priority) -> bool:
        """Whether a newcomer of this priority would be the first."""
        return self.ahead_of(priority) == 0

    def is_empty(self) -> bool:
        """Whether nobody waits at all."""
        return self.is_clear(Priority.BULK)

"""What of many SIDs is asked for next, and how many at a time. Nothing here asks or waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final


class BatchPlanner:
    """SIDs on their way: through queries for many, and at last to requests for one.

    What a query leaves out is asked for by the next one. A query takes a whole batch, unless no
    more can come, or none is coming at the moment.
    """

    def __init__(self, queries: int, batch_size: int) -> None:
        """Plan `queries` for many SIDs, one by one, before a SID is asked for by itself."""
        self._batch_size: Final = batch_size
        self._lines: list[deque[str]] = [deque() for _ in range(queries + 1)]
        self._busy = [0] * (queries + 1)
        self.last: Final = queries
        """The stage of requests for one."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits and nothing is being asked for."""
        return not any(self._lines) and not any(self._busy)

    def enter(self, sids: Iterable[str], *, singly: bool = False) -> None:
        """Take in what is to be asked for, from the first stage on or by itself."""
        self._lines[self.last if singly else 0].extend(sids)

    def take(self, *, ended: bool, dry: bool) -> tuple[int, list[str]] | None:
        """Take out what is to be asked for next, and by which stage.

        Args:
            ended: whether no more comes in.
            dry: whether none is coming in at the moment; the source may be waiting for answers.

        Returns:
            The stage, which is busy until `done`, and the SIDs; None: nothing, for now.
        """
        stage = self._full()
        if stage is None and ended:
            stage = self._first()
        elif stage is None and dry:
            # The worker that asks has nothing else to do.
            stage = self._furthest()
        if stage is None:
            return None
        line = self._lines[stage]
        most = 1 if stage == self.last else self._batch_size
        self._busy[stage] += 1
        return stage, [line.popleft() for _ in range(min(most, len(line)))]

    def done(self, stage: int, left_out: Iterable[str]) -> None:
        """Note that a stage has asked; what it has left out enters the next one."""
        self._busy[stage] -= 1
        if stage != self.last:
            self._lines[stage + 1].extend(left_out)

    def _full(self) -> int | None:
        """Find what need not wait: what is furthest along, so that little is kept in memory."""
        for stage in range(self.last, -1, -1):
            if len(self._lines[stage]) >= (1 if stage == self.last else self._batch_size):
                return stage
        return None

    def _first(self) -> int | None:
        """Find what nothing before it can add to any more."""
        for stage, line in enumerate(self._lines):
            if line:
                return stage
            if self._busy[stage]:
                return None
        return None

    def _furthest(self) -> int | None:
        return max((stage for stage, line in enumerate(self._lines) if line), default=None)

"""Planning which of many SIDs to read next, and how many at a time; without I/O."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Final


class BatchPlanner:
    """Moves SIDs through stages: list queries first, and finally a request for each single SID.

    SIDs that a query leaves out go on to the next stage. A query waits for a full batch, unless no
    more SIDs can come, or none are coming at the moment. A single request is for all copies of its
    SID that wait.
    """

    def __init__(self, queries: int, batch_size: int) -> None:
        """Plan `queries` stages of list queries, and a last stage of single requests."""
        self._batch_size: Final = batch_size
        self._lines: list[deque[str]] = [deque() for _ in range(queries)]
        self._singles: OrderedDict[str, int] = OrderedDict()
        """The SIDs of the last stage, with how many copies of each are waiting."""
        self._busy = [0] * (queries + 1)
        self.last: Final = queries
        """The stage of single requests."""

    @property
    def is_empty(self) -> bool:
        """Whether no SID is waiting or being read."""
        return not any(self._lines) and not self._singles and not any(self._busy)

    def enter(self, sids: Iterable[str], *, singly: bool = False) -> None:
        """Add SIDs at the first stage; `singly`: at the last one."""
        self._add(self.last if singly else 0, sids)

    def take(self, *, ended: bool, dry: bool) -> tuple[int, list[str]] | None:
        """Take the SIDs to be read next.

        Args:
            ended: whether no more SIDs will be entered.
            dry: whether none are coming at the moment; the source may be waiting for results.

        Returns:
            The stage, which is busy until `done`, and the SIDs; None: nothing, for now.
        """
        stage = self._full()
        if stage is None and ended:
            stage = self._first()
        elif stage is None and dry:
            # The calling worker has nothing else to do.
            stage = self._furthest()
        if stage is None:
            return None
        self._busy[stage] += 1
        if stage == self.last:
            sid, copies = self._singles.popitem(last=False)
            return stage, [sid] * copies
        line = self._lines[stage]
        return stage, [line.popleft() for _ in range(min(self._batch_size, len(line)))]

    def done(self, stage: int, left_out: Iterable[str]) -> None:
        """Record that a stage has read its SIDs; those it left out enter the next stage."""
        self._busy[stage] -= 1
        if stage != self.last:
            self._add(stage + 1, left_out)

    def _add(self, stage: int, sids: Iterable[str]) -> None:
        if stage != self.last:
            self._lines[stage].extend(sids)
            return
        for sid in sids:
            self._singles[sid] = self._singles.get(sid, 0) + 1

    def _full(self) -> int | None:
        """Return the last stage with a full batch: working from the end keeps little in memory."""
        if self._singles:
            return self.last
        for stage in range(self.last - 1, -1, -1):
            if len(self._lines[stage]) >= self._batch_size:
                return stage
        return None

    def _first(self) -> int | None:
        """Return the first stage with SIDs, if no earlier stage can still add to it."""
        for stage, line in enumerate((*self._lines, self._singles)):
            if line:
                return stage
            if self._busy[stage]:
                return None
        return None

    def _furthest(self) -> int | None:
        """Return the last stage with SIDs. Single requests need no full batch: see `_full`."""
        return max((stage for stage, line in enumerate(self._lines) if line), default=None)

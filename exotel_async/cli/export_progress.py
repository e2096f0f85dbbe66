"""Progress of reading call records, by count where the total is known, else by date."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import Factory, define

from exotel_async import CallPage
from exotel_async.cli.export_filters import Selection
from exotel_async.cli.time_arguments import shown_moment

_WINDOW: Final = timedelta(days=30)
"""The longest range for which the service counts the records."""


@define(eq=False)
class ListProgress:
    """Progress through a time range, oldest call first.

    Attributes:
        begin: the start of the range.
        end: the end of the range.
        records: the number of calls read, including those of earlier runs.
        started: when this run started, by `time.monotonic`.
    """

    begin: datetime
    end: datetime
    records: int
    started: float = Factory(time.monotonic)
    _total: int | None = None
    _reached: datetime | None = None
    _share_at_start: float | None = None

    @classmethod
    def of(cls, selection: Selection, records: int) -> ListProgress:
        """Create it for a selection of which `records` calls have been read before."""
        now = datetime.now(UTC)
        end = min(selection.end or now, now)
        return cls(selection.begin or end - _WINDOW, end, records)

    def add_page(self, page: CallPage) -> None:
        """Advance by a page."""
        if self._reached is None and self.end - self.begin <= _WINDOW and page.total is not None:
            # The first page has the total of what is still to be read.
            self._total = self.records + page.total
        dates = [call.created_at for call in page.calls if call.created_at is not None]
        if dates:
            self._reached = dates[0]
            if self._share_at_start is None:
                self._share_at_start = self.share
            self._reached = dates[-1]
        self.records += len(page.calls)

    @property
    def share(self) -> float | None:
        """The share that has been read, 0 to 1; None: not known."""
        if self._total:
            return min(1.0, self.records / self._total)
        if self._reached is None or self.end <= self.begin:
            return None
        share = (self._reached - self.begin) / (self.end - self.begin)
        return max(0.0, min(1.0, share))

    @property
    def elapsed(self) -> float:
        """Seconds since the start of this run."""
        return time.monotonic() - self.started

    @property
    def left(self) -> timedelta | None:
        """The estimated time left, at the speed of this run; None: not known."""
        share, before = self.share, self._share_at_start
        if share is None or before is None or share <= before:
            return None
        return timedelta(seconds=self.elapsed * (1 - share) / (share - before))

    def __str__(self) -> str:
        if self._total:
            return f"{self.records:,} of {self._total:,} calls"
        if self._reached is None:
            return f"{self.records:,} calls"
        return f"{self.records:,} calls, up to {shown_moment(self._reached)}"

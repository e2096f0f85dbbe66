"""`export --update` and `export --follow`: bring a database up to date, once or repeatedly.

After each update the token of `calls.changes` is saved in the database, so that the next one
continues from there.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Final

from attrs import define, field
from rich.text import Text

from exotel_async import (
    AsyncExotel,
    AuthenticationError,
    BadRequest,
    CallChanges,
    ConfigurationError,
    ExotelError,
    InvalidRequest,
    NotFound,
    PaymentRequired,
    PermissionDenied,
)
from exotel_async.calls.changes_token import LOOK_BACK
from exotel_async.cli.export_sink import in_thread
from exotel_async.cli.export_sqlite import Database, UpdateCounts
from exotel_async.cli.progress import progress
from exotel_async.cli.service import Service
from exotel_async.cli.terminal import (
    can_redraw,
    counted,
    drawing,
    err,
    ignoring_lost_output,
    note,
    say,
    show_json,
)
from exotel_async.cli.time_arguments import shown_moment

_PERMANENT_ERRORS: Final = (
    AuthenticationError,
    BadRequest,
    ConfigurationError,
    InvalidRequest,
    NotFound,
    PaymentRequired,
    PermissionDenied,
)
"""Errors that a later update would meet again."""


@define(eq=False)
class Updater:
    """Reads changed calls into a database, once or repeatedly."""

    exotel: AsyncExotel
    service: Service
    database: Database
    target: Path
    page_size: int
    as_json: bool
    _last: str = field(default="the first update is in progress", init=False)
    _next: float | None = field(default=None, init=False)

    async def once(self) -> None:
        """Update once, and report the result.

        Raises:
            ExotelError: the update failed.
        """
        counts = await self._update(await self._changes())
        calls = self.database.state.records
        with ignoring_lost_output(
            sys.stdout
        ):  # the file is updated, whether or not that can be printed
            if self.as_json:
                totals = {"new": counts.new, "changed": counts.changed}
                show_json({"file": str(self.target), "calls": calls, **totals})
            else:
                say(f"{self.target}: {counts}, {counted(calls, 'call')} in all")

    async def follow(self, every: float) -> None:
        """Update repeatedly until the task is cancelled.

        Args:
            every: seconds from one update to the next.

        Raises:
            ExotelError: an update failed, and repeating it would not help.
        """
        if not can_redraw(err):
            note(f"Following: new calls are read every {every:g} s. SIGTERM or Ctrl-C ends it.")
        changes = await self._changes()
        with progress(err) as show:
            async with drawing(lambda: show(self), every=0.5):
                await self._update_repeatedly(changes, every)

    def stopped(self) -> None:
        """Report what the database contains at the end."""
        newest = self.database.newest()
        if self.as_json:
            show_json({"file": str(self.target), "calls": self.database.state.records})
            return
        upto = "" if newest is None else f", the newest of {shown_moment(newest)}"
        say(f"{counted(self.database.state.records, 'call')}{upto}")

    async def _update_repeatedly(self, changes: CallChanges, every: float) -> None:
        while True:
            began = time.monotonic()
            try:
                counts = await self._update(changes)
            except _PERMANENT_ERRORS:
                raise
            except ExotelError as error:
                why = self.service.explain(error)
                self._tell(f"failed, the next update catches up: {why}", telling=True)
            else:
                telling = bool(counts.new or counts.changed)
                self._tell(str(counts), telling=telling)
            # After a long update the next one is later, to leave others a part of the rate limit.
            took = time.monotonic() - began
            self._next = began + max(every, 2 * took)
            await asyncio.sleep(self._next - time.monotonic())

    async def _changes(self) -> CallChanges:
        """Return the calls changed since the last update, or since the export."""
        state = self.database.state
        since: str | datetime | None = state.changes
        if since is None:
            # Calls older than the newest one by more than that no longer change.
            newest = await in_thread(self.database.newest)
            since = state.selection.begin if newest is None else newest - LOOK_BACK
        return self.exotel.calls.changes(
            since=since, allow_gap=True, page_size=self.page_size, **state.selection.filters()
        )

    async def _update(self, changes: CallChanges) -> UpdateCounts:
        """Write the changed calls to the database, then save the token."""
        counts = UpdateCounts()
        async with aclosing(changes.pages()) as pages:
            async for page in pages:
                counts += await in_thread(self.database.upsert, page.calls)
        await in_thread(self.database.save_token, changes.token)
        if changes.gap is not None:
            first, last = map(shown_moment, changes.gap)
            note(
                f"Exotel keeps records for six months: calls created from {first} to {last} may be "
                f"missing in {self.target}, or out of date."
            )
        return counts

    def _tell(self, what: str, *, telling: bool) -> None:
        """Show the result of an update, in the line that is redrawn or in a line of its own."""
        self._last = f"update at {datetime.now().astimezone():%H:%M:%S %Z}: {what}"
        if telling and not can_redraw(err):
            note(self._last)

    @property
    def step(self) -> int:
        """Always 0: where nothing is redrawn, each update prints its own line."""
        return 0

    def panel(self, _: int) -> Text:
        """Return the line that is redrawn."""
        calls = counted(self.database.state.records, "call")
        coming = ""
        if self._next is not None:
            coming = f"; next in {max(0.0, self._next - time.monotonic()):.0f} s"
        return Text(f"{calls}; {self._last}{coming}    Ctrl-C ends it")

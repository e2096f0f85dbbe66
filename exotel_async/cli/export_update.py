"""`export --update` and `export --follow`: a database that is brought up to date, or kept so.

What it has been told of by `calls.changes` is noted in it after each look.
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
from exotel_async.cli.export_sqlite import Database, News
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

_HOPELESS: Final = (
    AuthenticationError,
    BadRequest,
    ConfigurationError,
    InvalidRequest,
    NotFound,
    PaymentRequired,
    PermissionDenied,
)
"""What does not pass by itself."""


@define(eq=False)
class Updater:
    """Looks for what has changed, once, or again and again."""

    exotel: AsyncExotel
    service: Service
    database: Database
    target: Path
    page_size: int
    as_json: bool
    _last: str = field(default="the first update is in progress", init=False)
    _next: float | None = field(default=None, init=False)

    async def once(self) -> None:
        """Look once, and say what it has brought.

        Raises:
            ExotelError: it cannot.
        """
        news = await self._look(await self._changes())
        calls = self.database.state.records
        with ignoring_lost_output(
            sys.stdout
        ):  # it is in the file, whether or not that can be printed
            if self.as_json:
                told = {"new": news.new, "changed": news.changed}
                show_json({"file": str(self.target), "calls": calls, **told})
            else:
                say(f"{self.target}: {news}, {counted(calls, 'call')} in all")

    async def follow(self, every: float) -> None:
        """Look until the task is cancelled.

        Args:
            every: seconds from one look to the next.

        Raises:
            ExotelError: it cannot go on, and waiting would not help.
        """
        if not can_redraw(err):
            note(f"Following: new calls are read every {every:g} s. SIGTERM or Ctrl-C ends it.")
        changes = await self._changes()
        with progress(err) as show:
            async with drawing(lambda: show(self), every=0.5):
                await self._keep_looking(changes, every)

    def stopped(self) -> None:
        """Say what there is in the end."""
        newest = self.database.newest()
        if self.as_json:
            show_json({"file": str(self.target), "calls": self.database.state.records})
            return
        upto = "" if newest is None else f", the newest of {shown_moment(newest)}"
        say(f"{counted(self.database.state.records, 'call')}{upto}")

    async def _keep_looking(self, changes: CallChanges, every: float) -> None:
        while True:
            began = time.monotonic()
            try:
                news = await self._look(changes)
            except _HOPELESS:
                raise
            except ExotelError as error:
                why = self.service.explain(error)
                self._tell(f"failed, the next update catches up: {why}", telling=True)
            else:
                telling = bool(news.new or news.changed)
                self._tell(str(news), telling=telling)
            # After a long update the next is later: the rate limit is for others as well.
            took = time.monotonic() - began
            self._next = began + max(every, 2 * took)
            await asyncio.sleep(self._next - time.monotonic())

    async def _changes(self) -> CallChanges:
        """Return what has changed since the last look, or since the database was exported."""
        state = self.database.state
        since: str | datetime | None = state.changes
        if since is None:
            # What is older than the newest call by more than that does not change any more.
            newest = await in_thread(self.database.newest)
            since = state.selection.begin if newest is None else newest - LOOK_BACK
        return self.exotel.calls.changes(
            since=since, allow_gap=True, page_size=self.page_size, **state.selection.filters()
        )

    async def _look(self, changes: CallChanges) -> News:
        """Read what has changed, and note it."""
        news = News()
        async with aclosing(changes.pages()) as pages:
            async for page in pages:
                news += await in_thread(self.database.upsert, page.calls)
        await in_thread(self.database.looked, changes.token)
        if changes.gap is not None:
            first, last = map(shown_moment, changes.gap)
            note(
                f"Exotel keeps six months: calls that were created from {first} to {last} may be "
                f"missing in {self.target}, or stay as they are."
            )
        return news

    def _tell(self, what: str, *, telling: bool) -> None:
        """Show the result of an update: in the line that is redrawn, or in one of its own."""
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

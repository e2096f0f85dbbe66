"""`export --follow`: a database that is kept up to date.

A call is listed only when it is over, and its length and price come later still. So each look reads
again what was created since some hours before the newest call there is: whatever is older has been
listed, and has settled, by the time that one was read.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import define, field
from rich.text import Text

from exotel_async import (
    AsyncExotel,
    AuthenticationError,
    BadRequest,
    ConfigurationError,
    ExotelError,
    InvalidRequest,
    NotFound,
    PaymentRequired,
    PermissionDenied,
)
from exotel_async.cli.export_sink import in_thread
from exotel_async.cli.export_sqlite import Database, News
from exotel_async.cli.progress import progress
from exotel_async.cli.service import Service
from exotel_async.cli.terminal import counted, drawing, err, moves, note, say
from exotel_async.cli.time_arguments import shown_moment
from exotel_async.wire.time_range import oldest

LOOK_BACK: Final = timedelta(hours=4, minutes=15)
"""The longest a call may last, and what its length and price may take to come after that."""

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
_MARGIN: Final = timedelta(minutes=1)


@define(eq=False)
class Follower:
    """Looks for what has changed, again and again."""

    exotel: AsyncExotel
    service: Service
    database: Database
    every: float
    page_size: int
    _last: str = field(default="the first update is in progress", init=False)
    _next: float | None = field(default=None, init=False)

    async def go(self) -> None:
        """Look until the task is cancelled.

        Raises:
            ExotelError: it cannot go on, and waiting would not help.
        """
        if not moves(err):
            note(
                f"Following: new calls are read every {self.every:g} s. SIGTERM or Ctrl-C ends it."
            )
        with progress(err) as show:
            async with drawing(lambda: show(self), every=0.5):
                await self._keep_looking()

    def stopped(self) -> None:
        """Say what there is in the end."""
        newest = self.database.newest()
        upto = "" if newest is None else f", the newest of {shown_moment(newest)}"
        say(f"{counted(self.database.state.records, 'call')}{upto}")

    async def _keep_looking(self) -> None:
        while True:
            began = time.monotonic()
            try:
                news = await self._look()
            except _HOPELESS:
                raise
            except ExotelError as error:
                why = self.service.explain(error)
                self._tell(f"failed, the next update catches up: {why}", telling=True)
            else:
                telling = bool(news.new or news.changed)
                self._tell(f"{news.new:,} new, {news.changed:,} changed", telling=telling)
            # After a long update the next is later: the rate limit is for others as well.
            took = time.monotonic() - began
            self._next = began + max(self.every, 2 * took)
            await asyncio.sleep(self._next - time.monotonic())

    async def _look(self) -> News:
        """Read again what may have changed, and what is new."""
        selection = self.database.state.selection
        newest = await in_thread(self.database.newest)
        since = selection.begin if newest is None else newest - LOOK_BACK
        if since is not None:
            since = max(since, oldest(datetime.now(UTC)) + _MARGIN)
        records = self.exotel.calls.list(
            since=since, newest_first=False, page_size=self.page_size, **selection.filters()
        )
        news = News()
        async with aclosing(records.pages()) as pages:
            async for page in pages:
                news += await in_thread(self.database.upsert, page.calls)
        return news

    def _tell(self, what: str, *, telling: bool) -> None:
        """Show the result of an update: in the line that moves, or else if it is worth a line."""
        self._last = f"update at {datetime.now():%H:%M:%S}: {what}"  # noqa: DTZ005 - the wall's clock
        if telling and not moves(err):
            note(self._last)

    @property
    def step(self) -> int:
        """Always 0: where nothing moves, each update prints its own line."""
        return 0

    def panel(self, _: int) -> Text:
        """Return the line that moves."""
        calls = counted(self.database.state.records, "call")
        coming = ""
        if self._next is not None:
            coming = f"; next in {max(0.0, self._next - time.monotonic()):.0f} s"
        return Text(f"{calls}; {self._last}{coming}    Ctrl-C ends it")

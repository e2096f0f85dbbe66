"""One run of `exotel-async dial`: adds the file to its campaign, and dials the campaign."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, TextIO

from attrs import define, evolve, field

from exotel_async import InvalidRequest
from exotel_async.campaigns import (
    AttemptState,
    Dialer,
    Ledger,
    LedgerUnavailable,
)
from exotel_async.campaigns.clock import from_ms
from exotel_async.cli.campaign_ledger import ledger_at
from exotel_async.cli.contact_list import add_list
from exotel_async.cli.dial_campaign import other_settings, was_cancelled
from exotel_async.cli.dial_display import DialProgress, Problem, Stopping
from exotel_async.cli.dial_forecast import time_left
from exotel_async.cli.dial_output import DialOutput
from exotel_async.cli.dial_problems import ProblemLog
from exotel_async.cli.progress import Progress, progress
from exotel_async.cli.terminal import discard_output, end_at_once, note

if TYPE_CHECKING:
    from exotel_async import AsyncExotel
    from exotel_async.campaigns import Campaign, CampaignStatistics
    from exotel_async.campaigns.entries import OpenAttempt
    from exotel_async.cli.contact_files import ContactFile
    from exotel_async.cli.dial_arguments import DialArguments

_EVERY: Final = 1.0
"""Seconds between two updates of the display."""
_BEING_DIALLED: Final = (AttemptState.INTENDED, AttemptState.IN_DOUBT, AttemptState.PLACED)
_MAX_SHOWN: Final = 1000
_READ_AT_ONCE: Final = 1000
_RINGING: Final = timedelta(minutes=2)
"""How long the phones of a call may ring at most, which its time limit does not include."""


@define(eq=False, repr=False)
class DialRun:
    """One run. Its attributes remain readable when it is cut short."""

    arguments: DialArguments
    campaign: Campaign
    contacts: ContactFile
    do_not_call: Sequence[str]
    output: DialOutput
    began: float = field(init=False, factory=time.monotonic)
    is_added: bool = field(init=False, default=False)
    """Whether the file is in the ledger."""
    placed_before: int = field(init=False, default=0)
    """Calls of the campaign that earlier runs have placed."""
    statistics: CampaignStatistics | None = field(init=False, default=None)
    opens_at: datetime | None = field(init=False, default=None)
    """When calling hours begin again; None: they are open, and have not ended the run."""
    open_calls: Sequence[OpenAttempt] = field(init=False, default=())
    """Dials whose outcome was not known when the run ended."""
    is_interrupted: bool = field(init=False, default=False)
    _campaign_id: int | None = field(init=False, default=None)
    _task: asyncio.Task[None] | None = field(init=False, default=None)
    _dialer: Dialer | None = field(init=False, default=None)
    """The dialer to stop; None: dialling has not begun."""
    _stopped_at: datetime | None = field(init=False, default=None)
    _is_after_hours: bool = field(init=False, default=False)
    """Whether it ends because calling hours have ended."""
    _terminal: Sequence[TextIO] = field(init=False, default=())
    """The output streams that go to a terminal, until it is gone."""
    _is_shown: bool = field(init=False, default=False)
    _problems: ProblemLog = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._problems = ProblemLog(self._problem)

    async def main(self) -> None:
        """Add the contacts, and dial the campaign to its end.

        Raises:
            Misuse: the campaign exists with other settings, or was cancelled.
            CampaignStopped: errors have stopped the campaign.
            ExotelError: Exotel does not respond, or the ledger cannot be used.
            asyncio.CancelledError: it was interrupted, and did not wait for calls in progress.
        """
        self._task = asyncio.current_task()
        name = self.campaign.name
        with self._problems.listening(), self._stopped_by_signals():
            async with (
                self.arguments.service.session() as exotel,
                ledger_at(self.arguments.ledger) as ledger,
            ):
                try:
                    await self._dial(exotel, ledger)
                finally:
                    with suppress(LedgerUnavailable):
                        self.statistics = await ledger.statistics(name)
                        self.open_calls = await self._open_attempts(ledger, _BEING_DIALLED)

    async def _dial(self, exotel: AsyncExotel, ledger: Ledger) -> None:
        arguments, name = self.arguments, self.campaign.name
        async with Dialer(
            exotel, ledger, channels=arguments.channels, poll_interval=arguments.poll_interval
        ) as dialer:
            await dialer.do_not_call(self.do_not_call, "exotel-async dial --dnc")
            await self._create(dialer)
            await self._add(dialer)
            entry = await ledger.campaign(name)
            assert entry is not None  # noqa: S101 - it was created
            self._campaign_id = entry.id
            self._dialer = dialer
            with progress(self.output.console) as show:
                async with (
                    dialer.run(name) as outcomes,
                    self._watched(ledger, exotel, dialer, show),
                ):
                    async for outcome in outcomes:
                        self._print(partial(self.output.outcome, outcome))

    async def _create(self, dialer: Dialer) -> None:
        name = self.campaign.name
        try:
            await dialer.create(self.campaign)
        except InvalidRequest as error:
            if error.argument != "name" or name not in await dialer.names():
                raise
            there = await dialer.settings(name)
            raise other_settings(there, self.campaign, self.contacts.path) from None

    async def _add(self, dialer: Dialer) -> None:
        """Add the contacts of the file that are new."""
        with self.output.reading(self.contacts.path):
            try:
                added = await add_list(dialer, self.campaign, self.contacts)
            except InvalidRequest:
                raise was_cancelled(self.campaign.name) from None
        self.is_added = True
        known = await dialer.statistics(self.campaign.name)
        self.placed_before = known.attempts
        self.output.added(added, self.contacts, known.created)

    # While the campaign is dialled.

    @asynccontextmanager
    async def _watched(
        self,
        ledger: Ledger,
        exotel: AsyncExotel,
        dialer: Dialer,
        show: Callable[[Progress], None],
    ) -> AsyncIterator[None]:
        async def watch() -> None:
            current: DialProgress | None = None
            while True:
                try:
                    current = await self._progress(ledger, exotel, dialer)
                except LedgerUnavailable:  # the SDK logs a warning
                    current = current and self._progress_without_ledger(current, exotel, dialer)
                if current is not None:
                    self._print(partial(show, current))
                    self._print(partial(self.output.progress, current))
                    self._is_shown = True
                await asyncio.sleep(_EVERY)

        def is_over(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                self._stop(dialer)  # nothing would notice the end of calling hours any more

        task = asyncio.create_task(watch())
        task.add_done_callback(is_over)
        try:
            yield
        finally:
            self._is_shown = False
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _print(self, what: Callable[[], None]) -> None:
        """Print something. The terminal may be gone before SIGHUP comes, or without it."""
        try:
            what()
        except OSError:
            if not self._is_terminal_gone():
                raise
        if self._is_terminal_gone():
            self._lose_terminal()

    def _is_terminal_gone(self) -> bool:
        return any(not stream.isatty() for stream in self._terminal)

    async def _progress(self, ledger: Ledger, exotel: AsyncExotel, dialer: Dialer) -> DialProgress:
        arguments, now = self.arguments, dialer.now()
        # Contacts that are added meanwhile may be in another time zone.
        entry = await ledger.campaign(self.campaign.name)
        statistics = await ledger.statistics(self.campaign.name)
        assert entry is not None and statistics is not None  # noqa: PT018, S101 - none is deleted
        self.statistics = statistics
        retries, due = await ledger.retries(entry.id)
        next_retry_at = None if due is None else from_ms(due)
        zones: Sequence[str] = entry.zones
        if len(zones) > 1 and statistics.pending:  # in some zones, no contact may be left
            # `pending_zones` returns none if the last contact is dialled at this moment.
            zones = await ledger.pending_zones(entry.id, zones) or zones
        self._check_hours(dialer, statistics, zones, now)
        left = time_left(
            statistics,
            self.campaign,
            budget=arguments.service.rate,
            now=now,
            channels=arguments.channels,
            next_retry_at=next_retry_at,
        )
        return DialProgress(
            statistics=statistics,
            limiter=exotel.limiter.statistics(),
            budget=arguments.service.rate,
            channels_in_use=dialer.channels_in_use,
            channels=arguments.channels,
            retries=retries,
            next_retry_at=next_retry_at,
            now=now,
            elapsed=time.monotonic() - self.began,
            forecast=left,
            opens_at=self.opens_at,
            problems=self._problems.problems,
            stopping=await self._stopping(ledger, statistics),
            ledger=arguments.ledger_argument,
        )

    def _progress_without_ledger(
        self, last: DialProgress, exotel: AsyncExotel, dialer: Dialer
    ) -> DialProgress:
        """Return the progress while the ledger cannot be read: its last known numbers."""
        stopping = last.stopping
        if self._stopped_at is not None and stopping is None:
            stopping = self._stopping_with(last.statistics, self._stopped_at)
        return evolve(
            last,
            limiter=exotel.limiter.statistics(),
            channels_in_use=dialer.channels_in_use,
            now=dialer.now(),
            elapsed=time.monotonic() - self.began,
            forecast=None,
            problems=self._problems.problems,
            stopping=stopping,
        )

    def _check_hours(
        self,
        dialer: Dialer,
        statistics: CampaignStatistics,
        zones: Sequence[str],
        now: datetime,
    ) -> None:
        """Update `opens_at`. If contacts are left and hours are closed for all of them, stop the
        dialer, unless it is to wait for hours."""
        schedule = self.campaign.schedule
        opens = [schedule.next_open(now, zone or None) for zone in zones or ("",)]
        known = [moment for moment in opens if moment is not None]
        is_closed = bool(known) and statistics.pending > 0 and min(known) > now
        if is_closed or not self._is_after_hours:
            self.opens_at = min(known) if is_closed else None
        if is_closed and not self.arguments.wait_for_hours and self._stopped_at is None:
            self._is_after_hours = True
            self._stop(dialer)

    async def _stopping(self, ledger: Ledger, statistics: CampaignStatistics) -> Stopping | None:
        if self._stopped_at is None:
            return None
        placed = await self._open_attempts(ledger, (AttemptState.PLACED,))
        limit = self.campaign.time_limit
        until = None
        if placed and limit is not None:
            last = max(one.intended_at for one in placed)
            until = from_ms(last) + limit + _RINGING
        return self._stopping_with(statistics, self._stopped_at, until)

    def _stopping_with(
        self, statistics: CampaignStatistics, since: datetime, until: datetime | None = None
    ) -> Stopping:
        by_hours = not self.is_interrupted
        return Stopping(since=since, calls=statistics.in_progress, until=until, by_hours=by_hours)

    async def _open_attempts(
        self, ledger: Ledger, states: Sequence[AttemptState]
    ) -> list[OpenAttempt]:
        """Return the campaign's attempts in these states, at most 1000 of them."""
        found: list[OpenAttempt] = []
        after_id = ""
        while self._campaign_id is not None and len(found) < _MAX_SHOWN:
            page = await ledger.open_attempts(states, after_id, _READ_AT_ONCE)
            found += [one for one in page if one.contact.campaign_id == self._campaign_id]
            if len(page) < _READ_AT_ONCE:
                break
            after_id = page[-1].id
        return found[:_MAX_SHOWN]

    # The end of the run.

    @contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        if sys.platform == "win32":  # Ctrl-C cancels the task there
            yield
            return
        loop = asyncio.get_running_loop()
        self._terminal = [stream for stream in (sys.stdout, sys.stderr) if stream.isatty()]
        numbers = [
            number
            for number in (signal.SIGINT, signal.SIGTERM)
            if signal.getsignal(number) is not signal.SIG_IGN  # as in a background job
        ]
        for number in numbers:
            loop.add_signal_handler(number, self._interrupt)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` does
            loop.add_signal_handler(signal.SIGHUP, self._lose_terminal)
            numbers.append(signal.SIGHUP)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        """Finish the calls in progress; the second time stop at once, the third exit the process.

        The ledger has a record of every dial that is in flight then.
        """
        if self.is_interrupted and self._task is not None and self._task.cancelling():
            end_at_once(self.output.console)
        is_first, self.is_interrupted = not self.is_interrupted, True
        if is_first and self._dialer is not None:
            self._stop(self._dialer)
        elif self._task is not None:
            self._task.cancel()

    def _lose_terminal(self) -> None:
        """Finish the calls in progress, as the terminal is gone. SIGHUP may come repeatedly."""
        discard_output(*self._terminal)
        self._terminal = ()
        if not self.is_interrupted:
            self._interrupt()

    def _stop(self, dialer: Dialer) -> None:
        self._stopped_at = dialer.now()
        dialer.stop()

    def _problem(self, problem: Problem) -> None:
        self._print(partial(self.output.problem, problem))
        if not self._is_shown:
            self._print(partial(note, problem.shown))

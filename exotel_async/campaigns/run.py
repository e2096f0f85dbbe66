"""A run of campaigns, as a stream of outcomes."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from exotel_async.campaigns.errors import CampaignStopped, LedgerUnavailable
from exotel_async.campaigns.state import LEDGER_PAUSE
from exotel_async.campaigns.words import CampaignState
from exotel_async.listeners import call_listener

if TYPE_CHECKING:
    from types import TracebackType

    from exotel_async.campaigns.outcome import CampaignStatistics, ContactOutcome
    from exotel_async.campaigns.running import RunningCampaign
    from exotel_async.campaigns.shared_engine import SharedEngine
    from exotel_async.campaigns.state import DialerState

_PAGE: Final = 200
_PROGRESS: Final = 1.0
"""Seconds between two reports of progress."""

logger: Final = logging.getLogger("exotel_async")


class CampaignRun:
    """A stream of `ContactOutcome`, one for each contact that gets its outcome in this run.

    Use it as ``async with dialer.run("diwali") as outcomes: async for outcome in outcomes``. The
    outcomes are read from the ledger: reading slowly, or not at all, loses nothing and does not
    slow the dialling down. The stream ends when all contacts of its campaigns have an outcome and
    Exotel has reported the details of the last calls; when the campaigns were cancelled; or, after
    `Dialer.stop`, once the calls in progress are over. Leaving the block stops the dialling at
    once. Calls in progress are followed until the `Dialer` is closed, and then by the next one.
    """

    def __init__(
        self,
        engines: SharedEngine,
        names: Sequence[str],
        on_progress: Callable[[CampaignStatistics], object] | None,
    ) -> None:
        self._engines = engines
        self._names = names
        self._on_progress = on_progress
        self._campaigns: list[RunningCampaign] = []
        self._last: dict[int, int] = {}
        self._ready: deque[ContactOutcome] = deque()
        self._news = asyncio.Event()
        self._state: DialerState | None = None
        self._reporting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to dial. Wait while another dialer has the ledger.

        Raises:
            InvalidRequest: there is no such campaign, or the account has too few channels for it.
            DialerStopped: `stop` was called while another dialer had the ledger.
            ExotelError: Exotel does not respond, or the ledger cannot be used.
        """
        state = await self._engines.enter()
        self._state = state
        state.listeners.add(self._news.set)
        try:
            for name in self._names:
                running, last = await self._engines.begin(name)
                self._campaigns.append(running)
                self._last[running.id] = last
        except BaseException:
            await self._leave()
            raise
        state.check_requested.set()
        if self._on_progress is not None:
            self._reporting = asyncio.get_running_loop().create_task(self._report(state))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ContactOutcome:
        """Return the next outcome.

        Raises:
            CampaignStopped: a campaign was paused or has failed because of errors, and there is
                nothing else left to do.
            ExotelError: the run has ended because of this error.
        """
        state = self._state
        if state is None:
            raise RuntimeError("use it as: async with dialer.run(...) as outcomes")
        while True:
            if self._ready:
                return self._ready.popleft()
            self._news.clear()
            ended = self._has_ended(state)
            try:
                for running in self._campaigns:
                    await self._read(state, running)
            except LedgerUnavailable as error:
                # The engine reports this as well, and continues once the ledger is available.
                logger.info("Outcomes cannot be read from the ledger. Trying again: %s", error)
                await asyncio.sleep(LEDGER_PAUSE)
                continue
            if self._ready:
                continue
            if state.error is not None:
                raise copy.copy(state.error)
            if ended and self._has_ended(state):  # none was resumed meanwhile
                await self._report_end(state)
                for running in self._campaigns:
                    if running.is_stopped_by_errors:
                        raise CampaignStopped(running.name, running.state, running.reason or "")
                raise StopAsyncIteration
            await self._news.wait()

    async def _read(self, state: DialerState, running: RunningCampaign) -> None:
        page = await state.ledger.outcomes(running.id, self._last[running.id], _PAGE)
        self._ready.extend(outcome for _, outcome in page)
        if page:
            self._last[running.id] = page[-1][0]

    def _has_ended(self, state: DialerState) -> bool:
        """Return whether no more outcomes will come; to be called before reading the last ones."""
        if state.writer.has_changes:
            return False
        if state.error is not None:
            return True
        if state.stopping:
            # Attempts in doubt, and details that are still missing, are left to the next run.
            return not any(one.dialling or state.attempts.has_calls(one) for one in self._campaigns)
        return all(
            one.has_ended
            and not one.is_stopping
            and not one.unsettled
            # A cancelled campaign dials no more; contacts in doubt are left to the next run.
            and (state.is_at_rest(one) if one.state is CampaignState.CANCELED else one.is_idle)
            for one in self._campaigns
        )

    async def _report(self, state: DialerState) -> None:
        while True:
            await self._report_once(state)
            await asyncio.sleep(_PROGRESS)

    async def _report_once(self, state: DialerState) -> None:
        with suppress(LedgerUnavailable):
            for running in self._campaigns:
                known = await state.ledger.statistics(running.id)
                if self._on_progress is not None and known is not None:
                    call_listener(self._on_progress, known)

    async def _report_end(self, state: DialerState) -> None:
        if self._reporting is not None:
            reporting, self._reporting = self._reporting, None
            reporting.cancel()
            await self._report_once(state)

    async def _leave(self) -> None:
        state, self._state = self._state, None
        if self._reporting is not None:
            self._reporting.cancel()
        if state is not None:
            state.listeners.discard(self._news.set)
            await self._engines.leave(self._campaigns)

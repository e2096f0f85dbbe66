"""The one engine that all concurrent runs of a dialer share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from exotel_async.campaigns.errors import no_such
from exotel_async.campaigns.running import RunningCampaign
from exotel_async.campaigns.words import CampaignState

if TYPE_CHECKING:
    from exotel_async.campaigns.engine import Engine
    from exotel_async.campaigns.state import DialerState

_BEGUN_FROM = (CampaignState.CREATED, CampaignState.COMPLETED)
_STOPPED = (CampaignState.PAUSED, CampaignState.FAILED)


class SharedEngine:
    """Starts the engine with the first run. It continues between runs, until the dialer is closed.

    An engine that was stopped, or has failed, ends with its last run; the next run starts a new
    one.
    """

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._engine: Engine | None = None
        self._starting: Engine | None = None
        self._runs = 0
        self._changing = asyncio.Lock()
        self.adding: Final = asyncio.Lock()
        """Held while a single call is added, so that a second one with its key finds it."""

    @property
    def state(self) -> DialerState | None:
        """The state of the engine; None: no engine runs."""
        return None if self._engine is None else self._engine.state

    async def enter(self) -> DialerState:
        """Begin a run.

        Raises:
            DialerStopped: it was stopped while another dialer had the ledger.
            ExotelError: Exotel does not respond, or the ledger cannot be used.
        """
        async with self._changing:
            if self._engine is None:
                engine = self._starting = self._make()
                try:
                    await engine.start()
                finally:
                    self._starting = None
                self._engine = engine
            self._runs += 1
            return self._engine.state

    async def begin(self, name: str, *, again: bool = False) -> tuple[RunningCampaign, int]:
        """Start dialling the contacts of a campaign, within a run.

        Returns the campaign, and the position of its last outcome before this run; 0: it had none.
        With `again`, a paused or failed campaign is resumed.

        Raises:
            InvalidRequest: there is no such campaign, or there are too few channels for it.
        """
        engine = self._engine
        assert engine is not None  # noqa: S101 - it was entered
        ledger = engine.state.ledger
        entry = await ledger.campaign(name)
        if entry is None:
            raise no_such(name)
        last = await ledger.last_outcome(entry.id)
        now = engine.state.clock.now_ms()
        state = CampaignState.IN_PROGRESS
        begun_from = _BEGUN_FROM + (_STOPPED if again else ())
        await ledger.set_state(entry.id, state, None, now, only_from=begun_from)
        return await engine.begin(entry.id), last

    def stop(self) -> None:
        """Stop dialling. Do nothing if no engine runs."""
        for engine in (self._starting, self._engine):
            if engine is not None:
                engine.state.stop()

    async def leave(self, campaigns: Sequence[RunningCampaign]) -> None:
        """End a run."""
        for running in campaigns:
            running.runs -= 1
        async with self._changing:
            self._runs -= 1
            state = self.state
            if self._runs == 0 and state is not None and (state.stopping or state.error):
                await self._end()

    async def aclose(self) -> None:
        """Stop and close the engine, if one runs."""
        self.stop()  # including an engine that still waits for the ledger
        async with self._changing:
            await self._end()

    async def _end(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.aclose()

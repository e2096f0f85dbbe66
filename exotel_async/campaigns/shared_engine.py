"""One engine for all that a dialer runs at the same time."""

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
    """Starts an engine with the first run. It goes on between runs, until the dialer is closed.

    One that was stopped, or has failed, ends with its last run; the next run has a new one.
    """

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._engine: Engine | None = None
        self._starting: Engine | None = None
        self._runs = 0
        self._changing = asyncio.Lock()
        self.adding: Final = asyncio.Lock()
        """Whoever adds a single call has it: of two with one key, the second finds the first."""

    @property
    def state(self) -> DialerState | None:
        """What the engine's parts share; None: nothing is run."""
        return None if self._engine is None else self._engine.state

    async def enter(self) -> DialerState:
        """Begin a run.

        Raises:
            DialerStopped: it was stopped while another dialer had the ledger.
            ExotelError: Exotel does not answer, or the ledger cannot be used.
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
        """Have the contacts of a campaign dialled, within a run.

        Returns the campaign, and the place of its last outcome before this run; 0: it had none.
        With `again`, a campaign that errors have stopped continues.

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
        """Dial nobody any more. Does nothing if nothing is run."""
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
        """End whatever runs."""
        self.stop()  # what waits for the ledger as well
        async with self._changing:
            await self._end()

    async def _end(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.aclose()

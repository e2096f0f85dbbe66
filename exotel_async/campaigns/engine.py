"""The engine of a dialer: takes the ledger, and dials as budget and channels allow."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from exotel_async.campaigns.dialing import Dialing
from exotel_async.campaigns.dnd import DndRegister
from exotel_async.campaigns.feeding import LOW, Feeding
from exotel_async.campaigns.refusing import Refusing
from exotel_async.campaigns.running import RunningCampaign, whose_turn
from exotel_async.campaigns.state import LEDGER_PAUSE, DialerState
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import ConfigurationError, ExotelError, InvalidRequest

if TYPE_CHECKING:
    from exotel_async.calls.parts import CallParts
    from exotel_async.campaigns.ledger import Ledger

_WORKERS: Final = 8  # more than the budget keeps busy at any usual round trip
_LEAVING: Final = 5.0
"""Seconds to wait for responses, and again to write results, when the engine closes."""

logger: Final = logging.getLogger("exotel_async")


class Engine:
    """Runs the campaigns of one ledger."""

    def __init__(
        self, parts: CallParts, ledger: Ledger, *, channels: int | None, interval: float
    ) -> None:
        self.state: Final = DialerState(parts, ledger, channels=channels, interval=interval)
        refusing, register = Refusing(self.state), DndRegister(self.state)
        self._dialing = Dialing(self.state, refusing, register)
        self._feeding = Feeding(self.state, refusing, register)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take the ledger, and continue the attempts that an earlier dialer left open.

        It waits while another dialer has the ledger.

        Raises:
            ExotelError: Exotel does not respond, or the ledger cannot be used.
        """
        state = self.state
        await state.clock.refresh()
        await self._feeding.take_ledger()
        work = [state.writer.run(), self._feeding.run(), *(self._work() for _ in range(_WORKERS))]
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(state.guarded(one)) for one in work]

    async def begin(self, campaign_id: int) -> RunningCampaign:
        """Add a run to a campaign: its contacts are dialled while it has one.

        Raises:
            InvalidRequest: the account has too few channels for its calls.
        """
        entries = await self._feeding.read_campaigns()
        running = self._feeding.take(entries[campaign_id])
        most, legs = self.state.channels.most, running.campaign.legs
        if most is not None and most < legs:
            rule = (
                f"must be {legs} or more: a call of the campaign {running.name!r} takes that many"
            )
            raise InvalidRequest("channels", most, rule)
        running.runs += 1
        return running

    async def aclose(self) -> None:
        """Stop dialling, wait some seconds for pending responses, and write all results."""
        state = self.state
        state.stop()
        writing, feeding, *working = self._tasks
        if working:
            await asyncio.wait(working, timeout=_LEAVING)
        await state.in_doubt.aclose()
        state.following.drop()
        for task in (writing, feeding, *working, *state.background):
            task.cancel()
        await asyncio.gather(writing, feeding, *working, *state.background, return_exceptions=True)
        with suppress(TimeoutError, ExotelError):
            async with asyncio.timeout(_LEAVING):
                while state.writer.has_changes:
                    await state.writer.write()
                await state.ledger.unlock(state.clock.now_ms())

    async def _work(self) -> None:
        """Dial contacts, one after another, until dialling stops."""
        state = self.state
        while not self._is_stopping():
            running, wait = self._turn()
            if running is None:
                await self._pause(wait)
                continue
            legs = running.campaign.legs
            if running.priority is Priority.BULK:
                state.share = max(state.share, running.share)
            running.reserve(asyncio.get_running_loop().time())
            state.channels.take(legs)
            running.channels.take(legs)
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - it is running
            state.waiting.add(task)
            try:
                permit = await state.parts.pipeline.acquire(SendOptions(priority=running.priority))
            except asyncio.CancelledError:
                if self._is_stopping():
                    return
                raise
            except ConfigurationError as error:  # the session is closed
                state.fail(error)
                return
            except ExotelError as error:  # a shared limiter that cannot be reached
                logger.warning("Dialling is paused until the rate limiter responds: %s", error)
                await asyncio.sleep(LEDGER_PAUSE)
                continue
            finally:
                state.waiting.discard(task)
                running.reserved -= 1
                state.channels.free(legs)
                running.channels.free(legs)
            contact = running.take()
            if contact is None:
                permit.release()
                continue
            if running.claimed < LOW and not running.is_drained:
                state.check_requested.set()
            running.dialling += 1
            try:
                await self._dialing.dial(running, contact, permit)
            finally:
                running.dialling -= 1
        state.notify_listeners()

    def _is_stopping(self) -> bool:
        return self.state.stopping

    def _turn(self) -> tuple[RunningCampaign | None, float | None]:
        """Return the campaign that dials next; or None, and the seconds to wait, if known."""
        state, now = self.state, asyncio.get_running_loop().time()
        able = [one for one in state.campaigns.values() if state.may_dial(one)]
        if not able:
            return None, state.circuit.next_try(now) or None
        if now < state.no_room_until:
            return None, state.no_room_until - now
        running = whose_turn(able, state.channels, now, state.is_open)
        waits = [one.wait(now) for one in able if one.candidates > 0]
        return running, min((wait for wait in waits if wait > 0), default=None)

    async def _pause(self, wait: float | None) -> None:
        self.state.changes.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self.state.changes.wait()

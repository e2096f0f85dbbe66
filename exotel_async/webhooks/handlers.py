"""How handlers run: each event once, each request within its time, even if the client disconnects.

They run in tasks of their own. If a request is cancelled, or its client disconnects, the handling
of its event continues and settles its claim; an answer that comes too late keeps nobody waiting.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Protocol

from exotel_async.logs import log_fields
from exotel_async.webhooks.deduplication import Claim, ClaimStore
from exotel_async.webhooks.response import Response
from exotel_async.webhooks.routes import Route

logger: Final = logging.getLogger("exotel_async")

_LOOK_AGAIN: Final = 0.2
"""Seconds, while another process handles an event."""
_SETTLING: Final = 1.0
"""Seconds a handler that is too late may take to stop, and its claim to be settled, before the
requests for the event are answered."""
_STORE_SECONDS: Final = 5.0
"""Seconds a store may take to record how it went, when all is being cancelled."""
_LEASE_MORE: Final = 10.0
"""Seconds a claim lives longer than its handler may, so that it is settled before it expires."""
_CLEAN_UP: Final = 5.0
"""Seconds for handlers to end once they are cancelled."""


class Event(Protocol):
    """An event, which is handled once."""

    @property
    def key(self) -> str | None:
        """What identifies it; None: it cannot be told from the next one, and each is handled."""
        ...


class HandlerTask:
    """Claims an event, has it handled and settles the claim, even if the client disconnects.

    All requests for the event get its one outcome, in time: a handler that does not let itself be
    cancelled keeps its claim, and a store that hangs keeps its task, but neither keeps a request
    waiting.
    """

    def __init__(
        self,
        store: ClaimStore,
        route: Route,
        event: Event,
        *,
        key: str,
        owner: str,
        seconds: float,
        over: Callable[[str], object],
    ) -> None:
        """Begin.

        Args:
            store: where the claim is kept.
            route: has the handler.
            event: is handled.
            key: names the event.
            owner: names this attempt.
            seconds: for the claim and the handler.
            over: is called with the key when all is done.
        """
        self._store, self._route, self._event = store, route, event
        self._key, self._owner, self._seconds, self._over = key, owner, seconds, over
        self._waiters: list[asyncio.Future[bool]] = []
        self._late = False
        self._ended: bool | None = None  # and how, once the handler has
        self._told: bool | None = None
        self._loop = asyncio.get_running_loop()
        # Timer and futures by hand: it is half the time of asyncio.timeout and asyncio.wait.
        self._timer = self._loop.call_later(seconds, self._expire)
        self.task: Final = self._loop.create_task(self._run())

    async def outcome(self) -> bool:
        """Tell whether the event is handled, when it is; or False, when that takes too long."""
        if self._told is not None:
            return self._told
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiters.append(waiter)
        return await waiter

    async def _run(self) -> None:
        is_ours = False
        try:
            try:
                is_ours = await self._claim()
                if is_ours:
                    await self._route.call(self._event)
                self._ended = True
            except BaseException as error:
                self._ended = False
                self._complain(error)
                await self._settle(partial(self._store.release, self._key, self._owner))
                if _is_being_cancelled() or isinstance(error, SystemExit | KeyboardInterrupt):
                    raise
            else:
                if is_ours:
                    await self._settle(partial(self._store.done, self._key))
        finally:
            self._timer.cancel()
            self._tell(bool(self._ended))
            self._over(self._key)

    async def _claim(self) -> bool:
        """Claim the event, once nobody else handles it. False: it was handled."""
        lease = self._seconds + _LEASE_MORE
        while True:
            claim = await self._store.claim(self._key, self._owner, lease)
            if claim is not Claim.HELD:
                return claim is Claim.TAKEN
            await asyncio.sleep(_LOOK_AGAIN)

    async def _settle(self, step: Callable[[], Awaitable[None]]) -> None:
        """Record in the store how it went, even if the task is cancelled meanwhile."""
        try:
            try:
                await step()
            except asyncio.CancelledError:
                async with asyncio.timeout(_STORE_SECONDS):
                    await step()
                raise
        except (Exception, asyncio.CancelledError):
            if _is_being_cancelled():
                raise
            logger.exception("The claim store did not record how the handling of an event ended")

    def _complain(self, error: BaseException) -> None:
        about = self._route.tail, getattr(self._event, "sid", "-")  # a heartbeat is of no call
        if not (isinstance(error, asyncio.CancelledError) and _is_being_cancelled()):
            logger.error(
                "Handling %s has failed; call %s", *about, exc_info=error, extra=_fields(*about)
            )
        elif self._late:
            logger.error("Handling %s took too long; call %s", *about, extra=_fields(*about))

    def _expire(self) -> None:
        if self._ended is not None:
            self._tell(self._ended)  # only the store has not recorded it
        elif self._late:
            self._tell(False)
        else:
            self._late = True
            self.task.cancel()
            self._timer = self._loop.call_later(_SETTLING, self._expire)

    def _tell(self, handled: bool) -> None:
        self._told = handled
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(handled)
        self._waiters.clear()


def _fields(handler: str, sid: str | None) -> dict[str, object]:
    return log_fields(handler=handler, sid=sid)


def _is_being_cancelled() -> bool:
    """Whether somebody cancels this task: a handler may raise CancelledError without that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class HandlerRunner:
    """The handlers of one application that are under way."""

    def __init__(self, store: ClaimStore, *, event_seconds: float, answer_seconds: float) -> None:
        self._store = store
        self._event_seconds = event_seconds
        self._answer_seconds = answer_seconds
        self._events: dict[str, HandlerTask] = {}
        self._answers: set[asyncio.Task[object]] = set()

    async def handle(self, route: Route, event: Event) -> bool:
        """Have an event handled, unless it was. Return whether it is; else it has to be sent again.

        One that is being handled already is not handled a second time: both get its outcome.
        """
        owner = secrets.token_hex(8)
        key = f"{route.kind}:{owner if event.key is None else event.key}"
        attempt = self._events.get(key)
        if attempt is None:
            attempt = self._events[key] = HandlerTask(
                self._store,
                route,
                event,
                key=key,
                owner=owner,
                seconds=self._event_seconds,
                over=self._events.__delitem__,
            )
        return await attempt.outcome()

    async def answer(self, route: Route, request: Any) -> Response | None:
        """Have a request answered; with the fall-back if the handler fails or is late.

        None: there is no fall-back either.
        """
        about = route.tail, request.sid or "-"
        task = asyncio.create_task(route.call(request))
        self._answers.add(task)
        task.add_done_callback(self._answered)
        try:
            await asyncio.wait((task,), timeout=self._answer_seconds)
        finally:
            late = task.cancel()
        if late:
            logger.error("The handler %s took too long; call %s", *about, extra=_fields(*about))
            return route.fallback
        try:
            return route.respond(task.result())
        except BaseException as error:  # its own: our cancellation would have come at the wait
            logger.exception("The handler %s has failed; call %s", *about, extra=_fields(*about))
            if isinstance(error, SystemExit | KeyboardInterrupt):
                raise
            return route.fallback

    async def drain(self, grace: float) -> None:
        """Wait for handlers under way; after `grace` seconds cancel them, and see them end."""
        tasks = {*(attempt.task for attempt in self._events.values()), *self._answers}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_CLEAN_UP)

    def _answered(self, task: asyncio.Task[object]) -> None:
        self._answers.discard(task)
        if not task.cancelled():
            task.exception()  # was logged, or came too late to be of use

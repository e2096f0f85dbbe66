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

_NO_CALL: Final = "-"
"""The SID of what is of no call, as a heartbeat, in a log line."""
_LOOK_AGAIN: Final = 0.2
"""Seconds, while another process handles an event."""
_SETTLING: Final = 1.0
"""Seconds a handler that is too late may take to stop, and its claim to be settled, before the
requests for the event are answered."""
_STORE_SECONDS: Final = 5.0
"""Seconds a store may take to record how it went, when all is being cancelled."""
_LEASE_MORE: Final = 10.0
"""Seconds a claim lives longer than its handler may, so that it is settled before it expires."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
"""Seconds before a store that has failed is asked again; each pause is twice the one before."""
_DONE_MORE: Final = 60.0
"""Seconds for which that goes on after the lease, for an event that was handled."""
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
    waiting. A store that fails to settle the claim is asked again in the background.
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

        Claim and handler have that many `seconds`; `over` is called with the key when the event may
        be attempted again.
        """
        self._store, self._route, self._event = store, route, event
        self._key, self._owner, self._seconds, self._over = key, owner, seconds, over
        self._waiters: list[asyncio.Future[bool]] = []
        self._late = False
        self._ended: bool | None = None  # and how, once the handler has
        self._told: bool | None = None
        self._left = False  # another attempt at the event may have begun
        self._loop = asyncio.get_running_loop()
        self._lease_ends = self._loop.time()
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
                self._end(True)
            except BaseException as error:
                self._complain(error)
                self._end(False)
                leaves = isinstance(error, SystemExit | KeyboardInterrupt)
                until = self._loop.time() if leaves else self._lease_ends
                await self._settle(partial(self._store.release, self._key, self._owner), until)
                if leaves or _is_being_cancelled():
                    raise
            else:
                if is_ours:
                    until = self._lease_ends + _DONE_MORE
                    await self._settle(partial(self._store.done, self._key), until)
        finally:
            self._timer.cancel()
            self._tell(bool(self._ended))
            self._leave()

    async def _claim(self) -> bool:
        """Claim the event, once nobody else handles it. False: it was handled."""
        lease = self._seconds + _LEASE_MORE
        while True:
            self._lease_ends = self._loop.time() + lease
            claim = await self._store.claim(self._key, self._owner, lease)
            if claim is not Claim.HELD:
                return claim is Claim.TAKEN
            await asyncio.sleep(_LOOK_AGAIN)

    def _end(self, handled: bool) -> None:
        self._ended = handled
        if self._late:
            self.task.uncancel()  # what cancels it from now on is no longer its own timer

    async def _settle(self, step: Callable[[], Awaitable[None]], until: float) -> None:
        """Record in the store how it went, even if the task is cancelled meanwhile.

        Where that fails, the requests are answered, and it is repeated up to a time of the loop.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                await step()
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a store of the user's
                if _is_being_cancelled():
                    break
                problem: BaseException = error
            else:
                return
            self._tell(bool(self._ended))
            if not self._ended:
                self._leave()
            if self._loop.time() + pause >= until:
                if self._ended:
                    _not_recorded(problem)
                return
            if pause == _FIRST_PAUSE:
                logger.warning(
                    "The claim store did not record how the handling of an event ended, and is "
                    "asked again: %r",
                    problem,
                )
            try:
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                break
            pause = min(2 * pause, _LONGEST_PAUSE)
        # All is being cancelled: a last attempt.
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await step()
        except Exception as error:  # noqa: BLE001 - the same
            _not_recorded(error)
        raise asyncio.CancelledError

    def _complain(self, error: BaseException) -> None:
        about = self._route.tail, getattr(self._event, "sid", _NO_CALL)  # a heartbeat is of no call
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

    def _leave(self) -> None:
        if not self._left:
            self._left = True
            self._over(self._key)

    def _tell(self, handled: bool) -> None:
        self._told = handled
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(handled)
        self._waiters.clear()


def _not_recorded(problem: BaseException) -> None:
    logger.error(
        "The claim store did not record how the handling of an event ended", exc_info=problem
    )


def _fields(handler: str, sid: str) -> dict[str, object]:
    return log_fields(handler=handler, sid=None if sid == _NO_CALL else sid)


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
        self._tasks: set[asyncio.Task[None]] = set()  # of those, and some that only settle a claim
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
            self._tasks.add(attempt.task)
            attempt.task.add_done_callback(self._tasks.discard)
        return await attempt.outcome()

    async def answer(self, route: Route, request: Any) -> Response | None:
        """Have a request answered; with the fall-back if the handler fails or is late.

        None: there is no fall-back either.
        """
        about = route.tail, request.sid or _NO_CALL
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
        """Wait for handlers under way; after `grace` seconds cancel them, and see them end.

        Those whose claims are not settled yet are under way, too.
        """
        tasks = {*self._tasks, *self._answers}
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

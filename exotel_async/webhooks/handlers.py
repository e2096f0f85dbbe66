"""Running handlers: each event once, each within its timeout, even if the client disconnects.

Handlers run in separate tasks. If a request is cancelled, or its client disconnects, the handling
of its event continues and settles its claim; no request waits for a handler that is late.
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
"""The SID in log lines about an event without a call, such as a heartbeat."""
_POLL_INTERVAL: Final = 0.2
"""Seconds between attempts to claim an event that another process is handling."""
_SETTLING: Final = 1.0
"""Seconds for a handler that timed out to stop, and for its claim to be settled, before the
requests for the event get their responses."""
_STORE_SECONDS: Final = 5.0
"""Seconds for a store to record the outcome while the task is being cancelled."""
_LEASE_MARGIN: Final = 10.0
"""Seconds by which a lease exceeds the handler's timeout, so that it is settled before it ends."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
"""Seconds before a call to a failed store is retried; each pause is twice the previous one."""
_DONE_RETRY_SECONDS: Final = 60.0
"""Seconds for which these retries continue after the lease, for an event that was handled."""
_CANCEL_SECONDS: Final = 5.0
"""Seconds for handlers to end once they are cancelled."""


class Event(Protocol):
    """An event to be handled once."""

    @property
    def key(self) -> str | None:
        """Its identifier; None: it cannot be told apart from the next one, and each is handled."""
        ...


class HandlerTask:
    """Claims an event, runs its handler and settles the claim, even if the client disconnects.

    All requests for the event get the same outcome, in time: a handler that ignores cancellation
    keeps its claim, and a store that hangs keeps this task, but neither keeps a request waiting. A
    call to the store that fails to settle the claim is retried in the background.
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
        on_retryable: Callable[[str], object],
    ) -> None:
        """Start the task.

        `seconds` is the time for claim and handler together; `on_retryable` is called with the key
        as soon as the event may be attempted again.
        """
        self._store, self._route, self._event = store, route, event
        self._key, self._owner, self._seconds = key, owner, seconds
        self._on_retryable = on_retryable
        self._waiters: list[asyncio.Future[bool]] = []
        self._late = False
        self._handled: bool | None = None  # None until the handler has ended
        self._outcome: bool | None = None  # None until the waiters have it
        self._retryable = False  # another attempt at the event may have begun
        self._loop = asyncio.get_running_loop()
        self._lease_ends = self._loop.time()
        # Timer and futures by hand: they take half the time of asyncio.timeout and asyncio.wait.
        self._timer = self._loop.call_later(seconds, self._expire)
        self.task: Final = self._loop.create_task(self._run())

    async def outcome(self) -> bool:
        """Wait for the outcome: whether the event was handled; False if it takes too long."""
        if self._outcome is not None:
            return self._outcome
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
                self._log_failure(error)
                self._end(False)
                leaves = isinstance(error, SystemExit | KeyboardInterrupt)
                until = self._loop.time() if leaves else self._lease_ends
                await self._settle(partial(self._store.release, self._key, self._owner), until)
                if leaves or _is_being_cancelled():
                    raise
            else:
                if is_ours:
                    until = self._lease_ends + _DONE_RETRY_SECONDS
                    await self._settle(partial(self._store.done, self._key), until)
        finally:
            self._timer.cancel()
            self._resolve(bool(self._handled))
            self._make_retryable()

    async def _claim(self) -> bool:
        """Claim the event, waiting while it is held elsewhere. False: it was already handled."""
        lease = self._seconds + _LEASE_MARGIN
        while True:
            self._lease_ends = self._loop.time() + lease
            claim = await self._store.claim(self._key, self._owner, lease)
            if claim is not Claim.HELD:
                return claim is Claim.TAKEN
            await asyncio.sleep(_POLL_INTERVAL)

    def _end(self, handled: bool) -> None:
        self._handled = handled
        if self._late:
            self.task.uncancel()  # from now on, a cancellation is not by its own timer

    async def _settle(self, step: Callable[[], Awaitable[None]], until: float) -> None:
        """Record the outcome in the store, even if the task is cancelled meanwhile.

        If that fails, the waiters get the outcome, and it is retried until a time of the loop.
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
            self._resolve(bool(self._handled))
            if not self._handled:
                self._make_retryable()
            if self._loop.time() + pause >= until:
                if self._handled:
                    _not_recorded(problem)
                return
            if pause == _FIRST_PAUSE:
                logger.warning(
                    "The claim store did not record how the handling of an event ended. "
                    "Trying again: %r",
                    problem,
                )
            try:
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                break
            pause = min(2 * pause, _LONGEST_PAUSE)
        # The task is being cancelled: one last attempt.
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await step()
        except Exception as error:  # noqa: BLE001 - the same
            _not_recorded(error)
        raise asyncio.CancelledError

    def _log_failure(self, error: BaseException) -> None:
        about = self._route.tail, getattr(self._event, "sid", _NO_CALL)  # a heartbeat has no SID
        if not (isinstance(error, asyncio.CancelledError) and _is_being_cancelled()):
            logger.error(
                "Handling %s has failed; call %s", *about, exc_info=error, extra=_fields(*about)
            )
        elif self._late:
            logger.error("Handling %s took too long; call %s", *about, extra=_fields(*about))

    def _expire(self) -> None:
        if self._handled is not None:
            self._resolve(self._handled)  # only the store is late
        elif self._late:
            self._resolve(False)
        else:
            self._late = True
            self.task.cancel()
            self._timer = self._loop.call_later(_SETTLING, self._expire)

    def _make_retryable(self) -> None:
        if not self._retryable:
            self._retryable = True
            self._on_retryable(self._key)

    def _resolve(self, handled: bool) -> None:
        self._outcome = handled
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
    """Return whether this task is being cancelled: a handler may raise CancelledError itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class HandlerRunner:
    """Runs the handlers of one application."""

    def __init__(self, store: ClaimStore, *, event_seconds: float, answer_seconds: float) -> None:
        self._store = store
        self._event_seconds = event_seconds
        self._answer_seconds = answer_seconds
        self._events: dict[str, HandlerTask] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # of these, and some that only settle a claim
        self._answers: set[asyncio.Task[object]] = set()

    async def handle(self, route: Route, event: Event) -> bool:
        """Handle an event unless it already was. Return whether it is handled, or must be resent.

        An event that is just being handled is not handled a second time: both get its outcome.
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
                on_retryable=self._events.__delitem__,
            )
            self._tasks.add(attempt.task)
            attempt.task.add_done_callback(self._tasks.discard)
        return await attempt.outcome()

    async def answer(self, route: Route, request: Any) -> Response | None:
        """Return the handler's response, or the fall-back if the handler fails or times out.

        None if there is no fall-back either.
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
        except BaseException as error:  # the handler's: a cancellation of ours ends the wait above
            logger.exception("The handler %s has failed; call %s", *about, extra=_fields(*about))
            if isinstance(error, SystemExit | KeyboardInterrupt):
                raise
            return route.fallback

    async def drain(self, grace: float) -> None:
        """Wait for running handlers; after `grace` seconds cancel them and wait for their end.

        Those whose claims are not settled yet count as running.
        """
        tasks = {*self._tasks, *self._answers}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_CANCEL_SECONDS)

    def _answered(self, task: asyncio.Task[object]) -> None:
        self._answers.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved: it was logged, or came after the timeout

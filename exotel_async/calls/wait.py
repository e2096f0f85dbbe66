"""Waiting for calls to end: one shared poll for all waits of a session.

The list of calls leaves out those in progress: a call that appears in it has ended, and a hundred
can be queried at a time. A status callback may report the end as well.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import math
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from exotel_async.calls.fetch import CallFetcher, FetchOptions
from exotel_async.calls.get import Coalescer
from exotel_async.calls.seen import SeenCalls
from exotel_async.calls.wait_state import (
    LONGEST_CALL,
    SETTLED_AFTER,
    Deliver,
    Waiter,
    WaitOptions,
    internal_error,
    is_available,
    is_over,
    is_transient,
    may_check,
    satisfies,
    urgency,
)
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import (
    APIError,
    ConfigurationError,
    ExotelError,
    NotFound,
    RequestTimeout,
)
from exotel_async.models import Call
from exotel_async.wire import call_query

if TYPE_CHECKING:
    from exotel_async.http.pipeline import Pipeline

LONGEST_WATCH: Final = (LONGEST_CALL + SETTLED_AFTER).total_seconds()
"""Seconds until any call is over and its record is complete."""

_GROWTH: Final = 1.5
_LONGEST: Final = 12  # times the first interval
_TOGETHER: Final = 0.5  # of an interval: calls due that soon are polled in the same round
_MAX_IN_A_ROUND: Final = 10  # requests; single ones are made only if the queries leave room
_VANISHED_AFTER: Final = 2  # 404 responses in a row for a call known to exist
_FAILURES_BORNE: Final = 5  # failed rounds in a row until a wait fails
_SETTLING: Final = SETTLED_AFTER.total_seconds()
_REMEMBERED: Final = 1_000

logger: Final = logging.getLogger("exotel_async")
polls: Final = logging.getLogger("exotel_async.polls")
"""Logs each failed poll for calls that is retried."""


@define
class _Room:
    """How many single requests a round may still make."""

    left: int


class CallWatcher:
    """Watches calls of one session until they end."""

    def __init__(
        self, pipeline: Pipeline, fetcher: CallFetcher, coalescer: Coalescer, known: SeenCalls
    ) -> None:
        self._pipeline = pipeline
        self._fetcher = fetcher
        self._coalescer = coalescer
        self._seen = known
        self._waiters: dict[str, list[Waiter]] = {}
        # Ends that `notify` has reported, and when, for waits that begin later.
        self._reported: dict[str, tuple[Call, float]] = {}
        self._polling: asyncio.Task[None] | None = None
        # Set when a poll may be due sooner than planned.
        self._wakeup = asyncio.Event()
        self._requests: set[asyncio.Task[None]] = set()
        # The single request for each call that is in flight, and its priority.
        self._checks: dict[str, tuple[asyncio.Task[None], Priority]] = {}

    def add(self, sid: str, terms: WaitOptions, deliver: Deliver) -> Waiter | None:
        """Watch a call; `deliver` is called once, with the call when it is over, or the error.

        Return None if its end is known and was delivered at once.

        Raises:
            ConfigurationError: the session is closed, or belongs to another event loop.
        """
        self._pipeline.check_loop()
        now = asyncio.get_running_loop().time()
        reported, ended = self._reported.get(sid, (None, None))
        if reported is not None and satisfies(reported, terms):
            deliver(reported)
            return None
        seen = reported is not None or self._seen.was_dialled(sid) or self._seen.is_live(sid)
        waiter = Waiter(
            sid=sid,
            terms=terms,
            deliver=deliver,
            began=now,
            due=now + (terms.interval if terms.is_over or self._seen.is_live(sid) else 0.0),
            interval=terms.interval,
            seen=seen,
            ended=ended,
        )
        self._waiters.setdefault(sid, []).append(waiter)
        self._wake()
        return waiter

    def drop(self, waiter: Waiter | None) -> None:
        """Stop watching. Do nothing if the result was delivered already."""
        if waiter is None or waiter.done:
            return
        waiter.done = True
        waiting = self._waiters[waiter.sid]
        waiting.remove(waiter)
        if waiting:
            return
        del self._waiters[waiter.sid]
        check, _ = self._checks.pop(waiter.sid, (None, None))
        unwanted = set() if check is None else {check}
        if not self._waiters:
            unwanted |= self._requests
            if self._polling is not None:
                unwanted.add(self._polling)
            self._polling = None
        for task in unwanted - {asyncio.current_task()}:
            task.cancel()

    def notify(self, call: Call) -> bool:
        """Take the state of a call from a callback. Return whether this completed any waiter.

        Raises:
            ConfigurationError: the session is closed, or belongs to another event loop.
        """
        self._pipeline.check_loop()
        now = asyncio.get_running_loop().time()
        if is_over(call):
            _, ended = self._reported.pop(call.sid, (None, now))
            if len(self._reported) >= _REMEMBERED:
                del self._reported[next(iter(self._reported))]
            self._reported[call.sid] = call, ended
        elif call.sid in self._reported:
            return False  # a delayed callback with an older status
        self._seen.record(call)
        completed = self._update(call)
        for waiter in self._waiters.get(call.sid, ()):
            if waiter.ended is not None:
                # Poll soon for what is missing, together with other calls that end now.
                waiter.due = min(waiter.due, now + waiter.terms.interval)
                self._wakeup.set()
        return completed

    def _update(self, call: Call, *, with_details: bool = False) -> bool:
        """Update the waiters with a call's current state. Return whether this completed any.

        `with_details` is whether the call was read with its details, if there are any.
        """
        completed = False
        now = asyncio.get_running_loop().time()
        for waiter in list(self._waiters.get(call.sid, ())):
            waiter.seen = True
            waiter.rounds = waiter.missing = waiter.failures = 0
            if not is_over(call):
                if now - waiter.began >= LONGEST_WATCH:
                    waited = f"{(now - waiter.began) / 3600:.2f} hours"
                    self._fail(
                        waiter, RequestTimeout(f"the call is still in progress after {waited}")
                    )
                continue
            if waiter.ended is None:
                waiter.ended = now
            if not is_available(call, waiter.terms) and now - waiter.ended < _SETTLING:
                continue
            if waiter.terms.details and call.details is None and not with_details:
                waiter.lacks_details = True
                continue
            self._deliver(waiter, call)
            completed = True
        return completed

    def _deliver(self, waiter: Waiter, how: Call | ExotelError) -> None:
        # It may have been delivered or dropped meanwhile.
        if not waiter.done:
            self.drop(waiter)
            waiter.deliver(how)

    def _fail(self, waiter: Waiter, error: ExotelError) -> None:
        # A copy for each waiter: raising an error adds a traceback to it.
        self._deliver(waiter, copy.copy(error))

    def _fail_all(self, error: ExotelError) -> None:
        for waiting in list(self._waiters.values()):
            for waiter in list(waiting):
                self._fail(waiter, error)

    # The poll: one task for all waiters, which starts the requests that are due.

    def _wake(self) -> None:
        if self._polling is None or self._polling.done():
            # An empty context: the poll is for all waiters, and in the trace of none of them.
            self._polling = asyncio.get_running_loop().create_task(self._poll(), context=Context())
        else:
            self._wakeup.set()

    async def _poll(self) -> None:
        try:
            while self._waiters:
                self._pipeline.check_loop()
                self._wakeup.clear()
                await self._pause(self._begin_round())
        except asyncio.CancelledError:
            if self._polling is asyncio.current_task():  # all tasks were cancelled
                self._fail_all(ConfigurationError("the poll for calls was cancelled"))
            raise
        except ConfigurationError as error:  # the session is closed
            self._fail_all(error)
        except Exception as error:
            logger.exception("Waiting for calls has failed")
            self._fail_all(internal_error(error))
        finally:
            if self._polling is asyncio.current_task():
                self._polling = None
                if self._waiters:  # a caller that got the error waits again
                    self._wake()

    async def _pause(self, seconds: float) -> None:
        """Sleep, or until a poll may be due sooner."""
        timer = None
        if seconds < math.inf:
            timer = asyncio.get_running_loop().call_later(seconds, self._wakeup.set)
        try:
            await self._pipeline.wait(self._wakeup.wait())
        finally:
            if timer is not None:
                timer.cancel()

    def _begin_round(self) -> float:
        """Poll for all calls that are due. Return the seconds until the next ones are due."""
        now = asyncio.get_running_loop().time()
        idle = {
            sid: [one for one in waiting if one.asking is None]
            for sid, waiting in self._waiters.items()
        }
        first = min((one.due for waiting in idle.values() for one in waiting), default=math.inf)
        if first > now:
            return first - now
        due = {
            sid: waiting
            for sid, waiting in idle.items()
            if any(one.due <= now + _TOGETHER * one.interval for one in waiting)
        }
        self._ask_for(due)
        left = (one.due for sid in idle.keys() - due.keys() for one in idle[sid])
        return max(0.0, min(left, default=math.inf) - now)

    def _ask_for(self, due: Mapping[str, list[Waiter]]) -> None:
        """Start the requests of a round, as tasks that the poll does not wait for."""
        by_urgency = sorted(due, key=lambda sid: urgency(due[sid]))
        listable: list[str] = []
        for sid in by_urgency:
            # A single call is read with its own request: a list would leave it out both if it is
            # in progress and if it does not exist.
            if len(due) > 1 and call_query.is_listable(sid):
                listable.append(sid)
            else:
                self._check(sid, due[sid], shared=True)
        most = call_query.MAX_SIDS
        chunks = [listable[at : at + most] for at in range(0, len(listable), most)]
        # Allow some single requests beyond a thousand calls, too, or none would ever be checked.
        spare = max(_MAX_IN_A_ROUND - len(chunks), (len(chunks) - 1) // _MAX_IN_A_ROUND)
        room = _Room(spare)
        for chunk in chunks:
            asked = {sid: due[sid] for sid in chunk}
            waiters = [one for waiting in asked.values() for one in waiting]
            self._request(self._query(asked, room), waiters)

    def _check(self, sid: str, waiting: Sequence[Waiter], *, shared: bool = False) -> None:
        """Read one call singly, in a task that no round waits for.

        `shared` is whether the request may be coalesced if the call was not seen yet.
        """
        priority = urgency(waiting)
        _, running = self._checks.get(sid, (None, None))
        if running is not None and running <= priority:
            # A request for it is in flight already: its response updates all waiters.
            for waiter in waiting:
                self._schedule_next(waiter)
            return
        task = self._request(self._single(sid, waiting, shared=shared), waiting)
        self._checks[sid] = task, priority
        task.add_done_callback(partial(self._check_done, sid))

    def _check_done(self, sid: str, task: asyncio.Task[None]) -> None:
        if self._checks.get(sid, (None, None))[0] is task:
            del self._checks[sid]

    def _request(
        self, work: Coroutine[Any, Any, None], asked: Sequence[Waiter]
    ) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._requests.add(task)
        task.add_done_callback(partial(self._request_done, asked=asked))
        for waiter in asked:
            waiter.asking = task
        return task

    def _request_done(self, task: asyncio.Task[None], asked: Iterable[Waiter]) -> None:
        """Schedule the next poll of the waiters that a request was for, however it ended."""
        self._requests.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("Waiting for calls has failed", exc_info=error)
        for waiter in asked:
            if waiter.asking is not task:
                continue
            if error is not None:
                self._fail(waiter, internal_error(error))
            self._schedule_next(waiter)

    def _schedule_next(self, waiter: Waiter) -> None:
        """Schedule the next poll for a waiter."""
        waiter.asking = None
        waiter.rounds += 1
        waiter.due = asyncio.get_running_loop().time() + waiter.interval
        longest = _LONGEST * waiter.terms.interval
        waiter.interval = min(longest, waiter.interval * _GROWTH)
        self._wakeup.set()

    async def _query(self, asked: Mapping[str, Sequence[Waiter]], room: _Room) -> None:
        """Read up to a hundred calls with a list query."""
        waiters = [one for waiting in asked.values() for one in waiting]
        details = any(one.terms.details for one in waiters)
        wanted = FetchOptions(
            details=details and self._fetcher.can_batch(FetchOptions(details=True))
        )
        options = SendOptions(priority=urgency(waiters))
        answers: dict[str, Call | ExotelError]
        try:
            answers = await self._fetcher.batch(list(asked), wanted, options)
        except ConfigurationError as error:  # the session is closed
            answers = dict.fromkeys(asked, error)
        retried: list[ExotelError] = []
        for sid, waiting in asked.items():
            answer = answers.get(sid)
            if isinstance(answer, Call):
                self._update(answer)
            # A 404 for the list says nothing about the calls.
            elif answer is not None and not (isinstance(answer, APIError) and answer.status == 404):
                retried += self._poll_failed(waiting, answer)
                continue
            left = [one for one in waiting if not one.done]
            if left and self._must_check(left, listed=isinstance(answer, Call)):
                self._check(sid, left)
            elif left and not isinstance(answer, Call) and room.left > 0 and may_check(left):
                room.left -= 1
                for waiter in left:
                    waiter.check_after *= 2
                self._check(sid, left)
        _log_retried(retried)

    def _must_check(self, waiting: Sequence[Waiter], *, listed: bool) -> bool:
        """Return whether a call has to be read singly after a query."""
        if listed:  # but still waited for: the list may not have what is wanted
            return any(one.lacks_details for one in waiting)
        now = asyncio.get_running_loop().time()
        # The list may have shown that the call is over, but without the details that are wanted.
        over = not self._seen.is_live(waiting[0].sid)
        return any(
            not one.seen
            or one.missing > 0
            or (over and not one.terms.settled)
            or (one.ended is not None and now - one.ended >= _SETTLING)
            or now - one.began >= LONGEST_WATCH
            for one in waiting
        )

    async def _single(self, sid: str, waiting: Sequence[Waiter], *, shared: bool) -> None:
        """Read one call with a single request, or a coalesced one."""
        details = any(one.terms.details for one in waiting)
        # Separate waits for calls that were not seen yet share requests.
        first = shared and not any(one.seen for one in waiting)
        ask = self._coalescer.get if first else self._fetcher.single
        options = SendOptions(priority=urgency(waiting))
        try:
            call = await ask(sid, FetchOptions(details=details), options)
        except ExotelError as error:
            _log_retried(self._poll_failed(waiting, error))
            return
        self._update(call, with_details=details)

    def _poll_failed(self, waiting: Iterable[Waiter], error: ExotelError) -> Sequence[ExotelError]:
        """Fail the waiters whose polls failed too often. Return the error if others are retried."""
        retried: Sequence[ExotelError] = ()
        for waiter in waiting:
            if isinstance(error, NotFound) and waiter.seen:
                # The call exists: a single 404 may be wrong.
                waiter.missing += 1
                if waiter.missing < _VANISHED_AFTER:
                    continue
            elif is_transient(error):
                waiter.failures += 1
                if waiter.failures < _FAILURES_BORNE:
                    retried = (error,)
                    continue
            self._fail(waiter, error)
        return retried


def _log_retried(errors: Iterable[ExotelError]) -> None:
    """Log the errors of polls that are retried, each text once."""
    for why in dict.fromkeys(map(str, errors)):
        polls.info("A poll for calls has failed. Trying again: %s", why)

"""Waiting for calls to end: one shared poll for all of a session's waiting calls.

The list of calls leaves out those in progress, so that a call that shows up in it has ended, and a
hundred can be asked for at a time. The service may also say so itself, in a status callback.
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
    defect_of,
    has_come,
    is_enough,
    is_over,
    is_passing,
    may_check,
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
"""Until a call is over, and that shows everywhere."""

_GROWTH: Final = 1.5
_LONGEST: Final = 12  # times the first interval
_TOGETHER: Final = 0.5  # of an interval: calls due that soon are asked for, too
_MOST_IN_A_ROUND: Final = 10  # requests; single ones are made only where the queries leave room
_VANISHED_AFTER: Final = 2  # answers 404 in a row for a call this session knows of
_FAILURES_BORNE: Final = 5  # rounds in a row
_SETTLING: Final = SETTLED_AFTER.total_seconds()
_REMEMBERED: Final = 1_000

logger: Final = logging.getLogger("exotel_async")
polls: Final = logging.getLogger("exotel_async.polls")
"""Logs each poll for calls that has failed and is made again."""


@define
class _Room:
    """How many requests a round may still make."""

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
        # Ends that `notify` has reported, and when.
        self._early: dict[str, tuple[Call, float]] = {}
        self._polling: asyncio.Task[None] | None = None
        self._sooner = asyncio.Event()
        self._requests: set[asyncio.Task[None]] = set()
        # The request for one call that is under way, and how urgent it is.
        self._checks: dict[str, tuple[asyncio.Task[None], Priority]] = {}

    def add(self, sid: str, terms: WaitOptions, deliver: Deliver) -> Waiter | None:
        """Watch a call; `deliver` is called once, with its end or the error.

        It may be called at once: then there is nothing to watch, and None is returned.

        Raises:
            ConfigurationError: the session is closed, or belongs to another event loop.
        """
        self._pipeline.check_loop()
        now = asyncio.get_running_loop().time()
        early, heard = self._early.get(sid, (None, None))
        if early is not None and is_enough(early, terms):
            deliver(early)
            return None
        seen = early is not None or self._seen.was_dialled(sid) or self._seen.is_live(sid)
        waiter = Waiter(
            sid=sid,
            terms=terms,
            deliver=deliver,
            began=now,
            due=now + (terms.interval if terms.is_over or self._seen.is_live(sid) else 0.0),
            interval=terms.interval,
            seen=seen,
            ended=heard,
        )
        self._waiters.setdefault(sid, []).append(waiter)
        self._wake()
        return waiter

    def drop(self, waiter: Waiter | None) -> None:
        """Stop watching. Does nothing if the result was delivered already."""
        if waiter is None or waiter.told:
            return
        waiter.told = True
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
        """Take a call's state from elsewhere. Whether that has ended anybody's wait.

        Raises:
            ConfigurationError: the session is closed, or belongs to another event loop.
        """
        self._pipeline.check_loop()
        now = asyncio.get_running_loop().time()
        if is_over(call):
            _, heard = self._early.pop(call.sid, (None, now))
            if len(self._early) >= _REMEMBERED:
                del self._early[next(iter(self._early))]
            self._early[call.sid] = call, heard
        elif call.sid in self._early:
            return False  # an old callback that comes late
        self._seen.saw(call)
        told = self._hear(call)
        for waiter in self._waiters.get(call.sid, ()):
            if waiter.ended is not None:
                # What is missing can be asked for soon, together with others that end now.
                waiter.due = min(waiter.due, now + waiter.terms.interval)
                self._sooner.set()
        return told

    def _hear(self, call: Call, *, whole: bool = False) -> bool:
        """Take note of how a call stands. Whether that has ended anybody's wait.

        `whole` is whether it has its details, if there are any.
        """
        told = False
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
            if not has_come(call, waiter.terms) and now - waiter.ended < _SETTLING:
                continue
            if waiter.terms.details and call.details is None and not whole:
                waiter.lacking = True
                continue
            self._tell(waiter, call)
            told = True
        return told

    def _tell(self, waiter: Waiter, how: Call | ExotelError) -> None:
        # It may have been delivered in another way meanwhile.
        if not waiter.told:
            self.drop(waiter)
            waiter.deliver(how)

    def _fail(self, waiter: Waiter, error: ExotelError) -> None:
        # Each raises its own: a raised error carries the trace of where it was raised.
        self._tell(waiter, copy.copy(error))

    def _fail_all(self, error: ExotelError) -> None:
        for waiting in list(self._waiters.values()):
            for waiter in list(waiting):
                self._fail(waiter, error)

    # The poll: one task for all of them, which sees to it that requests are made when they are due.

    def _wake(self) -> None:
        if self._polling is None or self._polling.done():
            # For all that wait, and so in the trace of none of them.
            self._polling = asyncio.get_running_loop().create_task(self._poll(), context=Context())
        else:
            self._sooner.set()

    async def _poll(self) -> None:
        try:
            while self._waiters:
                self._pipeline.check_loop()
                self._sooner.clear()
                await self._pause(self._begin_round())
        except asyncio.CancelledError:
            if self._polling is asyncio.current_task():  # somebody has cancelled all tasks
                self._fail_all(ConfigurationError("the poll for calls was cancelled"))
            raise
        except ConfigurationError as error:  # the session is closed
            self._fail_all(error)
        except Exception as error:
            logger.exception("Waiting for calls has failed")
            self._fail_all(defect_of(error))
        finally:
            if self._polling is asyncio.current_task():
                self._polling = None
                if self._waiters:  # a caller that got the error has begun again
                    self._wake()

    async def _pause(self, seconds: float) -> None:
        """Wait that long, or until somebody may be due sooner."""
        timer = None
        if seconds < math.inf:
            timer = asyncio.get_running_loop().call_later(seconds, self._sooner.set)
        try:
            await self._pipeline.wait(self._sooner.wait())
        finally:
            if timer is not None:
                timer.cancel()

    def _begin_round(self) -> float:
        """Ask for all that are due, if any are. How long it is until the next are due."""
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
        """Begin the requests of a round. They run beside the poll, however long they take."""
        by_urgency = sorted(due, key=lambda sid: urgency(due[sid]))
        listable: list[str] = []
        for sid in by_urgency:
            # One alone is asked for by its own request: the list leaves out calls in progress, but
            # also those that do not exist.
            if len(due) > 1 and call_query.is_listable(sid):
                listable.append(sid)
            else:
                self._check(sid, due[sid], shared=True)
        most = call_query.MOST_SIDS
        chunks = [listable[at : at + most] for at in range(0, len(listable), most)]
        # Beyond a thousand calls there is room for some nevertheless, or they are never checked.
        spare = max(_MOST_IN_A_ROUND - len(chunks), (len(chunks) - 1) // _MOST_IN_A_ROUND)
        room = _Room(spare)
        for chunk in chunks:
            asked = {sid: due[sid] for sid in chunk}
            everybody = [one for waiting in asked.values() for one in waiting]
            self._request(self._query(asked, room), everybody)

    def _check(self, sid: str, waiting: Sequence[Waiter], *, shared: bool = False) -> None:
        """Ask for one call singly, beside the rounds: many of them may take their time.

        `shared` is whether it may go along with others after all, if nobody has seen it yet.
        """
        priority = urgency(waiting)
        _, running = self._checks.get(sid, (None, None))
        if running is not None and running <= priority:
            # An earlier caller has asked: its answer goes to all.
            for waiter in waiting:
                self._rest(waiter)
            return
        task = self._request(self._single(sid, waiting, shared=shared), waiting)
        self._checks[sid] = task, priority
        task.add_done_callback(partial(self._checked, sid))

    def _checked(self, sid: str, task: asyncio.Task[None]) -> None:
        if self._checks.get(sid, (None, None))[0] is task:
            del self._checks[sid]

    def _request(
        self, work: Coroutine[Any, Any, None], asked: Sequence[Waiter]
    ) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._requests.add(task)
        task.add_done_callback(partial(self._requested, asked=asked))
        for waiter in asked:
            waiter.asking = task
        return task

    def _requested(self, task: asyncio.Task[None], asked: Iterable[Waiter]) -> None:
        """Let those that were asked for wait for their next turn, however a request has ended."""
        self._requests.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("Waiting for calls has failed", exc_info=error)
        for waiter in asked:
            if waiter.asking is not task:
                continue
            if error is not None:
                self._fail(waiter, defect_of(error))
            self._rest(waiter)

    def _rest(self, waiter: Waiter) -> None:
        """Let it wait for its next turn."""
        waiter.asking = None
        waiter.rounds += 1
        waiter.due = asyncio.get_running_loop().time() + waiter.interval
        longest = _LONGEST * waiter.terms.interval
        waiter.interval = min(longest, waiter.interval * _GROWTH)
        self._sooner.set()

    async def _query(self, asked: Mapping[str, Sequence[Waiter]], room: _Room) -> None:
        """Ask for up to a hundred calls."""
        everybody = [one for waiting in asked.values() for one in waiting]
        details = any(one.terms.details for one in everybody)
        wanted = FetchOptions(details=details and self._fetcher.serves(FetchOptions(details=True)))
        options = SendOptions(priority=urgency(everybody))
        answers: dict[str, Call | ExotelError]
        try:
            answers = await self._fetcher.batch(list(asked), wanted, options)
        except ConfigurationError as error:  # the session is closed
            answers = dict.fromkeys(asked, error)
        retried: list[ExotelError] = []
        for sid, waiting in asked.items():
            answer = answers.get(sid)
            if isinstance(answer, Call):
                self._hear(answer)
            # That there is no list says nothing about any call on it.
            elif answer is not None and not (isinstance(answer, APIError) and answer.status == 404):
                retried += self._failed(waiting, answer)
                continue
            left = [one for one in waiting if not one.told]
            if left and self._must_check(left, listed=isinstance(answer, Call)):
                self._check(sid, left)
            elif left and not isinstance(answer, Call) and room.left > 0 and may_check(left):
                room.left -= 1
                for waiter in left:
                    waiter.check_after *= 2
                self._check(sid, left)
        _log_retried(retried)

    def _must_check(self, waiting: Sequence[Waiter], *, listed: bool) -> bool:
        """Whether a call has to be asked for singly after a query."""
        if listed:  # and yet waited for: the list may not have what is wanted
            return any(one.lacking for one in waiting)
        now = asyncio.get_running_loop().time()
        # The list may have shown that it is over, but without the details that are wanted.
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
        """Ask for one call."""
        details = any(one.terms.details for one in waiting)
        # Whoever waits for calls of others, each for itself, has them looked up together.
        first = shared and not any(one.seen for one in waiting)
        ask = self._coalescer.get if first else self._fetcher.single
        options = SendOptions(priority=urgency(waiting))
        try:
            call = await ask(sid, FetchOptions(details=details), options)
        except ExotelError as error:
            _log_retried(self._failed(waiting, error))
            return
        self._hear(call, whole=details)

    def _failed(self, waiting: Iterable[Waiter], error: ExotelError) -> Sequence[ExotelError]:
        """Fail those whose polls have failed too often. Returns the error if others try again."""
        retried: Sequence[ExotelError] = ()
        for waiter in waiting:
            if isinstance(error, NotFound) and waiter.seen:
                # It was there: one answer may be mistaken.
                waiter.missing += 1
                if waiter.missing < _VANISHED_AFTER:
                    continue
            elif is_passing(error):
                waiter.failures += 1
                if waiter.failures < _FAILURES_BORNE:
                    retried = (error,)
                    continue
            self._fail(waiter, error)
        return retried


def _log_retried(errors: Iterable[ExotelError]) -> None:
    """Log, once for each, why polls have failed that are made again."""
    for why in dict.fromkeys(map(str, errors)):
        polls.info("A poll for calls has failed and is made again: %s", why)

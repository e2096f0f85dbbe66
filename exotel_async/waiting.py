"""Waiting for calls to end: one shared poll for all of a session's waiting calls.

The list of calls leaves out those that go on, so that a call that shows up in it has ended, and a
hundred can be asked for at a time. The service may also say so itself, in a status callback.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from attrs import define, frozen

from exotel_async import queries
from exotel_async.bulk import Bulk, Wanted
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import (
    ConfigurationError,
    ConnectionFailed,
    DecodeError,
    ExotelError,
    NotFound,
    RateLimited,
    RequestTimeout,
    ServerError,
)
from exotel_async.known import KnownCalls
from exotel_async.models import Call

if TYPE_CHECKING:
    from exotel_async.pipeline import Pipeline

FIRST_POLL: Final = 5.0
"""Seconds until a call is asked for first."""

_GROWTH: Final = 1.5
_LONGEST: Final = 12  # times the first interval
_TOGETHER: Final = 0.25  # of an interval: who is due that soon goes along
_MOST_IN_A_ROUND: Final = 10  # requests; single ones are made only where the queries leave room
_CHECKED_AFTER: Final = 8  # rounds without news; then after twice as many, and so on
_VANISHED_AFTER: Final = 2  # answers 404 in a row for a call this session knows of
_FAILURES_BORNE: Final = 5  # rounds in a row
_PASSING: Final = (ConnectionFailed, DecodeError, RateLimited, RequestTimeout, ServerError)
_SETTLING: Final = 15 * 60.0  # seconds: the longest the numbers take by Exotel's own word
_LONGEST_CALL: Final = 4 * 3600.0 + _SETTLING
_REMEMBERED: Final = 1_000

logger: Final = logging.getLogger("exotel_async")

Deliver = Callable[[Call | ExotelError], object]


@frozen(kw_only=True)
class Terms:
    """What is waited for, and how.

    Attributes:
        settled: wait for length, price and end as well, not for the status alone.
        details: tell legs and talk time as well.
        interval: seconds until the first poll; it grows from there.
        priority: who goes first when the budget is short.
    """

    settled: bool = False
    details: bool = False
    interval: float = FIRST_POLL
    priority: Priority = Priority.INTERACTIVE


@define(eq=False)
class Watched:
    """One call that somebody waits for."""

    sid: str
    terms: Terms
    deliver: Deliver
    began: float
    """By the clock of the event loop, as the other moments here."""
    due: float
    interval: float
    seen: bool
    """Whether the service has shown that there is such a call."""
    rounds: int = 0
    check_after: int = _CHECKED_AFTER
    missing: int = 0
    failures: int = 0
    ended: float | None = None
    """When it was seen to be over, where its numbers are waited for as well."""


class Watch:
    """Watches calls of one session until they end."""

    def __init__(self, pipeline: Pipeline, bulk: Bulk, known: KnownCalls) -> None:
        self._pipeline = pipeline
        self._bulk = bulk
        self._known = known
        self._watched: dict[str, list[Watched]] = {}
        self._early: dict[str, Call] = {}
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._polling: asyncio.Task[None] | None = None
        self._sooner = asyncio.Event()

    def add(self, sid: str, terms: Terms, deliver: Deliver) -> Watched | None:
        """Watch a call; `deliver` is told its end, or why it cannot be had, once.

        It may be told at once: then there is nothing to be watched, and None is returned.

        Raises:
            ConfigurationError: the session is closed, or belongs to another event loop.
        """
        self._pipeline.check_loop()
        early = self._early.get(sid)
        settling = terms.settled and early is not None and not call_is_settled(early)
        if early is not None and not terms.details and not settling:
            deliver(early)
            return None
        loop = asyncio.get_running_loop()
        seen = self._known.was_dialled(sid) or self._known.is_live(sid)
        watched = Watched(
            sid=sid,
            terms=terms,
            deliver=deliver,
            began=loop.time(),
            due=loop.time() + (terms.interval if seen else 0.0),
            interval=terms.interval,
            seen=seen,
        )
        self._watched.setdefault(sid, []).append(watched)
        if self._polling is None or self._polling.done():
            self._polling = loop.create_task(self._poll())
        else:
            self._sooner.set()
        return watched

    def drop(self, watched: Watched | None) -> None:
        """Watch it no more. Does nothing if it was told already."""
        waiting = self._watched.get(watched.sid) if watched else None
        if watched and waiting and watched in waiting:
            waiting.remove(watched)
            if not waiting:
                del self._watched[watched.sid]
                check = self._checks.get(watched.sid)
                if check is not None and check is not asyncio.current_task():
                    check.cancel()
        polling = self._polling
        if not self._watched and polling is not None and polling is not asyncio.current_task():
            polling.cancel()
            self._polling = None

    def resolve(self, call: Call) -> bool:
        """Take a call's state from elsewhere. Whether that has ended anybody's wait."""
        self._known.saw(call)
        if call.is_final:
            if len(self._early) >= _REMEMBERED:
                del self._early[next(iter(self._early))]
            self._early[call.sid] = call
        told = self._hear(call)
        for watched in self._watched.get(call.sid, ()):
            if call.is_final:
                # What is still missing can be asked for.
                watched.due = asyncio.get_running_loop().time()
                self._sooner.set()
        return told

    def _hear(self, call: Call, *, singly: bool = False) -> bool:
        """Take note of how a call stands. Whether that has ended anybody's wait.

        Args:
            call: the call.
            singly: whether more cannot be had of it now.
        """
        told = False
        now = asyncio.get_running_loop().time()
        for watched in list(self._watched.get(call.sid, ())):
            watched.seen, watched.missing, watched.failures = True, 0, 0
            watched.rounds = 0
            if not call.is_final:
                continue
            watched.ended = watched.ended or now
            if watched.terms.details and call.details is None and not singly:
                continue
            settling = watched.terms.settled and not call_is_settled(call)
            if settling and now - watched.ended < _SETTLING:
                continue
            self.drop(watched)
            watched.deliver(call)
            told = True
        return told

    def _fail(self, watched: Watched, error: ExotelError) -> None:
        self.drop(watched)
        watched.deliver(error)

    # The poll: one task for all of them.

    async def _poll(self) -> None:
        try:
            while self._watched:
                await self._next_round()
        except ConfigurationError as error:  # the session is closed
            self._fail_all(error)
        except Exception as error:
            logger.exception("Waiting for calls has failed")
            self._fail_all(ExotelError(f"waiting for calls has failed: {type(error).__name__}"))

    async def _next_round(self) -> None:
        time = asyncio.get_running_loop().time
        everybody = [one for waiting in self._watched.values() for one in waiting]
        wait = min(one.due for one in everybody) - time()
        if wait <= 0:
            now = time()
            await self._round(
                {one for one in everybody if one.due <= now + _TOGETHER * one.interval}
            )
            return
        self._pipeline.check_loop()
        self._sooner.clear()
        with self._pipeline.parking:
            try:
                async with asyncio.timeout(wait):
                    await self._sooner.wait()
            except TimeoutError:
                pass

    def _fail_all(self, error: ExotelError) -> None:
        for waiting in list(self._watched.values()):
            for watched in list(waiting):
                self._fail(watched, error)

    async def _round(self, due: set[Watched]) -> None:
        """Ask for all that are due, and set when they are due next."""
        by_sid: dict[str, list[Watched]] = {}
        for watched in sorted(due, key=lambda one: one.terms.priority):
            by_sid.setdefault(watched.sid, []).append(watched)
        details = any(one.terms.details for one in due) and self._bulk.serves(Wanted(details=True))
        many = [sid for sid in by_sid if queries.is_listable(sid)] if len(by_sid) > 1 else []
        most = queries.MOST_SIDS
        chunks = [many[at : at + most] for at in range(0, len(many), most)]
        asked = (self._ask(chunk, by_sid, details=details) for chunk in chunks)
        listed: set[str] = set()
        for chunk, answers in zip(chunks, await asyncio.gather(*asked), strict=True):
            for sid in chunk:
                answer = answers.get(sid)
                if isinstance(answer, Call):
                    self._hear(answer)
                    listed.add(sid)
                elif answer is not None:
                    self._failed(by_sid[sid], answer)
                    listed.add(sid)
        room = _MOST_IN_A_ROUND - len(chunks)
        for sid in by_sid:
            waiting = [one for one in self._watched.get(sid, ()) if one in due]
            if not waiting or sid in self._checks:
                continue
            if self._must_check(waiting, listed=sid in listed, alone=len(by_sid) == 1):
                self._check(waiting)
            elif sid not in listed and room > 0 and _may_check(waiting):
                room -= 1
                self._check(waiting)
        now = asyncio.get_running_loop().time()
        for watched in due:
            watched.rounds += 1
            watched.due = now + watched.interval
            longest = _LONGEST * watched.terms.interval
            watched.interval = min(longest, watched.interval * _GROWTH)

    async def _ask(
        self, chunk: list[str], by_sid: dict[str, list[Watched]], *, details: bool
    ) -> dict[str, Call | ExotelError]:
        # Sorted by priority: the first of them is the most urgent.
        options = SendOptions(priority=by_sid[chunk[0]][0].terms.priority)
        return await self._bulk.batch(chunk, Wanted(details=details), options)

    def _must_check(self, waiting: Sequence[Watched], *, listed: bool, alone: bool) -> bool:
        """Whether a call has to be asked for singly after a round."""
        if listed:  # and yet waited for: its details were not in the list, or its numbers
            return any(one.terms.details and one.ended is not None for one in waiting)
        now = asyncio.get_running_loop().time()
        return (
            alone
            or not queries.is_listable(waiting[0].sid)
            or any(not one.seen or now - one.began >= _LONGEST_CALL for one in waiting)
        )

    def _check(self, waiting: Sequence[Watched]) -> None:
        """Ask singly for a call, beside the rounds: many of them may take their time.

        The list leaves out what goes on, but also what does not exist.
        """
        sid = waiting[0].sid
        task = asyncio.get_running_loop().create_task(self._single(waiting))
        self._checks[sid] = task
        task.add_done_callback(lambda _: self._checks.pop(sid, None))

    async def _single(self, waiting: Sequence[Watched]) -> None:
        first = waiting[0]
        wanted = Wanted(details=any(one.terms.details for one in waiting))
        try:
            call = await self._bulk.single(
                first.sid, wanted, SendOptions(priority=first.terms.priority)
            )
        except ExotelError as error:
            self._failed(waiting, error)
            return
        for watched in waiting:
            watched.check_after *= 2
        self._hear(call, singly=True)

    def _failed(self, waiting: Sequence[Watched], error: ExotelError) -> None:
        for watched in waiting:
            if isinstance(error, NotFound) and watched.seen:
                # It was there: one answer may be mistaken.
                watched.missing += 1
                watched.rounds = watched.check_after
                if watched.missing < _VANISHED_AFTER:
                    continue
            elif isinstance(error, _PASSING):
                watched.failures += 1
                if watched.failures < _FAILURES_BORNE:
                    logger.info("A poll for calls has failed and is made again: %s", error)
                    continue
            self._fail(watched, error)


def _may_check(waiting: Sequence[Watched]) -> bool:
    """Whether a call has not been heard of for so long that a request is worth it."""
    return any(one.rounds >= one.check_after for one in waiting)


def call_is_settled(call: Call) -> bool:
    """Whether what comes after a call's end has come: its length, price and end."""
    return call.is_final and None not in {call.duration, call.price, call.ended_at}

"""Finding the call of a dial whose answer was lost."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict, deque
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from attrs import define, field, frozen

from exotel_async.calls.fetch import CallFetcher, FetchOptions
from exotel_async.calls.list_pages import PageFetcher
from exotel_async.calls.reconcile_claims import LostDial, LostDials
from exotel_async.calls.reconcile_match import Match
from exotel_async.calls.reconcile_scan import DialWindow, RecordScanner
from exotel_async.calls.seen import SeenCalls, remember
from exotel_async.calls.wait_state import LONGEST_CALL, SETTLED_AFTER, is_passing
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import (
    CallOutcomeUnknown,
    ConfigurationError,
    ExotelError,
    NotFound,
)
from exotel_async.http.pipeline import Pipeline
from exotel_async.models import Call
from exotel_async.models.value import Value
from exotel_async.wire.time_range import TimeRange

FIRST_LOOK: Final = 30.0
"""Seconds between the first look and the second."""

_GROWTH: Final = 1.5
_LONGEST: Final = 20  # times the first interval
# Clocks are compared by whole seconds, and a request that was given up may still arrive.
_BEFORE: Final = timedelta(seconds=5)
_AFTER: Final = timedelta(seconds=90)
_OFF: Final = timedelta(seconds=30)
"""Between two readings of Exotel's clock: one of them was wrong."""
_FAILURES_BORNE: Final = 5  # in a row
_REMEMBERED: Final = 1_000
_MOST_READ: Final = 20  # callbacks that cost a request, for one dial

logger: Final = logging.getLogger("exotel_async")


@frozen
class CallFound(Value):
    """The dial did happen.

    Attributes:
        call: the call it made.
    """

    call: Call


@frozen
class CallNotFound(Value):
    """No call of that dial was found.

    Attributes:
        certain: whether that means there is none. A call is among the records only when it is over:
            before `certain_at` it may still be in progress.
        certain_at: from when on it would be certain; aware, UTC, by Exotel's clock.
    """

    certain: bool
    certain_at: datetime


@frozen
class CallAmbiguous(Value):
    """There are calls that may be the one, and none that is so for certain.

    They are several; or one that does not quite look like it; or one that may as well be that of
    another dial of this session whose outcome is not known: between the same parties, at the same
    time, and no custom field distinguishes them.

    Attributes:
        candidates: the calls, oldest first.
    """

    candidates: tuple[Call, ...]


Reconciliation = CallFound | CallNotFound | CallAmbiguous

_Seen = dict[str, Call]
"""Calls that may be the one, by SID, oldest first."""


@define(eq=False)
class _Search:
    """A search for the call of a dial."""

    error: CallOutcomeUnknown
    dial: LostDial
    news: asyncio.Future[None]
    told: deque[Call] = field(factory=deque)
    """Calls that callbacks have reported."""
    read: int = 0
    """How many of them have cost a request."""

    def tell(self) -> None:
        """Wake the search that waits for news."""
        if not self.news.done():
            self.news.set_result(None)


class Reconciler:
    """Looks for the calls of dials whose outcome is not known."""

    def __init__(
        self,
        pipeline: Pipeline,
        pages: PageFetcher,
        fetcher: CallFetcher,
        known: SeenCalls,
        account_sid: str,
    ) -> None:
        self._pipeline = pipeline
        self._pages = pages
        self._fetcher = fetcher
        self._dials = LostDials(known)
        self._searches: list[_Search] = []
        # Calls with a custom field as callbacks have reported them, by SID.
        self._heard: OrderedDict[str, Call] = OrderedDict()
        pipeline.on_lost_dial = self._note_dial
        pipeline.on_late_answer = self._answered_late
        self._scanners = {
            priority: RecordScanner(pages, account_sid, priority) for priority in Priority
        }

    async def reconcile(
        self,
        error: CallOutcomeUnknown,
        options: SendOptions,
        *,
        timeout: float | None,
        interval: float,
    ) -> Reconciliation:
        """Look until the call is found, or it is certain that there is none, or time is up.

        One look is made whatever the time.

        Raises:
            ExotelError: the call records could not be read, several times in a row.
        """
        dial = self._dials.of(error)
        sid = self._dials.sid_of(dial)
        if sid is not None:
            return CallFound(await self._read(error, sid, options.priority))
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout is None else loop.time() + timeout
        search = _Search(error, dial, loop.create_future(), deque(self._heard.values()))
        self._searches.append(search)
        try:
            # The time limit of a request is none for a search that may take hours.
            return await self._search(search, options.priority, deadline, interval)
        finally:
            self._searches.remove(search)

    def settle(self, call: Call) -> None:
        """Take a call from a status callback: it may be one that is looked for, or will be."""
        if call.custom_field is None:
            return
        remember(self._heard, call.sid, call, _REMEMBERED)
        for search in self._searches:
            if self._is_marked(call, search.dial):
                search.told.append(call)
                search.tell()

    async def _search(
        self, search: _Search, priority: Priority, deadline: float, interval: float
    ) -> Reconciliation:
        time = asyncio.get_running_loop().time
        dial, longest, failures = search.dial, interval * _LONGEST, 0
        await self._learn_clock(priority, deadline, interval)
        minutes = dial.minutes = self._minutes_of(dial)
        is_fresh = False
        seen: _Seen | None = None
        while True:
            over = self._pages.now() >= minutes.certain_at
            look: Call | _Seen | None = None
            try:
                until = math.inf if seen is None else deadline
                look = await self._look(search, minutes, priority, until)
                failures = 0
            except ExotelError as failure:
                failures += 1
                if time() >= deadline or not _is_borne(failure, failures):
                    raise
                logger.info("Searching the call records has failed and is repeated: %s", failure)
            if isinstance(look, Call):
                return CallFound(look)
            if look is not None:
                # By a clock that has just been read, or of a dial that was lost again meanwhile.
                anew = self._minutes_of(dial) if is_fresh else self._possible_minutes(dial)
                is_fresh = True
                if anew is not minutes:
                    minutes = dial.minutes = anew
                    continue
            if look is not None:
                seen = look
                found = self._decide(dial, seen)
                if found is not None:
                    return found
            left = (minutes.certain_at - self._pages.now()).total_seconds()
            wait = min(left + 1 if left > 0 else interval, interval, deadline - time())
            at_end = over and look is not None
            if seen is not None and (at_end or wait <= 0):
                candidates = self._likely(dial, seen) or self._like(dial, seen, Match.DOUBTFUL)
                if candidates:
                    return CallAmbiguous(candidates)
                # By another clock we may have looked at other minutes than those.
                dial.is_void = at_end and minutes.is_exact
                return CallNotFound(dial.is_void, minutes.certain_at)
            told = await self._meanwhile(search, minutes, priority, None, time() + wait)
            if told is not None:
                return CallFound(told)
            interval = min(longest, interval * _GROWTH)

    async def _look(
        self, search: _Search, minutes: DialWindow, priority: Priority, until: float
    ) -> Call | _Seen | None:
        """Look at the records of those minutes; None if time is up before their end.

        If a callback reports the call before, return it.

        Raises:
            ExotelError: they could not be read.
        """
        seen: _Seen = {}
        note = partial(self._note, search.dial, seen)
        for time_range in minutes.ranges:
            with self._scanners[priority].look(time_range, note) as look:
                found = await self._meanwhile(search, minutes, priority, look, until)
                if found is not None or not look.done():
                    return found
                look.result()
        return seen

    def _minutes_of(self, dial: LostDial) -> DialWindow:
        return dial.minutes or self._minutes_now(dial)

    def _possible_minutes(self, dial: LostDial) -> DialWindow:
        """Tell when the call of a dial may have been created, by all readings of Exotel's clock."""
        minutes, anew = self._minutes_of(dial), self._minutes_now(dial)
        # Our clock was put right meanwhile. Or this machine has slept, and what was known of
        # Exotel's clock was old. Which of them is not known.
        return minutes if minutes.cover(anew, _OFF) else minutes | anew

    def _minutes_now(self, dial: LostDial) -> DialWindow:
        """Tell when the call of a dial was created, by what is known of Exotel's clock now."""
        clock = self._pipeline.server_clock
        first, last = clock.shift(dial.sent_at), clock.shift(dial.lost_at)
        return DialWindow(
            ranges=(TimeRange((first - _BEFORE).replace(microsecond=0), last + _AFTER),),
            certain_at=last + (dial.time_limit or LONGEST_CALL) + SETTLED_AFTER,
            is_exact=clock.now() is not None,
        )

    async def _learn_clock(self, priority: Priority, deadline: float, interval: float) -> None:
        failures = 0
        while True:
            try:
                await self._pages.learn_clock(SendOptions(priority=priority))
            except ExotelError as failure:
                failures += 1
                late = asyncio.get_running_loop().time() + interval > deadline
                if late or not _is_borne(failure, failures):
                    raise
                await self._pipeline.sleep(interval)
            else:
                return

    async def _meanwhile(
        self,
        search: _Search,
        minutes: DialWindow,
        priority: Priority,
        look: asyncio.Future[None] | None,
        until: float,
    ) -> Call | None:
        """Wait until a look has ended, or time is up, or return the call if it is reported."""
        time = asyncio.get_running_loop().time
        while True:
            found = await self._told(search, minutes, priority)
            if found is not None or (look is not None and look.done()) or time() >= until:
                return found
            awaited = [search.news] if look is None else [search.news, look]
            left = None if until == math.inf else until - time()
            await self._pipeline.wait(
                asyncio.wait(awaited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            )

    async def _told(self, search: _Search, minutes: DialWindow, priority: Priority) -> Call | None:
        """Return the call, if it has been reported."""
        if search.news.done():
            search.news = asyncio.get_running_loop().create_future()
        dial = search.dial
        sid = self._dials.sid_of(dial)
        if sid is not None:
            return await self._read(search.error, sid, priority)
        while search.told:
            call: Call | None = search.told.popleft()
            if (
                call is not None
                and self._is_marked(call, dial)
                and not dial.dialled.shows_enough(call)
            ):
                call = await self._record(search, call.sid, priority)
            if (
                call is not None
                and self._is_marked(call, dial)
                and minutes.have(call)
                and not self._may_be_anothers(call, dial)
            ):
                self._dials.found(dial, call.sid)
                return call
        return None

    async def _record(self, search: _Search, sid: str, priority: Priority) -> Call | None:
        """Read a call that a callback has reported without showing enough of it."""
        search.read += 1
        if search.read > _MOST_READ:
            return None
        try:
            return await self._fetcher.single(sid, FetchOptions(), SendOptions(priority=priority))
        except ConfigurationError:
            raise
        except ExotelError as failure:
            logger.info("The call named by a status callback could not be read: %s", failure)
            return None

    async def _read(self, error: CallOutcomeUnknown, sid: str, priority: Priority) -> Call:
        """Read the call of a dial: it was made."""
        try:
            return await self._fetcher.single(sid, FetchOptions(), SendOptions(priority=priority))
        except NotFound:
            return Call(sid=sid, from_=error.from_, to=error.to, custom_field=error.custom_field)

    def _note_dial(self, error: CallOutcomeUnknown) -> None:
        """Keep what is known of Exotel's clock when a dial is lost: later it may be old."""
        dial = self._dials.of(error)
        if self._pipeline.server_clock.now() is not None:
            dial.minutes = self._minutes_now(dial)

    def _answered_late(self, error: CallOutcomeUnknown, call: Call) -> None:
        dial = self._dials.of(error)
        error.sid = error.sid or call.sid
        self._dials.answered(dial, error.sid)
        for search in self._searches:
            if search.dial is dial:
                search.tell()

    def _note(self, dial: LostDial, seen: _Seen, call: Call) -> None:
        if self._match(call, dial) > Match.ANOTHER:
            seen[call.sid] = call

    def _decide(self, dial: LostDial, seen: _Seen) -> CallFound | CallAmbiguous | None:
        """Tell which call is a dial's, as far as that will not be clearer later."""
        likely = self._likely(dial, seen)
        if len(likely) > 1:
            return CallAmbiguous(likely)
        if not likely or self._may_be_anothers(likely[0], dial):
            return None
        self._dials.found(dial, likely[0].sid)
        return CallFound(likely[0])

    def _likely(self, dial: LostDial, seen: _Seen) -> tuple[Call, ...]:
        marked = self._like(dial, seen, Match.MARKED)
        return marked or self._like(dial, seen, Match.ALIKE)

    def _like(self, dial: LostDial, seen: _Seen, match: Match) -> tuple[Call, ...]:
        """Return those that look like the call of a dial so much, by what is known by now."""
        return tuple(one for one in seen.values() if self._match(one, dial) is match)

    def _may_be_anothers(self, call: Call, dial: LostDial) -> bool:
        rivals = self._dials.rivals(call, self._custom_field(call), dial, self._possible_minutes)
        return not all(self._has_another(rival, call) for rival in rivals)

    def _has_another(self, dial: LostDial, call: Call) -> bool:
        """Whether callbacks have reported the call of a dial, and it is not this one."""
        minutes = self._possible_minutes(dial)
        return any(
            self._is_marked(one, dial) and dial.dialled.shows_enough(one) and minutes.have(one)
            for one in self._heard.values()
            if one.sid != call.sid
        )

    def _match(self, call: Call, dial: LostDial) -> Match:
        if self._dials.is_anothers(call.sid, dial):
            return Match.ANOTHER
        return dial.dialled.match(call, self._custom_field(call))

    def _custom_field(self, call: Call) -> str | None:
        """Return a call's custom field, where it is known."""
        return call.custom_field or self._heard.get(call.sid, call).custom_field

    def _is_marked(self, call: Call, dial: LostDial) -> bool:
        return self._match(call, dial) is Match.MARKED


def _is_borne(failure: ExotelError, failures: int) -> bool:
    """Whether a failure, the last of several in a row, is no reason to give up."""
    return is_passing(failure) and failures < _FAILURES_BORNE

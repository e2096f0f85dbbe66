"""Finding the call of a dial whose response was lost."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from datetime import datetime
from functools import cached_property, partial
from typing import Any, Final

from attrs import define, field, frozen

from exotel_async.calls.fetch import CallFetcher, FetchOptions
from exotel_async.calls.list_pages import PageFetcher
from exotel_async.calls.reconcile_claims import LostDial, LostDials
from exotel_async.calls.reconcile_evidence import Evidence, Records
from exotel_async.calls.reconcile_scan import DialWindow, RecordScanner
from exotel_async.calls.seen import SeenCalls, account_state
from exotel_async.calls.wait_state import is_transient
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

_GROWTH: Final = 1.5
_LONGEST: Final = 20  # times the first interval
_FAILURES_BORNE: Final = 5  # failures in a row until a search fails
_MAX_READ: Final = 20  # calls of callbacks read with a request, for one dial

logger: Final = logging.getLogger("exotel_async")


@frozen
class CallFound(Value):
    """The dial placed a call.

    Attributes:
        call: that call.
    """

    call: Call


@frozen
class CallNotFound(Value):
    """No call of the dial was found.

    Attributes:
        certain: whether there certainly is none. A call is among the records only when it is over:
            before `certain_at` it may still be in progress.
        certain_at: from when on it would be certain; aware, UTC, by Exotel's clock.
    """

    certain: bool
    certain_at: datetime


@frozen
class CallAmbiguous(Value):
    """There are calls that may be that of the dial, but none for certain.

    There are several; or one that does not match fully; or one in a time range of which the service
    counts more calls than it shows, or which may be wrong because the clock was not known; or one
    that may as well belong to another dial of this account whose outcome is unknown: between the
    same parties, at the same time, and no custom field distinguishes them.

    Attributes:
        candidates: the calls, oldest first.
    """

    candidates: tuple[Call, ...]


Reconciliation = CallFound | CallNotFound | CallAmbiguous


@define(eq=False)
class _Search:
    """One search for the call of a dial."""

    error: CallOutcomeUnknown
    dial: LostDial
    options: SendOptions
    news: asyncio.Future[None]
    reported: deque[Call] = field(factory=deque)
    """Calls that callbacks have reported, and that were not checked yet."""
    read: int = 0
    """How many of them were read with a request."""

    def wake(self) -> None:
        """Wake the search if it waits for news."""
        if not self.news.done():
            self.news.set_result(None)


class Reconciler:
    """Searches for the calls of dials whose outcome is unknown."""

    def __init__(
        self,
        pipeline: Pipeline,
        pages: PageFetcher,
        fetcher: CallFetcher,
    ) -> None:
        self._pipeline = pipeline
        self._pages = pages
        self._fetcher = fetcher
        self._searches: list[_Search] = []
        self._scanners = {priority: RecordScanner(pages, priority) for priority in Priority}

    @cached_property
    def _evidence(self) -> Evidence:
        # Made on first use: it needs the running loop, which there may not be yet in `__init__`.
        account = self._pipeline.account
        dials = account_state(account, "lost dials", lambda: LostDials(SeenCalls(account)))
        return Evidence(self._pipeline.server_clock, dials, self._pipeline.dials.as_lost)

    @property
    def _dials(self) -> LostDials:
        return self._evidence.dials

    async def reconcile(
        self,
        error: CallOutcomeUnknown,
        options: SendOptions,
        *,
        timeout: float | None,
        interval: float,
    ) -> Reconciliation:
        """Search until the call is found, or it is certain that there is none, or time is up.

        The records are searched at least once, however short the timeout.

        Raises:
            ExotelError: the call records could not be read, several times in a row.
        """
        dial = self._dials.of(error)
        sid = self._dials.sid_of(dial)
        # Only the priority: the time limits of a request do not fit a search that may take hours.
        options = SendOptions(priority=options.priority)
        if sid is not None:
            return CallFound(await self._read(error, sid, options))
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout is None else loop.time() + timeout
        reported = deque(self._evidence.reported)
        search = _Search(error, dial, options, loop.create_future(), reported)
        self._searches.append(search)
        try:
            return await self._search(search, deadline, interval)
        finally:
            self._searches.remove(search)

    def settle(self, call: Call) -> None:
        """Take a call from a status callback, for the searches that run and those to come."""
        if call.custom_field is None:
            return
        self._evidence.report(call)
        for search in self._searches:
            if self._evidence.is_marked(call, search.dial):
                search.reported.append(call)
                search.wake()

    async def _search(self, search: _Search, deadline: float, interval: float) -> Reconciliation:
        time = asyncio.get_running_loop().time
        dial, longest, failures = search.dial, interval * _LONGEST, 0
        await self._learn_clock(search.options, deadline, interval)
        minutes = dial.minutes = self._evidence.minutes_of(dial)
        is_fresh = False
        seen: Records | None = None
        while True:
            over = self._pages.now() >= minutes.certain_at
            look: Call | Records | None = None
            try:
                until = math.inf if seen is None else deadline
                look = await self._look(search, minutes, until)
                failures = 0
            except ExotelError as failure:
                failures += 1
                if time() >= deadline or not _may_retry(failure, failures):
                    raise
                logger.info("Searching the call records has failed. Trying again: %s", failure)
            if isinstance(look, Call):
                return CallFound(look)
            if look is not None:
                # The clock may have been read just now, or the dial lost again meanwhile.
                anew = (
                    self._evidence.minutes_of(dial)
                    if is_fresh
                    else self._evidence.possible_minutes(dial)
                )
                is_fresh = True
                if anew is not minutes:
                    minutes = dial.minutes = anew
                    continue
                seen = look
                call = self._evidence.found(dial, seen)
                if call is not None:
                    return CallFound(call)
                if self._evidence.is_ambiguous(dial, seen):
                    return CallAmbiguous(self._evidence.candidates(dial, seen))
            left = (minutes.certain_at - self._pages.now()).total_seconds()
            wait = min(left + 1 if left > 0 else interval, interval, deadline - time())
            at_end = over and look is not None
            if seen is not None and (at_end or wait <= 0):
                candidates = self._evidence.candidates(dial, seen)
                if candidates:
                    return CallAmbiguous(candidates)
                certain = at_end and self._evidence.is_absent(dial, seen)
                return CallNotFound(certain, minutes.certain_at)
            reported = await self._wait(search, minutes, None, time() + wait)
            if reported is not None:
                return CallFound(reported)
            interval = min(longest, interval * _GROWTH)

    async def _look(
        self, search: _Search, minutes: DialWindow, until: float
    ) -> Call | Records | None:
        """Read the records of those minutes and return them; None if time is up before the end.

        If a callback reports the call meanwhile, return that call.

        Raises:
            ExotelError: the records could not be read.
        """
        seen = Records()
        note = partial(self._evidence.note, search.dial, seen)
        for time_range in minutes.ranges:
            with self._scanners[search.options.priority].look(time_range, note) as look:
                found = await self._wait(search, minutes, look, until)
                if found is not None or not look.done():
                    return found
                seen.are_all &= look.result()
        return seen

    async def _learn_clock(self, options: SendOptions, deadline: float, interval: float) -> None:
        failures = 0
        while True:
            try:
                return await self._pages.learn_clock(options)
            except ExotelError as failure:
                failures += 1
                late = asyncio.get_running_loop().time() + interval > deadline
                if late or not _may_retry(failure, failures):
                    raise
                await self._pipeline.sleep(interval)

    async def _wait(
        self, search: _Search, minutes: DialWindow, look: asyncio.Future[bool] | None, until: float
    ) -> Call | None:
        """Wait until the look has ended or time is up; return the call once it is reported."""
        time = asyncio.get_running_loop().time
        while True:
            found = await self._check_reported(search, minutes)
            if found is not None or (look is not None and look.done()) or time() >= until:
                return found
            awaited: list[asyncio.Future[Any]] = [search.news]
            if look is not None:
                awaited.append(look)
            left = None if until == math.inf else until - time()
            await self._pipeline.wait(
                asyncio.wait(awaited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            )

    async def _check_reported(self, search: _Search, minutes: DialWindow) -> Call | None:
        """Return the call of the dial if a response or a callback has reported it."""
        if search.news.done():
            search.news = asyncio.get_running_loop().create_future()
        dial = search.dial
        sid = self._dials.sid_of(dial)
        if sid is not None:
            return await self._read(search.error, sid, search.options)
        while search.reported:
            call: Call | None = search.reported.popleft()
            if (
                call is not None
                and self._evidence.is_marked(call, dial)
                and not dial.dialled.shows_enough(call)
            ):
                call = await self._record(search, call.sid)
            if (
                call is not None
                and self._evidence.is_marked(call, dial)
                and minutes.may_contain(call)
                and not self._evidence.may_be_anothers(call, dial)
            ):
                self._dials.found(dial, call.sid)
                return call
        return None

    async def _record(self, search: _Search, sid: str) -> Call | None:
        """Read a call that a callback has reported with too little data; None if that fails."""
        search.read += 1
        if search.read > _MAX_READ:
            return None
        try:
            return await self._fetcher.single(sid, FetchOptions(), search.options)
        except ConfigurationError:
            raise
        except ExotelError as failure:
            logger.info("The call named by a status callback could not be read: %s", failure)
            return None

    async def _read(self, error: CallOutcomeUnknown, sid: str, options: SendOptions) -> Call:
        """Read the call of a dial, or make it from the error: its SID shows that it was placed."""
        try:
            return await self._fetcher.single(sid, FetchOptions(), options)
        except NotFound:
            return Call(sid=sid, from_=error.from_, to=error.to, custom_field=error.custom_field)

    def note_lost(self, error: CallOutcomeUnknown) -> None:
        """Record a dial whose outcome is unknown, before its caller gets the error."""
        self._evidence.note_lost(error)

    def answered_late(self, error: CallOutcomeUnknown, call: Call) -> None:
        """Record the call of a dial whose response came after its outcome was called unknown."""
        dial = self._dials.of(error)
        error.sid = error.sid or call.sid
        self._dials.answered(dial, error.sid)
        for search in self._searches:
            if search.dial is dial:
                search.wake()


def _may_retry(failure: ExotelError, failures: int) -> bool:
    """Return whether to go on after a failure, the last of `failures` in a row."""
    return is_transient(failure) and failures < _FAILURES_BORNE

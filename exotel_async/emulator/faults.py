"""What can go wrong: faults of answers and of status callbacks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from email.utils import format_datetime
from enum import StrEnum
from functools import wraps
from threading import RLock
from typing import Concatenate, ParamSpec, TypeVar

import attrs

P = ParamSpec("P")
T = TypeVar("T")
_not_negative = attrs.validators.ge(0)


class Ending(StrEnum):
    """How an answer leaves, or does not."""

    SENT = "sent"
    DROPPED = "dropped"
    """The connection closes without a byte of an answer."""
    CUT = "cut"
    """The connection closes in the middle of the body."""
    STALLED = "stalled"
    """Nothing comes, for some time or for ever."""
    DRIPPED = "dripped"
    """The body comes a byte at a time."""


class Garbage(StrEnum):
    """Bodies that are not what was asked for."""

    TRUNCATED = "truncated"
    """The right body, broken off; its length is declared as it is sent."""
    HTML = "html"
    XML = "xml"
    """The right answer in the other representation: XML for `.json`, JSON otherwise."""
    EMPTY = "empty"
    NOT_UTF8 = "not-utf8"
    LIST = "list"
    """JSON, but a list."""


class ListingFault(StrEnum):
    """What can be wrong with an answer of `GET Calls` that looks right."""

    REPEATED_CURSOR = "repeated-cursor"
    REPEATED_ROWS = "repeated-rows"
    WITHOUT_DETAILS = "without-details"


class CallbackFault(StrEnum):
    """What can happen to a status callback."""

    LOST = "lost"
    LATE = "late"
    DUPLICATED = "duplicated"
    REORDERED = "reordered"
    """It changes places with the next one of its call; the last one of a call cannot."""


@attrs.frozen(kw_only=True)
class Fault:
    """One thing that goes wrong. Make it with a class method and hand it to `emulator.faults`.

    Lengths are real seconds: faults try the patience of clients, which does not scale.
    """

    acts: bool = True
    """Whether the request does what it asks for."""
    delay: float = attrs.field(default=0.0, validator=attrs.validators.ge(0.0))
    """Before anything is done."""
    ending: Ending = Ending.SENT
    seconds: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_not_negative)
    )
    """How long a stall lasts, None for ever; or the pause before each byte of a drip; or how late
    a callback comes."""
    reset: bool = False
    """Connections end with RST, not FIN."""
    status: int | None = attrs.field(
        default=None,
        validator=attrs.validators.optional([attrs.validators.ge(200), attrs.validators.le(599)]),
    )
    """Instead of the right one; the body is then an error's."""
    message: str = "Fault injected by the emulator"
    retry_after: float | datetime | str | None = None
    """Seconds, an aware date, or the header as it stands."""
    garbage: Garbage | None = None
    body: bytes | None = None
    """Instead of the right one, with `content_type`."""
    content_type: str | None = None
    listing: ListingFault | None = None
    rows: int = attrs.field(default=0, validator=_not_negative)
    """How many are repeated."""
    callback: CallbackFault | None = None
    copies: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    """How often a duplicated callback is sent."""

    @classmethod
    def drop_before(cls, *, reset: bool = False) -> Fault:
        """Close the connection; nothing was done."""
        return cls(acts=False, ending=Ending.DROPPED, reset=reset)

    @classmethod
    def act_then_drop(cls, *, reset: bool = False) -> Fault:
        """Do it, then close the connection without an answer."""
        return cls(ending=Ending.DROPPED, reset=reset)

    @classmethod
    def act_then_cut(cls, *, reset: bool = False) -> Fault:
        """Do it, then close the connection in the middle of the answer's body."""
        return cls(ending=Ending.CUT, reset=reset)

    @classmethod
    def act_then_status(
        cls, status: int, *, retry_after: float | datetime | str | None = None
    ) -> Fault:
        """Do it, then answer with an error."""
        return cls(status=status, retry_after=retry_after)

    @classmethod
    def answer(
        cls,
        status: int,
        *,
        message: str = "Fault injected by the emulator",
        retry_after: float | datetime | str | None = None,
        body: bytes | None = None,
        content_type: str | None = None,
    ) -> Fault:
        """Answer with that status; nothing was done."""
        return cls(
            acts=False,
            status=status,
            message=message,
            retry_after=retry_after,
            body=body,
            content_type=content_type,
        )

    @classmethod
    def too_many_requests(cls, *, retry_after: float | datetime | str | None = None) -> Fault:
        """Answer 429 although the rate window has room; nothing was done."""
        return cls.answer(429, message="Too many requests", retry_after=retry_after)

    @classmethod
    def act_then_garbage(cls, kind: Garbage | str = Garbage.TRUNCATED) -> Fault:
        """Do it, then answer 200 with a body of that kind."""
        return cls(garbage=Garbage(kind))

    @classmethod
    def act_then_body(
        cls, body: bytes, *, content_type: str = "application/json", status: int | None = None
    ) -> Fault:
        """Do it, then answer with those bytes."""
        return cls(body=body, content_type=content_type, status=status)

    @classmethod
    def act_then_stall(cls, seconds: float | None = None) -> Fault:
        """Do it, then let the answer wait that long; None: it never comes."""
        return cls(ending=Ending.STALLED, seconds=seconds)

    @classmethod
    def act_then_drip(cls, pause: float = 0.05) -> Fault:
        """Do it, then send the body a byte at a time, with that pause before each."""
        return cls(ending=Ending.DRIPPED, seconds=pause)

    @classmethod
    def delay_before(cls, seconds: float | None) -> Fault:
        """Do and answer it that much later, even if the client has gone; None: never."""
        if seconds is None:
            return cls(acts=False, ending=Ending.STALLED)
        return cls(delay=seconds)

    @classmethod
    def repeated_cursor(cls) -> Fault:
        """Answer a page with `NextPageUri` carrying the very cursor the page was asked for with.

        Only a page asked for with `After` can meet it: the first page passes and leaves it be.
        """
        return cls(listing=ListingFault.REPEATED_CURSOR)

    @classmethod
    def repeated_rows(cls, rows: int) -> Fault:
        """Answer a page of `Calls` whose next one begins with so many rows that were in it.

        All of them but the first at most. A page without a next one stays as it is.
        """
        return cls(listing=ListingFault.REPEATED_ROWS, rows=rows)

    @classmethod
    def rows_without_details(cls) -> Fault:
        """Answer a page of `Calls` without `Details`; only one asked for with them can meet it."""
        return cls(listing=ListingFault.WITHOUT_DETAILS)

    @classmethod
    def callback_lost(cls) -> Fault:
        """Do not send a status callback."""
        return cls(callback=CallbackFault.LOST)

    @classmethod
    def callback_late(cls, seconds: float) -> Fault:
        """Send a status callback that much later; those after it do not wait."""
        return cls(callback=CallbackFault.LATE, seconds=seconds)

    @classmethod
    def callback_duplicated(cls, copies: int = 2) -> Fault:
        """Send a status callback that often."""
        return cls(callback=CallbackFault.DUPLICATED, copies=copies)

    @classmethod
    def callback_reordered(cls) -> Fault:
        """Send a status callback after the next one of its call."""
        return cls(callback=CallbackFault.REORDERED)

    def retry_after_header(self) -> str | None:
        """The header's value."""
        match self.retry_after:
            case None:
                return None
            case datetime() as date:
                return format_datetime(date, usegmt=True)
            case str() as text:
                return text
            case seconds:
                return f"{seconds:.12g}"


@attrs.define(kw_only=True, eq=False)
class OrderedFault:
    """A fault on order: which requests, or status callbacks, are to meet it."""

    id: int = attrs.field(on_setattr=attrs.setters.frozen)
    """Counted from 1; none comes twice."""
    fault: Fault
    method: str | None = None
    path: str | None = None
    times: int | None = 1
    """How many are still to meet it; None: all."""
    after: int = 0
    """How many still pass before."""

    def matches(self, method: str, path: str) -> bool:
        """Whether it is meant for such a request."""
        return self.method in {None, method} and (self.path is None or self.path in path)


def _locked(method: Callable[Concatenate[Faults, P], T]) -> Callable[Concatenate[Faults, P], T]:
    """Let threads take turns: a test may run in another one than the emulator."""

    @wraps(method)
    def call(self: Faults, /, *args: P.args, **keywords: P.kwargs) -> T:
        with self._lock:
            return method(self, *args, **keywords)

    return call


class Faults:
    """The faults on order. Each request, and each status callback, takes at most one."""

    def __init__(self) -> None:
        self._orders: list[OrderedFault] = []
        self._added = 0
        self._lock = RLock()

    @_locked
    def add(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        after: int = 0,
    ) -> int:
        """Order a fault for the next requests that match; its id, to remove it by.

        `method` is the whole method, `path` any part of the path, e.g. "Calls/connect"; for the
        fault of a callback they are `POST` and the URL it goes to. `after` matching ones pass
        first, then `times` meet it; None: all. What is refused by the rate window or for its
        credentials meets no fault.
        """
        self._added += 1
        self._orders.append(
            OrderedFault(
                id=self._added, fault=fault, method=method, path=path, times=times, after=after
            )
        )
        return self._added

    @_locked
    def remove(self, fault_id: int) -> None:
        """Forget one. Raises KeyError when it is not on order any more."""
        order = next((order for order in self._orders if order.id == fault_id), None)
        if order is None:
            raise KeyError(fault_id)
        self._orders.remove(order)

    @_locked
    def clear(self) -> None:
        """Forget what is on order."""
        self._orders.clear()

    @property
    @_locked
    def orders(self) -> Sequence[OrderedFault]:
        """The faults still on order, oldest first, with what they wait for."""
        return tuple(self._orders)

    @property
    @_locked
    def pending(self) -> Sequence[Fault]:
        """The faults still on order, oldest first."""
        return [order.fault for order in self._orders]

    def take_for_request(
        self, method: str, path: str, listing: Collection[ListingFault] = ()
    ) -> Fault | None:
        """The fault this request meets; of those of listings one that is possible."""
        # Most requests come when none is on order: these need not take turns.
        return self._take_for_request(method, path, listing) if self._orders else None

    @_locked
    def _take_for_request(
        self, method: str, path: str, listing: Collection[ListingFault]
    ) -> Fault | None:
        possible = {None, *listing}
        orders = [
            o for o in self._orders if o.fault.callback is None and o.fault.listing in possible
        ]
        return self._take(method, path, orders)

    @_locked
    def take_for_callback(self, url: str, *, movable: bool) -> Fault | None:
        """The fault this status callback meets; reordering only if it is movable."""
        barred = None if movable else CallbackFault.REORDERED
        orders = [o for o in self._orders if o.fault.callback not in {None, barred}]
        return self._take("POST", url, orders)

    def _take(self, method: str, path: str, orders: Sequence[OrderedFault]) -> Fault | None:
        for order in orders:
            if not order.matches(method, path):
                continue
            if order.after > 0:
                order.after -= 1
                continue
            if order.times is not None:
                order.times -= 1
                if order.times <= 0:
                    self._orders.remove(order)
            return order.fault
        return None

"""What can go wrong: faults of responses and of status callbacks."""

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
    """How a response is sent, or is not."""

    SENT = "sent"
    DROPPED = "dropped"
    """The connection closes without a byte of a response."""
    CUT = "cut"
    """The connection closes in the middle of the body."""
    STALLED = "stalled"
    """Nothing is sent, for some time or forever."""
    DRIPPED = "dripped"
    """The body is sent one byte at a time."""


class Garbage(StrEnum):
    """Bodies that are not what was requested."""

    TRUNCATED = "truncated"
    """The first half of the correct body; its declared length is that of the half."""
    HTML = "html"
    XML = "xml"
    """The correct response in the other representation: XML for `.json`, JSON otherwise."""
    EMPTY = "empty"
    NOT_UTF8 = "not-utf8"
    LIST = "list"
    """Valid JSON, but a list."""


class ListingFault(StrEnum):
    """What can be wrong with a response to `GET Calls` that looks right."""

    REPEATED_CURSOR = "repeated-cursor"
    REPEATED_ROWS = "repeated-rows"
    WITHOUT_DETAILS = "without-details"


class CallbackFault(StrEnum):
    """What can happen to a status callback."""

    LOST = "lost"
    LATE = "late"
    DUPLICATED = "duplicated"
    REORDERED = "reordered"
    """It is sent after the next one of its call; the last one of a call cannot be."""


@attrs.frozen(kw_only=True)
class Fault:
    """One thing that goes wrong. Create it with a class method; pass it to `emulator.faults.add`.

    Durations are real seconds: faults test the timeouts of clients, which do not scale.
    """

    acts: bool = True
    """Whether the request is carried out."""
    delay: float = attrs.field(default=0.0, validator=attrs.validators.ge(0.0))
    """Before anything is done."""
    ending: Ending = Ending.SENT
    seconds: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_not_negative)
    )
    """How long a stall lasts, None: forever; or the pause before each byte of a drip; or how late a
    callback is sent."""
    reset: bool = False
    """Connections end with RST, not FIN."""
    status: int | None = attrs.field(
        default=None,
        validator=attrs.validators.optional([attrs.validators.ge(200), attrs.validators.le(599)]),
    )
    """Instead of the correct one; the body is then an error's."""
    message: str = "Fault injected by the emulator"
    retry_after: float | datetime | str | None = None
    """Seconds, an aware date, or the literal text of the header."""
    garbage: Garbage | None = None
    body: bytes | None = None
    """Instead of the correct one, with `content_type`."""
    content_type: str | None = None
    listing: ListingFault | None = None
    rows: int = attrs.field(default=0, validator=_not_negative)
    """How many rows are repeated."""
    callback: CallbackFault | None = None
    copies: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    """How often a duplicated callback is sent."""

    @classmethod
    def drop_before(cls, *, reset: bool = False) -> Fault:
        """Close the connection without carrying out the request."""
        return cls(acts=False, ending=Ending.DROPPED, reset=reset)

    @classmethod
    def act_then_drop(cls, *, reset: bool = False) -> Fault:
        """Carry out the request, then close the connection without a response."""
        return cls(ending=Ending.DROPPED, reset=reset)

    @classmethod
    def act_then_cut(cls, *, reset: bool = False) -> Fault:
        """Carry out the request, then close the connection in the middle of the response's body."""
        return cls(ending=Ending.CUT, reset=reset)

    @classmethod
    def act_then_status(
        cls, status: int, *, retry_after: float | datetime | str | None = None
    ) -> Fault:
        """Carry out the request, then answer with an error."""
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
        """Answer with that status without carrying out the request."""
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
        """Answer 429 without carrying out the request, although the rate window has room."""
        return cls.answer(429, message="Too many requests", retry_after=retry_after)

    @classmethod
    def act_then_garbage(cls, kind: Garbage | str = Garbage.TRUNCATED) -> Fault:
        """Carry out the request, then answer 200 with a body of that kind."""
        return cls(garbage=Garbage(kind))

    @classmethod
    def act_then_body(
        cls, body: bytes, *, content_type: str = "application/json", status: int | None = None
    ) -> Fault:
        """Carry out the request, then answer with those bytes."""
        return cls(body=body, content_type=content_type, status=status)

    @classmethod
    def act_then_stall(cls, seconds: float | None = None) -> Fault:
        """Carry out the request, then send the response that much later; None: never."""
        return cls(ending=Ending.STALLED, seconds=seconds)

    @classmethod
    def act_then_drip(cls, pause: float = 0.05) -> Fault:
        """Carry out the request, then send the body byte by byte, with that pause before each."""
        return cls(ending=Ending.DRIPPED, seconds=pause)

    @classmethod
    def delay_before(cls, seconds: float | None) -> Fault:
        """Carry out and answer the request that much later, even if the client has left by then.

        None: never.
        """
        if seconds is None:
            return cls(acts=False, ending=Ending.STALLED)
        return cls(delay=seconds)

    @classmethod
    def repeated_cursor(cls) -> Fault:
        """Answer with a page whose `NextPageUri` has the same cursor as the request for the page.

        Only a request with `After` can meet it: the first page passes, and the fault stays pending.
        """
        return cls(listing=ListingFault.REPEATED_CURSOR)

    @classmethod
    def repeated_rows(cls, rows: int) -> Fault:
        """Answer with a page of `Calls` whose next page begins with that many of the same rows.

        At most all of them but the first. A page without a next one stays as it is.
        """
        return cls(listing=ListingFault.REPEATED_ROWS, rows=rows)

    @classmethod
    def rows_without_details(cls) -> Fault:
        """Answer with a page of `Calls` without `Details`; only requests for them can meet it."""
        return cls(listing=ListingFault.WITHOUT_DETAILS)

    @classmethod
    def callback_lost(cls) -> Fault:
        """Do not send a status callback."""
        return cls(callback=CallbackFault.LOST)

    @classmethod
    def callback_late(cls, seconds: float) -> Fault:
        """Send a status callback that many seconds late; those after it do not wait."""
        return cls(callback=CallbackFault.LATE, seconds=seconds)

    @classmethod
    def callback_duplicated(cls, copies: int = 2) -> Fault:
        """Send a status callback that many times."""
        return cls(callback=CallbackFault.DUPLICATED, copies=copies)

    @classmethod
    def callback_reordered(cls) -> Fault:
        """Send a status callback after the next one of its call."""
        return cls(callback=CallbackFault.REORDERED)

    def retry_after_header(self) -> str | None:
        """Return the header's value."""
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
    """A pending fault: which requests, or status callbacks, are to meet it."""

    id: int = attrs.field(on_setattr=attrs.setters.frozen)
    """Counts up from 1, and is never reused."""
    fault: Fault
    method: str | None = None
    path: str | None = None
    times: int | None = 1
    """How many are still to meet it; None: all."""
    after: int = 0
    """How many still pass before that."""

    def matches(self, method: str, path: str) -> bool:
        """Return whether such a request can meet it."""
        return self.method in {None, method} and (self.path is None or self.path in path)


def _locked(method: Callable[Concatenate[Faults, P], T]) -> Callable[Concatenate[Faults, P], T]:
    """Hold the lock during a call: a test may run in another thread than the emulator."""

    @wraps(method)
    def call(self: Faults, /, *args: P.args, **keywords: P.kwargs) -> T:
        with self._lock:
            return method(self, *args, **keywords)

    return call


class Faults:
    """The pending faults. Each request, and each status callback, meets at most one."""

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
        """Add a fault for the next requests that match; return its id, for `remove`.

        `method` is the whole method, `path` any part of the path, e.g. "Calls/connect"; for the
        fault of a callback they are `POST` and the URL it is sent to. `after` matching ones pass
        first, then `times` meet it; None: all. A request refused by the rate window or for its
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
        """Remove a pending fault. Raises KeyError if there is none with that id."""
        order = next((order for order in self._orders if order.id == fault_id), None)
        if order is None:
            raise KeyError(fault_id)
        self._orders.remove(order)

    @_locked
    def clear(self) -> None:
        """Remove all pending faults."""
        self._orders.clear()

    @property
    @_locked
    def orders(self) -> Sequence[OrderedFault]:
        """The pending faults, oldest first, with their conditions."""
        return tuple(self._orders)

    @property
    @_locked
    def pending(self) -> Sequence[Fault]:
        """The pending faults, oldest first, without their conditions."""
        return [order.fault for order in self._orders]

    def take_for_request(
        self, method: str, path: str, listing: Collection[ListingFault] = ()
    ) -> Fault | None:
        """Return the fault this request meets, if any; of listing faults only one in `listing`."""
        # Usually no fault is pending: then there is no need for the lock.
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
        """Return the fault this status callback meets, if any; reordering only if `movable`."""
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

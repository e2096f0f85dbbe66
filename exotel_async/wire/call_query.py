"""`GET Calls`: what call records are asked for, as pure functions.

The service knows one list of calls, filtered, sorted and given out in pages. Every limit it
documents is checked here, before it costs a request.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final, Generic, TypedDict, TypeGuard, TypeVar

from attrs import evolve, frozen

from exotel_async.errors import InvalidRequest
from exotel_async.models import CallPage, CallStatus, Direction
from exotel_async.phone import normalize_exophone, normalize_shown
from exotel_async.wire.request import Fields, Pairs, Request, get_request, pairs
from exotel_async.wire.time_range import TimeRange
from exotel_async.wire.validation import all_of, flag, minutes, one_of, several, whole_number

MOST_SIDS: Final = 100
"""SIDs one query may name. Documented (VOICE_V1 3)."""
MOST_NUMBERS: Final = 5
"""Numbers one filter may name. Documented (VOICE_V1 3)."""
LARGEST_PAGE: Final = 100
"""Calls on one page. Documented (VOICE_V1 3)."""

# Commas part the SIDs of a query.
_LISTED: Final = r"[A-Za-z0-9_-]{1,128}"
_PLACES: Final = 12  # of an amount, before the point and after it
_WRITTEN: Final = "%Y-%m-%d %H:%M:%S"
_OWN: Final = ("DateCreated", "SortBy", "PageSize", "After", "Before")

T = TypeVar("T")


@frozen
class Between(Generic[T]):
    """A range for a filter, both ends in it: `Between(min=timedelta(seconds=10))`.

    Attributes:
        min: the least; None: no bound.
        max: the most; None: no bound.
    """

    min: T | None = None
    max: T | None = None


class RecordFilters(TypedDict, total=False):
    """Which calls `changes` gives out, and how. Filters that are None let every call through.

    Attributes:
        sids: these calls only, 100 at most.
        to: the party rung second: a number, or up to five.
        from_: the party rung first: a number, or up to five.
        exophone: the ExoPhone: one, or up to five.
        status: how they ended: one word, or several. Exotel documents one word: of several, the
            calls of every status are read and those of the others left out here.
        direction: who began them.
        duration: their whole length, or a range of lengths: `Between(timedelta(seconds=10))`.
        price: what they cost, or a range.
        page_size: calls asked for at a time, 1 to 100; 100 by default.
        details: whether to tell legs and talk time. Not documented for lists, but it works.
        recording_url_validity: how long recording links are to open: 5 to 60 whole minutes.
        extra: parameters this SDK does not know.
    """

    sids: Iterable[str] | None
    to: str | Iterable[str] | None
    from_: str | Iterable[str] | None
    exophone: str | Iterable[str] | None
    status: CallStatus | str | Iterable[CallStatus | str] | None
    direction: Direction | str | None
    duration: timedelta | Between[timedelta] | None
    price: Decimal | Between[Decimal] | None
    page_size: int
    details: bool
    recording_url_validity: timedelta | None
    extra: Mapping[str, str] | None


class CallFilters(RecordFilters, total=False):
    """Which calls `list` gives out, and how: as `RecordFilters` says, and in which order.

    Attributes:
        newest_first: the order, as it is by default; False: oldest first, which is better for long
            reading, for calls that come meanwhile are at its end.
    """

    newest_first: bool


@frozen(kw_only=True)
class CallQuery:
    """A query for call records, checked, without its range of time and its place in the list.

    Attributes:
        filters: what tells which calls, and what `extra` adds.
        shape: what tells how they are given out.
        newest_first: the order; else the oldest are first.
        page_size: calls on a page at most.
        time_zone: the clock dates are written by.
        statuses: the statuses to choose from what is answered; empty: all.
    """

    filters: Pairs
    shape: Pairs
    newest_first: bool
    page_size: int
    time_zone: tzinfo
    statuses: frozenset[str] = frozenset()

    def request(
        self,
        time_range: TimeRange | None,
        *,
        after: str | None = None,
        page_size: int | None = None,
    ) -> Request:
        """Build the request for one page.

        Args:
            time_range: the calls' creation; a month at most. None: the last 31 days, as documented.
            after: the cursor of the page before.
            page_size: another size.
        """
        fields: Fields = {
            "DateCreated": None if time_range is None else self._written(time_range),
            "SortBy": f"DateCreated:{'desc' if self.newest_first else 'asc'}",
            "PageSize": str(page_size or self.page_size),
            "After": after,
        }
        return Request("GET", "Calls.json", params=self.filters + self.shape + pairs(fields, None))

    def digest(self, account_sid: str) -> str:
        """Return what two queries share if a reader of one can go on with the other."""
        chosen = [("Status", status) for status in self.statuses]
        known = repr((account_sid, sorted([*self.filters, *chosen]), self.newest_first))
        return hashlib.sha256(known.encode()).hexdigest()[:16]

    def chosen(self, page: CallPage) -> CallPage:
        """Return a page without the calls that Exotel could not be asked to leave out."""
        if not self.statuses:
            return page
        calls = tuple(call for call in page.calls if call.status in self.statuses)
        return evolve(page, calls=calls, total=None)

    def _written(self, time_range: TimeRange) -> str:
        since, until = (
            bound.astimezone(self.time_zone).strftime(_WRITTEN)
            for bound in (time_range.since, time_range.until)
        )
        return f"gte:{since};lte:{until}"


def build_query(
    *,
    time_zone: tzinfo,
    sids: Iterable[str] | None = None,
    to: str | Iterable[str] | None = None,
    from_: str | Iterable[str] | None = None,
    exophone: str | Iterable[str] | None = None,
    status: CallStatus | str | Iterable[CallStatus | str] | None = None,
    direction: Direction | str | None = None,
    duration: timedelta | Between[timedelta] | None = None,
    price: Decimal | Between[Decimal] | None = None,
    newest_first: bool = True,
    page_size: int = LARGEST_PAGE,
    details: bool = False,
    recording_url_validity: timedelta | None = None,
    extra: Mapping[str, str] | None = None,
) -> CallQuery:
    """Check the arguments of a list of calls.

    Raises:
        InvalidRequest: an argument Exotel would refuse.
    """
    whole_number("page_size", page_size, 1, LARGEST_PAGE)
    if flag("newest_first", newest_first) is None:
        raise InvalidRequest("newest_first", newest_first, "must be True or False")
    statuses = _statuses(status)
    filters: Fields = {
        "Sid": _sids(sids),
        "To": _numbers("to", to),
        "From": _numbers("from_", from_),
        "PhoneNumber": _numbers("exophone", exophone),
        "Status": statuses[0] if len(statuses) == 1 else None,
        "Direction": None if direction is None else one_of("direction", direction, Direction),
        "Duration": _duration(duration),
        "Price": _price(price),
    }
    shape: Fields = {
        "details": "true" if flag("details", details) == "true" else None,
        "RecordingUrlValidity": minutes("recording_url_validity", recording_url_validity),
    }
    taken: Fields = dict.fromkeys(_OWN, "")
    known = pairs(taken | filters | shape, extra)
    own = pairs(taken | shape, None)
    return CallQuery(
        filters=tuple(pair for pair in known if pair not in own),
        shape=pairs(shape, None),
        newest_first=newest_first,
        page_size=page_size,
        time_zone=time_zone,
        statuses=frozenset(statuses if len(statuses) > 1 else ()),
    )


def is_listable(sid: object) -> TypeGuard[str]:
    """Whether a SID can stand in a list of them without changing what it means."""
    return isinstance(sid, str) and re.fullmatch(_LISTED, sid) is not None


def probe() -> Request:
    """Build the smallest query there is: its answer shows the service's clock."""
    return get_request("Calls.json", {"PageSize": "1"}, None)


def _sids(sids: Iterable[str] | None) -> str | None:
    if sids is None:
        return None
    return _joined("sids", list(dict.fromkeys(map(_sid, several(sids)))), MOST_SIDS, "SIDs")


def _sid(sid: object) -> str:
    if not is_listable(sid):
        raise InvalidRequest("sids", sid, "must be a SID: letters and digits")
    # A word of somebody's own enum would be sent by its name.
    return str.__str__(sid)


def _numbers(argument: str, numbers: str | Iterable[str] | None) -> str | None:
    if numbers is None:
        return None
    read = normalize_exophone if argument == "exophone" else normalize_shown
    given: list[Any] = list(several(numbers))
    known = list(dict.fromkeys(read(number, argument) for number in given))
    return _joined(argument, known, MOST_NUMBERS, "numbers")


def _joined(argument: str, values: Sequence[str], most: int, what: str) -> str:
    if not 1 <= len(values) <= most:
        raise InvalidRequest(argument, f"<{len(values)} {what}>", f"must be 1 to {most} {what}")
    return ",".join(values)


def _statuses(status: object) -> Sequence[str]:
    words = list(all_of("status", status, CallStatus))
    if status is not None and not words:
        raise InvalidRequest("status", "[]", "must be a status, or several")
    return words


def _duration(duration: object) -> str | None:
    if duration is None:
        return None
    if isinstance(duration, Between):
        return _bounds("duration", duration, _seconds)
    return f"eq:{_seconds('duration', duration)}"


def _price(price: object) -> str | None:
    if price is None:
        return None
    # There is no `eq` for prices.
    return _bounds("price", price if isinstance(price, Between) else Between(price, price), _money)


def _bounds(argument: str, between: Between[Any], written: Any) -> str:
    least, most = between.min, between.max
    given = [
        f"{operator}:{written(argument, bound)}"
        for operator, bound in (("gte", least), ("lte", most))
        if bound is not None
    ]
    if not given:
        raise InvalidRequest(argument, between, "must have a min or a max")
    if least is not None and most is not None and least > most:
        raise InvalidRequest(argument, between, "its min must not be above its max")
    return ";".join(given)


def _seconds(argument: str, length: object) -> str:
    if not isinstance(length, timedelta) or length < timedelta() or length.microseconds:
        raise InvalidRequest(argument, length, "must be a timedelta of whole seconds, 0 or more")
    return f"{length // timedelta(seconds=1)}s"


def _money(argument: str, amount: object) -> str:
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int):
        raise InvalidRequest(argument, amount, "must be a Decimal")
    exact = Decimal(amount)
    # 1E-999999 is finite, and a megabyte when it is written.
    plain = exact.is_finite() and not exact.is_signed() and abs(exact.adjusted()) <= _PLACES
    if not plain:
        raise InvalidRequest(argument, amount, "must be an amount, 0 or more")
    return f"{exact:f}"

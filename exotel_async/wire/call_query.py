"""Queries of `GET Calls` for call records, as pure functions.

The service has one list of calls, which can be filtered and sorted and is returned in pages. Every
documented limit is checked here, before it costs a request.
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

MAX_SIDS: Final = 100
"""Maximum SIDs in a query. Documented (VOICE_V1 3)."""
MAX_NUMBERS: Final = 5
"""Maximum numbers in a filter. Documented (VOICE_V1 3)."""
LARGEST_PAGE: Final = 100
"""Maximum calls on a page. Documented (VOICE_V1 3)."""

# A SID without a comma, which separates the SIDs of a query.
_LISTABLE_SID: Final = r"[A-Za-z0-9_-]{1,128}"
_PLACES: Final = 12  # digits of an amount, before and after the decimal point
_DATE_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
_RESERVED: Final = ("DateCreated", "SortBy", "PageSize", "After", "Before")

T = TypeVar("T")


@frozen
class Between(Generic[T]):
    """A range for a filter, including both bounds: `Between(min=timedelta(seconds=10))`.

    Attributes:
        min: the lower bound; None: unbounded.
        max: the upper bound; None: unbounded.
    """

    min: T | None = None
    max: T | None = None


class RecordFilters(TypedDict, total=False):
    """The filters and options of `changes`. A filter that is None matches every call.

    Attributes:
        sids: only these calls, at most 100.
        to: the party rung second: a number, or up to five.
        from_: the party rung first: a number, or up to five.
        exophone: the ExoPhone: one, or up to five.
        status: the final status: one word, or several. Exotel documents only one word: for several,
            calls with any status are read, and filtered here.
        direction: who began them.
        duration: their total duration, or a range: `Between(timedelta(seconds=10))`.
        price: their price, or a range.
        page_size: the number of calls per request, 1 to 100; 100 by default.
        details: whether to include legs and talk time. Not documented for lists, but it works.
        recording_url_validity: how long recording links remain valid: 5 to 60 whole minutes.
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
    """The filters and options of `list`: those of `RecordFilters`, and the order.

    Attributes:
        newest_first: the order; True by default. False: oldest first, which is better for reading
            that takes long, because new calls are appended at its end.
    """

    newest_first: bool


@frozen(kw_only=True)
class CallQuery:
    """A validated query for call records, without its time range and cursor.

    Attributes:
        filters: the parameters that select calls, and those of `extra`.
        shape: the parameters that control what is returned for each call.
        newest_first: the order; False: oldest first.
        page_size: the maximum number of calls on a page.
        time_zone: the time zone in which dates are written.
        statuses: the statuses to filter responses by; empty: all.
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
            time_range: when the calls were created; at most a month. None: Exotel's documented
                default, the last 31 days.
            after: the cursor from the previous page.
            page_size: overrides the size of the query.
        """
        fields: Fields = {
            "DateCreated": None if time_range is None else self._written(time_range),
            "SortBy": f"DateCreated:{'desc' if self.newest_first else 'asc'}",
            "PageSize": str(page_size or self.page_size),
            "After": after,
        }
        return Request("GET", "Calls.json", params=self.filters + self.shape + pairs(fields, None))

    def digest(self, account_sid: str) -> str:
        """Return a digest, equal for two queries if one can continue from the other's cursor."""
        chosen = [("Status", status) for status in self.statuses]
        known = repr((account_sid, sorted([*self.filters, *chosen]), self.newest_first))
        return hashlib.sha256(known.encode()).hexdigest()[:16]

    def filtered(self, page: CallPage) -> CallPage:
        """Return a page with only the calls of `statuses`: Exotel can filter by only one status."""
        if not self.statuses:
            return page
        calls = tuple(call for call in page.calls if call.status in self.statuses)
        return evolve(page, calls=calls, total=None)

    def _written(self, time_range: TimeRange) -> str:
        since, until = (
            bound.astimezone(self.time_zone).strftime(_DATE_FORMAT)
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
    """Validate the filters and options of `list` or `changes`, and return the query.

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
    taken: Fields = dict.fromkeys(_RESERVED, "")
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
    """Return whether a SID can be part of a comma-separated list without changing its meaning."""
    return isinstance(sid, str) and re.fullmatch(_LISTABLE_SID, sid) is not None


def probe() -> Request:
    """Build the smallest possible query: its response shows the service's clock."""
    return get_request("Calls.json", {"PageSize": "1"}, None)


def _sids(sids: Iterable[str] | None) -> str | None:
    if sids is None:
        return None
    return _joined("sids", list(dict.fromkeys(map(_sid, several(sids)))), MAX_SIDS, "SIDs")


def _sid(sid: object) -> str:
    if not is_listable(sid):
        raise InvalidRequest("sids", sid, "must be a SID: letters and digits")
    # A member of a user's str enum would be sent by its name.
    return str.__str__(sid)


def _numbers(argument: str, numbers: str | Iterable[str] | None) -> str | None:
    if numbers is None:
        return None
    read = normalize_exophone if argument == "exophone" else normalize_shown
    given: list[Any] = list(several(numbers))
    known = list(dict.fromkeys(read(number, argument) for number in given))
    return _joined(argument, known, MAX_NUMBERS, "numbers")


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
    # Prices have no `eq` operator.
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
    # 1E-999999 is finite, but a megabyte when written out.
    plain = exact.is_finite() and not exact.is_signed() and abs(exact.adjusted()) <= _PLACES
    if not plain:
        raise InvalidRequest(argument, amount, "must be an amount, 0 or more")
    return f"{exact:f}"

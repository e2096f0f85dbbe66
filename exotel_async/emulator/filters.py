"""The query parameters of `GET Calls`: filters and their limits (VOICE_V1 3)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TypeVar

from exotel_async.emulator.api_errors import bad
from exotel_async.emulator.calls import STATUSES, EmulatedCall
from exotel_async.emulator.clock import Clock, parse_wire_date
from exotel_async.emulator.documents import second_party
from exotel_async.emulator.faults import ListingFault
from exotel_async.emulator.numbers import national
from exotel_async.emulator.switches import Switches

MAX_SIDS = 100
MAX_NUMBERS = 5
MAX_PAGE = 100
DEFAULT_PAGE = 50
MONTH = timedelta(days=31)
"""The longest window allowed, and the one searched without `DateCreated`."""
MONTHS_BACK = 6
DIRECTIONS = ("inbound", "outbound-dial", "outbound-api")
VALIDITY = range(5, 61)

T = TypeVar("T")
Query = Mapping[str, str]
Keep = Callable[[EmulatedCall], bool]


def read_validity(query: Query) -> int | None:
    """Return `RecordingUrlValidity`, in minutes. Raises Refusal, 400."""
    text = query.get("RecordingUrlValidity")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) not in VALIDITY:
        raise bad("RecordingUrlValidity must lie between 5 and 60 minutes")
    return int(text)


def wants_details(query: Query) -> bool:
    """Return whether the query has `details=true`, or `Details=true` as some clients send it."""
    return query.get("details", query.get("Details")) == "true"


def possible_faults(query: Query) -> frozenset[ListingFault]:
    """Return the listing faults that the response to a query can meet."""
    faults = {ListingFault.REPEATED_ROWS}
    if query.get("After"):
        faults.add(ListingFault.REPEATED_CURSOR)
    if wants_details(query):
        faults.add(ListingFault.WITHOUT_DETAILS)
    return frozenset(faults)


def read_window(text: str | None, clock: Clock, switches: Switches) -> tuple[float, float]:
    """Return the first moment and the one after the last, in emulator seconds since the start."""
    now = clock.now()
    bounds = {} if text is None else _bounds(text, "DateCreated", ("gte", "lte"), parse_wire_date)
    until = bounds.get("lte")
    if until is not None and until > now:
        raise bad("Invalid parameter DateCreated: the time range is out of bounds")
    end = now if until is None else until
    since = bounds.get("gte", end - MONTH)
    if since > end:
        if not switches.backward_ranges:
            raise bad("Invalid parameter DateCreated: it ends before it begins")
        nothing = clock.since_start(since)
        return nothing, nothing
    if end - since > MONTH:
        raise bad("Invalid parameter DateCreated: the time range is longer than a month")
    if bounds and min(bounds.values()) < _months_before(now, MONTHS_BACK):
        raise bad("Invalid parameter DateCreated: it is older than 6 months")
    # A date has whole seconds, so a bound includes all of its second. Without an end there is no
    # upper bound: no call was dialled after now.
    after = math.inf if until is None else clock.since_start(until + timedelta(seconds=1))
    return clock.since_start(since), after


def _months_before(now: datetime, months: int) -> datetime:
    """Return midnight of the same day that many months ago, or of the last day of that month."""
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    first = now.replace(year=year, month=month + 1, day=1, hour=0, minute=0, second=0)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(now.day, last.day), microsecond=0)


def read_filters(query: Query, switches: Switches) -> Sequence[Keep]:
    """Return a predicate for each filter given, other than `Sid` and `DateCreated`."""
    keeps: list[Keep] = []
    to = read_list(query, "To", MAX_NUMBERS)
    if to is not None:
        wanted_to = {national(number) for number in to}
        keeps.append(lambda call: _shown_to(call, switches) in wanted_to)
    from_ = read_list(query, "From", MAX_NUMBERS)
    if from_ is not None:
        wanted_from = {national(number) for number in from_}
        keeps.append(lambda call: national(call.from_) in wanted_from)
    phones = read_list(query, "PhoneNumber", MAX_NUMBERS)
    if phones is not None:
        wanted_phones = {national(number) for number in phones}
        keeps.append(lambda call: national(call.caller_id) in wanted_phones)
    if "Status" in query:
        status = _one_of(
            query, "Status", STATUSES, before="eq:" if switches.status_operator else ""
        )
        keeps.append(lambda call: call.status == status)
    if "Direction" in query:
        direction = _one_of(query, "Direction", DIRECTIONS)
        keeps.append(lambda call: call.dial.direction == direction)
    if "Duration" in query:
        read = partial(_seconds, bare=switches.bare_durations)
        lengths = _bounds(query["Duration"], "Duration", ("gte", "lte", "eq"), read)
        keeps.append(lambda c: c.settled and _within(Decimal(c.timeline.duration), lengths))
    if "Price" in query:
        prices = _bounds(query["Price"], "Price", ("gte", "lte"), _decimal)
        keeps.append(lambda call: call.settled and _within(call.timeline.price, prices))
    return keeps


def _shown_to(call: EmulatedCall, switches: Switches) -> str | None:
    party = second_party(call, switches)
    return None if party is None else national(party)


def _within(value: Decimal, bounds: Mapping[str, Decimal]) -> bool:
    return (
        bounds.get("gte", value) <= value <= bounds.get("lte", value)
        and bounds.get("eq", value) == value
    )


def _bounds(
    text: str, name: str, operators: Sequence[str], read: Callable[[str], T]
) -> dict[str, T]:
    """Parse `gte:…;lte:…` into a value for each operator."""
    bounds: dict[str, T] = {}
    for part in text.split(";"):
        operator, colon, value = part.partition(":")
        if not colon or operator not in operators or operator in bounds:
            raise bad(f"{name} takes {', '.join(operators)}, each once, with a colon")
        try:
            bounds[operator] = read(value)
        except ValueError:
            raise bad(f"{name} has a value that cannot be read") from None
    return bounds


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not value.is_finite():
        raise ValueError(text)
    return value


def _seconds(text: str, *, bare: bool) -> Decimal:
    if not bare and not text.endswith("s"):
        raise ValueError(text)
    return _decimal(text.removesuffix("s"))


def read_list(query: Query, name: str, most: int) -> Sequence[str] | None:
    """Return the values of a comma-separated list; None if it is not given."""
    if name not in query:
        return None
    values = [value.strip() for value in query[name].split(",") if value.strip()]
    if len(values) > most:
        raise bad(f"{name} takes {most} values at most")
    return values


def _one_of(
    query: Query, name: str, words: Sequence[str] | frozenset[str], *, before: str = ""
) -> str:
    """Return a parameter that must be one of some words; `before` may precede the word."""
    word = query[name].removeprefix(before)
    if word not in words:
        raise bad(f"{name} must be one of {', '.join(sorted(words))}")
    return word


def read_page_size(text: str | None, switches: Switches) -> int:
    """Return the `PageSize`, or its default."""
    if text is None or (text == "0" and switches.zero_parameters):
        return DEFAULT_PAGE
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_PAGE:
        raise bad(f"PageSize must lie between 1 and {MAX_PAGE}")
    return int(text)


def read_descending(text: str) -> bool:
    """Return whether `SortBy` asks for the newest first."""
    if text not in {"DateCreated:asc", "DateCreated:desc"}:
        raise bad("SortBy must be DateCreated:asc or DateCreated:desc")
    return text.endswith(":desc")

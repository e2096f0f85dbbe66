"""Parsing of values as Exotel writes them: JSON, text, words, numbers, durations, amounts, times.

They are the same in JSON responses, callbacks and requests of applets. Each function for a single
value returns None for an invalid one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from exotel_async.models import OpenEnum

_Word = TypeVar("_Word", bound=OpenEnum)

# Tuples: a union `int | float` would be created on every call.
_NUMERIC: Final = (int, float)
_COUNTABLE: Final = (str, int)
_SCALAR: Final = (str, int, float)
# The words for "nothing" in records and callbacks: VOICE_V1 3, 6.2, 7.1.
_NOTHING: Final = frozenset({"none", "null", "undefined", "n/a"})
_LONGEST_NOTHING: Final = max(map(len, _NOTHING))
_MOST: Final = 10**9  # in seconds three decades: no call lasts that long
_PLACES: Final = 20  # digits of an amount, before and after the decimal point
# NaN and infinities are not JSON, though Python accepts them. They are read as null.
_JSON: Final = json.JSONDecoder(parse_constant=lambda _: None)


def decode_json(body: bytes) -> Any:
    """Decode JSON.

    Raises:
        ValueError: it is not UTF-8 or not JSON, or has an integer of too many digits for Python.
        RecursionError: its arrays or objects are nested too deeply.
    """
    return _JSON.decode(body.decode("utf-8-sig"))


def text(value: object) -> str | None:
    """Read text from Exotel, or a number as text. None if it is neither, or means "nothing".

    Texts that mean "nothing" are "", and "null", "None", "undefined" and "N/A" in any case.
    """
    found = free_text(value)
    if found is None or (len(found) <= _LONGEST_NOTHING and found.lower() in _NOTHING):
        return None
    return found


def free_text(value: object) -> str | None:
    """Read text from users, who may mean the word "None" literally: a name, a custom field.

    Like `text`, but only "" and "null", which Exotel itself writes, mean "nothing".
    """
    if isinstance(value, str):
        return None if value in {"", "null"} else value
    if isinstance(value, bool) or not isinstance(value, _NUMERIC):
        return None
    try:
        return str(int(value)) if value == int(value) else str(value)
    except (ValueError, OverflowError):  # NaN, infinity, more digits than Python writes
        return None


def enum_reader(kind: type[_Word]) -> Callable[[object], _Word | None]:
    """Return a function that reads a word of this enumeration, known or not; None like `text`."""
    known = {member.value: member for member in kind}

    def read(value: object) -> _Word | None:
        member = known.get(value) if isinstance(value, str) else None
        if member is not None:  # fast path for nearly all words
            return member
        found = text(value)
        return None if found is None else kind(found)

    return read


def count(value: object) -> int | None:
    """Read a whole number from 0 to a thousand million. None if it is not one."""
    if isinstance(value, bool) or not isinstance(value, _COUNTABLE):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if 0 <= number <= _MOST else None


def seconds(value: object) -> timedelta | None:
    """Read a duration in seconds, a number or text. None if it is not valid."""
    if isinstance(value, bool) or not isinstance(value, _SCALAR):
        return None
    try:
        length = float(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return timedelta(0, length) if 0 <= length <= _MOST else None


def amount(value: object) -> Decimal | None:
    """Read an amount of money exactly as written. None if it is not a plain number."""
    if isinstance(value, bool) or not isinstance(value, _SCALAR):
        return None
    try:
        written = str(value)
        number = Decimal(written)
    except (ValueError, InvalidOperation):
        return None
    # 1E+999999 is finite, but a megabyte when printed.
    plain = len(written) <= 2 * _PLACES and number.is_finite()
    return number if plain and -_PLACES <= number.adjusted() <= _PLACES else None


def parse_time(value: object, time_zone: tzinfo) -> datetime | None:
    """Read a time: `2026-03-02 11:20:05`, the same with `T` or an offset, or as in e-mail.

    Without an offset it is a time in `time_zone`; with one it is converted to that zone. None for
    the various constants for a time that is not set: in 1970 and before, down to years 1 and 0.
    """
    if not isinstance(value, str) or not 19 <= len(value) <= 40:
        return None
    try:
        time = datetime.fromisoformat(value) if value[4] == "-" else parsedate_to_datetime(value)
        if time.tzinfo is not None:
            time = time.astimezone(time_zone)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # Nor the year 9999: converting to another zone could exceed the end of the calendar.
    # `combine` is three times as fast as `replace`.
    return datetime.combine(time, time.time(), time_zone) if 1970 < time.year < 9999 else None

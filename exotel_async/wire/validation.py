"""Validation of arguments; each function raises `InvalidRequest` with argument, value and rule."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Final, TypeGuard
from urllib.parse import quote, urlsplit

from exotel_async.errors import InvalidRequest

LONGEST_CALL: Final = 14_400
"""Seconds: the maximum `time_limit`. Documented (VOICE_V1 1.1)."""

# Patterns are compiled on first use, which saves a tenth of the import time.
CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]"
_SEGMENT: Final = r"(?!\.$)[^\s/\\?#%\x00-\x20\x7f-\x9f\ud800-\udfff]{1,128}"
_NO_URL: Final = r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]"
_YEAR: Final = 366 * 86_400  # seconds
_HTTP: Final = ("http", "https")


def segment(argument: str, value: str) -> str:
    """Return a path segment, percent-encoded."""
    if not isinstance(value, str) or ".." in value or not re.fullmatch(_SEGMENT, value):
        rule = (
            "must be 1 to 128 characters without spaces, control characters, /, \\, ?, #, % or .., "
            "and not a dot alone"
        )
        raise InvalidRequest(argument, value, rule)
    return quote(str.__str__(value), safe="")


def choice(argument: str, value: object, words: type[StrEnum]) -> str | None:
    """Return a word in its canonical spelling; case is ignored. None stays None."""
    return None if value is None else one_of(argument, value, words)


def one_of(argument: str, value: object, words: type[StrEnum]) -> str:
    """Return a word in its canonical spelling; case is ignored."""
    for word in words:
        if isinstance(value, str) and value.casefold() == word.value.casefold():
            return word.value
    raise InvalidRequest(argument, value, f"must be one of {', '.join(map(repr, map(str, words)))}")


def all_of(argument: str, values: object, words: type[StrEnum]) -> Iterable[str]:
    """Return the words in their canonical spelling, without duplicates. None gives no words."""
    return dict.fromkeys(one_of(argument, value, words) for value in several(values))


def several(values: object) -> Iterable[object]:
    """Return one or several values as an iterable. None gives an empty one."""
    if values is None:
        return ()
    # A string is one value, not an iterable of letters.
    return values if isinstance(values, Iterable) and not isinstance(values, str) else [values]


def flag(argument: str, value: object) -> str | None:
    """Return a bool as "true" or "false". None stays None."""
    if value is None:
        return None
    if not isinstance(value, bool):
        raise InvalidRequest(argument, value, "must be True or False")
    return "true" if value else "false"


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is an int or a float, and not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole_seconds(argument: str, value: object) -> str | None:
    """Return the duration of a call, or of a part of it, in whole seconds. None stays None."""
    if value is None:
        return None
    length = value.total_seconds() if isinstance(value, timedelta) else value
    if not is_number(length) or not 0 < length <= LONGEST_CALL or length != int(length):
        raise InvalidRequest(argument, value, f"must be 1 to {LONGEST_CALL} whole seconds")
    return str(int(length))


def positive_seconds(argument: str, value: object) -> float:
    """Return a duration in seconds: above 0 and at most a year."""
    if not is_number(value) or not 0 < value <= _YEAR:
        raise InvalidRequest(argument, value, "must be seconds, more than 0 and at most a year")
    return float(value)


def minutes(argument: str, value: object) -> str | None:
    """Return the validity of a recording link in minutes. None stays None."""
    if value is None:
        return None
    low, high = timedelta(minutes=5), timedelta(minutes=60)
    if not isinstance(value, timedelta) or not low <= value <= high or value % timedelta(minutes=1):
        raise InvalidRequest(argument, value, "must be a timedelta of 5 to 60 whole minutes")
    return str(value // timedelta(minutes=1))


def short_text(argument: str, value: object, longest: int) -> str | None:
    """Return a text of limited length unchanged. None stays None."""
    if value is None:
        return None
    if (
        not isinstance(value, str)
        or len(value) > longest
        or (not value.isprintable() and re.search(CONTROL, value))
    ):
        # The message does not show the value: it may say who is called, and why.
        rule = f"must be a string of at most {longest} characters without control characters"
        raise InvalidRequest(argument, value, rule, shown=_outline(value))
    return value


def url(argument: str, value: object, schemes: tuple[str, ...] = _HTTP) -> str | None:
    """Return a complete URL unchanged. None stays None."""
    if value is None:
        return None
    if isinstance(value, str) and not re.search(_NO_URL, value):
        try:
            parts = urlsplit(value)
            if parts.scheme in schemes and parts.hostname and parts.port != 0:
                return value
        except ValueError:  # invalid brackets or port
            pass
    # The message does not show the value: path, query and user may be secret, and so may a value
    # without a scheme.
    rule = f"must be a complete URL that begins with {' or '.join(f'{s}://' for s in schemes)}"
    raise InvalidRequest(argument, _outline(value), rule)


def refuse(rule: str, **arguments: object) -> None:
    """Raise InvalidRequest for the first of the arguments that is not None."""
    for argument, value in arguments.items():
        if value is not None:
            raise InvalidRequest(argument, value, rule)


def some_text(argument: str, value: object) -> str:
    """Return a text that is not blank, unchanged."""
    if isinstance(value, str) and value.strip() and not re.search(CONTROL, value):
        return value
    # The message does not show the value: it may be meant for one person only.
    rule = "must be text, not empty, without control characters"
    raise InvalidRequest(argument, value, rule, shown=_outline(value))


def web_address(argument: str, value: object) -> str:
    """Return an http(s) URL unchanged."""
    found = url(argument, value)
    if found is None:
        raise InvalidRequest(argument, value, "must be a complete URL")
    return found


def whole(argument: str, value: object, least: int, most: int | None = None) -> int | None:
    """Return a whole number within limits. None stays None."""
    return None if value is None else whole_number(argument, value, least, most)


def whole_number(argument: str, value: object, least: int, most: int | None = None) -> int:
    """Return a whole number within limits."""
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if number is not None and least <= number and (most is None or number <= most):
        return number
    limits = f"of {least} or more" if most is None else f"from {least} to {most}"
    raise InvalidRequest(argument, value, f"must be a whole number {limits}")


def length_of_time(argument: str, value: timedelta | float | None) -> timedelta | None:
    """Return a duration in whole seconds, up to `LONGEST_CALL`. None stays None."""
    written = whole_seconds(argument, value)
    return None if written is None else timedelta(seconds=int(written))


def length(value: str) -> str:
    """Return a text's length in words, to show in place of the text."""
    return f"<{len(value)} characters>"


def _outline(value: object) -> str:
    return length(value) if isinstance(value, str) else type(value).__name__

"""Keeping phone numbers out of logs, reprs and exception texts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final
from urllib.parse import unquote

_SHOWN: Final = 4
# A user name and a password, as in a URL. In a SIP address this is no password.
_CREDENTIALS: Final = r"(?i)(?<![^\s'\"(<=,/])(?!sips?:)[^\s'\"/@:<>]+:[^\s'\"/@<>]*@"
_SID: Final = r"(?<![0-9A-Za-z])((?=[0-9]*[a-z])[0-9a-z]{32})(?![0-9A-Za-z])"
# The shortest personal numbers have seven digits; a date has eight, and is not a number.
_IN_A_PATH: Final = r"\d(?:[^0-9A-Za-z]*\d){6,}"
_NUMBER_OR_DATE: Final = r"(?P<date>(?<!\d)\d{4}-\d\d-\d\d(?!\d))|\d(?:[ ().-]{0,2}\d){6,}"


def mask_number(number: str) -> str:
    """Return the number with all but its last four digits replaced by stars: ``+********0001``.

    A number of seven digits or fewer shows only its last two. A masked number stays as it is.
    """
    digits = sum(char.isdigit() for char in number)
    places = digits + number.count("*")
    is_long = digits > 7 or (places > 7 and digits <= _SHOWN)
    hidden = places - (_SHOWN if is_long else 2)
    masked = []
    for char in number:
        if (char.isdigit() or char == "*") and hidden > 0:
            masked.append("*")
            hidden -= 1
        else:
            masked.append(char)
    return "".join(masked)


def masked(number: object) -> str:
    """Return the masked repr of a number, or of whatever was passed as one."""
    return repr(mask_number(number)) if isinstance(number, str) else redact(repr(number))


def redact(text: str) -> str:
    """Return free text with possible phone numbers, and credentials before an ``@``, masked."""
    text = re.sub(_CREDENTIALS, "***@", text) if "@" in text else text
    return re.sub(
        _NUMBER_OR_DATE, lambda match: match[0] if match["date"] else mask_number(match[0]), text
    )


def mask_path(path: str) -> str:
    """Return the path of a request, decoded, with possible phone numbers masked.

    Any separators between digits are allowed for: a caller may have written a number in any way.
    SIDs are not masked.
    """
    parts = re.split(_SID, unquote(path))
    return "".join(
        part
        if re.fullmatch(_SID, part)
        else re.sub(_IN_A_PATH, lambda number: mask_number(number[0]), redact(part))
        for part in parts
    )


def shown(value: object) -> str:
    """Return a value as an error may show it: a number or None; of anything else, only the type.

    An invalid value may be that of another setting: the token, or a URL with the token in it.
    """
    try:
        return repr(value) if isinstance(value, int | float | None) else type(value).__name__
    except ValueError:  # an integer of thousands of digits
        return type(value).__name__


def has_credentials(value: object) -> bool:
    """Return whether a value may contain a user name and password, as before the ``@`` of a URL."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - thousands of digits, or a user's own repr
        return False
    return "@" in text and re.search(_CREDENTIALS, text) is not None


def outline(value: object, longest: int = 80) -> str:
    """Return a value as shown in an error: its `repr`, masked and truncated; or only its type.

    A timedelta is shown in seconds.
    """
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.15g} s"
    try:
        # Not all of it: it may be a whole file. But more than is shown: a number that is cut off
        # would not be masked.
        if isinstance(value, str | bytes):
            value = value[: 4 * longest]
        text = redact(repr(value)[: 8 * longest])
    except Exception:  # noqa: BLE001 - thousands of digits, a cycle, or a user's own repr
        return type(value).__name__
    return text[:longest] + "..." if len(text) > longest else text

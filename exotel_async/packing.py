"""Packing plain values into one line of text, and unpacking it: for the attributes of an error.

Task queues store the error of a failed task as the name of its class and its `args`, in JSON, and
may show the `args` anywhere. So the values are JSON, which can be stored, in base64, which does not
show phone numbers.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Iterable, Mapping, Sized
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from exotel_async.masking import outline

_LONGEST: Final = 65_536  # characters of one value

_MAKERS: Final[Mapping[str, Callable[[Any], object]]] = {
    "bytes": bytes.fromhex,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "decimal": Decimal,
    "dict": dict,
    "frozenset": frozenset,
    "set": set,
    "timedelta": lambda parts: timedelta(*parts),
    "tuple": tuple,
}


def pack(values: Mapping[str, object]) -> str:
    """Return values by name as a line of printable ASCII.

    Strings, numbers, booleans, times, timedeltas, bytes, None, and lists, tuples, sets and mappings
    of them are kept. Anything else, and any very long value, is replaced by its `outline`: its
    masked and truncated `repr`, as a string.
    """
    fields = ",".join(f"{json.dumps(name)}:{_written(value)}" for name, value in values.items())
    return binascii.b2a_base64(f"{{{fields}}}".encode(), newline=False).decode()


def unpack(text: str) -> dict[str, Any]:
    """Return the values that `pack` has packed.

    Raises:
        ValueError: the text is not a result of `pack`.
    """
    try:
        fields = json.loads(binascii.a2b_base64(text, strict_mode=True))
        return {name: _made(value) for name, value in fields.items()}
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise ValueError("not the packed values of an error") from None


def _written(value: object) -> str:
    try:
        written = json.dumps(_plain(value))
    except Exception:  # noqa: BLE001 - ours, thousands of digits, a cycle, a user's own mapping
        written = ""
    return written if 0 < len(written) <= _LONGEST else json.dumps(outline(value))


def _plain(value: object) -> object:
    """Return a value in terms of JSON. Raises ValueError if it cannot be packed."""
    if isinstance(value, Sized) and len(value) > _LONGEST:
        raise ValueError("too long")
    if value is None or isinstance(value, bool):
        return value
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value)
    raise ValueError("not plain")


def _each(values: Iterable[object]) -> list[object]:
    return [_plain(value) for value in values]


# Members of enums are written as their plain value. A datetime is also a date, so it comes first.
_WRITERS: Final[Mapping[type, Callable[[Any], object]]] = {
    str: str.__str__,
    int: int,
    float: float,
    list: _each,
    tuple: lambda value: {"tuple": _each(value)},
    set: lambda value: {"set": _each(value)},
    frozenset: lambda value: {"frozenset": _each(value)},
    Mapping: lambda value: {"dict": [_each(pair) for pair in value.items()]},
    datetime: lambda value: {"datetime": datetime.isoformat(value)},
    date: lambda value: {"date": date.isoformat(value)},
    timedelta: lambda value: {"timedelta": [value.days, value.seconds, value.microseconds]},
    Decimal: lambda value: {"decimal": str(value)},
    bytes: lambda value: {"bytes": value.hex()},
}


def _made(value: Any) -> object:
    if isinstance(value, list):
        return [_made(one) for one in value]
    if not isinstance(value, dict):
        return value
    ((kind, parts),) = value.items()
    return _MAKERS[kind](_made(parts) if isinstance(parts, list) else parts)

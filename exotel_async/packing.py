"""Plain values as one line of text, and back: how what an error knows travels between processes.

Queues of tasks store a failed task's error as the name of its class and its `args`, in JSON, and
show the `args` where they please. So the values are JSON, for whoever stores it, and in base64, so
that nobody reads a phone number in what shows it.
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
    """Return values by their names as a line of printable ASCII.

    Texts, numbers, truth values, times, lengths of time, bytes, None, and lists, tuples, sets and
    mappings of them stay what they are. Of anything else, and of what is very long, only the
    outline travels: its masked and shortened `repr`, as a text.
    """
    fields = ",".join(f"{json.dumps(name)}:{_written(value)}" for name, value in values.items())
    return binascii.b2a_base64(f"{{{fields}}}".encode(), newline=False).decode()


def unpack(text: str) -> dict[str, Any]:
    """Return the values that `pack` has packed.

    Raises:
        ValueError: it is nothing that `pack` returns.
    """
    try:
        fields = json.loads(binascii.a2b_base64(text, strict_mode=True))
        return {name: _made(value) for name, value in fields.items()}
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise ValueError("not the packed values of an error") from None


def _written(value: object) -> str:
    try:
        written = json.dumps(_plain(value))
    except Exception:  # noqa: BLE001 - ours, thousands of digits, a cycle, a mapping of somebody's
        written = ""
    return written if 0 < len(written) <= _LONGEST else json.dumps(outline(value))


def _plain(value: object) -> object:
    """Return a value as JSON has it. Raises ValueError: it is none of those that travel."""
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


# What is written of a word of somebody's enum is its plain value. A datetime is a date, too.
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

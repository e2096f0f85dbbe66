"""The columns of exported calls and their values as written; `Call.row()` defines them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, get_args, get_type_hints

from attrs import frozen

from exotel_async import Call, CallRow
from exotel_async.cli.table_cells import harmless, writable
from exotel_async.cli.time_arguments import iso_in_ist

_KINDS: Final = {
    str: "TEXT",
    datetime: "TEXT",
    float: "NUMERIC",
    Decimal: "NUMERIC",
}


@frozen
class Column:
    """One column.

    Attributes:
        name: its name.
        kind: its SQLite type.
    """

    name: str
    kind: str


def _columns() -> Sequence[Column]:
    key, *others = get_type_hints(CallRow).items()
    columns = [Column(name, _KINDS[get_args(kind)[0]]) for name, kind in others]
    return (Column(key[0], "TEXT NOT NULL PRIMARY KEY"), *columns)


COLUMNS: Final = _columns()
"""Times are in Indian time with their offset, durations in seconds, the price is in the account's
currency. The columns from `talk_time` to `leg2_duration` are empty without `--details`."""

NAMES: Final = tuple(column.name for column in COLUMNS)


def values_of(call: Call) -> tuple[Any, ...]:
    """Return a call's values for a database."""
    return tuple(map(_stored, call.row().values()))


def _stored(value: object) -> Any:
    match value:
        case datetime():
            # In one zone, so that the texts sort by time.
            return iso_in_ist(value)
        case float():
            return int(value) if value.is_integer() else value
        case Decimal():
            return f"{value:f}"
        case str():
            return writable(value)
    return value


def cells_of(call: Call) -> tuple[str, ...]:
    """Return a call's values for a CSV file, safe to open in a spreadsheet."""
    return tuple("" if value is None else harmless(str(value)) for value in values_of(call))


def raw_json(call: Call) -> str:
    """Return the record as Exotel sent it, as one line of ASCII, safe to print and to store."""
    return json.dumps(call.raw, separators=(",", ":"))

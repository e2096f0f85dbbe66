"""The columns of an exported call: the same in a CSV file and in a database, in this order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from attrs import frozen

from exotel_async import IST, Call, CallStatus, Leg

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
# With a plus in front as well: phone numbers.
_NUMBER: Final = r"[+-]?[0-9]+(\.[0-9]+)?"


@frozen
class Column:
    """One column.

    Attributes:
        name: its name.
        kind: its type in a database.
        read: gets its value, as a database holds it.
    """

    name: str
    kind: str
    read: Callable[[Call], Any]


def _moment(moment: datetime | None) -> str | None:
    # All in one zone: so that their texts sort as they do.
    return None if moment is None else moment.astimezone(IST).isoformat(timespec="seconds")


def _seconds(length: timedelta | None) -> int | float | None:
    if length is None:
        return None
    whole, rest = divmod(length, timedelta(seconds=1))
    return length.total_seconds() if rest else whole


def _price(price: Decimal | None) -> str | None:
    return None if price is None else f"{price:f}"


def _word(word: str | None) -> str | None:
    return None if word is None else str(word)


def _leg(call: Call, number: int) -> Leg:
    return next((leg for leg in call.legs if leg.id == number), Leg())


def _leg_status(call: Call, number: int) -> CallStatus | None:
    return getattr(call.details, f"leg{number}_status", None)


COLUMNS: Final[Sequence[Column]] = (
    Column("sid", "TEXT NOT NULL PRIMARY KEY", lambda call: call.sid),
    Column("created_at", "TEXT", lambda call: _moment(call.created_at)),
    Column("status", "TEXT", lambda call: _word(call.status)),
    Column("direction", "TEXT", lambda call: _word(call.direction)),
    Column("from_number", "TEXT", lambda call: call.from_),
    Column("to_number", "TEXT", lambda call: call.to),
    Column("exophone", "TEXT", lambda call: call.exophone),
    Column("duration", "NUMERIC", lambda call: _seconds(call.duration)),
    Column("price", "NUMERIC", lambda call: _price(call.price)),
    Column("started_at", "TEXT", lambda call: _moment(call.started_at)),
    Column("ended_at", "TEXT", lambda call: _moment(call.ended_at)),
    Column("updated_at", "TEXT", lambda call: _moment(call.updated_at)),
    Column("answered_by", "TEXT", lambda call: _word(call.answered_by)),
    Column("talk_time", "NUMERIC", lambda call: _seconds(call.talk_time)),
    Column("leg1_status", "TEXT", lambda call: _word(_leg_status(call, 1))),
    Column("leg1_duration", "NUMERIC", lambda call: _seconds(_leg(call, 1).duration)),
    Column("leg2_status", "TEXT", lambda call: _word(_leg_status(call, 2))),
    Column("leg2_duration", "NUMERIC", lambda call: _seconds(_leg(call, 2).duration)),
    Column("custom_field", "TEXT", lambda call: call.custom_field),
    Column("caller_name", "TEXT", lambda call: call.caller_name),
    Column("forwarded_from", "TEXT", lambda call: call.forwarded_from),
    Column("recording_url", "TEXT", lambda call: call.recording_url),
    Column("presigned_recording_url", "TEXT", lambda call: call.presigned_recording_url),
    Column("parent_sid", "TEXT", lambda call: call.parent_sid),
    Column("account_sid", "TEXT", lambda call: call.account_sid),
    Column("uri", "TEXT", lambda call: call.uri),
)
"""Times in Indian time with their offset, lengths in seconds, the price in the account's currency.
The columns from `talk_time` to `leg2_duration` are empty without `--details`."""

NAMES: Final = tuple(column.name for column in COLUMNS)


def values_of(call: Call) -> tuple[Any, ...]:
    """Return a call's values for a database."""
    return tuple(_sound(column.read(call)) for column in COLUMNS)


def cells_of(call: Call) -> tuple[str, ...]:
    """Return a call's values for a file that is going to be opened in a spreadsheet."""
    return tuple("" if value is None else _harmless(str(value)) for value in values_of(call))


def raw_json(call: Call) -> str:
    """Return the record as Exotel gave it, in one line of ASCII, safe to show and to store."""
    return json.dumps(call.raw, separators=(",", ":"))


def _sound(value: Any) -> Any:
    """Replace halves of characters, which nobody can write."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _harmless(text: str) -> str:
    """Keep a spreadsheet from taking text from elsewhere for a formula, which it would compute."""
    if text.startswith(_FORMULA) and not re.fullmatch(_NUMBER, text):
        return f"'{text}"
    return text

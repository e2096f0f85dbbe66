"""The columns in which the ledger keeps the call of an attempt."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from exotel_async.campaigns.clock import to_ms

if TYPE_CHECKING:
    from datetime import datetime

    from exotel_async.models import Call


def columns_of(call: Call) -> dict[str, Any]:
    """Return the columns of the attempt with this call, without the values not known yet."""
    columns = {
        "sid": call.sid,
        "status": None if call.status is None else str(call.status),
        "started_at": _ms(call.started_at),
        "ended_at": _ms(call.ended_at),
        "duration_ms": _length(call.duration),
        "talk_ms": _length(call.talk_time),
        "price": call.price,
        "answered_by": None if call.answered_by is None else str(call.answered_by),
        "recording_url": call.recording_url,
        "legs": call.legs or None,
    }
    return {name: value for name, value in columns.items() if value is not None}


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


def _length(length: timedelta | None) -> int | None:
    return None if length is None else length // timedelta(milliseconds=1)

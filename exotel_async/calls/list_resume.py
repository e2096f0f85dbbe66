"""The position of a reader of call records, and the token that carries it to another process.

A position is a second and the SIDs in it that were yielded already: the list is sorted by time
of creation, and several calls may share a second.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import define, field

from exotel_async.errors import InvalidRequest
from exotel_async.models import Call
from exotel_async.wire.time_range import TimeRange

_VERSION: Final = 1
_UNTIL_THEN, _UNTIL_NOW, _ENDED = range(3)
"""Why a range ends: its end was given; it is all until now; or it is that and was read to its end.
"""
FARTHEST_AHEAD: Final = timedelta(days=3652)
"""How far the service's clock may be ahead of this machine's, as that of a fast emulator is."""


@define
class Position:
    """A position in a list of calls that is sorted by the second of their creation.

    Attributes:
        newest_first: the order of the list.
        second: the last second that was reached, UTC; None at the very beginning.
        sids: the SIDs of that second that were passed.
        ended: whether the whole list, without a limit, was read.
    """

    newest_first: bool
    second: datetime | None = None
    sids: set[str] = field(factory=set)
    ended: bool = False

    def advance(self, call: Call) -> None:
        """Move past a call."""
        created = call.created_at
        if created is not None and created != self.second:
            ahead = self.second is None or (created < self.second) == self.newest_first
            if ahead:
                self.second = created.astimezone(UTC)
                self.sids.clear()
        # A call that is out of order, or has no date, counts as of the second reached.
        self.sids.add(call.sid)


def write_token(digest: str, time_range: TimeRange, position: Position, *, until_now: bool) -> str:
    """Return a position in a list as a token: one short line of letters, digits, - and _.

    `until_now` is whether the range ends at the time of reading, because it was to be all until
    now.
    """
    end = (_ENDED if position.ended else _UNTIL_NOW) if until_now else _UNTIL_THEN
    known = [
        _VERSION,
        digest,
        int(time_range.since.timestamp()),
        int(time_range.until.timestamp()),
        None if position.second is None else int(position.second.timestamp()),
        sorted(position.sids),
        end,
    ]
    return to_base64(json.dumps(known, separators=(",", ":")).encode())


def read_token(token: str, digest: str, *, newest_first: bool) -> tuple[TimeRange, Position, bool]:
    """Return the time range of a token, its position, and whether the range was `until_now`.

    Raises:
        InvalidRequest: it is not such a token, or is of another list, or of one until now that was
            read to its end: a caller that resumes it would expect newer calls.
    """
    try:
        # The oldest tokens have no end.
        version, known, since, until, second, sids, *ends = json.loads(from_base64(token))
        (end,) = ends or (_UNTIL_THEN,)
        time_range = TimeRange(_time(since), _time(until))
        position = Position(newest_first, None if second is None else _time(second), _texts(sids))
    except (ValueError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
        raise InvalidRequest("resume", "...", "must be the resume_token of a list") from None
    if version != _VERSION or known != digest:
        rule = "is the token of another list: account, filters and order must be the same"
        raise InvalidRequest("resume", "...", rule)
    if end == _ENDED:
        rule = (
            f"is of a list that was read to its end, {time_range.until:%Y-%m-%d %H:%M:%S} UTC, and "
            "has no more: calls.changes(since=...) yields what is new since a time"
        )
        raise InvalidRequest("resume", "...", rule)
    return time_range, position, end == _UNTIL_NOW


def to_base64(written: bytes) -> str:
    """Return bytes as letters, digits, - and _."""
    return base64.urlsafe_b64encode(written).rstrip(b"=").decode()


def from_base64(text: str) -> bytes:
    """Return the bytes that `to_base64` encoded.

    Raises:
        ValueError, TypeError, AttributeError: it is not such a text.
    """
    return base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))


def _time(seconds: int) -> datetime:
    moment = datetime.fromtimestamp(seconds, UTC)
    # A range cannot end in the future: until the year 9999 it would have a hundred thousand
    # windows.
    if moment > datetime.now(UTC) + FARTHEST_AHEAD:
        raise ValueError("no time of a list")
    return moment


def _texts(values: Iterable[object]) -> set[str]:
    texts = set(values)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("not text")
    return {str(text) for text in texts}

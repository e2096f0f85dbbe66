"""What of the call records has been given out, and the token that says so to another process.

Exotel can be asked for calls by the time of their creation alone, and a call is listed only when it
is over: what is new may be as old as a call may last, and what settles is older still. So each
reading looks back over what has been read before, and has to know what of that was given out. That
is a digest of each record in those hours, 8 bytes: among 51,000 of them (200 calls a minute) the
chance of taking a record for another is one in 10 ** 14. Records before those hours change no more,
and need no digest.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import field, frozen

from exotel_async.calls.list_resume import FARTHEST_AHEAD, from_base64, to_base64
from exotel_async.errors import InvalidRequest
from exotel_async.models import Call

LOOK_BACK: Final = timedelta(hours=4, minutes=15)
"""The longest a call may last (`TimeLimit`), and what its end, length, price and recording may take
to come after that. Documented (VOICE_V1 1.1, VOICE_V1 2)."""

RULE: Final = "must be a datetime, or a token of calls.changes"
"""Of what changes are asked for since."""

_KIND: Final = "changes"
_VERSION: Final = 1
_SIZE: Final = 8  # bytes of a digest
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_FRESH: Final = "PreSignedRecordingUrl"
"""What is another one each time a record is read."""


@frozen
class Given:
    """What has been given out.

    Attributes:
        since: the first second of what is wanted at all, UTC. None: not fixed yet.
        until: all calls created before were given out, as they were at that time or later; those
            that were listed then. None: no call was.
        digests: of the records given out that may still change.
    """

    since: datetime | None
    until: datetime | None = None
    digests: Collection[bytes] = field(default=frozenset(), repr=False)

    @property
    def begin(self) -> datetime | None:
        """The first second whose calls may be new, or may have changed. None: not fixed yet."""
        if self.since is None or self.until is None:
            return self.since
        return max(self.since, self.until - LOOK_BACK)


class Reading:
    """One reading, oldest call first, of all that may have changed since what was given before.

    `since` is the first second of what is wanted at all.
    """

    def __init__(self, before: Given, since: datetime | None) -> None:
        self._before = before
        self._known = frozenset(before.digests)
        self._since = since
        self._reached = before.until
        self._recent: deque[tuple[datetime, bytes]] = deque()

    def passed(self, call: Call) -> bool:
        """Move on behind a call. Returns whether it is new or has changed."""
        digest = _digest(call)
        if call.created_at is not None:
            self._reach(call.created_at.astimezone(UTC))
        if self._reached is not None:
            self._recent.append((call.created_at or self._reached, digest))
        return digest not in self._known

    def end(self, until: datetime) -> None:
        """Have read all calls created up to that second."""
        self._reach(until)

    def given(self) -> Given:
        """Return what has been given out so far.

        What the reading before gave stays known until this one has come further: it is met again.
        """
        digests = {digest for _, digest in self._recent}
        if self._reached == self._before.until:
            digests |= self._known
        return Given(self._since, self._reached, digests)

    def _reach(self, moment: datetime) -> None:
        if self._reached is None or moment > self._reached:
            self._reached = moment
            while self._recent and self._recent[0][0] < moment - LOOK_BACK:
                self._recent.popleft()


def write_token(digest: str, given: Given) -> str:
    """Write it down: one line of letters, digits, - and _. The digest is that of the query."""
    head = [_KIND, _VERSION, digest, _seconds(given.since), _seconds(given.until)]
    written = json.dumps(head, separators=(",", ":")).encode() + b"\n"
    return to_base64(written + b"".join(sorted(given.digests)))


def read_token(token: str, digest: str) -> Given:
    """Read what was written down.

    Raises:
        InvalidRequest: it is no such token, or belongs to other calls.
    """
    try:
        head, _, digests = from_base64(token).partition(b"\n")
        kind, version, known, since, until = json.loads(head)
        given = Given(_time(since), _time(until), _parts(digests))
        # No reading ends in the future.
        now = datetime.now(UTC)
        sound = kind == _KIND and _EPOCH <= (given.until or now) < now + FARTHEST_AHEAD
    except (ValueError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
        sound = False
    if not sound:
        raise InvalidRequest("since", "...", RULE)
    if version != _VERSION or known != digest:
        rule = "is a token for other calls: account, filters and details must be the same"
        raise InvalidRequest("since", "...", rule)
    return given


def _digest(call: Call) -> bytes:
    state = {name: value for name, value in call.raw.items() if name != _FRESH}
    written = json.dumps([call.sid, state], sort_keys=True, default=str)
    return hashlib.blake2b(written.encode(), digest_size=_SIZE).digest()


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _parts(written: bytes) -> frozenset[bytes]:
    if len(written) % _SIZE:
        raise ValueError("no digests")
    return frozenset(written[at : at + _SIZE] for at in range(0, len(written), _SIZE))

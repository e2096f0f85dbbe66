"""Which call records have been yielded, and the token that carries this to another process.

Exotel filters calls by their time of creation only, and lists a call only when it is over: a new
record may be as old as a call may last, and one whose price comes late is older still. So each
reading covers again what was read before, and has to know which records were yielded. For that
it keeps a digest of 8 bytes of each record in those hours: among 51,000 of them (200 calls a
minute) the chance of mistaking one record for another is one in 10 ** 14. Older records do not
change any more, and need no digest.
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
"""The longest a call may last (`TimeLimit`), plus the time until its end, duration, price and
recording are there. Documented (VOICE_V1 1.1, VOICE_V1 2)."""

RULE: Final = "must be a datetime, or a token of calls.changes"
"""The rule for `since`."""

_KIND: Final = "changes"
_VERSION: Final = 1
_SIZE: Final = 8  # bytes of a digest
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_FRESH: Final = "PreSignedRecordingUrl"
"""The field that differs each time a record is read."""


@frozen
class Checkpoint:
    """Which calls have been yielded.

    Attributes:
        since: the first second of all that is wanted, UTC. None: not fixed yet.
        until: all calls that were created before this time, and listed then, were yielded in
            their state of then or later. None: no call was yielded.
        digests: of the yielded records that may still change.
    """

    since: datetime | None
    until: datetime | None = None
    digests: Collection[bytes] = field(default=frozenset(), repr=False)

    @property
    def begin(self) -> datetime | None:
        """The first second whose calls may be new or have changed. None: not fixed yet."""
        if self.since is None or self.until is None:
            return self.since
        return max(self.since, self.until - LOOK_BACK)


class Reading:
    """One reading, oldest call first, of all that may have changed since the checkpoint `before`.

    `since` is the first second of all that is wanted.
    """

    def __init__(self, before: Checkpoint, since: datetime | None) -> None:
        self._before = before
        self._known = frozenset(before.digests)
        self._since = since
        self._reached = before.until
        self._recent: deque[tuple[datetime, bytes]] = deque()

    def advance(self, call: Call) -> bool:
        """Move past a call. Return whether it is new or has changed."""
        digest = _digest(call)
        if call.created_at is not None:
            self._reach(call.created_at.astimezone(UTC))
        if self._reached is not None:
            self._recent.append((call.created_at or self._reached, digest))
        return digest not in self._known

    def end(self, until: datetime) -> None:
        """Record that all calls created up to that second were read."""
        self._reach(until)

    def checkpoint(self) -> Checkpoint:
        """Return the checkpoint of what was yielded so far.

        It keeps the digests of the reading before until this one has got further than that, since
        it comes to the same records again.
        """
        digests = {digest for _, digest in self._recent}
        if self._reached == self._before.until:
            digests |= self._known
        return Checkpoint(self._since, self._reached, digests)

    def _reach(self, moment: datetime) -> None:
        if self._reached is None or moment > self._reached:
            self._reached = moment
            while self._recent and self._recent[0][0] < moment - LOOK_BACK:
                self._recent.popleft()


def write_token(digest: str, checkpoint: Checkpoint) -> str:
    """Return a token: one line of letters, digits, - and _. The digest is that of the query."""
    head = [_KIND, _VERSION, digest, _seconds(checkpoint.since), _seconds(checkpoint.until)]
    written = json.dumps(head, separators=(",", ":")).encode() + b"\n"
    return to_base64(written + b"".join(sorted(checkpoint.digests)))


def read_token(token: str, digest: str) -> Checkpoint:
    """Return the checkpoint of a token.

    Raises:
        InvalidRequest: it is not such a token, or is of a query for other calls.
    """
    try:
        head, _, digests = from_base64(token).partition(b"\n")
        kind, version, known, since, until = json.loads(head)
        checkpoint = Checkpoint(_time(since), _time(until), _parts(digests))
        # No reading ends in the future.
        now = datetime.now(UTC)
        sound = kind == _KIND and _EPOCH <= (checkpoint.until or now) < now + FARTHEST_AHEAD
    except (ValueError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
        sound = False
    if not sound:
        raise InvalidRequest("since", "...", RULE)
    if version != _VERSION or known != digest:
        rule = "is a token for other calls: account, filters and details must be the same"
        raise InvalidRequest("since", "...", rule)
    return checkpoint


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

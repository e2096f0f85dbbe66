"""What a session remembers of calls: which it has dialled, and which go on as far as it knows."""

from __future__ import annotations

from typing import Final

from exotel_async.models import Call

_MOST: Final = 50_000
"""SIDs remembered; the oldest are forgotten first."""


class KnownCalls:
    """SIDs this session has met as calls going on, or has dialled itself."""

    def __init__(self) -> None:
        self._live: dict[str, None] = {}
        self._dialled: dict[str, None] = {}

    def dialled(self, call: Call) -> None:
        """Remember a call this session has made, as the answer to the dial tells it."""
        _add(self._dialled, call.sid)
        self.saw(call)

    def saw(self, call: Call) -> None:
        """Remember how a call stands."""
        if call.is_final:
            self._live.pop(call.sid, None)
        else:
            _add(self._live, call.sid)

    def is_live(self, sid: str) -> bool:
        """Whether the call went on when it was last heard of."""
        return sid in self._live

    def was_dialled(self, sid: str) -> bool:
        """Whether this session has made the call and was answered so."""
        return sid in self._dialled


def _add(sids: dict[str, None], sid: str) -> None:
    sids[sid] = None
    if len(sids) > _MOST:
        del sids[next(iter(sids))]

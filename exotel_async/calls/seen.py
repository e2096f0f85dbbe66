"""What a session remembers of calls: those it has dialled, and those still in progress."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, TypeVar

from exotel_async.models import Call

_MOST: Final = 50_000
"""SIDs remembered; the oldest are forgotten first."""
_JUST_NOW: Final = 5.0
"""Seconds. Few calls are over sooner, and few are sure to last much longer."""

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SeenCalls:
    """SIDs this session has met as calls in progress, or has dialled itself."""

    def __init__(self) -> None:
        # With the moment they were heard of.
        self._live: OrderedDict[str, float] = OrderedDict()
        self._dialled: OrderedDict[str, None] = OrderedDict()

    def dialled(self, call: Call) -> None:
        """Remember a call this session has made, as the answer to the dial tells it."""
        remember(self._dialled, call.sid, None, _MOST)
        self.saw(call)

    def saw(self, call: Call) -> None:
        """Remember how a call stands."""
        if call.is_final:
            self._live.pop(call.sid, None)
        else:
            remember(self._live, call.sid, time.monotonic(), _MOST)

    def is_live(self, sid: str) -> bool:
        """Whether the call was in progress when last seen, however long ago."""
        return sid in self._live

    def was_live_just_now(self, sid: str) -> bool:
        """Whether the call was in progress a moment ago, so that it almost certainly still is."""
        seen = self._live.get(sid)
        return seen is not None and time.monotonic() - seen < _JUST_NOW

    def was_dialled(self, sid: str) -> bool:
        """Whether this session has made the call and was answered so."""
        return sid in self._dialled


def remember(known: OrderedDict[K, T], key: K, what: T, most: int) -> None:
    """Put something into what is known; what was put there longest ago is forgotten for it."""
    known[key] = what
    known.move_to_end(key)
    if len(known) > most:
        known.popitem(last=False)

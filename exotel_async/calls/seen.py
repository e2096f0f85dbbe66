"""Known calls: those that were dialled here, and those still in progress.

Dialled calls are recorded per account: all sessions of an account in an event loop share them,
including sessions made after the dialling one was closed.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from exotel_async.models import Call

_MOST: Final = 50_000
"""SIDs remembered; the oldest are forgotten first."""
_JUST_NOW: Final = 5.0
"""Seconds for which a call is assumed to be still in progress: few calls end sooner."""

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SeenCalls:
    """SIDs of calls this session has seen in progress, or its account has dialled in this loop.

    Args:
        account: the account; None: one not shared with any other session.
    """

    def __init__(self, account: Hashable = None) -> None:
        # With the time when they were last seen.
        self._live: OrderedDict[str, float] = OrderedDict()
        self._account = account
        self._own: OrderedDict[str, None] = OrderedDict()

    def dialled(self, call: Call) -> None:
        """Record a call that was placed, from the response to the dial."""
        remember(self._dialled, call.sid, None, _MOST)
        self.record(call)

    def record(self, call: Call) -> None:
        """Record a call's current state."""
        if call.is_final:
            self._live.pop(call.sid, None)
        else:
            remember(self._live, call.sid, time.monotonic(), _MOST)

    def is_live(self, sid: str) -> bool:
        """Return whether the call was in progress when last seen, however long ago."""
        return sid in self._live

    def was_live_just_now(self, sid: str) -> bool:
        """Return whether the call was in progress moments ago, and so almost certainly still is."""
        seen = self._live.get(sid)
        return seen is not None and time.monotonic() - seen < _JUST_NOW

    def was_dialled(self, sid: str) -> bool:
        """Return whether the account dialled the call in this loop and got its SID in response."""
        return sid in self._dialled

    @property
    def _dialled(self) -> OrderedDict[str, None]:
        if self._account is None:
            return self._own
        return account_state(self._account, "dialled", OrderedDict)


_kept: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Any]] = WeakKeyDictionary()


def account_state(account: Hashable, name: str, make: Callable[[], T]) -> T:
    """Return the named object shared by an account's sessions in the running loop.

    It is made on first use.
    """
    kept = _kept.setdefault(asyncio.get_running_loop(), {})
    if (account, name) not in kept:
        kept[account, name] = make()
    shared: T = kept[account, name]
    return shared


def remember(known: OrderedDict[K, T], key: K, what: T, most: int) -> None:
    """Add an entry, and drop the oldest one if there are more than `most`."""
    known[key] = what
    known.move_to_end(key)
    if len(known) > most:
        known.popitem(last=False)

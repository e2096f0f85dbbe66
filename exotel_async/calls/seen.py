"""What is remembered of calls: those that were dialled, and those still in progress.

What was dialled is one account's, whichever session did it: all sessions of an event loop know it,
also those that come after it was closed.
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
"""Seconds. Few calls are over sooner, and few are sure to last much longer."""

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SeenCalls:
    """SIDs this session has met as calls in progress, or its account has dialled here.

    Args:
        account: the account; None: one that no other session has.
    """

    def __init__(self, account: Hashable = None) -> None:
        # With the moment they were heard of.
        self._live: OrderedDict[str, float] = OrderedDict()
        self._account = account
        self._own: OrderedDict[str, None] = OrderedDict()

    def dialled(self, call: Call) -> None:
        """Remember a call that was made, as the answer to the dial tells it."""
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
        """Whether the account has made the call here and was answered so."""
        return sid in self._dialled

    @property
    def _dialled(self) -> OrderedDict[str, None]:
        if self._account is None:
            return self._own
        return of_account(self._account, "dialled", OrderedDict)


_kept: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Any]] = WeakKeyDictionary()


def of_account(account: Hashable, name: str, make: Callable[[], T]) -> T:
    """Return what the sessions of an account in the running loop have in common."""
    kept = _kept.setdefault(asyncio.get_running_loop(), {})
    if (account, name) not in kept:
        kept[account, name] = make()
    shared: T = kept[account, name]
    return shared


def remember(known: OrderedDict[K, T], key: K, what: T, most: int) -> None:
    """Put something into what is known; what was put there longest ago is forgotten for it."""
    known[key] = what
    known.move_to_end(key)
    if len(known) > most:
        known.popitem(last=False)

"""Queues of gets that wait to share a request, and batches of those being read; without I/O."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Iterable
from functools import partial
from itertools import chain, islice
from typing import Final

from attrs import frozen

from exotel_async.calls.fetch import FetchOptions
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import ExotelError, RateLimitTimeout, RequestTimeout
from exotel_async.http.reports import NULL_REPORT, RequestReport
from exotel_async.models import Call
from exotel_async.wire import call_query

PendingGet = asyncio.Future[Call | float]
"""The result of a get: the call; or, if it must be read singly, when its batch got its permit."""
PendingGets = dict[str, list[PendingGet]]
"""The waiting gets by SID."""


@frozen
class BatchKey:
    """What gets must have in common to share a request.

    Attributes:
        wanted: what to read of the calls.
        priority: the priority of their requests.
        patience: the binary exponent of the seconds they may wait for the budget; -inf: they do
            not wait; None: no limit.
        only: the SID, if it cannot be read by a list query.
    """

    wanted: FetchOptions
    priority: Priority
    patience: float | None
    only: str | None

    @classmethod
    def of(cls, wanted: FetchOptions, options: SendOptions, *, only: str | None) -> BatchKey:
        """Return the key of a get."""
        limit = options.patience
        # Gets that must not wait at all share a key of their own.
        within = None if limit == math.inf else math.frexp(limit)[1] if limit else -math.inf
        return cls(wanted, options.priority, within, only)


class GetQueue:
    """The waiting gets of one key, by SID and in order, and the tasks that will send them."""

    def __init__(self, key: BatchKey) -> None:
        self.key: Final = key
        self.waiting: PendingGets = {}
        self.senders: list[asyncio.Task[None]] = []
        """Tasks that each wait for a permit to send a batch."""
        self.starting_senders: bool = False
        """Whether more senders are about to be started."""
        self.latest: float = 0.0
        """The latest deadline of the waiting gets, in loop time, if they have one."""
        self.users: int = 0
        """Gets that have not returned yet."""
        self._arriving: list[str] | None = None
        self._reports: dict[PendingGet, RequestReport] = {}

    def arrive(self, sid: str) -> list[str]:
        """Add a SID to those of this iteration of the loop; return them, complete in the next."""
        if self._arriving is None:
            self._arriving = []
            asyncio.get_running_loop().call_soon(self._end_iteration)
        self._arriving.append(sid)
        return self._arriving

    def join(
        self, sid: str, pending: PendingGet, options: SendOptions, report: RequestReport
    ) -> Iterable[asyncio.TimerHandle]:
        """Queue a get for a batched query; `report` is notified when the query gets its permit.

        Returns:
            Timers that fail the get at its deadlines; cancel them when it is done.
        """
        if not self.waiting:
            self.latest = 0.0
        self.waiting.setdefault(sid, []).append(pending)
        if report is not NULL_REPORT:
            self._reports[pending] = report
        if self.key.patience is None:
            return ()
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.latest = max(self.latest, now + options.patience)
        return [
            loop.call_at(now + limit, self._give_up, sid, pending, limit, whole)
            for limit, whole in ((options.max_wait, False), (options.timeout, True))
            # With max_wait=0 the limiter refuses at once, unless there is a token.
            if limit is not None and (limit > 0 or whole)
        ]

    def leave(self, sid: str, pending: PendingGet) -> None:
        """Remove a get that is no longer awaited."""
        self._reports.pop(pending, None)
        if self._holds(sid, pending):
            self.waiting[sid].remove(pending)
            if not self.waiting[sid]:
                del self.waiting[sid]
                self._cancel_spare_senders()

    def take(self) -> PendingGets:
        """Remove and return the first gets, up to the size of a query."""
        taken: PendingGets = {}
        left: list[str] = []
        for sid, gets in self.waiting.items():
            if len(taken) == call_query.MAX_SIDS:
                break
            # Gets cancelled in this iteration of the loop are still in the queue.
            if all(pending.done() for pending in gets):
                left.append(sid)
            else:
                taken[sid] = gets
        for sid in (*taken, *left):
            del self.waiting[sid]
        if self._reports:
            for pending in chain.from_iterable(taken.values()):
                report = self._reports.pop(pending, NULL_REPORT)
                if not pending.done():
                    report.granted()
        self._cancel_spare_senders()
        return taken

    @property
    def unserved(self) -> int:
        """The number of SIDs, at the end of the queue, that have no sender."""
        return max(0, len(self.waiting) - len(self.senders) * call_query.MAX_SIDS)

    def refuse_unserved(self, error: Exception) -> None:
        """Remove the gets without a sender, and fail them with the error."""
        for sid in list(islice(reversed(self.waiting), self.unserved)):
            resolve(self.waiting.pop(sid), error)

    def refuse_all(self, error: Exception) -> None:
        """Remove all gets, and fail them with the error."""
        refused, self.waiting = self.waiting, {}
        self._cancel_spare_senders()
        for gets in refused.values():
            resolve(gets, error)

    def retire(self, sender: asyncio.Task[None] | None) -> bool:
        """Remove a sender. Return whether it was still expected to send."""
        if sender is None or sender not in self.senders:
            return False
        self.senders.remove(sender)
        return True

    @property
    def is_awaited(self) -> bool:
        """Whether any waiting get was not cancelled."""
        return any(not pending.done() for gets in self.waiting.values() for pending in gets)

    def _end_iteration(self) -> None:
        self._arriving = None

    def _holds(self, sid: str, pending: PendingGet) -> bool:
        return pending in self.waiting.get(sid, ())

    def _cancel_spare_senders(self) -> None:
        """Cancel the senders that are no longer needed: their permits would be wasted."""
        needed = math.ceil(len(self.waiting) / call_query.MAX_SIDS)
        while len(self.senders) > needed:
            self.senders.pop().cancel()

    def _give_up(self, sid: str, pending: PendingGet, limit: float, whole: bool) -> None:
        """Fail a get at a deadline; `whole` is whether that is its timeout, not its `max_wait`."""
        if pending.done():
            return
        if self._holds(sid, pending):
            pending.set_exception(RateLimitTimeout(wait=limit, max_wait=limit))
        elif whole:
            pending.set_exception(RequestTimeout(f"no answer within timeout={limit:g} s"))


class GetBatch:
    """Gets that are read together, until each has its result."""

    def __init__(self, taken: PendingGets, sender: asyncio.Task[None] | None) -> None:
        self._taken = taken
        self._sender = sender
        self._left_at = asyncio.get_running_loop().time()
        self._open = sum(map(len, taken.values()))
        for sid, gets in taken.items():
            for pending in gets:
                pending.add_done_callback(partial(self._get_done, sid))

    @property
    def sids(self) -> list[str]:
        """The SIDs that have no result yet."""
        return list(self._taken)

    def resolve(self, sid: str, found: Call | Exception | None) -> None:
        """Resolve the gets of a SID; None: they must read it singly."""
        gets = self._taken.pop(sid)
        self._open -= sum(not pending.done() for pending in gets)
        resolve(gets, self._left_at if found is None else found)

    def resolve_rest(self, found: Exception | None) -> None:
        """Resolve all SIDs that have no result yet in the same way."""
        for sid in self.sids:
            self.resolve(sid, found)

    def _get_done(self, sid: str, _: PendingGet) -> None:
        if sid in self._taken:
            self._open -= 1
            if not self._open and self._sender is not None:
                # All callers have left: send nothing more, and wait for no permit.
                self._sender.cancel()


def resolve(gets: Iterable[PendingGet], found: Call | float | Exception) -> None:
    """Set the result of all gets that are still waiting."""
    for pending in gets:
        if pending.done():
            continue
        if isinstance(found, ExotelError):
            # A copy for each caller: raising an error adds a traceback to it.
            pending.set_exception(copy.copy(found))
        elif isinstance(found, Exception):
            pending.set_exception(found)
        else:
            pending.set_result(found)

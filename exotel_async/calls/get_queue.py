"""Gets that wait to share a request, and those that have left in one together. Nothing is sent."""

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
"""A call; or, if it is to be asked for singly, when the budget has let it through."""
PendingGets = dict[str, list[PendingGet]]
"""The gets that wait for each SID."""


@frozen
class BatchKey:
    """What gets must share to share a request.

    Attributes:
        wanted: what is wanted to know.
        priority: that of their requests.
        patience: seconds they may wait for the budget, to a power of two; None: any time.
        only: the SID, if no query for many is any good for it.
    """

    wanted: FetchOptions
    priority: Priority
    patience: float | None
    only: str | None

    @classmethod
    def of(cls, wanted: FetchOptions, options: SendOptions, *, only: str | None) -> BatchKey:
        """Return the key of a get."""
        limit = options.patience
        # Those that do not wait at all are of one mind, and nobody else is of it.
        within = None if limit == math.inf else math.frexp(limit)[1] if limit else -math.inf
        return cls(wanted, options.priority, within, only)


class GetQueue:
    """The gets of one key that have not left yet, by SID and in order, and the senders for them."""

    def __init__(self, key: BatchKey) -> None:
        self.key: Final = key
        self.waiting: PendingGets = {}
        self.senders: list[asyncio.Task[None]] = []
        """Tasks that wait for permission to send some of them."""
        self.called: bool = False
        """Whether more senders are about to be started."""
        self.latest: float = 0.0
        """When the most patient one has waited long enough, if they do not wait for ever."""
        self.users: int = 0
        """Gets that are not over."""
        self._arriving: list[str] | None = None
        self._reports: dict[PendingGet, RequestReport] = {}

    def arrive(self, sid: str) -> list[str]:
        """Join the SIDs that come in this turn of the loop; they are complete in the next one."""
        if self._arriving is None:
            self._arriving = []
            asyncio.get_running_loop().call_soon(self._turn)
        self._arriving.append(sid)
        return self._arriving

    def join(
        self, sid: str, answer: PendingGet, options: SendOptions, report: RequestReport
    ) -> Iterable[asyncio.TimerHandle]:
        """Wait to be part of a query; the report is notified when it leaves with one.

        Returns:
            What ends its waiting when its time has come, to be cancelled when it is over before.
        """
        if not self.waiting:
            self.latest = 0.0
        self.waiting.setdefault(sid, []).append(answer)
        if report is not NULL_REPORT:
            self._reports[answer] = report
        if self.key.patience is None:
            return ()
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.latest = max(self.latest, now + options.patience)
        return [
            loop.call_at(now + limit, self._give_up, sid, answer, limit, whole)
            for limit, whole in ((options.max_wait, False), (options.timeout, True))
            # One that does not wait at all is refused by the budget, unless there is a token.
            if limit is not None and (limit > 0 or whole)
        ]

    def leave(self, sid: str, answer: PendingGet) -> None:
        """Take one out that is not waited for any more."""
        self._reports.pop(answer, None)
        if self._holds(sid, answer):
            self.waiting[sid].remove(answer)
            if not self.waiting[sid]:
                del self.waiting[sid]
                self._dismiss()

    def take(self) -> PendingGets:
        """Take out the first of them, as many as a query takes."""
        taken: PendingGets = {}
        left: list[str] = []
        for sid, answers in self.waiting.items():
            if len(taken) == call_query.MOST_SIDS:
                break
            # Those that were cancelled in this turn have not left yet.
            if all(answer.done() for answer in answers):
                left.append(sid)
            else:
                taken[sid] = answers
        for sid in (*taken, *left):
            del self.waiting[sid]
        if self._reports:
            for answer in chain.from_iterable(taken.values()):
                report = self._reports.pop(answer, NULL_REPORT)
                if not answer.done():
                    report.granted()
        self._dismiss()
        return taken

    @property
    def unserved(self) -> int:
        """How many of them, the last ones, have no sender."""
        return max(0, len(self.waiting) - len(self.senders) * call_query.MOST_SIDS)

    def refuse_unserved(self, error: Exception) -> None:
        """Take those out, and give them the error."""
        for sid in list(islice(reversed(self.waiting), self.unserved)):
            tell(self.waiting.pop(sid), error)

    def refuse_all(self, error: Exception) -> None:
        """Take all of them out, and give them the error."""
        refused, self.waiting = self.waiting, {}
        self._dismiss()
        for answers in refused.values():
            tell(answers, error)

    def retire(self, sender: asyncio.Task[None] | None) -> bool:
        """Remove a sender. Whether it was still expected to send."""
        if sender is None or sender not in self.senders:
            return False
        self.senders.remove(sender)
        return True

    @property
    def is_awaited(self) -> bool:
        """Whether anybody waits who was not cancelled in this turn."""
        return any(not answer.done() for answers in self.waiting.values() for answer in answers)

    def _turn(self) -> None:
        self._arriving = None

    def _holds(self, sid: str, answer: PendingGet) -> bool:
        return answer in self.waiting.get(sid, ())

    def _dismiss(self) -> None:
        """Cancel the senders for whom nothing is left: a permit they got would be wasted."""
        needed = math.ceil(len(self.waiting) / call_query.MOST_SIDS)
        while len(self.senders) > needed:
            self.senders.pop().cancel()

    def _give_up(self, sid: str, answer: PendingGet, limit: float, whole: bool) -> None:
        """End the waiting of one: for the budget, or for the whole of it."""
        if answer.done():
            return
        if self._holds(sid, answer):
            answer.set_exception(RateLimitTimeout(wait=limit, max_wait=limit))
        elif whole:
            answer.set_exception(RequestTimeout(f"no answer within timeout={limit:g} s"))


class GetBatch:
    """Gets that have left together, until they have their results."""

    def __init__(self, taken: PendingGets, sender: asyncio.Task[None] | None) -> None:
        self._taken = taken
        self._carrier = sender
        self._left_at = asyncio.get_running_loop().time()
        self._open = sum(map(len, taken.values()))
        for sid, answers in taken.items():
            for answer in answers:
                answer.add_done_callback(partial(self._left, sid))

    @property
    def sids(self) -> list[str]:
        """The SIDs that have no result yet."""
        return list(self._taken)

    def tell(self, sid: str, found: Call | Exception | None) -> None:
        """Give those that wait for a SID its result; None: they are to ask singly."""
        answers = self._taken.pop(sid)
        self._open -= sum(not answer.done() for answer in answers)
        tell(answers, self._left_at if found is None else found)

    def tell_rest(self, found: Exception | None) -> None:
        """Give the same to all SIDs that have no result yet."""
        for sid in self.sids:
            self.tell(sid, found)

    def _left(self, sid: str, _: PendingGet) -> None:
        if sid in self._taken:
            self._open -= 1
            if not self._open and self._carrier is not None:
                # Nobody is left: nothing is asked again, and no permit waited for.
                self._carrier.cancel()


def tell(answers: Iterable[PendingGet], found: Call | float | Exception) -> None:
    """Give the result to all that still wait."""
    for answer in answers:
        if answer.done():
            continue
        if isinstance(found, ExotelError):
            # Each raises its own: a raised error carries the trace of where it was raised.
            answer.set_exception(copy.copy(found))
        elif isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)

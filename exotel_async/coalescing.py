"""Many `calls.get` at a time, in few requests.

Gets are collected for one turn of the event loop. A few of them go singly while the budget has
tokens; more, and any that have to wait, leave up to a hundred at a time as one query. Which of them
leave is decided when the budget has let the query through, so that whoever came meanwhile goes too.
"""

from __future__ import annotations

import asyncio
import copy
import math
from itertools import islice
from typing import Final

from attrs import define, evolve, field, frozen

from exotel_async import queries
from exotel_async.budget import Permit
from exotel_async.bulk import Bulk, Wanted, may_be_its_size
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import ExotelError, RateLimitTimeout, RequestTimeout
from exotel_async.known import KnownCalls
from exotel_async.models import Call
from exotel_async.pipeline import Pipeline

_FEW: Final = 5
"""Gets in one turn that go singly while they need not wait."""

_Answer = asyncio.Future[Call | None]
"""A call; None: to be asked for singly."""


@frozen
class _Key:
    """What gets must share to share a request."""

    wanted: Wanted
    priority: Priority
    max_wait: float | None


@define(eq=False)
class _Pool:
    """The gets of one key that have not left yet, by SID and in order."""

    key: _Key
    waiting: dict[str, list[_Answer]] = field(factory=dict)
    carriers: list[asyncio.Task[None]] = field(factory=list)
    """Those that wait for leave to send some of them."""
    collecting: bool = False
    singly: bool = False
    """They are few, and go one by one if they need not wait."""

    @property
    def carriers_needed(self) -> int:
        each = 1 if self.singly else queries.MOST_SIDS
        return math.ceil(len(self.waiting) / each)

    def join(self, sid: str, answer: _Answer) -> None:
        self.waiting.setdefault(sid, []).append(answer)

    def leave(self, sid: str, answer: _Answer) -> None:
        """Take one out that is not waited for any more."""
        answers = self.waiting.get(sid)
        if answers and answer in answers:
            answers.remove(answer)
            if not answers:
                del self.waiting[sid]
            self.dismiss()

    def take(self, *, waited: bool) -> dict[str, list[_Answer]]:
        """Take out the first of them: one, or as many as a query takes."""
        self.singly = self.singly and not waited
        sids = list(islice(self.waiting, 1 if self.singly else queries.MOST_SIDS))
        taken = {sid: self.waiting.pop(sid) for sid in sids}
        self.dismiss()
        return taken

    def dismiss(self) -> None:
        """Send home the carriers for whom nothing is left: a permit they got would be wasted."""
        while len(self.carriers) > self.carriers_needed:
            self.carriers.pop().cancel()


class Coalescer:
    """Serves the gets of one session."""

    def __init__(self, pipeline: Pipeline, bulk: Bulk, known: KnownCalls) -> None:
        self._pipeline = pipeline
        self._bulk = bulk
        self._known = known
        self._pools: dict[_Key, _Pool] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, sid: str, wanted: Wanted, options: SendOptions) -> Call:
        """Read one call, alone or with others.

        Raises:
            NotFound: there is no such call.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        # The list leaves out the calls that go on.
        if (
            self._known.is_live(sid)
            or not queries.is_listable(sid)
            or not self._bulk.serves(wanted)
        ):
            return await self._bulk.single(sid, wanted, options)
        self._pipeline.check_loop()
        loop = asyncio.get_running_loop()
        began = loop.time()
        pool = self._pool(_Key(wanted, options.priority, options.max_wait))
        answer: _Answer = loop.create_future()
        pool.join(sid, answer)
        self._collect(pool)
        try:
            call = await self._within(pool, sid, answer, options)
        finally:
            pool.leave(sid, answer)
        if call is not None:
            return call
        if options.timeout is not None:
            left = max(0.0, options.timeout - (loop.time() - began))
            options = evolve(options, timeout=left)
        return await self._bulk.single(sid, wanted, options)

    def _pool(self, key: _Key) -> _Pool:
        pool = self._pools.get(key)
        if pool is None:
            # Keys are few, but a program may make up a `max_wait` for each call.
            idle = [known for known, old in self._pools.items() if not old.waiting]
            for known in idle:
                del self._pools[known]
            pool = self._pools[key] = _Pool(key)
        return pool

    async def _within(
        self, pool: _Pool, sid: str, answer: _Answer, options: SendOptions
    ) -> Call | None:
        if options.timeout is None:
            return await answer
        try:
            async with asyncio.timeout(options.timeout):
                return await answer
        except TimeoutError:
            if answer in pool.waiting.get(sid, ()):
                raise RateLimitTimeout(wait=options.timeout, max_wait=options.timeout) from None
            waited = f"no answer within timeout={options.timeout:g} s"
            raise RequestTimeout(waited) from None

    def _collect(self, pool: _Pool) -> None:
        """Let what comes in this turn of the loop leave together."""
        if not pool.collecting:
            pool.collecting = True
            asyncio.get_running_loop().call_soon(self._dispatch, pool)

    def _dispatch(self, pool: _Pool) -> None:
        pool.collecting = False
        pool.singly = len(pool.waiting) <= _FEW and not pool.carriers
        pool.dismiss()
        for _ in range(pool.carriers_needed - len(pool.carriers)):
            carrier = asyncio.get_running_loop().create_task(self._carry(pool))
            self._tasks.add(carrier)
            carrier.add_done_callback(self._tasks.discard)
            pool.carriers.append(carrier)

    async def _carry(self, pool: _Pool) -> None:
        """Wait for leave, and take along whoever waits then."""
        options = SendOptions(priority=pool.key.priority, max_wait=pool.key.max_wait)
        loop = asyncio.get_running_loop()
        waited = False

        def turned() -> None:
            nonlocal waited
            waited = True

        turn = loop.call_soon(turned)
        present = [] if options.max_wait is None else list(pool.waiting)
        try:
            permit = await self._pipeline.acquire(options)
        except ExotelError as error:
            self._retire(pool)
            self._refuse(pool, present, error)
            return
        except asyncio.CancelledError:
            self._retire(pool)
            raise
        finally:
            turn.cancel()
        self._retire(pool)
        taken = pool.take(waited=waited)
        if not taken:
            permit.release()
            return
        await self._serve(taken, pool.key.wanted, options, permit)

    @staticmethod
    def _retire(pool: _Pool) -> None:
        task = asyncio.current_task()
        if task in pool.carriers:
            pool.carriers.remove(task)

    async def _serve(
        self,
        taken: dict[str, list[_Answer]],
        wanted: Wanted,
        options: SendOptions,
        permit: Permit,
    ) -> None:
        answers: dict[str, Call | ExotelError] = {}
        sids = list(taken)
        try:
            if len(sids) > 1:
                answers = await self._bulk.batch(sids, wanted, options, permit=permit)
            else:
                answers[sids[0]] = await self._bulk.single(sids[0], wanted, options, permit=permit)
        except ExotelError as error:
            answers[sids[0]] = error
        finally:
            for sid, waiting in taken.items():
                _tell(waiting, answers.get(sid), alone=len(sids) == 1)

    def _refuse(self, pool: _Pool, present: list[str], error: ExotelError) -> None:
        """Tell those a carrier has waited for in vain. Who came later waits for another one."""
        refused = list(pool.waiting)
        if isinstance(error, RateLimitTimeout):
            # Other carriers still wait for the first of them.
            spared = len(pool.carriers) * (1 if pool.singly else queries.MOST_SIDS)
            refused = [sid for sid in present if sid in pool.waiting][spared:]
        for sid in refused:
            _tell(pool.waiting.pop(sid), error, alone=True)
        if pool.waiting and not pool.carriers:
            self._dispatch(pool)


def _tell(waiting: list[_Answer], found: Call | ExotelError | None, *, alone: bool) -> None:
    for answer in waiting:
        if answer.done():
            continue
        if isinstance(found, Call):
            answer.set_result(found)
        elif found is None or (may_be_its_size(found) and not alone):
            answer.set_result(None)
        else:
            # Each raises its own: a raised error carries the trace of where it was raised.
            answer.set_exception(copy.copy(found))

"""Many `calls.get` at a time, in few requests.

Gets are collected for one turn of the event loop. A few of them go singly if the budget has tokens
for them; more, and any that would have to wait, leave up to a hundred at a time as one query. Which
of them leave is decided when the budget has let the query through, so that whoever came meanwhile
goes too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

from attrs import evolve

from exotel_async.calls.fetch import CallFetcher, FetchOptions
from exotel_async.calls.get_queue import Answer, BatchKey, GetBatch, GetQueue, patience
from exotel_async.calls.seen import SeenCalls
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import (
    ConfigurationError,
    ExotelError,
    LimiterUnavailable,
    RateLimitTimeout,
)
from exotel_async.http.pipeline import Pipeline
from exotel_async.limiter.protocol import Permit, SharedBudget
from exotel_async.models import Call
from exotel_async.wire import call_query

_FEW: Final = 5
"""Gets in one turn that go singly if they need not wait."""
_AT_ONCE: Final = {priority: SendOptions(priority=priority, max_wait=0.0) for priority in Priority}


class Coalescer:
    """Serves the gets of one session."""

    def __init__(self, pipeline: Pipeline, bulk: CallFetcher, known: SeenCalls) -> None:
        self._pipeline = pipeline
        self._bulk = bulk
        self._known = known
        self._pools: dict[BatchKey, GetQueue] = {}

    async def get(self, sid: str, wanted: FetchOptions, options: SendOptions) -> Call:
        """Read one call, alone or with others.

        Raises:
            NotFound: there is no such call.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        # The list leaves out the calls that go on.
        if (
            self._known.was_live_just_now(sid)
            or not call_query.is_listable(sid)
            or not self._bulk.serves(wanted)
        ):
            return await self._bulk.single(sid, wanted, options)
        self._pipeline.check_loop()
        began = asyncio.get_running_loop().time()
        pool = self._pool(BatchKey.of(wanted, options))
        permit = await self._permit_at_once(pool, sid, options)
        left_at = began
        if permit is None:
            found = await self._together(pool, sid, options)
            if isinstance(found, Call):
                return found
            left_at = found
        if pool.key.hurry is not None:
            options = evolve(
                options,
                max_wait=_rest(options.max_wait, left_at - began),
                timeout=_rest(options.timeout, asyncio.get_running_loop().time() - began),
            )
        return await self._bulk.single(sid, wanted, options, permit=permit)

    def _pool(self, key: BatchKey) -> GetQueue:
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = GetQueue(key)
        return pool

    async def _permit_at_once(
        self, pool: GetQueue, sid: str, options: SendOptions
    ) -> Permit | None:
        """Get leave to ask singly, if that takes no waiting and there are not too many for it."""
        turn = pool.arrive(sid)
        await asyncio.sleep(0)
        if pool.waiting or len(turn) > _FEW or len(set(turn)) < len(turn):
            return None
        try:
            return await self._pipeline.acquire(_AT_ONCE[options.priority])
        except (RateLimitTimeout, LimiterUnavailable):
            return None  # those who may wait do so together

    async def _together(self, pool: GetQueue, sid: str, options: SendOptions) -> Call | float:
        """Wait to be taken along, and for what comes of it.

        Returns:
            The call; or, if it is to be asked for singly, when the budget has let it through.
        """
        loop = asyncio.get_running_loop()
        answer: Answer = loop.create_future()
        timers = pool.join(sid, answer, options)
        if not pool.called:
            pool.called = True
            loop.call_soon(self._call_carriers, pool)
        try:
            return await answer
        except RateLimitTimeout as error:
            limiter = self._pipeline.limiter
            if isinstance(limiter, SharedBudget) and (outage := limiter.outage(patience(options))):
                raise outage from None
            if pool.key.hurry is None:
                raise
            # A carrier has waited for the most patient one of them.
            raise RateLimitTimeout(wait=error.wait, max_wait=patience(options)) from None
        finally:
            pool.leave(sid, answer)
            for timer in timers:
                timer.cancel()

    def _call_carriers(self, pool: GetQueue) -> None:
        pool.called = False
        try:
            while pool.unserved:
                pool.carriers.append(self._pipeline.own(partial(self._carry, pool)))
        except ConfigurationError as error:  # the session is closed
            pool.refuse_all(error)

    async def _carry(self, pool: GetQueue) -> None:
        """Wait for leave to send, and take along whoever waits then."""
        time = asyncio.get_running_loop().time
        began = time()
        max_wait = None if pool.key.hurry is None else max(0.0, pool.latest - began)
        options = SendOptions(priority=pool.key.priority, max_wait=max_wait)
        try:
            permit = await self._pipeline.acquire(options)
        except RateLimitTimeout as error:
            pool.retire(asyncio.current_task())
            # If it is refused at once, so are they. If it has waited, some have come after it.
            at_once = max_wait is None or time() - began < max_wait / 2
            if at_once or time() >= pool.latest:
                pool.refuse_unserved(error)
            self._call_carriers(pool)
        except asyncio.CancelledError:
            # Not sent home: somebody may cancel all tasks.
            if pool.retire(asyncio.current_task()) and pool.is_awaited:
                self._call_carriers(pool)
            raise
        except Exception as error:  # noqa: BLE001 - a limiter of the user's own; raised to them
            pool.retire(asyncio.current_task())
            pool.refuse_all(error)
        else:
            pool.retire(asyncio.current_task())
            await self._serve(pool, options, permit)

    async def _serve(self, pool: GetQueue, options: SendOptions, permit: Permit) -> None:
        """Take along who waits, ask, and tell them."""
        wanted = pool.key.wanted
        load = GetBatch(pool.take(), asyncio.current_task())
        if not load.sids:
            permit.release()
            return
        try:
            if not self._bulk.serves(wanted):
                for sid in load.sids[1:]:
                    load.tell(sid, None)
            sids = load.sids
            if len(sids) == 1:
                load.tell(sids[0], await self._bulk.single(sids[0], wanted, options, permit=permit))
                return
            answers = await self._bulk.batch(sids, wanted, options, permit=permit)
            failed = {sid: end for sid, end in answers.items() if isinstance(end, ExotelError)}
            for sid in sids:
                if sid not in failed:
                    load.tell(sid, answers.get(sid))
            if failed:
                await self._ask_one(load, failed, wanted, options)
        except Exception as error:  # noqa: BLE001 - raised to each of them
            load.tell_rest(error)
        finally:
            load.tell_rest(None)

    async def _ask_one(
        self,
        load: GetBatch,
        failed: Mapping[str, Exception],
        wanted: FetchOptions,
        options: SendOptions,
    ) -> None:
        """Find out by one of them whether they would fail as singly as the query for many has."""
        first = next(iter(failed))
        try:
            load.tell(first, await self._bulk.single(first, wanted, options))
        except ExotelError as error:
            load.tell(first, error)
            if type(error) is type(failed[first]):
                for sid in load.sids:
                    load.tell(sid, failed[sid])


def _rest(limit: float | None, spent: float) -> float | None:
    return None if limit is None else max(0.0, limit - spent)

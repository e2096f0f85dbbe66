"""Many `calls.get` at a time, in few requests.

Gets are collected for one turn of the event loop. A few of them go singly if the budget has tokens
for them; more, and any that would have to wait, leave up to a hundred at a time as one query. Which
of them leave is decided when the query gets its permit: those that came meanwhile leave with it.

A SID that no query for many is any good for is asked for singly, by one request for all gets of it
that came before that request left. A get that comes later makes its own: what a caller learns is
never older than its asking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

from attrs import evolve

from exotel_async.calls.fetch import CallFetcher, FetchOptions
from exotel_async.calls.get_queue import BatchKey, GetBatch, GetQueue, PendingGet
from exotel_async.calls.seen import SeenCalls
from exotel_async.config import SendOptions
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


class Coalescer:
    """Serves the gets of one session."""

    def __init__(self, pipeline: Pipeline, fetcher: CallFetcher, known: SeenCalls) -> None:
        self._pipeline = pipeline
        self._fetcher = fetcher
        self._seen = known
        self._queues: dict[BatchKey, GetQueue] = {}

    async def get(self, sid: str, wanted: FetchOptions, options: SendOptions) -> Call:
        """Read one call, alone or with others, in the session's event loop.

        Raises:
            NotFound: no such call.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        # The list leaves out the calls in progress.
        listed = (
            not self._seen.was_live_just_now(sid)
            and call_query.is_listable(sid)
            and self._fetcher.serves(wanted)
        )
        key = BatchKey.of(wanted, options, only=None if listed else sid)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = GetQueue(key)
        queue.users += 1
        try:
            return await self._get(queue, sid, options)
        finally:
            queue.users -= 1
            if not queue.users:
                del self._queues[key]

    async def _get(self, queue: GetQueue, sid: str, options: SendOptions) -> Call:
        began = asyncio.get_running_loop().time()
        permit = await self._permit_at_once(queue, sid, options)
        left_at = began
        if permit is None:
            found = await self._together(queue, sid, options)
            if isinstance(found, Call):
                return found
            left_at = found
        rest = options
        if queue.key.patience is not None:
            rest = evolve(
                options,
                max_wait=_rest(options.max_wait, left_at - began),
                timeout=_rest(options.timeout, asyncio.get_running_loop().time() - began),
            )
        try:
            return await self._fetcher.single(sid, queue.key.wanted, rest, permit=permit)
        except RateLimitTimeout as error:
            raise options.refusal(error) from None

    async def _permit_at_once(
        self, queue: GetQueue, sid: str, options: SendOptions
    ) -> Permit | None:
        """Get a permit to ask singly, if that takes no waiting and they are not too many for it."""
        turn = queue.arrive(sid)
        await asyncio.sleep(0)
        if queue.waiting or len(turn) > _FEW or len(set(turn)) < len(turn):
            return None
        try:
            return await self._pipeline.acquire(options, at_once=True)
        except (RateLimitTimeout, LimiterUnavailable):
            return None  # those that may wait do so together

    async def _together(self, queue: GetQueue, sid: str, options: SendOptions) -> Call | float:
        """Wait to be part of a query, and for its result.

        Returns:
            The call; or, if it is to be asked for singly, when the budget has let it through.
        """
        loop = asyncio.get_running_loop()
        answer: PendingGet = loop.create_future()
        with self._pipeline.reports.request(None) as report:
            report.queued(options.priority)
            timers = queue.join(sid, answer, options, report)
            if not queue.called:
                queue.called = True
                loop.call_soon(self._call_senders, queue)
            try:
                return await answer
            except RateLimitTimeout as error:
                budget = self._pipeline.limiter
                if isinstance(budget, SharedBudget) and (outage := budget.outage(options.patience)):
                    raise outage from None
                if queue.key.patience is None:
                    raise
                # The sender has waited for the most patient one of them.
                raise options.refusal(error) from None
            finally:
                queue.leave(sid, answer)
                for timer in timers:
                    timer.cancel()

    def _call_senders(self, queue: GetQueue) -> None:
        queue.called = False
        try:
            while queue.unserved:
                queue.senders.append(
                    self._pipeline.own(partial(self._send_batch, queue), shared=True)
                )
        except ConfigurationError as error:  # the session is closed
            queue.refuse_all(error)

    async def _send_batch(self, queue: GetQueue) -> None:
        """Wait for permission to send, and ask for the calls wanted then."""
        time = asyncio.get_running_loop().time
        began = time()
        max_wait = None if queue.key.patience is None else max(0.0, queue.latest - began)
        options = SendOptions(priority=queue.key.priority, max_wait=max_wait)
        try:
            permit = await self._pipeline.acquire(options)
        except RateLimitTimeout as error:
            queue.retire(asyncio.current_task())
            # If it is refused at once, so are they. If it has waited, some have come after it.
            at_once = max_wait is None or time() - began < max_wait / 2
            if at_once or time() >= queue.latest:
                queue.refuse_unserved(error)
            self._call_senders(queue)
        except asyncio.CancelledError:
            # Not cancelled by the queue: somebody may cancel all tasks.
            if queue.retire(asyncio.current_task()) and queue.is_awaited:
                self._call_senders(queue)
            raise
        except Exception as error:  # noqa: BLE001 - a limiter of the user's own; raised to them
            queue.retire(asyncio.current_task())
            queue.refuse_all(error)
        else:
            queue.retire(asyncio.current_task())
            await self._serve(queue, options, permit)

    async def _serve(self, queue: GetQueue, options: SendOptions, permit: Permit) -> None:
        """Take the gets that wait, ask, and give each its result."""
        wanted = queue.key.wanted
        batch = GetBatch(queue.take(), asyncio.current_task())
        if not batch.sids:
            permit.release()
            return
        try:
            if not self._fetcher.serves(wanted):
                for sid in batch.sids[1:]:
                    batch.tell(sid, None)
            sids = batch.sids
            if len(sids) == 1:
                batch.tell(
                    sids[0], await self._fetcher.single(sids[0], wanted, options, permit=permit)
                )
                return
            answers = await self._fetcher.batch(sids, wanted, options, permit=permit)
            failed = {sid: end for sid, end in answers.items() if isinstance(end, ExotelError)}
            for sid in sids:
                if sid not in failed:
                    batch.tell(sid, answers.get(sid))
            if failed:
                await self._ask_one(batch, failed, wanted, options)
        except Exception as error:  # noqa: BLE001 - raised to each of them
            batch.tell_rest(error)
        finally:
            batch.tell_rest(None)

    async def _ask_one(
        self,
        batch: GetBatch,
        failed: Mapping[str, Exception],
        wanted: FetchOptions,
        options: SendOptions,
    ) -> None:
        """Ask for one of them, to see if each would fail singly as the query for many has."""
        first = next(iter(failed))
        try:
            batch.tell(first, await self._fetcher.single(first, wanted, options))
        except ExotelError as error:
            batch.tell(first, error)
            if type(error) is type(failed[first]):
                for sid in batch.sids:
                    batch.tell(sid, failed[sid])


def _rest(limit: float | None, spent: float) -> float | None:
    return None if limit is None else max(0.0, limit - spent)

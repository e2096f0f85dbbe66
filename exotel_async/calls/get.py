"""Coalescing: many concurrent `calls.get` share few requests.

Gets are collected for one iteration of the event loop. A few of them are sent singly if the budget
has tokens for them; more than that, and any that would have to wait, are batched into list queries
of up to a hundred SIDs. The batch is chosen when the query gets its permit: gets that came while it
waited are included.

A SID that cannot be read by a list query is read singly, by one request for all gets of it that
came before that request was sent. A later get makes a request of its own: a result is never older
than the get that it answers.
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
"""Gets in one iteration of the loop that are sent singly if they need not wait."""


class Coalescer:
    """Batches the gets of one session."""

    def __init__(self, pipeline: Pipeline, fetcher: CallFetcher, known: SeenCalls) -> None:
        self._pipeline = pipeline
        self._fetcher = fetcher
        self._seen = known
        self._queues: dict[BatchKey, GetQueue] = {}

    async def get(self, sid: str, wanted: FetchOptions, options: SendOptions) -> Call:
        """Read one call, with a request of its own or a shared one, in the session's event loop.

        Raises:
            NotFound: no such call.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        # The list leaves out the calls in progress.
        listed = (
            not self._seen.was_live_just_now(sid)
            and call_query.is_listable(sid)
            and self._fetcher.can_batch(wanted)
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
            found = await self._join_batch(queue, sid, options)
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
        """Return a permit to read singly; None if the gets are many, or there is none at once."""
        turn = queue.arrive(sid)
        await asyncio.sleep(0)
        if queue.waiting or len(turn) > _FEW or len(set(turn)) < len(turn):
            return None
        try:
            return await self._pipeline.acquire(options, at_once=True)
        except (RateLimitTimeout, LimiterUnavailable):
            return None  # wait in a batch, if waiting is allowed

    async def _join_batch(self, queue: GetQueue, sid: str, options: SendOptions) -> Call | float:
        """Join a batched query and wait for its result.

        Returns:
            The call; or, if it must be read singly, the loop time at which the batch got its
            permit.
        """
        loop = asyncio.get_running_loop()
        answer: PendingGet = loop.create_future()
        with self._pipeline.reports.request(None) as report:
            report.queued(options.priority)
            timers = queue.join(sid, answer, options, report)
            if not queue.starting_senders:
                queue.starting_senders = True
                loop.call_soon(self._start_senders, queue)
            try:
                return await answer
            except RateLimitTimeout as error:
                budget = self._pipeline.limiter
                if isinstance(budget, SharedBudget) and (outage := budget.outage(options.patience)):
                    raise outage from None
                if queue.key.patience is None:
                    raise
                # The sender waited as long as the most patient get of the batch.
                raise options.refusal(error) from None
            finally:
                queue.leave(sid, answer)
                for timer in timers:
                    timer.cancel()

    def _start_senders(self, queue: GetQueue) -> None:
        queue.starting_senders = False
        try:
            while queue.unserved:
                queue.senders.append(
                    self._pipeline.run_task(partial(self._send_batch, queue), shared=True)
                )
        except ConfigurationError as error:  # the session is closed
            queue.refuse_all(error)

    async def _send_batch(self, queue: GetQueue) -> None:
        """Wait for a permit, then read the calls that are waiting at that moment."""
        time = asyncio.get_running_loop().time
        began = time()
        max_wait = None if queue.key.patience is None else max(0.0, queue.latest - began)
        options = SendOptions(priority=queue.key.priority, max_wait=max_wait)
        try:
            permit = await self._pipeline.acquire(options)
        except RateLimitTimeout as error:
            queue.retire(asyncio.current_task())
            # Refused at once, all gets are refused. After a wait, some may have come later and
            # have time left.
            at_once = max_wait is None or time() - began < max_wait / 2
            if at_once or time() >= queue.latest:
                queue.refuse_unserved(error)
            self._start_senders(queue)
        except asyncio.CancelledError:
            # If it was not the queue that cancelled it: all tasks may have been cancelled.
            if queue.retire(asyncio.current_task()) and queue.is_awaited:
                self._start_senders(queue)
            raise
        except Exception as error:  # noqa: BLE001 - of a user's limiter; raised to the callers
            queue.retire(asyncio.current_task())
            queue.refuse_all(error)
        else:
            queue.retire(asyncio.current_task())
            await self._serve(queue, options, permit)

    async def _serve(self, queue: GetQueue, options: SendOptions, permit: Permit) -> None:
        """Take the waiting gets, read their calls, and resolve each."""
        wanted = queue.key.wanted
        batch = GetBatch(queue.take(), asyncio.current_task())
        if not batch.sids:
            permit.release()
            return
        try:
            if not self._fetcher.can_batch(wanted):
                for sid in batch.sids[1:]:
                    batch.resolve(sid, None)
            sids = batch.sids
            if len(sids) == 1:
                batch.resolve(
                    sids[0], await self._fetcher.single(sids[0], wanted, options, permit=permit)
                )
                return
            answers = await self._fetcher.batch(sids, wanted, options, permit=permit)
            failed = {sid: end for sid, end in answers.items() if isinstance(end, ExotelError)}
            for sid in sids:
                if sid not in failed:
                    batch.resolve(sid, answers.get(sid))
            if failed:
                await self._probe_one(batch, failed, wanted, options)
        except Exception as error:  # noqa: BLE001 - raised to each caller
            batch.resolve_rest(error)
        finally:
            batch.resolve_rest(None)

    async def _probe_one(
        self,
        batch: GetBatch,
        failed: Mapping[str, Exception],
        wanted: FetchOptions,
        options: SendOptions,
    ) -> None:
        """Read one failed call singly, to see whether the others would fail in the same way."""
        first = next(iter(failed))
        try:
            batch.resolve(first, await self._fetcher.single(first, wanted, options))
        except ExotelError as error:
            batch.resolve(first, error)
            if type(error) is type(failed[first]):
                for sid in batch.sids:
                    batch.resolve(sid, failed[sid])


def _rest(limit: float | None, spent: float) -> float | None:
    return None if limit is None else max(0.0, limit - spent)

"""Waiting for many calls as a stream: `exotel.calls.as_completed`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterable, Iterable, Sequence
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

from exotel_async.calls.get_many import CallResult, refusal_of, result_of
from exotel_async.calls.streams import LazyInput, ResultStream
from exotel_async.calls.wait_state import Waiter, WaitOptions, not_over
from exotel_async.errors import ConfigurationError, ExotelError
from exotel_async.models import Call

if TYPE_CHECKING:
    from exotel_async.calls.wait import CallWatcher
    from exotel_async.http.pipeline import Pipeline

MAX_WATCHED: Final = 10_000
"""SIDs waited for at a time, including results not yet taken from the stream."""
_AT_A_TIME: Final = 100


class EndedCalls(ResultStream[CallResult]):
    """A stream of `CallResult`, one for each SID, in the order the calls end.

    Use it as ``async with exotel.calls.as_completed(sids) as results: async for result in
    results``: leaving the block ends the waiting.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        watcher: CallWatcher,
        sids: Iterable[str] | AsyncIterable[str],
        terms: WaitOptions,
        timeout: float,
    ) -> None:
        super().__init__(LazyInput("sids", sids, ahead=_AT_A_TIME), places=1)
        self._pipeline = pipeline
        self._watcher = watcher
        self._terms = terms
        self._timeout = timeout
        self._numbers = count()
        # Calls that have not ended yet, each with its timeout.
        self._watched: dict[int, tuple[Waiter, asyncio.TimerHandle | None]] = {}
        # Results to be handed over.
        self._results: list[CallResult] = []
        # SIDs read from the input whose results were not taken from the stream yet.
        self._held = 0
        self._all_read = False
        self._room = asyncio.Event()
        self._news = asyncio.Event()

    def _begin(self) -> None:
        self._start(self._read)
        self._start(self._hand_over)

    def _taken(self, results: Sequence[CallResult]) -> None:
        self._held -= len(results)
        self._room.set()

    async def _read(self) -> None:
        """Read the input and watch its calls, as long as there is room."""
        try:
            while not self._input.ended:
                self._room.clear()
                room = MAX_WATCHED - self._held
                if room <= 0:
                    await self._room.wait()
                    continue
                sids = await self._pipeline.wait(self._input.take(min(room, _AT_A_TIME)))
                self._held += len(sids)
                for sid in sids:
                    self._watch(sid)
                await asyncio.sleep(0)  # let other tasks run while a long list is read
        finally:
            self._all_read = True
            self._news.set()

    async def _hand_over(self) -> None:
        """Put results into the stream until there is one for each SID."""
        try:
            while self._watched or self._results or not self._all_read:
                await self._news.wait()
                self._news.clear()
                results, self._results = self._results, []
                if results:
                    await self._give(*results)
        finally:
            while self._watched:
                self._release(next(iter(self._watched)))

    def _watch(self, sid: str) -> None:
        refused = refusal_of(sid)
        if refused is not None:
            self._add_result(refused)
            return
        number = next(self._numbers)
        waiter = self._watcher.add(sid, self._terms, partial(self._end, number, sid))
        if waiter is None:  # the result was delivered at once
            return
        timer = None
        if self._timeout < math.inf:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._timeout, self._end, number, sid, not_over(self._timeout))
        self._watched[number] = waiter, timer

    def _end(self, number: int, sid: str, end: Call | ExotelError) -> None:
        self._release(number)
        if isinstance(end, ConfigurationError):  # the session is closed, for all calls
            self._error = self._error or end
            self._news.set()
        else:
            self._add_result(result_of(sid, end))

    def _release(self, number: int) -> None:
        waiter, timer = self._watched.pop(number, (None, None))
        self._watcher.drop(waiter)
        if timer is not None:
            timer.cancel()

    def _add_result(self, result: CallResult) -> None:
        self._results.append(result)
        self._news.set()

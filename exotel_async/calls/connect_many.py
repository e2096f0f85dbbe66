"""Dialling many targets within the account's budget and channels: `exotel.calls.connect_many`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from exotel_async.calls.connect_many_live import LiveCalls
from exotel_async.calls.connect_many_plan import DialOrder, DialPlan
from exotel_async.calls.streams import LazyInput, ResultStream, pace
from exotel_async.errors import CallOutcomeUnknown, ExotelError, InvalidRequest, NotDialled
from exotel_async.listeners import check_progress_listener
from exotel_async.masking import masked
from exotel_async.models import Call, DialTarget
from exotel_async.models.value import Value

if TYPE_CHECKING:
    from exotel_async.calls.parts import CallParts
    from exotel_async.config import SendOptions

_WORKERS: Final = 8  # more than the budget keeps busy at any usual round trip


def _shown(target: object) -> str:
    return repr(target) if isinstance(target, DialTarget) else masked(target)


@frozen
class DialOutcome(Value):
    """The outcome of one dial of many.

    Attributes:
        target: the target, as it was passed.
        call: the call, as Exotel accepted it; None if there is an error.
        error: why there is no call; `CallOutcomeUnknown` means that there may be one.
    """

    target: DialTarget | str = field(repr=_shown)
    call: Call | None = None
    error: ExotelError | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether it is unknown whether a call was placed."""
        return isinstance(self.error, CallOutcomeUnknown)

    @property
    def tag(self) -> Any:
        """The tag of the `DialTarget`; None if only a number was passed."""
        return self.target.tag if isinstance(self.target, DialTarget) else None


@frozen(kw_only=True)
class DialStatistics(Value):
    """The progress of a `connect_many`.

    Attributes:
        taken: targets taken from the input so far: `done` and `waiting` together.
        done: outcomes read so far: `placed`, `failed` and `unknown` together.
        placed: dials that Exotel accepted as calls.
        failed: targets without a call; each has its error.
        unknown: dials that may have placed a call: `CallOutcomeUnknown`.
        waiting: targets whose outcome was not read yet: they wait for room or for the budget, are
            in flight, or their outcome waits to be read.
        live: legs that are, or may be, in progress. If calls are not followed to their ends,
            because there is neither `max_live` nor a reader of `ended()`: only those of dials in
            flight.
        rate: outcomes per second so far.
        total: the number of targets; None if the input has no length.
        time_left: how long the rest takes at that rate; None if unknown.
    """

    taken: int
    done: int
    placed: int
    failed: int
    unknown: int
    waiting: int
    live: int
    rate: float
    total: int | None
    time_left: timedelta | None


class Dials(ResultStream[DialOutcome]):
    """A stream of `DialOutcome`, one for each target, in the order the responses arrive.

    Use it as ``async with exotel.calls.connect_many(...) as outcomes: async for outcome in
    outcomes``. Leaving the block stops the dialling; the outcomes of dials in flight are reported
    to the session's `on_orphaned_call`, and so is every call whose outcome was not taken from the
    stream, each with its `DialTarget`. No state survives the process.
    """

    def __init__(
        self,
        *,
        parts: CallParts,
        targets: Iterable[DialTarget | str] | AsyncIterable[DialTarget | str],
        plan: DialPlan,
        interval: float,
        options: SendOptions,
        on_progress: Callable[[DialStatistics], object] | None,
    ) -> None:
        check_progress_listener(on_progress)
        super().__init__(LazyInput("targets", targets, ahead=1), places=_WORKERS)
        plan.check(targets)
        self._pipeline = parts.pipeline
        self._read = parts.read_dialled
        self._plan = plan
        self._options = options
        self._on_progress = on_progress
        self._live = LiveCalls(
            parts,
            self._workers,
            most=plan.max_live,
            interval=interval,
        )
        self._taking = asyncio.Lock()
        self._stopping = False
        self._read_targets = self._placed = self._failed = self._unknown = 0
        self._started = time.monotonic()

    @property
    def live(self) -> int:
        """Legs that are, or may be, in progress."""
        return self._live.legs

    def statistics(self) -> DialStatistics:
        """Return the progress so far; outcomes count when they are taken from the stream."""
        done = self._placed + self._failed + self._unknown
        rate, time_left = pace(done, self._input.total, self._started)
        return DialStatistics(
            taken=self._read_targets,
            done=done,
            placed=self._placed,
            failed=self._failed,
            unknown=self._unknown,
            waiting=self._read_targets - done,
            live=self._live.legs,
            rate=rate,
            total=self._input.total,
            time_left=time_left,
        )

    def stop(self) -> None:
        """Take no more targets. Dials in flight, or waiting for the budget, still get an outcome.

        Then the stream ends. A target that was taken already, but waits for room, is not dialled:
        its outcome has the error `NotDialled`. Calls in progress are not hung up, and `ended()`
        continues until they are over. Call it in the event loop, for example from a handler of
        `loop.add_signal_handler`; calling it again does nothing.
        """
        self._stopping = True
        self._input.stop()
        self._live.wake()

    def ended(self) -> AsyncIterator[Call]:
        """Return a stream of the calls, each once, when it is over; with its `target`.

        It learns of ends from the poll of `wait`, as `max_live` does, and from `notify`; it makes
        no other requests. The call of a dial whose outcome is unknown is searched for, and included
        if it is found. A call that is not found, or that Exotel no longer knows, is left out.

        Call this at the start of the block: without a reader, ends are not kept. It ends when
        nothing more will be dialled and no call is in progress. Dialling waits for the outcomes to
        be read: read them in another task, or before. It is for one reader; every call of this
        method returns the same stream.

        Raises:
            RuntimeError: a call was placed before this was called. While reading: the block was
                left before all calls were over.
            ConfigurationError: while reading: the session was closed.
        """
        return self._live.ends()

    async def __aexit__(self, *error: object) -> None:
        self._live.end_stream(RuntimeError("the block of this stream was left"))
        try:
            await super().__aexit__(*error)
        finally:
            self._live.drop()

    def _begin(self) -> None:
        self._started = time.monotonic()
        self._start(self._work, _WORKERS)

    def _finished(self) -> None:
        self._live.dialling_ended()

    def _taken(self, results: Sequence[DialOutcome]) -> None:
        for outcome in results:
            self._placed += outcome.call is not None
            self._unknown += outcome.is_unknown
            self._failed += outcome.call is None and not outcome.is_unknown
        if self._on_progress is not None:
            self._on_progress(self.statistics())

    def _abandon(self, results: Sequence[DialOutcome]) -> None:
        """Report the calls whose outcomes will not be taken from the stream."""
        for outcome in results:
            how = outcome.call or outcome.error
            if isinstance(how, Call | CallOutcomeUnknown):
                self._pipeline.orphans.report(how, self._plan.target_of(outcome.target))

    async def _work(self) -> None:
        while (taken := await self._take()) is not None:
            await self._give(await self._dial(taken) if isinstance(taken, DialOrder) else taken)

    async def _take(self) -> DialOrder | DialOutcome | None:
        """Take the next target, and wait until there is room for its call; None at the end."""
        # One worker at a time: no more than one target waits for room.
        async with self._taking:
            # If one worker has failed, the others finish their dials and end as well.
            targets = [] if self._error else await self._pipeline.wait(self._input.take(1))
            if not targets:
                return None
            (target,) = targets
            self._plan.require(target)
            self._read_targets += 1
            try:
                order = self._plan.order(target)
            except InvalidRequest as error:
                return DialOutcome(target, error=error)
            while not self._stopping and not self._live.take(order.legs):
                await self._live.changed()
            if self._stopping:
                return DialOutcome(target, error=NotDialled("the dialling was stopped before it"))
            return order

    async def _dial(self, order: DialOrder) -> DialOutcome:
        try:
            call = await self._pipeline.send(order.request, self._read, self._options)
        except CallOutcomeUnknown as error:
            self._live.lost(error, order)
            return DialOutcome(order.passed, error=error)
        except ExotelError as error:
            self._live.free(order.legs)
            return DialOutcome(order.passed, error=error)
        except Exception:  # of a user's limiter
            self._live.free(order.legs)
            raise
        self._live.placed(call, order)
        return DialOutcome(order.passed, call)

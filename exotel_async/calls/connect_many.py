"""Dialling many, at the account's budget and within its channels: `exotel.calls.connect_many`."""

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
        target: what was to be dialled, as it was passed.
        call: the call, as Exotel took the order; None where there is an error.
        error: why there is none. `CallOutcomeUnknown` means that there may be one.
    """

    target: DialTarget | str = field(repr=_shown)
    call: Call | None = None
    error: ExotelError | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether it is not known whether somebody was rung."""
        return isinstance(self.error, CallOutcomeUnknown)

    @property
    def tag(self) -> Any:
        """The tag of the `DialTarget`; None where a number alone was passed."""
        return self.target.tag if isinstance(self.target, DialTarget) else None


@frozen(kw_only=True)
class DialStatistics(Value):
    """The progress of a `connect_many`.

    Attributes:
        taken: targets taken from the input so far: `done` and `waiting` together.
        done: outcomes read so far: `placed`, `failed` and `unknown` together.
        placed: dials that Exotel took, and made a call of.
        failed: targets that made no call; each has its error.
        unknown: dials that may have made a call: `CallOutcomeUnknown`.
        waiting: targets whose outcome was not read so far: they wait for room or for the budget,
            are in flight, or their outcome waits to be read.
        live: legs in progress as far as is known: ringing, talking, or perhaps. Where calls are not
            followed to their ends, for there is neither `max_live` nor a reader of `ended()`, those
            of dials in flight.
        rate: outcomes per second so far.
        total: targets there are; None where the input does not say.
        time_left: how long the rest takes at that rate; None where that is not known.
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
    """A stream of `DialOutcome`, one for each target, in the order the answers come.

    Use it as ``async with exotel.calls.connect_many(...) as outcomes: async for outcome in
    outcomes``. Leaving the block ends the dialling; how dials in flight end is reported to the
    session's `on_orphaned_call`, and so is every call whose outcome was not taken out of the
    stream, each with its `DialTarget`. Nothing of it survives the process.
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
        """Legs in progress as far as is known: ringing, talking, or perhaps."""
        return self._live.legs

    def statistics(self) -> DialStatistics:
        """Return the progress so far; outcomes count when they are taken out of the stream."""
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
        """Take no more targets. What is in flight, or waits for the budget, still gets its outcome.

        Then the stream ends. A target that was taken already, and waits for room, is not dialled:
        its outcome has the error `NotDialled`. Calls in progress are not ended, and `ended()` goes
        on until they are over. To be called in the event loop, as by a handler that was given to
        `loop.add_signal_handler`; again, it does nothing.
        """
        self._stopping = True
        self._input.stop()
        self._live.wake()

    def ended(self) -> AsyncIterator[Call]:
        """Return a stream of the calls, each once, when it is over; with its `target`.

        It rests on the poll of `wait`, which `max_live` needs as well and which is made for this
        without, and on `notify`; there are no other requests. A dial whose outcome is not known is
        searched for, and is among them if its call is found. One that is not found, or that Exotel
        does not know any more, is not.

        Ask for it at the start of the block, for an end that nobody waits for is not kept. It ends
        when nothing more will be dialled and no call is in progress any more. Dialling waits for
        the outcomes to be read: read them in another task, or before. It is for one reader; asked
        for again, it is the same.

        Raises:
            RuntimeError: a call was placed before it was asked for. While it is read: the block was
                left before all calls were over.
            ConfigurationError: while it is read: the session was closed.
        """
        return self._live.ends()

    async def __aexit__(self, *error: object) -> None:
        self._live.leave(RuntimeError("the block of this stream was left"))
        try:
            await super().__aexit__(*error)
        finally:
            self._live.drop()

    def _begin(self) -> None:
        self._started = time.monotonic()
        self._start(self._work, _WORKERS)

    def _finished(self) -> None:
        self._live.no_more()

    def _taken(self, results: Sequence[DialOutcome]) -> None:
        for outcome in results:
            self._placed += outcome.call is not None
            self._unknown += outcome.is_unknown
            self._failed += outcome.call is None and not outcome.is_unknown
        if self._on_progress is not None:
            self._on_progress(self.statistics())

    def _abandon(self, results: Sequence[DialOutcome]) -> None:
        """Report the calls whose outcomes nobody will take out of the stream."""
        for outcome in results:
            how = outcome.call or outcome.error
            if isinstance(how, Call | CallOutcomeUnknown):
                self._pipeline.orphans.tell(how, self._plan.target_of(outcome.target))

    async def _work(self) -> None:
        while (taken := await self._take()) is not None:
            await self._give(await self._dial(taken) if isinstance(taken, DialOrder) else taken)

    async def _take(self) -> DialOrder | DialOutcome | None:
        """Take the next target, and wait until there is room for its call; None at the end."""
        # One after the other: no more than one target waits for room.
        async with self._taking:
            # If one worker has failed, the others end as well, but not what they have begun.
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
        except Exception:  # of a limiter of the user's own
            self._live.free(order.legs)
            raise
        self._live.placed(call, order)
        return DialOutcome(order.passed, call)

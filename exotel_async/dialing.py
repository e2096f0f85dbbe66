"""Dialling many, at the account's budget and within its channels: `exotel.calls.connect_many`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from attrs import field, frozen

from exotel_async import parameters
from exotel_async.config import Priority, SendOptions
from exotel_async.crew import Crew
from exotel_async.errors import (
    CallOutcomeUnknown,
    ConfigurationError,
    ExotelError,
    InvalidRequest,
    NotFound,
)
from exotel_async.feeds import Feed
from exotel_async.masking import mask_number
from exotel_async.models import Call
from exotel_async.parameters import DialOptions
from exotel_async.reconciling import FIRST_LOOK, CallFound, Reconciler, Reconciliation
from exotel_async.waiting import Terms, Watch, Watched

if TYPE_CHECKING:
    from types import TracebackType

    from exotel_async.pipeline import Pipeline
    from exotel_async.request import Request
    from exotel_async.wire import Answer

_WORKERS: Final = 8  # more than the budget keeps busy at any usual round trip


def _masked(number: str | None) -> str:
    return repr(number and mask_number(number))


@frozen(kw_only=True)
class DialTarget:
    """One dial of many. What is None here is taken from the arguments of `connect_many`.

    Attributes:
        from_: the party rung first.
        to: the number rung second; or else
        flow: the flow the first party is connected to.
        caller_id: the ExoPhone they see.
        options: more, as `calls.connect` takes it; it goes before what is said for all.
        tag: anything of the caller's own, to tell outcomes apart. It is not sent.
    """

    from_: str = field(repr=_masked)
    to: str | None = field(default=None, repr=_masked)
    flow: int | str | None = None
    caller_id: str | None = None
    options: DialOptions = field(factory=DialOptions, repr=False)
    tag: Any = field(default=None, repr=False)


@frozen
class DialOutcome:
    """What came of one dial of many.

    Attributes:
        target: what was to be dialled, as it was passed.
        call: the call, as Exotel took the order; None where there is an error.
        error: why there is none. `CallOutcomeUnknown` means that there may be one.
    """

    target: DialTarget | str = field(
        repr=lambda target: _masked(target) if isinstance(target, str) else repr(target)
    )
    call: Call | None = None
    error: ExotelError | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether it is not known whether somebody was rung."""
        return isinstance(self.error, CallOutcomeUnknown)


@frozen(kw_only=True)
class DialPlan:
    """What all dials of a lot have in common, and how many may go on.

    Attributes:
        account_sid: the account the flows belong to.
        to, flow, caller_id, options: for each target that says nothing else.
        max_live: legs that may go on at a time; None: any number.
        interval: seconds until the first poll for the end of a call.
    """

    account_sid: str
    to: str | None
    flow: int | str | None
    caller_id: str | None
    options: DialOptions
    max_live: int | None
    interval: float

    def order(self, target: DialTarget | str) -> tuple[Request, int]:
        """Build the request for a target, and count the legs of its call.

        Raises:
            InvalidRequest: an argument that Exotel would refuse.
        """
        if isinstance(target, str):
            target = DialTarget(from_=target)
        if not isinstance(target, DialTarget):
            raise InvalidRequest("targets", type(target).__name__, "must be numbers or DialTargets")
        own = target.to is not None or target.flow is not None
        to, flow = (target.to, target.flow) if own else (self.to, self.flow)
        if (to is None) == (flow is None):
            raise InvalidRequest("to", to, "give either to or flow, for each target or for all")
        caller_id = target.caller_id or self.caller_id or ""
        options = DialOptions(**(self.options | target.options))
        if to is not None:
            request = parameters.connect(from_=target.from_, to=to, caller_id=caller_id, **options)
            return request, 2
        request = parameters.connect_to_flow(
            account_sid=self.account_sid,
            flow=flow or "",
            from_=target.from_,
            caller_id=caller_id,
            **options,
        )
        return request, 1


def dial_plan(**arguments: Any) -> DialPlan:
    """Check what all dials of a lot have in common.

    Raises:
        InvalidRequest: an argument that Exotel would refuse.
    """
    plan = DialPlan(**arguments)
    live = plan.max_live
    if live is not None and (isinstance(live, bool) or not isinstance(live, int) or live < 1):
        raise InvalidRequest("max_live", live, "must be a whole number, 1 or more")
    if plan.to is not None and plan.flow is not None:
        raise InvalidRequest(
            "flow", plan.flow, "give either to or flow, for each target or for all"
        )
    return plan


class Dials:
    """A stream of `DialOutcome`, one for each target, in the order the answers come.

    Use it as ``async with exotel.calls.connect_many(...) as outcomes: async for outcome in
    outcomes``. Leaving the block ends the dialling; how dials in the air end is told to the
    session's `on_orphaned_call`, and so is every call whose outcome was not taken out of the
    stream. Nothing of it survives the process.
    """

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        read: Callable[[Answer], Call],
        watch: Watch,
        reconciler: Reconciler,
        targets: Iterable[DialTarget | str] | AsyncIterable[DialTarget | str],
        plan: DialPlan,
        options: SendOptions,
    ) -> None:
        self._pipeline = pipeline
        self._read = read
        self._watch = watch
        self._reconciler = reconciler
        self._feed = Feed("targets", targets, ahead=1)
        self._plan = plan
        self._options = options
        self._live = 0
        self._freed = asyncio.Event()
        self._taking = asyncio.Lock()
        self._watched: dict[str, Watched] = {}
        self._out: asyncio.Queue[DialOutcome | None] = asyncio.Queue(_WORKERS)
        self._error: Exception | None = None
        self._crew = Crew()
        self._searches = Crew()
        self._entered = False

    @property
    def live(self) -> int:
        """Legs that go on as far as is known: ringing, talking, or perhaps."""
        return self._live

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("it can be run once: call connect_many again")
        self._entered = True
        self._crew.start(self._run)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._crew.aclose()
        await self._searches.aclose()
        await self._feed.aclose()
        for watched in self._watched.values():
            self._watch.drop(watched)
        while not self._out.empty():
            self._abandon(self._out.get_nowait())

    def __aiter__(self) -> AsyncIterator[DialOutcome]:
        return self

    async def __anext__(self) -> DialOutcome:
        """Return the next outcome.

        Raises:
            Exception: what the source of the targets has raised.
        """
        if not self._entered:
            raise RuntimeError("use it in `async with`")
        outcome = await self._out.get()
        if outcome is not None:
            return outcome
        self._out.put_nowait(None)
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopAsyncIteration

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(_WORKERS):
                    workers.create_task(self._work())
        except ExceptionGroup as several:
            self._error = several.exceptions[0]
        await self._out.put(None)

    async def _work(self) -> None:
        while (taken := await self._take()) is not None:
            target, request, legs = taken
            if isinstance(request, ExotelError):
                outcome = DialOutcome(target, error=request)
            else:
                outcome = await self._dial(target, request, legs)
            try:
                await self._out.put(outcome)
            except asyncio.CancelledError:
                self._abandon(outcome)
                raise

    async def _take(self) -> tuple[DialTarget | str, Request | ExotelError, int] | None:
        """Take the next target when there is room for its call; None at the end."""
        most = self._plan.max_live
        async with self._taking:
            # One after the other: no target is read before there is room for any.
            await self._wait_for_room(1)
            targets = await self._feed.take(1)
            if not targets:
                return None
            (target,) = targets
            try:
                request, legs = self._plan.order(target)
            except InvalidRequest as error:
                return target, error, 0
            if most is not None and legs > most:
                rule = "a call between two numbers takes two"
                return target, InvalidRequest("max_live", most, rule), 0
            await self._wait_for_room(legs)
            self._live += legs
            return target, request, legs

    async def _wait_for_room(self, legs: int) -> None:
        """Wait until a call of that many legs may be made. One at a time waits."""
        most = self._plan.max_live
        while most is not None and self._live + legs > most:
            self._freed.clear()
            await self._freed.wait()

    async def _dial(self, target: DialTarget | str, request: Request, legs: int) -> DialOutcome:
        try:
            call = await self._pipeline.send(request, self._read, self._options)
        except CallOutcomeUnknown as error:
            if self._plan.max_live is not None:
                # It may be going on. Until that is known, it takes its channels.
                self._searches.start(partial(self._search, error, legs))
            return DialOutcome(target, error=error)
        except ExotelError as error:
            self._free(legs)
            return DialOutcome(target, error=error)
        if self._plan.max_live is not None:
            self._follow(call.sid, legs)
        return DialOutcome(target, call)

    def _follow(self, sid: str, legs: int) -> None:
        """Have the shared poll, or a callback, tell when the call is over."""

        def told(how: Call | ExotelError) -> None:
            self._watched.pop(sid, None)
            over = isinstance(how, Call | NotFound | ConfigurationError)
            if over:
                self._free(legs)
            else:  # it cannot be read now, and may go on nevertheless
                self._follow(sid, legs)

        terms = Terms(interval=self._plan.interval, priority=Priority.BULK)
        watched = self._watch.add(sid, terms, told)
        if watched is not None:
            self._watched[sid] = watched

    async def _search(self, error: CallOutcomeUnknown, legs: int) -> None:
        """Look for a call that may be there until it is over, or certainly is not there."""
        found: Reconciliation | None = None
        while found is None:
            try:
                found = await self._reconciler.reconcile(
                    error, self._options, timeout=None, interval=FIRST_LOOK
                )
            except ConfigurationError:  # the session is closed
                return
            except ExotelError:
                await asyncio.sleep(FIRST_LOOK)
        if isinstance(found, CallFound) and not found.call.is_final:
            self._follow(found.call.sid, legs)
        else:
            self._free(legs)

    def _free(self, legs: int) -> None:
        self._live -= legs
        self._freed.set()

    def _abandon(self, outcome: DialOutcome | None) -> None:
        """Tell of a call that nobody is going to take out of the stream."""
        how = outcome and (outcome.call or outcome.error)
        if isinstance(how, Call | CallOutcomeUnknown):
            self._pipeline.tell_orphan(how)

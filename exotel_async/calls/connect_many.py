"""Dialling many, at the account's budget and within its channels: `exotel.calls.connect_many`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from exotel_async.calls.reconcile import FIRST_LOOK, CallFound, Reconciler, Reconciliation
from exotel_async.calls.streams import LazyInput, ResultStream
from exotel_async.calls.wait import LONGEST_WATCH, CallWatcher
from exotel_async.calls.wait_state import FIRST_POLL, Waiter, WaitOptions, is_over
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import (
    CallOutcomeUnknown,
    ConfigurationError,
    ExotelError,
    InvalidRequest,
    NotFound,
)
from exotel_async.masking import masked
from exotel_async.models import Call, CallbackEvent
from exotel_async.models.value import Value
from exotel_async.wire import requests
from exotel_async.wire.requests import DialOptions
from exotel_async.wire.validation import all_of, whole

if TYPE_CHECKING:
    from exotel_async.http.pipeline import Pipeline
    from exotel_async.wire.request import Request
    from exotel_async.wire.responses import Response

_WORKERS: Final = 8  # more than the budget keeps busy at any usual round trip
OPTIONS: Final[frozenset[str]] = DialOptions.__optional_keys__ | {
    *("wait_url", "start_playback_to", "start_playback_url"),  # between two numbers
}
"""What a dial takes besides its parties."""

logger: Final = logging.getLogger("exotel_async")


def _shown(target: object) -> str:
    return repr(target) if isinstance(target, DialTarget) else masked(target)


@frozen(kw_only=True)
class DialTarget(Value):
    """One dial of many. What is None here is taken from the arguments of `connect_many`.

    Attributes:
        from_: the party rung first.
        to: the party rung second; or else
        flow: the flow the first party is connected to.
        caller_id: the ExoPhone they see.
        options: more, as `calls.connect` takes it; it goes before what is said for all.
        tag: anything of the caller's own, to recognise an outcome by. It is not sent.
    """

    from_: str = field(repr=masked)
    to: str | None = field(default=None, repr=masked)
    flow: int | str | None = None
    caller_id: str | None = None
    options: DialOptions = field(factory=DialOptions, repr=False)
    tag: Any = field(default=None, repr=False)


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


@frozen(kw_only=True)
class DialPlan:
    """What all dials of one `connect_many` have in common, and how many may be in progress.

    Attributes:
        account_sid: the account the flows belong to.
        to, flow, caller_id, options: for each target that says nothing else.
        max_live: legs that may be in progress at once; None: any number.
        interval: seconds until the first poll for the end of a call.
    """

    account_sid: str
    to: str | None
    flow: int | str | None
    caller_id: str | None
    options: DialOptions
    max_live: int | None
    interval: float

    def __attrs_post_init__(self) -> None:
        _checked(self.options)
        if "status_callback_events" in self.options:
            # An iterator would give them to the first dial alone.
            events = self.options["status_callback_events"]
            given = all_of("status_callback_events", events, CallbackEvent)
            self.options["status_callback_events"] = tuple(given)
        whole("max_live", self.max_live, 1)
        if self.to is not None and self.flow is not None:
            rule = "give either to or flow, for each target or for all"
            raise InvalidRequest("flow", self.flow, rule)

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
        arguments: dict[str, Any] = {**self.options, **_checked(target.options)}
        arguments |= {"from_": target.from_, "caller_id": target.caller_id or self.caller_id or ""}
        try:
            if to is not None:
                return requests.connect(to=to, **arguments), 2
            arguments |= {"account_sid": self.account_sid, "flow": flow}
            return requests.connect_to_flow(**arguments), 1
        except TypeError as error:  # an option of the other mode
            raise InvalidRequest("options", str(error), "must be what the dial takes") from None


def _checked(options: object) -> Mapping[str, Any]:
    if not isinstance(options, Mapping):
        raise InvalidRequest("options", type(options).__name__, "must be a mapping")
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise InvalidRequest("options", unknown[0], "is not an option of a dial")
    return options


class Dials(ResultStream[DialOutcome]):
    """A stream of `DialOutcome`, one for each target, in the order the answers come.

    Use it as ``async with exotel.calls.connect_many(...) as outcomes: async for outcome in
    outcomes``. Leaving the block ends the dialling; how dials in flight end is reported to the
    session's `on_orphaned_call`, and so is every call whose outcome was not taken out of the
    stream. Nothing of it survives the process.
    """

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        read: Callable[[Response], Call],
        watcher: CallWatcher,
        reconciler: Reconciler,
        targets: Iterable[DialTarget | str] | AsyncIterable[DialTarget | str],
        plan: DialPlan,
        options: SendOptions,
    ) -> None:
        super().__init__(LazyInput("targets", targets, ahead=1), places=_WORKERS)
        self._pipeline = pipeline
        self._read = read
        self._watcher = watcher
        self._reconciler = reconciler
        self._plan = plan
        self._options = options
        self._live = 0
        self._freed = asyncio.Event()
        self._taking = asyncio.Lock()
        self._waiters: dict[str, Waiter] = {}

    @property
    def live(self) -> int:
        """Legs in progress as far as is known: ringing, talking, or perhaps."""
        return self._live

    async def __aexit__(self, *error: object) -> None:
        try:
            await super().__aexit__(*error)
        finally:
            for waiter in self._waiters.values():
                self._watcher.drop(waiter)

    def _begin(self) -> None:
        self._start(self._work, _WORKERS)

    def _abandon(self, results: Sequence[DialOutcome]) -> None:
        """Report the calls whose outcomes nobody will take out of the stream."""
        for outcome in results:
            how = outcome.call or outcome.error
            if isinstance(how, Call | CallOutcomeUnknown):
                self._pipeline.orphans.tell(how)

    async def _work(self) -> None:
        while (taken := await self._take()) is not None:
            target, request, legs = taken
            if isinstance(request, ExotelError):
                await self._give(DialOutcome(target, error=request))
            else:
                await self._give(await self._dial(target, request, legs))

    async def _take(self) -> tuple[DialTarget | str, Request | ExotelError, int] | None:
        """Take the next target, and wait until there is room for its call; None at the end."""
        most = self._plan.max_live
        # One after the other: no more than one target waits for room.
        async with self._taking:
            # If one worker has failed, the others end as well, but not what they have begun.
            targets = [] if self._error else await self._pipeline.wait(self._input.take(1))
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
            while most is not None and self._live + legs > most:
                self._freed.clear()
                await self._freed.wait()
            self._live += legs
            return target, request, legs

    async def _dial(self, target: DialTarget | str, request: Request, legs: int) -> DialOutcome:
        try:
            call = await self._pipeline.send(request, self._read, self._options)
        except CallOutcomeUnknown as error:
            # It may be in progress. Until that is known, it takes its channels.
            if self._plan.max_live is None:
                self._free(legs)
            elif error.sid is not None:
                self._follow(error.sid, legs)
            else:
                self._workers.start(partial(self._search, error, legs))
            return DialOutcome(target, error=error)
        except ExotelError as error:
            self._free(legs)
            return DialOutcome(target, error=error)
        except Exception:  # of a limiter of the user's own
            self._free(legs)
            raise
        if self._plan.max_live is None or is_over(call):
            self._free(legs)
        else:
            self._follow(call.sid, legs)
        return DialOutcome(target, call)

    def _follow(self, sid: str, legs: int, since: float | None = None) -> None:
        """Have the shared poll, or a callback, tell when the call is over."""
        time = asyncio.get_running_loop().time
        began = time() if since is None else since

        def told(how: Call | ExotelError) -> None:
            self._waiters.pop(sid, None)
            known = isinstance(how, Call | NotFound | ConfigurationError)
            if known or time() - began >= LONGEST_WATCH:
                self._free(legs)
            else:  # it cannot be read now, and may be in progress nevertheless
                self._follow(sid, legs, began)

        terms = WaitOptions(interval=self._plan.interval, priority=Priority.BULK)
        try:
            waiter = self._watcher.add(sid, terms, told)
        except ConfigurationError:  # the session is closed: nobody is dialled any more
            self._free(legs)
            return
        if waiter is not None:
            self._waiters[sid] = waiter

    async def _search(self, error: CallOutcomeUnknown, legs: int) -> None:
        """Look for a call that may be there until it is over, or certainly is not there."""
        try:
            found = await self._reconciled(error)
        except ConfigurationError:  # the session is closed: nobody is dialled any more
            found = None
        if isinstance(found, CallFound) and not is_over(found.call):
            self._follow(found.call.sid, legs)
        else:
            self._free(legs)

    async def _reconciled(self, error: CallOutcomeUnknown) -> Reconciliation:
        interval = FIRST_LOOK * self._plan.interval / FIRST_POLL
        options = SendOptions(priority=Priority.BULK)
        while True:
            try:
                return await self._reconciler.reconcile(
                    error, options, timeout=None, interval=interval
                )
            except ConfigurationError:
                raise
            except ExotelError as failure:
                logger.warning(
                    "Searching for a call of unknown outcome has failed and is repeated: %s",
                    failure,
                )
            await self._pipeline.sleep(interval)

    def _free(self, legs: int) -> None:
        self._live -= legs
        self._freed.set()

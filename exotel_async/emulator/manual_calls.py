"""Dialled calls of which a person plays a party: they are decided as they go.

So they are until a flow takes over (see `flow_engine`). Who is not played by hand does as the
scenario draws it; a conversation with a second party who is lasts until one of the two hangs up.
"""

from __future__ import annotations

import asyncio
import math
from asyncio import Future, TimerHandle
from collections.abc import Callable, Generator
from random import Random

import attrs

from exotel_async.emulator.call_store import CallBook
from exotel_async.emulator.callbacks import Callbacks
from exotel_async.emulator.calls import EmulatedCall, Event
from exotel_async.emulator.dial_request import MAX_TIME_LIMIT
from exotel_async.emulator.flow_engine.live_calls import Runs, not_answered
from exotel_async.emulator.flows.caller import Caller
from exotel_async.emulator.flows.flow import Flow
from exotel_async.emulator.phones import Handset
from exotel_async.emulator.scenario import UNREACHED, Attempt, Outcome, Party, draw
from exotel_async.emulator.settings import Settings, is_manual

_Steps = Generator[float, None, None]
"""Yields the age of the call it waits for: it goes on then, or when a person acts before."""


class ManualCalls:
    """Lets such calls go on as the clock and people have it."""

    def __init__(
        self, settings: Settings, book: CallBook, callbacks: Callbacks, runs: Runs
    ) -> None:
        self._settings = settings
        self._book = book
        self._callbacks = callbacks
        self._runs = runs
        self._live: dict[_ManualCall, None] = {}
        """Those in progress, in the order they began."""

    def start(self, call: EmulatedCall) -> None:
        """Ring the first party of a call just taken that leads to no flow."""
        manual = is_manual(self._settings, call.from_)
        self._begin(call, Handset(call.from_, "first", manual), None)

    def start_flow(self, call: EmulatedCall, flow: Flow, caller: Caller) -> None:
        """Ring the party of a call just taken, whom a person plays; lead them to the flow then."""
        self._runs.take_down(call, flow)
        phone = Handset(call.from_, "caller", manual=True)
        self._begin(call, phone, lambda: self._runs.start(call, flow, caller, phone))

    def hurry(self) -> None:
        """Let each reach its end now. Nobody acts any more: phones ring out, and who is in a
        conversation hangs up."""
        for live in list(self._live):
            live.hurry()

    def clear(self) -> None:
        """End them all where they are."""
        for live in list(self._live):
            live.stop()
            live.call.handsets.close()

    def _begin(self, call: EmulatedCall, phone: Handset, lead: Callable[[], None] | None) -> None:
        call.run = done = asyncio.get_running_loop().create_future()
        live = _ManualCall(
            settings=self._settings,
            book=self._book,
            callbacks=self._callbacks,
            call=call,
            first=phone,
            lead=lead,
            done=done,
        )
        self._live[live] = None
        live.begin(lambda: self._live.pop(live, None))


@attrs.define(kw_only=True, eq=False)
class _ManualCall:
    """One of them."""

    settings: Settings
    book: CallBook
    callbacks: Callbacks
    call: EmulatedCall
    first: Handset
    lead: Callable[[], None] | None
    """What the call comes to once the first party has answered, if that is a flow."""
    done: Future[None]
    age: float = 0.0
    """Emulator seconds since the dial, as far as it has been decided."""
    due: float = 0.0
    """The age it waits for."""
    limit: float = math.inf
    """The age at which it ends whatever anybody does."""
    hurried: bool = False
    steps: _Steps = attrs.field(init=False)
    timer: TimerHandle | None = None
    over: Callable[[], object] = attrs.field(init=False)
    random: Random = attrs.field(init=False)

    def begin(self, over: Callable[[], object]) -> None:
        """Ring the first party; `over` is called when it has ended, or is in its flow."""
        self.over = over
        self.random = Random(f"{self.call.seed}/parties")  # noqa: S311 - a script, not a secret
        self.first.act = self.go_on
        self.call.handsets.add(self.first)
        self.steps = self._live()
        self.go_on()

    def go_on(self) -> None:
        """Take the steps that the clock and people let it take."""
        if self.timer is not None:
            self.timer.cancel()
        self.age = max(self.age, min(self.call.age, self.due))
        try:
            self.due = next(self.steps)
        except StopIteration:
            self.stop()
            return
        wait = max(0.0, self.call.clock.real(self.due - self.call.age))
        self.timer = asyncio.get_running_loop().call_later(wait, self.go_on)

    def hurry(self) -> None:
        """Reach the end now."""
        self.hurried = True
        self.go_on()
        while not self.done.done():
            self.call.run_ahead(self.due)
            self.go_on()

    def stop(self) -> None:
        """Take no more steps."""
        if self.timer is not None:
            self.timer.cancel()
        self.steps.close()
        if not self.done.done():
            self.done.set_result(None)
        self.over()

    def _live(self) -> _Steps:
        """The call's life."""
        call, dial, first = self.call, self.call.dial, self.first
        outcome = yield from self._reach_first()
        if outcome is not Outcome.COMPLETED:
            call.timeline = attrs.evolve(call.timeline, first=outcome)
            self._end()
            return
        call.timeline = attrs.evolve(call.timeline, first=outcome, answered=self.age)
        self.callbacks.tell(call, Event.ANSWERED, self.age)
        if self.lead is not None:
            self.lead()
        elif dial.to is None:
            yield from self._wait(math.inf, lambda: first.gone or self.hurried)
            self._end()
        else:
            yield from self._reach_second(dial.to)

    def _reach_first(self) -> Generator[float, None, Outcome]:
        """Ring the first party, as often as `MaxRetries` has it; what came of it in the end."""
        call, scenario, lasts = self.call, self.settings.scenario, self.call.dial.time_limit
        while True:
            began = self.age
            self.limit = began + (lasts or MAX_TIME_LIMIT)
            party = self._party(self.first, scenario.first_shares)
            if call.dial.stream_url is not None:
                self.callbacks.tell(call, Event.RINGING, began)
            outcome = yield from self._ring(self.first, party, lambda: False)
            if outcome is Outcome.CANCELED:
                outcome = Outcome.NO_ANSWER
            attempts = (*call.timeline.attempts, Attempt(began, outcome))
            call.timeline = attrs.evolve(call.timeline, attempts=attempts)
            if outcome not in UNREACHED or len(attempts) > call.dial.max_retries:
                return outcome
            self.limit = math.inf
            yield from self._wait(self.age + scenario.retry_pause, lambda: False)

    def _reach_second(self, number: str) -> _Steps:
        """Ring the second party, and let the two talk."""
        call, first, scenario = self.call, self.first, self.settings.scenario
        second = Handset(number, "second", is_manual(self.settings, number), act=self.go_on)
        call.handsets.add(second)
        # Until it is known better: that it is given up is what an end from outside makes of it.
        call.timeline = attrs.evolve(call.timeline, second=Outcome.CANCELED)
        first.hears = call.dial.parameters.get("WaitUrl")
        party = self._party(second, scenario.second_shares)
        outcome = yield from self._ring(second, party, lambda: first.gone)
        call.timeline = attrs.evolve(call.timeline, second=outcome)
        if outcome is Outcome.COMPLETED:
            call.timeline = attrs.evolve(call.timeline, bridged=self.age)
            self.callbacks.tell(call, Event.ANSWERED, self.age)
            yield from self._wait(
                self.age + party.talk,
                lambda: first.gone or second.gone or (second.manual and self.hurried),
            )
        self._end()

    def _party(self, phone: Handset, shares: dict[Outcome, float]) -> Party:
        """What they do when their phone rings; of who is played by hand, if they do nothing."""
        scenario, given = self.settings.scenario, self.call.dial.ring_timeout
        patience = scenario.ring_timeout if given is None else given
        party = draw(scenario, self.random, phone.number, shares)
        if phone.manual:
            return Party(Outcome.NO_ANSWER, patience, math.inf)
        # Nobody is drawn to hang up who is played by hand.
        if party.outcome is Outcome.CANCELED:
            return Party(Outcome.NO_ANSWER, patience, party.talk)
        return party.within(patience)

    def _ring(
        self, phone: Handset, party: Party, left: Callable[[], bool]
    ) -> Generator[float, None, Outcome]:
        """Ring a phone, unless the other party leaves; what came of it."""
        phone.ring()
        self.book.ring(phone.number)
        yield from self._wait(self.age + party.ring, lambda: phone.state != "ringing" or left())
        if phone.answered:
            return Outcome.COMPLETED
        if phone.gone:
            return Outcome.BUSY
        if left() or self.age >= self.limit:
            phone.end()
            return Outcome.CANCELED
        if party.outcome is Outcome.COMPLETED:
            phone.connect()
        else:
            phone.end()
        return party.outcome

    def _wait(self, until: float, done: Callable[[], bool]) -> _Steps:
        """Until then, or until a person has done that, or the call has to end."""
        until = min(until, self.limit)
        while not done() and self.age < until:
            yield until

    def _end(self) -> None:
        """It is over."""
        call = self.call
        call.timeline = attrs.evolve(call.timeline, ended=self.age)
        call.handsets.close()
        if call.log is not None:
            call.log.ending = not_answered(call)
        self.callbacks.tell(call, Event.TERMINAL, self.age)

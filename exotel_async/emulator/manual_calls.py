"""Dialled calls in which a person plays a party: they are decided while they run.

They are handled here until a flow takes over (see `flow_engine`). A party not played by hand does
what the scenario draws; with a second party played by hand, a conversation lasts until one of the
two hangs up.
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
from exotel_async.emulator.flow_engine.live_calls import FlowRuns, not_answered
from exotel_async.emulator.flows.caller import Caller
from exotel_async.emulator.flows.flow import Flow
from exotel_async.emulator.phones import Handset
from exotel_async.emulator.scenario import UNREACHED, Attempt, Outcome, Party, draw
from exotel_async.emulator.settings import Settings, is_manual

_Steps = Generator[float, None, None]
"""Yields the call's age to wait for; to be resumed then, or earlier when a person acts."""


class ManualCalls:
    """Advances such calls, by the clock and by what people do."""

    def __init__(
        self, settings: Settings, book: CallBook, callbacks: Callbacks, runs: FlowRuns
    ) -> None:
        self._settings = settings
        self._book = book
        self._callbacks = callbacks
        self._runs = runs
        self._live: dict[_ManualCall, None] = {}
        """Those in progress, in the order they began."""

    def start(self, call: EmulatedCall) -> None:
        """Ring the first party of a call just added that does not lead to a flow."""
        manual = is_manual(self._settings, call.from_)
        self._begin(call, Handset(call.from_, "first", manual), None)

    def start_flow(self, call: EmulatedCall, flow: Flow, caller: Caller) -> None:
        """Ring the party of a call just added, played by hand; when they answer, start the flow."""
        self._runs.begin_transcript(call, flow)
        phone = Handset(call.from_, "caller", manual=True)
        self._begin(call, phone, lambda: self._runs.start(call, flow, caller, phone))

    def finish_now(self) -> None:
        """Bring each to its end now. No person acts any more: phones ring out, and conversations
        end."""
        for live in list(self._live):
            live.finish_now()

    def clear(self) -> None:
        """Stop them all where they are."""
        for live in list(self._live):
            live.stop()
            live.call.handsets.close()

    def _begin(
        self, call: EmulatedCall, phone: Handset, enter_flow: Callable[[], None] | None
    ) -> None:
        call.run = done = asyncio.get_running_loop().create_future()
        live = _ManualCall(
            settings=self._settings,
            book=self._book,
            callbacks=self._callbacks,
            call=call,
            first=phone,
            enter_flow=enter_flow,
            done=done,
        )
        self._live[live] = None
        live.begin(lambda: self._live.pop(live, None))


@attrs.define(kw_only=True, eq=False)
class _ManualCall:
    """One such call."""

    settings: Settings
    book: CallBook
    callbacks: Callbacks
    call: EmulatedCall
    first: Handset
    enter_flow: Callable[[], None] | None
    """Starts the flow once the first party has answered, if the call leads to one."""
    done: Future[None]
    age: float = 0.0
    """Emulator seconds since the dial, up to which the call has been decided."""
    due: float = 0.0
    """The age it waits for."""
    limit: float = math.inf
    """The age at which it ends, whatever the parties do."""
    hurried: bool = False
    steps: _Steps = attrs.field(init=False)
    timer: TimerHandle | None = None
    on_end: Callable[[], object] = attrs.field(init=False)
    random: Random = attrs.field(init=False)

    def begin(self, on_end: Callable[[], object]) -> None:
        """Ring the first party; `on_end` is called when the call has ended, or is in its flow."""
        self.on_end = on_end
        self.random = Random(f"{self.call.seed}/parties")  # noqa: S311 - a script, not a secret
        self.first.on_action = self.advance
        self.call.handsets.add(self.first)
        self.steps = self._lifecycle()
        self.advance()

    def advance(self) -> None:
        """Take the steps that are possible by now, by the clock and by what people did."""
        if self.timer is not None:
            self.timer.cancel()
        self.age = max(self.age, min(self.call.age, self.due))
        try:
            self.due = next(self.steps)
        except StopIteration:
            self.stop()
            return
        wait = max(0.0, self.call.clock.real(self.due - self.call.age))
        self.timer = asyncio.get_running_loop().call_later(wait, self.advance)

    def finish_now(self) -> None:
        """Run to the end now."""
        self.hurried = True
        self.advance()
        while not self.done.done():
            self.call.run_ahead(self.due)
            self.advance()

    def stop(self) -> None:
        """Take no more steps."""
        if self.timer is not None:
            self.timer.cancel()
        self.steps.close()
        if not self.done.done():
            self.done.set_result(None)
        self.on_end()

    def _lifecycle(self) -> _Steps:
        """Run the call from its first ring to its end, or to its flow."""
        call, dial, first = self.call, self.call.dial, self.first
        outcome = yield from self._reach_first()
        if outcome is not Outcome.COMPLETED:
            call.timeline = attrs.evolve(call.timeline, first=outcome)
            self._end()
            return
        call.timeline = attrs.evolve(call.timeline, first=outcome, answered=self.age)
        self.callbacks.send_now(call, Event.ANSWERED, self.age)
        if self.enter_flow is not None:
            self.enter_flow()
        elif dial.to is None:
            yield from self._wait(math.inf, lambda: first.hung_up or self.hurried)
            self._end()
        else:
            yield from self._reach_second(dial.to)

    def _reach_first(self) -> Generator[float, None, Outcome]:
        """Ring the first party, as often as `MaxRetries` says; return the final outcome."""
        call, scenario, lasts = self.call, self.settings.scenario, self.call.dial.time_limit
        while True:
            began = self.age
            self.limit = began + (lasts or MAX_TIME_LIMIT)
            party = self._party(self.first, scenario.first_shares)
            if call.dial.stream_url is not None:
                self.callbacks.send_now(call, Event.RINGING, began)
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
        """Ring the second party, and let the two talk until the end."""
        call, first, scenario = self.call, self.first, self.settings.scenario
        second = Handset(number, "second", is_manual(self.settings, number), on_action=self.advance)
        call.handsets.add(second)
        # Provisional: the outcome if the call is ended from outside before this party answers.
        call.timeline = attrs.evolve(call.timeline, second=Outcome.CANCELED)
        first.hears = call.dial.parameters.get("WaitUrl")
        party = self._party(second, scenario.second_shares)
        outcome = yield from self._ring(second, party, lambda: first.hung_up)
        call.timeline = attrs.evolve(call.timeline, second=outcome)
        if outcome is Outcome.COMPLETED:
            call.timeline = attrs.evolve(call.timeline, bridged=self.age)
            self.callbacks.send_now(call, Event.ANSWERED, self.age)
            yield from self._wait(
                self.age + party.talk,
                lambda: first.hung_up or second.hung_up or (second.manual and self.hurried),
            )
        self._end()

    def _party(self, phone: Handset, shares: dict[Outcome, float]) -> Party:
        """Return what a party does when its phone rings; if played by hand, what inaction means."""
        scenario, given = self.settings.scenario, self.call.dial.ring_timeout
        patience = scenario.ring_timeout if given is None else given
        party = draw(scenario, self.random, phone.number, shares)
        if phone.manual:
            return Party(Outcome.NO_ANSWER, patience, math.inf)
        # The other party is played by hand: whether they hang up is not drawn.
        if party.outcome is Outcome.CANCELED:
            return Party(Outcome.NO_ANSWER, patience, party.talk)
        return party.within(patience)

    def _ring(
        self, phone: Handset, party: Party, left: Callable[[], bool]
    ) -> Generator[float, None, Outcome]:
        """Ring a phone while the other party stays; return the outcome."""
        phone.ring()
        self.book.ring(phone.number)
        yield from self._wait(self.age + party.ring, lambda: phone.state != "ringing" or left())
        if phone.answered:
            return Outcome.COMPLETED
        if phone.hung_up:  # while it rang: the call was rejected
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
        """Wait until that age, until `done`, or until the call has to end."""
        until = min(until, self.limit)
        while not done() and self.age < until:
            yield until

    def _end(self) -> None:
        """End the call."""
        call = self.call
        call.timeline = attrs.evolve(call.timeline, ended=self.age)
        call.handsets.close()
        if call.log is not None:
            call.log.ending = not_answered(call)
        self.callbacks.send_now(call, Event.TERMINAL, self.age)

"""Rings agents' phones, one by one or several at once, until one answers or none is left."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs

from exotel_async.emulator.calls import INBOUND, Dial
from exotel_async.emulator.flow_engine.app_answers import ConnectPlan
from exotel_async.emulator.flow_engine.app_parameters import of_dial_event
from exotel_async.emulator.flow_engine.line import CallerLeft, Ended, Line
from exotel_async.emulator.flow_engine.state import AgentLeg, Attempts
from exotel_async.emulator.flows.settings import RING_TIMEOUT
from exotel_async.emulator.numbers import national
from exotel_async.emulator.phones import Handset
from exotel_async.emulator.scenario import Outcome, Timeline, draw
from exotel_async.emulator.settings import is_manual


@attrs.define(eq=False)
class Ringing:
    """One phone while it rings."""

    leg: AgentLeg
    phone: Handset
    seconds: float
    """How long it would ring if no person acted, and nothing interrupted it."""
    outcome: Outcome
    """The outcome it would have then."""
    talk: float

    @property
    def answers(self) -> bool:
        """Whether its agent would answer."""
        return self.outcome is Outcome.COMPLETED


async def ring(
    line: Line,
    plan: ConnectPlan,
    attempts: Attempts,
    numbers: Sequence[str],
    *,
    patience: float | None,
) -> Ringing | None:
    """Ring these phones at once, and return the one that is answered, if any. Raises Ended.

    The others then stop ringing. The caller may leave before: see `Line.left`.
    """
    if line.caller.manual or any(is_manual(line.services.settings, number) for number in numbers):
        line.catch_up()
    began = line.age
    phones = [_dial(line, plan, attempts, number) for number in numbers]
    line.call.agents = len(phones)
    # For an agent whose drawn outcome is "cancelled" the caller does not wait.
    waits = [p.seconds for p in phones if p.outcome is Outcome.CANCELED]
    leaves = min([math.inf if patience is None else max(0.0, patience), *waits])
    ringing = sorted(phones, key=lambda p: p.seconds)
    winner: Ringing | None = None
    ended: Ended | None = None
    leaving = False
    try:
        while ringing and winner is None:
            soonest = ringing[0]
            until = began + min(soonest.seconds, leaves)
            acted = await _await_person(line, ringing, until)
            if acted is None and leaves < soonest.seconds:
                leaving = True
                break
            stopped = acted or soonest
            ringing.remove(stopped)
            if stopped.answers:
                winner = stopped
                winner.phone.connect()
            else:
                _stop(line, plan, stopped, cancelled=False)
                leaving = acted is None and not ringing and leaves <= soonest.seconds
    except CallerLeft:
        pass
    except Ended as why:
        ended = why
    for phone in ringing:
        _stop(line, plan, phone, cancelled=True)
    if ended is not None:
        raise ended
    if leaving:
        line.hang_up()
    return winner


async def _await_person(line: Line, ringing: Sequence[Ringing], until: float) -> Ringing | None:
    """Return the phone that a person answers or rejects before that age, if any."""

    def acted() -> Iterator[Ringing]:
        return (one for one in ringing if one.phone.state != "ringing")

    await line.wait_for(lambda: any(acted()), max(0.0, until - line.age))
    one = next(acted(), None)
    if one is not None:
        one.outcome = Outcome.COMPLETED if one.phone.answered else Outcome.BUSY
        one.leg.outcome, one.leg.cause = one.outcome, line.rules.causes[one.outcome]
    return one


def send_event(line: Line, plan: ConnectPlan, leg: AgentLeg, event: str, *, busy: bool) -> None:
    """Send a dial event, if there is a URL for it."""
    if plan.events_url is not None:
        parameters = of_dial_event(line, event, leg.number, busy=busy)
        line.send_in_background(plan.events_url, parameters, event=True)


def hang_up_leg(line: Line, plan: ConnectPlan, ringing: Ringing) -> None:
    """Hang up an agent's phone."""
    call, leg = line.call, ringing.leg
    leg.ended = line.age
    ringing.phone.end()
    call.agents -= 1
    send_event(line, plan, leg, "Terminal", busy=False)
    if call.incoming and line.rules.child_legs:
        _enter_child(line, leg)


def _dial(line: Line, plan: ConnectPlan, attempts: Attempts, number: str) -> Ringing:
    """Make a phone begin to ring."""
    line.count_step()
    call, rules, scenario = line.call, line.rules, line.services.settings.scenario
    line.services.book.ring(number)
    party = draw(scenario, line.random, number, scenario.second_shares)
    does = scenario.numbers.get(national(number))
    seconds, outcome = party.ring, party.outcome
    if outcome is Outcome.NO_ANSWER and does is not None and does.ring is not None:
        seconds = does.ring
    limit = scenario.ring_timeout if plan.ring_limit is None else plan.ring_limit
    manual = is_manual(line.services.settings, number)
    # A caller who is played by hand is not drawn to leave.
    if manual or (line.caller.manual and outcome is Outcome.CANCELED):
        seconds, outcome = math.inf, Outcome.NO_ANSWER
    cause = rules.causes[outcome]
    if seconds > limit:
        seconds, outcome, cause = limit, Outcome.NO_ANSWER, RING_TIMEOUT
    leg = AgentLeg(
        number=number,
        caller_id=attempts.outgoing,
        dialled=line.age,
        ended=line.age,
        outcome=outcome,
        cause=cause,
    )
    attempts.legs.append(leg)
    line.state.whom = national(number)
    talked = call.timeline.talked
    # For now: if the call is ended from outside while it rings, it was given up.
    call.timeline = attrs.evolve(
        call.timeline, second=Outcome.CANCELED, bridged=None, parted=None, earlier=talked
    )
    phone = Handset(number, "agent", manual, on_action=line.person_acted)
    call.handsets.add(phone)
    line.note(f"rings {number}")
    send_event(line, plan, leg, "Dial", busy=True)
    return Ringing(leg, phone, seconds, outcome, math.inf if manual else party.talk)


def _stop(line: Line, plan: ConnectPlan, phone: Ringing, *, cancelled: bool) -> None:
    """Stop a phone that was not answered."""
    leg, rules = phone.leg, line.rules
    if cancelled:
        leg.outcome, leg.cause = Outcome.CANCELED, rules.causes[Outcome.CANCELED]
    line.note(f"{leg.number}: {leg.outcome}")
    line.call.timeline = attrs.evolve(line.call.timeline, second=leg.outcome)
    hang_up_leg(line, plan, phone)


def _enter_child(line: Line, leg: AgentLeg) -> None:
    """Add a call record for an agent's leg."""
    call = line.call
    line.children += 1
    line.services.book.add_child(
        call,
        line.children,
        Dial(from_=call.from_, to=leg.number, caller_id=call.caller_id, direction=INBOUND),
        Timeline(
            first=leg.outcome,
            answered=None if leg.answered is None else leg.answered - leg.dialled,
            second=None,
            bridged=None,
            ended=leg.ended - leg.dialled,
            settle=call.timeline.settle,
            price_per_minute=call.timeline.price_per_minute,
        ),
        call.at + leg.dialled,
    )

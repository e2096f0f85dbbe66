"""Connect: whom it rings, who answers, and who ends it (VOICE_V1 7.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from exotel_async.emulator.flow_engine.app_answers import (
    ConnectPlan,
    Playback,
    read_connect,
    read_numbers,
    read_whisper,
)
from exotel_async.emulator.flow_engine.app_parameters import of_call, of_whisper
from exotel_async.emulator.flow_engine.line import VERSION, CallerLeft, Ended, Line
from exotel_async.emulator.flow_engine.prompts import JSON, BadAnswer, check
from exotel_async.emulator.flow_engine.ringing import Ringing, hang_up_leg, ring, send_event
from exotel_async.emulator.flow_engine.state import Attempts
from exotel_async.emulator.flows.applets import Connect
from exotel_async.emulator.numbers import is_sip, national
from exotel_async.emulator.scenario import Outcome

THEN, NO_ANSWER, NOT_DIALLED = "then", "no_answer", "not_dialled"


async def run_connect(line: Line, connect: Connect) -> str:
    """Run a Connect, and return one of its three exits."""
    state = line.state
    state.attempts, state.whom = None, ""
    patience: float | None = line.script.caller.patience
    if line.leaves_here(connect):
        patience = 0
    plan = await _plan(line, connect)
    if not plan.numbers:
        return NOT_DIALLED
    state.attempts = attempts = Attempts()
    first_dial = line.age
    numbers = list(plan.numbers)
    while numbers:
        attempts.outgoing = plan.outgoing or line.call.caller_id
        together = max(1, min(plan.parallel, line.rules.parallel_cap))
        batch, numbers = numbers[:together], numbers[together:]
        left = None if patience is None else patience - (line.age - first_dial)
        answered = await ring(line, plan, attempts, batch, patience=left)
        if answered is not None:
            await _converse(line, connect, plan, answered)
            return THEN
        if line.left is not None:
            state.call_type = "client-hangup"
            return NO_ANSWER
        state.call_type = "incomplete"
        if plan.again:
            plan = await _plan(line, connect)
            numbers = list(plan.numbers)
    return NO_ANSWER


async def _plan(line: Line, connect: Connect) -> ConnectPlan:
    """Return whom to ring, and how; without numbers if no answer is usable."""
    plan = ConnectPlan(
        numbers=connect.numbers,
        ring_limit=connect.ring_limit,
        talk_limit=connect.talk_limit,
        record=connect.record,
        parallel=connect.parallel,
        events_url=connect.events_url,
    )
    if connect.dial_whom_url is not None:
        plan = attrs.evolve(plan, numbers=await _dial_whom(line, connect.dial_whom_url))
    elif connect.url is not None:
        plan = await _dynamic(line, [connect.url, connect.fallback_url])
    if not line.rules.sip_agents and not plan.contacts:
        numbers = [number for number in plan.numbers if not is_sip(number)]
        plan = attrs.evolve(plan, numbers=numbers)
    return plan


async def _dial_whom(line: Line, url: str) -> Sequence[str]:
    answer = await line.fetch("GET", url, of_call(line))
    try:
        return read_numbers(answer, line.rules)
    except BadAnswer as why:
        line.note(f"of no use: {why}")
        return ()


async def _dynamic(line: Line, urls: list[str | None]) -> ConnectPlan:
    for url in filter(None, urls):
        answer = await line.fetch("GET", url, of_call(line), headers=VERSION)
        try:
            return read_connect(answer, line.rules)
        except BadAnswer as why:
            line.note(f"of no use: {why}")
    return ConnectPlan(numbers=())


async def _converse(line: Line, connect: Connect, plan: ConnectPlan, ringing: Ringing) -> None:
    """Play the conversation, from the agent's answer to its end. Raises Ended."""
    call, leg = line.call, ringing.leg
    leg.answered, call.agent = line.age, leg.number
    line.state.call_type = "completed"
    line.state.whom = national(leg.number)
    line.note(f"{leg.number} answers")
    send_event(line, plan, leg, "Answered", busy=True)
    caller_word, leg.disconnected_by = line.rules.disconnected_by or ("", "")
    seconds: float = min(ringing.talk, plan.talk_limit or math.inf)
    patience = line.script.caller.talk
    caller_first = patience is not None and patience < seconds
    if patience is not None and caller_first:
        seconds = patience
    caller_ends = False
    over: Ended | None = None
    line.agent = ringing.phone
    try:
        await _play(line, await _playback(line, connect, plan))
        call.timeline = attrs.evolve(call.timeline, second=Outcome.COMPLETED, bridged=line.age)
        await line.spend(seconds)
        caller_ends = caller_first and not line.agent_left
    except CallerLeft:
        pass
    except Ended as why:
        over, leg.disconnected_by = why, ""
    line.agent = None
    if caller_ends or line.left is not None:
        leg.disconnected_by = caller_word
    bridged = line.age if call.timeline.bridged is None else call.timeline.bridged
    talked = round(line.age - bridged)
    call.timeline = attrs.evolve(call.timeline, parted=line.age)
    line.note(f"they talked for {talked} s")
    if talked and (plan.record or call.dial.record):
        line.record(talked)
    hang_up_leg(line, plan, ringing)
    if over is not None:
        raise over
    if caller_ends:
        line.hang_up()


async def _playback(line: Line, connect: Connect, plan: ConnectPlan) -> Playback | None:
    """Return what is played when an agent answers."""
    if connect.whisper_url is None:
        return plan.playback
    parameters = of_whisper(line)
    try:
        check(await line.fetch("HEAD", connect.whisper_url, parameters), JSON)
        return read_whisper(await line.fetch("GET", connect.whisper_url, parameters), line.rules)
    except BadAnswer as why:
        line.note(f"of no use: {why}")
        return None


async def _play(line: Line, playback: Playback | None) -> None:
    if playback is not None and playback.text:
        await line.say(playback.text)
    elif playback is not None:
        await line.play(playback.audio)

"""One call's path through its flow, from applet to applet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from exotel_async.emulator.flow_engine import prompts
from exotel_async.emulator.flow_engine.app_answers import read_selection, read_stream_url
from exotel_async.emulator.flow_engine.app_parameters import of_call, of_sms
from exotel_async.emulator.flow_engine.connect_applet import run_connect
from exotel_async.emulator.flow_engine.input_applets import OTHERWISE, run_gather, run_menu
from exotel_async.emulator.flow_engine.line import CallerLeft, Ended, Line
from exotel_async.emulator.flow_engine.prompts import BadAnswer
from exotel_async.emulator.flows.applets import (
    Applet,
    Connect,
    Email,
    Gather,
    Greeting,
    Hangup,
    Menu,
    Passthru,
    Sms,
    SwitchCase,
    Transfer,
    Voicebot,
    Voicemail,
)
from exotel_async.emulator.flows.flow import find_flow
from exotel_async.emulator.flows.outbox import SentEmail, SentSms
from exotel_async.emulator.numbers import national


async def run(line: Line) -> None:
    """Go through the flow until the call is over."""
    call = line.call
    try:
        answered = call.timeline.answered or 0.0
        if line.caller.state == "ringing":
            await line.spend(answered)
            line.caller.connect()
        else:
            line.age = answered
        ending = await _walk(line)
    except Ended as why:
        ending = str(why)
    ended = line.age if line.left is None else line.left
    call.timeline = attrs.evolve(call.timeline, ended=ended)
    call.agents = 0
    line.log.ending = f"{ending} after {ended:.0f} s: {call.timeline.status}"


async def _walk(line: Line) -> str:
    """Run applet after applet, and return why the call ended. Raises Ended."""
    applet: Applet | None = line.flow.start
    while applet is not None:
        if line.left is not None and _needs_caller(line, applet):
            break
        line.log.begin(line.age, line.flow.id, applet)
        line.count_step()
        if line.leaves_here(applet) and not isinstance(applet, Connect | Voicemail):
            line.hang_up()
            break
        if line.caller_left() and _needs_caller(line, applet):
            break
        if isinstance(applet, Hangup):
            return "hung up"
        if isinstance(applet, Transfer):
            applet = _transfer(line, applet)
            continue
        branch = await _RUNNERS[type(applet)](line, applet)
        line.log.leave(branch)
        applet = line.flow.follow(applet.exits[branch])
    return "ended by its flow" if line.left is None else "ended by the caller"


def _needs_caller(line: Line, applet: Applet) -> bool:
    """Return whether the flow ends at this applet once the caller has hung up."""
    return applet.needs_caller or line.rules.after_hangup == "stop"


def _transfer(line: Line, applet: Transfer) -> Applet | None:
    """Return the start of the other flow."""
    flow = find_flow(line.services.settings.flows, applet.flow)
    if flow is None:
        line.note(f"flow {applet.flow} is not there any more")
        return None
    line.log.leave(flow.id)
    line.flow = flow
    return flow.start


async def _greet(line: Line, greeting: Greeting) -> str:
    await prompts.give(line, greeting.text, greeting.audio, greeting.url)
    return "then"


async def _passthru(line: Line, passthru: Passthru) -> str:
    if not passthru.sync:
        line.send_in_background(passthru.url, of_call(line), event=False)
        return "ok"
    line.state.answer = answer = await line.fetch("GET", passthru.url, of_call(line))
    return "ok" if answer.status == 200 else OTHERWISE


async def _switch(line: Line, switch: SwitchCase) -> str:
    if line.state.answer is None:
        line.note("there was no Passthru to select anything")
        return OTHERWISE
    try:
        selected = read_selection(line.state.answer, line.rules)
    except BadAnswer as why:
        line.note(f"of no use: {why}")
        return OTHERWISE
    line.note(f"selects {selected!r}")
    return selected if selected in switch.cases else OTHERWISE


async def _voicemail(line: Line, voicemail: Voicemail) -> str:
    began: float | None = None
    try:
        await prompts.give(line, voicemail.text, voicemail.audio, None)
        seconds = min(await _message(line, voicemail), voicemail.max_seconds)
        if seconds:
            line.note(f"the caller speaks for {seconds} s")
            began = line.age
            await line.spend(seconds)
    except CallerLeft:
        pass
    if began is not None and (spoken := round(line.age - began)):
        line.record(spoken)
        line.state.call_type = "voicemail"
    if line.leaves_here(voicemail):
        line.hang_up()
    return "then"


async def _message(line: Line, voicemail: Voicemail) -> int:
    """Return how long the caller is going to speak."""
    caller = line.caller
    if not caller.manual:
        return line.script.caller.speaks
    line.catch_up()
    caller.waits_for = "message"
    await line.wait_for(lambda: caller.message > 0 or line.hurried, voicemail.max_seconds)
    caller.waits_for, seconds, caller.message = None, caller.message, 0
    return seconds


async def _voicebot(line: Line, voicebot: Voicebot) -> str:
    bot = voicebot.stream_url
    if voicebot.url is not None:
        parameters = of_call(line) if line.rules.voicebot_parameters else {}
        try:
            bot = read_stream_url(await line.fetch("GET", voicebot.url, parameters), line.rules)
        except BadAnswer as why:
            line.note(f"of no use: {why}")
            if line.rules.bad_stream == "hang-up":
                line.end("ended by a bad answer")
            return "then"
    line.note(f"streams to {bot}")
    wanted = None if line.caller.manual else line.script.caller.talk
    try:
        await line.spend(voicebot.talk if wanted is None else min(wanted, voicebot.talk))
    except CallerLeft:
        return "then"
    if wanted is not None and wanted < voicebot.talk:
        line.hang_up()
    return "then"


async def _sms(line: Line, sms: Sms) -> str:
    text = sms.text
    if sms.url is not None:
        text = await prompts.ask_text(line, sms.url, of_sms(line))
    if text is not None:
        call, to = line.call, national(sms.to or line.call.from_)
        line.note(f"sends {to} {text!r}")
        line.services.outbox.sms.append(
            SentSms(
                sid=call.sid,
                from_=national(call.caller_id),
                to=to,
                text=text,
                sent=call.at + line.age,
            )
        )
    return "then"


async def _email(line: Line, email: Email) -> str:
    line.note(f"writes to {', '.join(email.to)}")
    line.services.outbox.emails.append(
        SentEmail(
            sid=line.call.sid,
            to=email.to,
            subject=email.subject,
            text=email.text,
            sent=line.call.at + line.age,
        )
    )
    return "then"


_RUNNERS: Mapping[type[Applet], Callable[[Line, Any], Awaitable[str]]] = {
    Connect: run_connect,
    Email: _email,
    Gather: run_gather,
    Greeting: _greet,
    Menu: run_menu,
    Passthru: _passthru,
    Sms: _sms,
    SwitchCase: _switch,
    Voicebot: _voicebot,
    Voicemail: _voicemail,
}
"""What runs each kind of applet; it returns the exit taken."""

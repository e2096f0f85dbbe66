"""Menu and Gather: their prompts, and what the caller presses."""

from __future__ import annotations

from exotel_async.emulator.flow_engine import prompts
from exotel_async.emulator.flow_engine.app_answers import GatherPlan, read_gather
from exotel_async.emulator.flow_engine.app_parameters import of_call
from exotel_async.emulator.flow_engine.line import VERSION, Line
from exotel_async.emulator.flow_engine.prompts import BadAnswer
from exotel_async.emulator.flows.applets import Applet, Gather, Menu

OTHERWISE = "otherwise"


async def run_menu(line: Line, menu: Menu) -> str:
    """Run a Menu, and return the key pressed, or `otherwise`."""
    for _ in range(1 + menu.repeat):
        await prompts.give(line, menu.text, menu.audio, menu.url)
        key = await _listen(line, menu, most=1, finish=None, wait=menu.wait)
        if key in menu.keys:
            line.state.digits = key
            return key
    return OTHERWISE


async def run_gather(line: Line, gather: Gather) -> str:
    """Run a Gather, and return `then` with digits, `otherwise` without."""
    try:
        plan = await _plan(line, gather)
    except BadAnswer as why:
        line.note(f"of no use: {why}")
        return OTHERWISE
    text, audio = plan.text, plan.audio
    for _ in range(1 + plan.repeat):
        await prompts.give(line, text, audio, None)
        digits = await _listen(
            line, gather, most=plan.max_digits, finish=plan.finish_on_key, wait=plan.wait
        )
        if digits:
            line.state.digits = digits
            return "then"
        text, audio = plan.again_text, plan.again_audio
    return OTHERWISE


async def _plan(line: Line, gather: Gather) -> GatherPlan:
    if gather.url is not None:
        answer = await line.fetch("GET", gather.url, of_call(line), headers=VERSION)
        return read_gather(answer, line.rules)
    audio = gather.audio
    return GatherPlan(
        text=gather.text,
        audio=audio,
        max_digits=gather.max_digits,
        finish_on_key=gather.finish_on_key,
        wait=gather.wait,
        repeat=gather.repeat,
        again_text=gather.text,
        again_audio=audio,
    )


async def _listen(
    line: Line, applet: Applet, *, most: int | None, finish: str | None, wait: int
) -> str:
    """Return the digits pressed, up to `most` or to the key that ends them."""
    if line.caller.manual:
        return await _listen_to_person(line, most=most, finish=finish, wait=wait)
    digits = ""
    for key in line.script.presses(applet):
        await line.spend(line.rules.key_seconds)
        line.note(f"the caller presses {key}")
        if key == finish:
            return digits
        digits += key
        if len(digits) == most:
            return digits
    await line.spend(wait)
    return digits


async def _listen_to_person(line: Line, *, most: int | None, finish: str | None, wait: int) -> str:
    """Do the same for a caller played by hand.

    Keys pressed before, such as during a prompt, count as pressed now.
    """
    digits = ""
    line.catch_up()
    while (key := await _next_key(line, wait)) is not None:
        line.note(f"the caller presses {key}")
        if key == finish:
            break
        digits += key
        if len(digits) == most:
            break
    return digits


async def _next_key(line: Line, wait: int) -> str | None:
    """Return the next key, if it comes in that time."""
    caller = line.caller
    caller.waits_for = "keys"
    pressed = await line.wait_for(lambda: caller.keys != "", wait)
    caller.waits_for = None
    if not pressed:
        return None
    key, caller.keys = caller.keys[0], caller.keys[1:]
    return key

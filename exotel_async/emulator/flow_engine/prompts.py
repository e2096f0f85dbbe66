"""What applets say, play or send as text: their own, or a URL's answer (VOICE_V1 7.5, 7.6)."""

from __future__ import annotations

from collections.abc import Sequence

from exotel_async.emulator.flow_engine.app_parameters import Parameters, of_prompt
from exotel_async.emulator.flow_engine.line import Line
from exotel_async.emulator.flows.transcript import Exchange

JSON = "application/json"


class BadAnswer(Exception):
    """An answer that the applet cannot use; the text says why."""


async def give(line: Line, text: str | None, audio: Sequence[str], url: str | None) -> None:
    """Say the text or play the audio, or do either with what the URL answers. Raises Ended."""
    if url is not None:
        answer = await ask_text(line, url, of_prompt(line), charset=line.rules.plain_charset)
        lines = tuple(part.strip() for part in (answer or "").splitlines())
        if lines and all(part.startswith(("http://", "https://")) for part in lines):
            audio = lines
        else:
            text = answer
    if text:
        await line.say(text)
    await line.play(audio)


async def ask_text(
    line: Line, url: str, parameters: Parameters, *, charset: bool = True
) -> str | None:
    """Return the text a URL answers to HEAD and then to GET, or None. Raises Ended by a switch.

    `charset`: whether one may follow `text/plain`.
    """
    try:
        return await _text(line, url, parameters, charset=charset)
    except BadAnswer as why:
        line.note(f"of no use: {why}")
    if line.rules.bad_prompt == "hang-up":
        line.end("ended by a bad answer")
    return None


async def _text(line: Line, url: str, parameters: Parameters, *, charset: bool) -> str:
    """Return the text a URL answers. Raises BadAnswer."""
    head = await line.fetch("HEAD", url, parameters)
    check(head, "text/plain", charset=charset)
    answer = await line.fetch("GET", url, parameters)
    check(answer, "text/plain", charset=charset)
    if answer.content_type != head.content_type:
        raise BadAnswer("HEAD and GET differ in their content type")
    text = answer.text.strip()
    if not text:
        raise BadAnswer("it is empty")
    return text


def content_type(answer: Exchange) -> str:
    """Return its content type in lower case, without parameters; empty if it has none."""
    return (answer.content_type or "").partition(";")[0].strip().lower()


def check(answer: Exchange, wanted: str | None, *, charset: bool = True) -> None:
    """Raise BadAnswer unless it is a 200 of that type."""
    if answer.status is None:
        raise BadAnswer(f"none came ({answer.error})")
    if answer.status != 200:
        raise BadAnswer(f"its status is {answer.status}")
    given = (answer.content_type or "").lower()
    if not charset and ";" in given:
        raise BadAnswer(f"its type is {given}, with a charset")
    if wanted is not None and content_type(answer) != wanted:
        raise BadAnswer(f"its type is {given or 'missing'}, not {wanted}")

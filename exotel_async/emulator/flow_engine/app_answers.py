"""The application's answers: whom to connect, what to gather, what an agent hears, which bot.

They are read as in VOICE_V1 7.3, 7.4, 7.7, 7.9; keys that are not named there are ignored. Where
nothing is said about what a value may be, only its type is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import attrs

from exotel_async.emulator.flow_engine.prompts import JSON, BadAnswer, check, content_type
from exotel_async.emulator.flows.settings import FlowSettings
from exotel_async.emulator.flows.transcript import Exchange
from exotel_async.emulator.numbers import is_number, is_sip

T = TypeVar("T")
_Object = Mapping[str, object]


@attrs.frozen(kw_only=True)
class Playback:
    """What is played when an agent answers."""

    text: str | None = None
    audio: Sequence[str] = ()


@attrs.frozen(kw_only=True)
class ConnectPlan:
    """Whom a Connect rings, and how."""

    numbers: Sequence[str]
    contacts: bool = False
    """Whether they are SIP addresses that were given as `contact_uri`."""
    outgoing: str | None = None
    ring_limit: int | None = None
    talk_limit: int | None = None
    record: bool = False
    parallel: int = 1
    playback: Playback | None = None
    events_url: str | None = None
    again: bool = False
    """Whether the URL is requested again after each failed attempt."""


@attrs.frozen(kw_only=True)
class GatherPlan:
    """How digits are collected."""

    text: str | None
    audio: Sequence[str]
    max_digits: int | None = None
    finish_on_key: str | None = None
    wait: int = 5
    repeat: int = 0
    again_text: str | None = None
    again_audio: Sequence[str] = ()


def read_numbers(answer: Exchange, rules: FlowSettings) -> Sequence[str]:
    """Return the numbers of a dial-whom answer. Raises BadAnswer."""
    check(answer, None)
    text = answer.text
    if rules.dial_whom_json and content_type(answer) == JSON:
        text = _unquoted(text)
    separators = "|".join(map(re.escape, rules.dial_whom_separators))
    parts = re.split(separators, text) if separators else [text]
    numbers = [number for part in parts if (number := part.strip())]
    if not all(is_number(number) or is_sip(number) for number in numbers):
        raise BadAnswer("it is not a number")
    return numbers


def read_connect(answer: Exchange, rules: FlowSettings) -> ConnectPlan:
    """Return what a dynamic Connect's URL answered. Raises BadAnswer."""
    plan = _object_of(answer, rules)
    contacts = isinstance(plan.get("destination"), list)
    numbers = _want(plan, "destination", _contacts if contacts else _destination)
    nothing: _Object = {}
    parallel = _take(plan, "parallel_ringing", _object, nothing)
    several = _take(parallel, "activate", _bool, False)
    _take(plan, "recording_channels", _word("single", "dual"), "single")
    _take(_take(plan, "music_on_hold", _object, nothing), "type", _text, "")
    playback = _take(plan, "start_call_playback", _object, None)
    return ConnectPlan(
        numbers=numbers,
        contacts=contacts,
        outgoing=_take(plan, "outgoing_phone_number", _text, None),
        ring_limit=_take(plan, "max_ringing_duration", _whole, None),
        talk_limit=_take(plan, "max_conversation_duration", _whole, None),
        record=_take(plan, "record", _bool, False),
        parallel=_take(parallel, "max_parallel_attempts", _whole, 1) if several else 1,
        playback=None if playback is None else _playback(playback),
        events_url=_take(plan, "dial_passthru_event_url", _text, None),
        again=_take(plan, "fetch_after_attempt", _bool, False),
    )


def read_gather(answer: Exchange, rules: FlowSettings) -> GatherPlan:
    """Return what a Gather's URL answered. Raises BadAnswer."""
    plan = _object_of(answer, rules)
    text, audio = _prompt(_want(plan, "gather_prompt", _object))
    again = _take(plan, "repeat_gather_prompt", _object, None)
    again_text, again_audio = (text, audio) if again is None else _prompt(again)
    return GatherPlan(
        text=text,
        audio=audio,
        max_digits=_take(plan, "max_input_digits", _whole, None),
        finish_on_key=_take(plan, "finish_on_key", _text, None),
        wait=_take(plan, "input_timeout", _whole, 5),
        repeat=_take(plan, "repeat_menu", _whole, 0),
        again_text=again_text,
        again_audio=again_audio,
    )


def read_whisper(answer: Exchange, rules: FlowSettings) -> Playback:
    """Return what a whisper's URL answered: the object, bare or by its name. Raises BadAnswer."""
    check(answer, JSON)
    given = _parse(answer, rules)
    return _playback(_take(given, "start_call_playback", _object, given))


def read_stream_url(answer: Exchange, rules: FlowSettings) -> str:
    """Return the bot's URL that a Voicebot's dynamic URL answered. Raises BadAnswer."""
    return _want(_object_of(answer, rules), "url", _stream_url)


def read_selection(answer: Exchange, rules: FlowSettings) -> str:
    """Return what a Passthru's answer selects for a Switch-case. Raises BadAnswer."""
    check(answer, "text/plain")
    return _want(_parse(answer, rules), "select", _text)


def _unquoted(text: str) -> str:
    """Return the content of a JSON string; anything else unchanged."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def _object_of(answer: Exchange, rules: FlowSettings) -> _Object:
    check(answer, JSON if rules.json_type else None)
    return _parse(answer, rules)


def _parse(answer: Exchange, rules: FlowSettings) -> _Object:
    hook = _without_nulls if rules.null_keys else _refuse_nulls
    try:
        return _object(json.loads(answer.body, object_hook=hook))
    except (ValueError, RecursionError):
        raise BadAnswer("it is not a JSON object") from None


def _without_nulls(given: _Object) -> _Object:
    return {name: value for name, value in given.items() if value is not None}


def _refuse_nulls(given: _Object) -> _Object:
    for name, value in given.items():
        if value is None:
            raise BadAnswer(f"{name} is null")
    return given


def _playback(given: _Object) -> Playback:
    _take(given, "playback_to", _word("both", "callee"), "callee")
    value = _want(given, "value", _text)
    if _want(given, "type", _word("text", "audio_url")) == "text":
        return Playback(text=value)
    return Playback(audio=(value,))


def _prompt(given: _Object) -> tuple[str | None, Sequence[str]]:
    """Return a prompt's text, or its audio."""
    if "audio_url" in given:
        return None, (_want(given, "audio_url", _text),)
    return _want(given, "text", _text), ()


def _want(given: _Object, name: str, read: Callable[[object], T]) -> T:
    if name not in given:
        raise BadAnswer(f"{name} is missing")
    try:
        return read(given[name])
    except ValueError as why:
        raise BadAnswer(f"{name} {why}") from None


def _take(given: _Object, name: str, read: Callable[[object], T], default: T) -> T:
    return _want(given, name, read) if name in given else default


def _object(value: object) -> _Object:
    if not isinstance(value, dict):
        raise ValueError("is not an object")  # noqa: TRY004 - not the caller's mistake
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a text")  # noqa: TRY004 - not the caller's mistake
    return value


def _stream_url(value: object) -> str:
    if re.match(r"wss?://[^\s/?#]", _text(value), re.IGNORECASE) is None:
        raise ValueError("is not a ws or wss URL")
    return _text(value)


def _destination(value: object) -> Sequence[str]:
    given = _object(value)
    if "trunk" in given:
        return [_want(given, "trunk", _text)]
    return _want(given, "numbers", _numbers)


def _contacts(value: object) -> Sequence[str]:
    """Return SIP addresses, each given in an object with no other key."""
    entries = [_object(entry) for entry in _list(value)]
    contacts = [_want(entry, "contact_uri", _text) for entry in entries if len(entry) == 1]
    if len(contacts) < len(entries) or not all(map(is_sip, contacts)):
        raise ValueError("has an entry that is not the contact_uri of a SIP address alone")
    return contacts


def _numbers(value: object) -> Sequence[str]:
    numbers = [_text(part) for part in _list(value)]
    if not all(is_number(number) or is_sip(number) for number in numbers):
        raise ValueError("has an entry that cannot be dialled")
    return numbers


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise ValueError("is not a list")  # noqa: TRY004 - not the caller's mistake
    return value


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is not true or false")  # noqa: TRY004 - not the caller's mistake
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("is not a whole number, 0 or more")
    return value


def _word(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"is not one of {', '.join(words)}")
        return _text(value)

    return read

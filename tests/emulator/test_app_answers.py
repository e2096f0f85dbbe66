"""What applications answer flows, as their frameworks write it; and the switches that refuse it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.emulator import FlowSettings
from exotel_async.emulator.flow_engine.app_answers import (
    read_connect,
    read_gather,
    read_numbers,
    read_whisper,
)
from exotel_async.emulator.flow_engine.prompts import BadAnswer
from exotel_async.emulator.flows.transcript import Exchange

NUMBER, OTHER = "09812300003", "+919812300004"
RULES = FlowSettings()
PLAYBACK = {"playback_to": "both", "type": "text", "value": "Connecting you"}
PLAN = {
    "fetch_after_attempt": True,
    "destination": {"numbers": [NUMBER, OTHER]},
    "outgoing_phone_number": "+918030000009",
    "record": True,
    "recording_channels": "dual",
    "max_ringing_duration": 45,
    "max_conversation_duration": 12,
    "music_on_hold": {"type": "operator_tone"},
    "start_call_playback": PLAYBACK,
    "parallel_ringing": {"activate": True, "max_parallel_attempts": 2},
    "dial_passthru_event_url": "https://app.example/events",
}
GATHER = {
    "gather_prompt": {"text": "Enter"},
    "max_input_digits": 5,
    "finish_on_key": "#",
    "input_timeout": 2,
    "repeat_menu": 1,
    "repeat_gather_prompt": {"audio_url": "http://x/a.wav"},
}
READERS: dict[str, tuple[Callable[[Exchange, FlowSettings], object], dict[str, Any], set[str]]] = {
    "connect": (read_connect, PLAN, {"destination", "numbers", "type", "value"}),
    "gather": (read_gather, GATHER, {"gather_prompt", "text", "audio_url"}),
    "whisper": (read_whisper, PLAYBACK, {"type", "value"}),
}
"""What reads an answer, one with all its keys, and which of them it has to have."""


def answered(body: str, content_type: str = "application/json") -> Exchange:
    return Exchange(
        at=0,
        headers={},
        method="GET",
        url="",
        parameters={},
        status=200,
        content_type=content_type,
        body=body.encode(),
    )


def optional(plan: dict[str, Any], needed: set[str]) -> Iterator[tuple[str, ...]]:
    """The way to each key that need not be there."""
    for key, value in plan.items():
        if key not in needed:
            yield (key,)
        if isinstance(value, dict):
            yield from ((key, *rest) for rest in optional(value, needed))


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_null_is_as_good_as_nothing(name: str, data: st.DataObject) -> None:
    read, whole, needed = READERS[name]
    ways = data.draw(st.lists(st.sampled_from(sorted(optional(whole, needed))), unique=True))
    null, without = copy.deepcopy(whole), copy.deepcopy(whole)
    null["of another page"] = None
    for way in sorted(ways, key=len, reverse=True):
        for plan in (null, without):
            place = plan
            for key in way[:-1]:
                place = place[key]
            del place[way[-1]]
            if plan is null:
                place[way[-1]] = None
    assert read(answered(json.dumps(null)), RULES) == read(answered(json.dumps(without)), RULES)
    with pytest.raises(BadAnswer, match="null"):
        read(answered(json.dumps(null)), FlowSettings(null_keys=False))


@pytest.mark.parametrize("name", READERS)
def test_what_has_to_be_there_must_not_be_null(name: str) -> None:
    read, whole, needed = READERS[name]
    for key in needed & set(whole):
        with pytest.raises(BadAnswer, match=f"{key} is missing"):
            read(answered(json.dumps(whole | {key: None})), RULES)


def test_the_other_kind_of_a_prompt_may_be_null() -> None:
    plan = {"gather_prompt": {"text": "Enter", "audio_url": None}}
    assert read_gather(answered(json.dumps(plan)), RULES).text == "Enter"
    plan = {"gather_prompt": {"text": None, "audio_url": "http://x/a.wav"}}
    assert read_gather(answered(json.dumps(plan)), RULES).audio == ("http://x/a.wav",)


def test_a_contact_has_no_other_key_but_null() -> None:
    plan = {"destination": [{"contact_uri": "sip:agent7f3a", "name": None}]}
    assert read_connect(answered(json.dumps(plan)), RULES).numbers == ["sip:agent7f3a"]


NUMBERS = st.sampled_from([NUMBER, OTHER, "sip:agent7f3a", "9812300005"])
BLANK = st.sampled_from(["", " ", "\r", "\t"])


@given(
    st.lists(st.tuples(BLANK, NUMBERS, BLANK), max_size=4),
    st.sampled_from([",", "\n"]),
    st.booleans(),
)
def test_numbers_by_commas_or_lines_bare_or_as_a_json_string(
    parts: list[tuple[str, str, str]], separator: str, quoted: bool
) -> None:
    numbers = [number for _, number, _ in parts]
    body = separator.join("".join(part) for part in parts)
    answer = answered(json.dumps(body)) if quoted else answered(body, "text/plain")
    assert read_numbers(answer, RULES) == numbers
    alone = FlowSettings(dial_whom_separators=[separator])
    assert read_numbers(answer, alone) == numbers
    if len(parts) > 1 and "sip:" not in body:  # a SIP address may have a comma in it
        for separators in ([], ["," if separator == "\n" else "\n"]):
            with pytest.raises(BadAnswer):
                read_numbers(answer, FlowSettings(dial_whom_separators=separators))


@given(st.text('"\\,\n 0129+sip:@[]', max_size=30))
def test_any_other_text_is_refused_as_such(body: str) -> None:
    for content_type in ("text/plain", "application/json"):
        try:
            numbers = read_numbers(answered(body, content_type), RULES)
        except BadAnswer:
            continue
        assert all(number in body for number in numbers)


@pytest.mark.parametrize(
    ("answer", "rules"),
    [
        (answered(f'"{NUMBER}"'), FlowSettings(dial_whom_json=False)),
        (answered(f'"{NUMBER}"', "text/plain"), RULES),
        (answered(f'["{NUMBER}"]'), RULES),
        (answered("[" * 100_000), RULES),
    ],
)
def test_numbers_in_json_that_was_not_seen(answer: Exchange, rules: FlowSettings) -> None:
    with pytest.raises(BadAnswer, match="is not a number"):
        read_numbers(answer, rules)

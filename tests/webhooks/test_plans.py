"""Plans for Connect and Gather: every field of their schemas, and every rule."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import timedelta
from typing import Any

import attrs
import pytest

from exotel_async.errors import InvalidRequest
from exotel_async.models import RecordingChannels
from exotel_async.webhooks import ConnectPlan, GatherPlan, HoldMusic, Play, Playback, Speak

NUMBERS = ["+919812300003", "09812300004"]
WAV = "https://cdn.example/hello.wav"
ALL: dict[str, Any] = {
    "caller_id": "+918030000000",
    "record": True,
    "recording_channels": "dual",
    "ring_timeout": 45,
    "conversation_limit": timedelta(hours=1),
    "music_on_hold": "operator_tone",
    "playback": Playback("Connecting you", "both"),
    "parallel_ringing": 2,
    "event_url": "https://app.example/exotel/events",
}


def body(plan: ConnectPlan | GatherPlan) -> Any:
    return json.loads(plan.render().body)


def test_the_whole_schema_as_it_is_documented() -> None:
    plan = ConnectPlan(["+919812300003", "+919812300004"], **ALL)
    assert plan.render().body == (
        b'{"fetch_after_attempt":false,'
        b'"destination":{"numbers":["+919812300003","+919812300004"]},'
        b'"outgoing_phone_number":"+918030000000",'
        b'"record":true,"recording_channels":"dual",'
        b'"max_ringing_duration":45,"max_conversation_duration":3600,'
        b'"music_on_hold":{"type":"operator_tone"},'
        b'"start_call_playback":{"playback_to":"both","type":"text","value":"Connecting you"},'
        b'"parallel_ringing":{"activate":true,"max_parallel_attempts":2},'
        b'"dial_passthru_event_url":"https://app.example/exotel/events"}'
    )


def test_a_plan_says_what_it_was_given() -> None:
    plan = ConnectPlan((number for number in NUMBERS), **ALL)
    assert plan.numbers == tuple(NUMBERS)
    assert plan.recording_channels is RecordingChannels.DUAL
    assert plan.ring_timeout == timedelta(seconds=45)
    assert plan.music_on_hold is HoldMusic.OPERATOR_TONE
    assert attrs.evolve(plan, parallel_ringing=None) == ConnectPlan(
        NUMBERS, **ALL | {"parallel_ringing": None}
    )


def test_numbers_are_tidied_and_sip_uris_left_alone() -> None:
    assert ConnectPlan(["+91 98123 00003"]).numbers == ("+919812300003",)
    assert ConnectPlan("sip:agent@pbx.example").numbers == ("sip:agent@pbx.example",)


def test_agents_are_written_in_their_own_shape() -> None:
    assert ConnectPlan("sip:agent7f3a").render().body == (
        b'{"destination":[{"contact_uri":"sip:agent7f3a"}]}'
    )
    plan = ConnectPlan(["sip:agent7f3a", "sip:agent@pbx.example"], record=True)
    assert body(plan) == {
        "destination": [
            {"contact_uri": "sip:agent7f3a"},
            {"contact_uri": "sip:agent@pbx.example"},
        ],
        "record": True,
    }
    assert body(ConnectPlan("sip:a", fetch_after_attempt=True))["fetch_after_attempt"] is True


def test_agents_and_numbers_do_not_go_together() -> None:
    with pytest.raises(InvalidRequest, match="different shapes") as caught:
        ConnectPlan(["+919812300003", "sip:agent7f3a"])
    assert caught.value.argument == "numbers"


def test_the_plan_that_dials_nobody() -> None:
    plan = ConnectPlan.nobody()
    assert body(plan) == {"fetch_after_attempt": False, "destination": {"numbers": []}}
    assert plan == ConnectPlan.nobody()
    assert plan != ConnectPlan(NUMBERS)
    assert plan.numbers == ()
    assert body(attrs.evolve(plan, fetch_after_attempt=True))["fetch_after_attempt"] is True


def test_a_trunk() -> None:
    plan = ConnectPlan(trunk="trunk-2134", custom_params={"param1": "v1", "param2": "v2"})
    assert body(plan) == {
        "fetch_after_attempt": False,
        "destination": {"trunk": "trunk-2134"},
        "custom_params": "param1=v1&param2=v2",
    }
    assert body(ConnectPlan(trunk="t", record=False))["record"] is False


def test_asking_again() -> None:
    assert body(ConnectPlan(NUMBERS, fetch_after_attempt=True))["fetch_after_attempt"] is True


def test_music_of_your_own() -> None:
    plan = ConnectPlan(NUMBERS, music_on_hold="some_tone", music_on_hold_url=WAV)
    assert body(plan)["music_on_hold"] == {"type": "some_tone", "value": WAV}
    plan = ConnectPlan(NUMBERS, music_on_hold=HoldMusic.DEFAULT_TONE)
    assert body(plan)["music_on_hold"] == {"type": "default_tone"}


def test_fields_the_sdk_does_not_know() -> None:
    extra = {"distribute_calls": "equally", "in_call_playback": {"start_delay": 5}}
    plan = ConnectPlan(NUMBERS, extra=extra)
    extra["in_call_playback"] = {}
    assert body(plan) == {
        "fetch_after_attempt": False,
        "destination": {"numbers": NUMBERS},
        "distribute_calls": "equally",
        "in_call_playback": {"start_delay": 5},
    }


@pytest.mark.parametrize(
    "plan",
    [
        ConnectPlan(NUMBERS, **ALL, extra={"a": [1]}),
        ConnectPlan(trunk="t", custom_params={"a": "b"}),
        GatherPlan("Hello", repeats=1, repeat_prompt=Play(WAV)),
    ],
)
def test_plans_compare_hash_copy_and_pickle(plan: ConnectPlan | GatherPlan) -> None:
    for again in (pickle.loads(pickle.dumps(plan)), copy.deepcopy(plan)):  # noqa: S301
        assert again == plan
        assert hash(again) == hash(plan)
        assert again.render() == plan.render()


LIST: list[Any] = []
LIST.append(LIST)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"numbers": []}, "numbers"),
        ({"numbers": None}, "numbers"),
        ({"numbers": ""}, "numbers"),
        ({"numbers": ["09812300003", "nonsense"]}, "numbers"),
        ({"numbers": [9812300003]}, "numbers"),
        ({"numbers": "sip:"}, "numbers"),
        ({"numbers": ["08030000000"], "caller_id": "+918030000000"}, "numbers"),
        ({"numbers": 5}, "numbers"),
        ({"trunk": "t"}, "numbers"),
        ({"numbers": [], "trunk": 7}, "trunk"),
        ({"numbers": [], "trunk": "a b"}, "trunk"),
        ({"numbers": [], "trunk": ""}, "trunk"),
        ({"custom_params": {"a": "b"}}, "custom_params"),
        ({"numbers": [], "trunk": "t", "custom_params": {}}, "custom_params"),
        (
            {"numbers": [], "trunk": "t", "custom_params": dict.fromkeys("abcd", "v")},
            "custom_params",
        ),
        ({"numbers": [], "trunk": "t", "custom_params": {"a": "b=c"}}, "custom_params"),
        ({"numbers": [], "trunk": "t", "custom_params": {"a": "b&c"}}, "custom_params"),
        ({"numbers": [], "trunk": "t", "custom_params": {"a": ""}}, "custom_params"),
        ({"numbers": [], "trunk": "t", "custom_params": {"a": 7}}, "custom_params"),
        ({"numbers": [], "trunk": "t", "custom_params": {"a": "é" * 100}}, "custom_params"),
        ({"numbers": [], "trunk": "t", "custom_params": "a=b"}, "custom_params"),
        ({"caller_id": "08030000000x"}, "caller_id"),
        ({"caller_id": 8030000000}, "caller_id"),
        ({"record": "true"}, "record"),
        ({"recording_channels": "dual"}, "recording_channels"),
        ({"recording_channels": "dual", "record": False}, "recording_channels"),
        ({"recording_channels": "stereo", "record": True}, "recording_channels"),
        ({"ring_timeout": 0}, "ring_timeout"),
        ({"ring_timeout": 4.5}, "ring_timeout"),
        ({"ring_timeout": True}, "ring_timeout"),
        ({"ring_timeout": "45"}, "ring_timeout"),
        ({"conversation_limit": timedelta(days=1)}, "conversation_limit"),
        ({"conversation_limit": -1}, "conversation_limit"),
        ({"music_on_hold": "jazz"}, "music_on_hold"),
        ({"music_on_hold": "", "music_on_hold_url": WAV}, "music_on_hold"),
        ({"music_on_hold": 7, "music_on_hold_url": WAV}, "music_on_hold"),
        ({"music_on_hold_url": WAV}, "music_on_hold_url"),
        ({"music_on_hold": "some_tone", "music_on_hold_url": "a.wav"}, "music_on_hold_url"),
        ({"playback": "Hello"}, "playback"),
        ({"parallel_ringing": 0}, "parallel_ringing"),
        ({"parallel_ringing": 11}, "parallel_ringing"),
        ({"parallel_ringing": True}, "parallel_ringing"),
        ({"parallel_ringing": 2.0}, "parallel_ringing"),
        ({"fetch_after_attempt": "no"}, "fetch_after_attempt"),
        ({"event_url": "app.example/events"}, "event_url"),
        ({"extra": {"record": True}}, "extra"),
        ({"extra": {"destination": {}}}, "extra"),
        ({"extra": {"a": object()}}, "extra"),
        ({"extra": {"a": float("nan")}}, "extra"),
        ({"extra": {"a": LIST}}, "extra"),
        ({"extra": 7}, "extra"),
    ],
)
def test_what_a_connect_plan_cannot_be(options: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ConnectPlan(**{"numbers": NUMBERS} | options)
    assert caught.value.argument == argument


def test_nobody_to_dial_has_its_own_name() -> None:
    with pytest.raises(InvalidRequest, match=r"ConnectPlan\.nobody"):
        ConnectPlan([])


def test_a_whole_gather() -> None:
    plan = GatherPlan(
        "Enter your PIN",
        max_digits=5,
        finish_on_key="#",
        timeout=timedelta(seconds=5),
        repeats=2,
        repeat_prompt="Please try again",
    )
    assert plan.render().body == (
        b'{"gather_prompt":{"text":"Enter your PIN"},"max_input_digits":5,"finish_on_key":"#",'
        b'"input_timeout":5,"repeat_menu":2,"repeat_gather_prompt":{"text":"Please try again"}}'
    )


def test_a_gather_with_audio() -> None:
    plan = GatherPlan(Play(WAV), repeats=1, repeat_prompt=Play([WAV]))
    assert body(plan) == {
        "gather_prompt": {"audio_url": WAV},
        "repeat_menu": 1,
        "repeat_gather_prompt": {"audio_url": WAV},
    }


def test_nothing_is_left_out_that_was_given() -> None:
    plan = GatherPlan(Speak("Hello"), finish_on_key="", repeats=0)
    assert body(plan) == {"gather_prompt": {"text": "Hello"}, "finish_on_key": "", "repeat_menu": 0}


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"prompt": ""}, "text"),
        ({"prompt": None}, "prompt"),
        ({"prompt": Play([WAV, WAV])}, "prompt"),
        ({"max_digits": 0}, "max_digits"),
        ({"max_digits": "5"}, "max_digits"),
        ({"finish_on_key": "##"}, "finish_on_key"),
        ({"finish_on_key": "A"}, "finish_on_key"),
        ({"finish_on_key": 1}, "finish_on_key"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 2.5}, "timeout"),
        ({"repeats": -1}, "repeats"),
        ({"repeat_prompt": "Again"}, "repeat_prompt"),
        ({"repeat_prompt": "Again", "repeats": 0}, "repeat_prompt"),
        ({"repeat_prompt": 7, "repeats": 1}, "repeat_prompt"),
    ],
)
def test_what_a_gather_plan_cannot_be(options: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        GatherPlan(**{"prompt": "Hello"} | options)
    assert caught.value.argument == argument

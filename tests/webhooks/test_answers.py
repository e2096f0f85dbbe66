"""Answers, byte for byte."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from exotel_async.errors import InvalidRequest
from exotel_async.models import PlaybackTo
from exotel_async.webhooks import (
    ConnectPlan,
    DialWhom,
    GatherPlan,
    Passthru,
    Play,
    Playback,
    Reply,
    Response,
    SmsText,
    Speak,
    VoicebotStream,
)

WAV = "https://cdn.example/hello.wav"
MENU = "https://cdn.example/menu.wav?v=2"


def text(body: bytes) -> Response:
    length = str(len(body))
    headers = (("content-type", "text/plain"), ("content-length", length))
    return Response(status=200, headers=headers, body=body)


def json(body: bytes) -> Response:
    length = str(len(body))
    headers = (("content-type", "application/json"), ("content-length", length))
    return Response(status=200, headers=headers, body=body)


NOTHING = (("content-length", "0"),)
ANSWERS: list[tuple[Reply, Response]] = [
    (Passthru.proceed(), Response(status=200, headers=NOTHING)),
    (Passthru.divert(), Response(status=302, headers=NOTHING)),
    (Passthru.select("gold customer"), text(b'{"select":"gold customer"}')),
    (Passthru.select('a "b" \u0928'), text(b'{"select":"a \\"b\\" \\u0928"}')),
    (DialWhom("+91 98123-00003"), text(b"+919812300003")),
    (Speak("Hello & welcome"), text(b"Hello & welcome")),
    (Speak("नमस्ते"), text("नमस्ते".encode())),
    (Speak("See https://shop.example\nfor more"), text(b"See https://shop.example\nfor more")),
    (Play(WAV), text(WAV.encode())),
    (Play([WAV, MENU]), text(f"{WAV}\n{MENU}".encode())),
    (SmsText("Your order 7 is on its way"), text(b"Your order 7 is on its way")),
    (
        Playback("Connecting you"),
        json(
            b'{"start_call_playback":'
            b'{"playback_to":"callee","type":"text","value":"Connecting you"}}'
        ),
    ),
    (
        Playback(Play(WAV), PlaybackTo.BOTH),
        json(
            b'{"start_call_playback":{"playback_to":"both","type":"audio_url",'
            b'"value":"https://cdn.example/hello.wav"}}'
        ),
    ),
    (VoicebotStream("wss://bot.example/1?a=b"), json(b'{"url":"wss://bot.example/1?a=b"}')),
    (
        VoicebotStream("ws://bot.example/1?a=b", sample_rate=16000),
        json(b'{"url":"ws://bot.example/1?a=b&sample-rate=16000"}'),
    ),
    (
        VoicebotStream("wss://bot.example/?sample-rate=24000", sample_rate=24000),
        json(b'{"url":"wss://bot.example/?sample-rate=24000"}'),
    ),
    (
        GatherPlan("Enter your PIN"),
        json(b'{"gather_prompt":{"text":"Enter your PIN"}}'),
    ),
    (
        ConnectPlan("+919812300003"),
        json(b'{"fetch_after_attempt":false,"destination":{"numbers":["+919812300003"]}}'),
    ),
    (
        ConnectPlan.nobody(),
        json(b'{"fetch_after_attempt":false,"destination":{"numbers":[]}}'),
    ),
]


@pytest.mark.parametrize(("reply", "response"), ANSWERS)
def test_how_answers_are_written(reply: Reply, response: Response) -> None:
    assert reply.render() == response
    assert isinstance(reply, Reply)


@pytest.mark.parametrize(("reply", "response"), ANSWERS)
def test_a_head_is_answered_alike(reply: Reply, response: Response) -> None:
    head = reply.render().without_body()
    assert (head.status, head.headers, head.body) == (response.status, response.headers, b"")


@pytest.mark.parametrize(("reply", "response"), ANSWERS)
def test_answers_compare_hash_copy_and_pickle(reply: Reply, response: Response) -> None:
    for again in (pickle.loads(pickle.dumps(reply)), copy.deepcopy(reply)):  # noqa: S301
        assert again == reply
        assert hash(again) == hash(reply)
        assert again.render() == response


def test_the_three_ways_of_a_passthru() -> None:
    assert Passthru.proceed() == Passthru()
    assert Passthru.divert() == Passthru(diverts=True)
    assert Passthru.select("a") == Passthru(case="a")


def test_a_prompt_may_be_an_answer_already() -> None:
    assert Playback(Speak("Hello")) == Playback("Hello")
    assert Playback("Hello", "BOTH") == Playback("Hello", PlaybackTo.BOTH)
    assert GatherPlan(Speak("Hello")) == GatherPlan("Hello")


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: Passthru.select(""), "case"),
    (lambda: Passthru.select(None), "case"),  # type: ignore[arg-type]
    (lambda: Passthru.select("a\x00b"), "case"),
    (lambda: Passthru(diverts=True, case="a"), "case"),
    (lambda: DialWhom("sip:agent@pbx.example"), "number"),
    (lambda: DialWhom(""), "number"),
    (lambda: DialWhom("09812300001,09812300002"), "number"),
    (lambda: DialWhom(9812300001), "number"),  # type: ignore[arg-type]
    (lambda: Speak(""), "text"),
    (lambda: Speak(" \n"), "text"),
    (lambda: Speak("bell\x07"), "text"),
    (lambda: Speak("half \ud800"), "text"),
    (lambda: Speak(b"bytes"), "text"),  # type: ignore[arg-type]
    (lambda: Speak(WAV), "text"),
    (lambda: Speak(f"Hello\n  {WAV.upper()}"), "text"),
    (lambda: Play([]), "urls"),
    (lambda: Play(""), "urls"),
    (lambda: Play("hello.wav"), "urls"),
    (lambda: Play([WAV, "ftp://cdn.example/a.wav"]), "urls"),
    (lambda: Play(f"{WAV}\n{WAV}"), "urls"),
    (lambda: Play([WAV, None]), "urls"),  # type: ignore[list-item]
    (lambda: SmsText(""), "text"),
    (lambda: VoicebotStream(""), "stream_url"),
    (lambda: VoicebotStream("https://bot.example"), "stream_url"),
    (lambda: VoicebotStream(None), "stream_url"),  # type: ignore[arg-type]
    (lambda: VoicebotStream("wss://bot.example/#a"), "stream_url"),
    (lambda: VoicebotStream("wss://bot.example/".ljust(601, "x")), "stream_url"),
    (lambda: VoicebotStream("wss://b.example/".ljust(600, "x"), sample_rate=8000), "stream_url"),
    (lambda: VoicebotStream("wss://bot.example/?sample-rate=44100"), "stream_url"),
    (lambda: VoicebotStream("wss://bot.example", sample_rate=44100), "sample_rate"),
    (
        lambda: VoicebotStream("wss://bot.example/?sample-rate=8000", sample_rate=16000),
        "sample_rate",
    ),
    (lambda: SmsText("a\x1bb"), "text"),
    (lambda: Playback(Play([WAV, MENU])), "content"),
    (lambda: Playback(7), "content"),  # type: ignore[arg-type]
    (lambda: Playback(""), "text"),
    (lambda: Playback("Hello", "nobody"), "to"),
    (lambda: Playback("Hello", None), "to"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "argument"), BAD)
def test_what_cannot_be_answered(make: Callable[[], Any], argument: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        make()
    assert caught.value.argument == argument
    assert caught.value.rule


def test_the_url_of_a_bot_is_not_shown() -> None:
    """It may hold the bot's key."""
    assert "canary" not in repr(VoicebotStream("wss://bot.example/?key=canary"))
    with pytest.raises(InvalidRequest) as caught:
        VoicebotStream("wss://bot.example/?key=canary".ljust(601, "x"))
    assert "canary" not in str(caught.value)

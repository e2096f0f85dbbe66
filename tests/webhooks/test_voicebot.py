"""A Voicebot applet of the emulator asks an application for the URL of its bot."""

from __future__ import annotations

import json

import pytest

from exotel_async import same_number
from exotel_async.emulator import EmulatedCall, Emulator, Flow, Hangup, Voicebot
from exotel_async.webhooks import ExotelWebhooks, VoicebotRequest, VoicebotStream
from tests.conftest import CUSTOMER, EXOPHONE
from tests.webhooks.serving import SECRET, reserve, serving


async def called(hooks: ExotelWebhooks, emulator: Emulator) -> EmulatedCall:
    """A call into a flow that is a bot."""
    bot = Voicebot(url=hooks.url("voicebot", "bot"), talk=20, then=Hangup())
    emulator.flows = [Flow(1, start=bot)]
    emulator.exophone_flows[EXOPHONE] = 1
    call = await emulator.incoming_call(CUSTOMER, EXOPHONE)
    await emulator.finish_calls()
    return call


@pytest.mark.parametrize("parameters", [True, False])
async def test_the_bot_of_a_call_is_what_the_handler_says(parameters: bool) -> None:
    bound, url = reserve()
    hooks, asked = ExotelWebhooks(SECRET, base_url=url), list[VoicebotRequest]()

    @hooks.voicebot("bot")
    async def bot(request: VoicebotRequest) -> VoicebotStream:
        asked.append(request)
        return VoicebotStream("wss://bot.example/talk?key=k", sample_rate=16000)

    async with serving(hooks, bound=bound), Emulator(speed=1000) as emulator:
        emulator.flow_settings.voicebot_parameters = parameters
        emulator.flow_settings.json_type = True
        call = await called(hooks, emulator)
    (step, _) = call.transcript.steps
    assert step.notes == ["streams to wss://bot.example/talk?key=k&sample-rate=16000"]
    assert call.timeline.ended == 20
    (exchange,) = step.exchanges
    assert json.loads(exchange.body).keys() == {"url"}
    (request,) = asked
    assert request.sid == (call.sid if parameters else None)
    assert request.raw == dict(exchange.parameters)
    if parameters:
        assert same_number(request.from_, CUSTOMER)
        assert request.from_ == request.call_from


@pytest.mark.parametrize("parameters", [True, False])
async def test_a_handler_that_fails_leaves_the_call_without_a_bot(
    parameters: bool, caplog: pytest.LogCaptureFixture
) -> None:
    bound, url = reserve()
    hooks = ExotelWebhooks(SECRET, base_url=url)

    @hooks.voicebot("bot")
    async def bot(request: VoicebotRequest) -> str:
        raise LookupError("no bot is free")

    async with serving(hooks, bound=bound), Emulator(speed=1000) as emulator:
        emulator.flow_settings.voicebot_parameters = parameters
        call = await called(hooks, emulator)
    assert call.transcript.step("Voicebot").notes == ["of no use: its status is 500"]
    assert call.transcript.path == [("Voicebot", "then"), ("Hangup", None)]
    sid = call.sid if parameters else "-"
    assert f"The handler voicebot/bot has failed; call {sid}" in caplog.text

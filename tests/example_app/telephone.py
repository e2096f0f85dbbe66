"""The shop's telephone: what callers hear, whom they are connected with, and what is noted."""

from __future__ import annotations

from exotel_async.webhooks import (
    ConnectPlan,
    ConnectRequest,
    DialEvent,
    DialWhom,
    ExotelWebhooks,
    GatherPlan,
    GatherRequest,
    GreetingRequest,
    Passthru,
    PassthruRequest,
    Playback,
    SmsRequest,
    SmsText,
    Speak,
    StatusCallback,
    WhisperRequest,
)
from tests.example_app.crm import CallLog, Crm

SUPPORT = ("+919812300011", "+919812300012")
SALES = "+919812300021"


def answer_calls(hooks: ExotelWebhooks, crm: Crm, log: CallLog) -> None:
    """Register everything Exotel asks."""

    @hooks.greeting("welcome", fallback="Welcome.")
    async def welcome(request: GreetingRequest) -> Speak:
        customer = await crm.find(request.from_)
        if request.custom_field is not None:
            return Speak(f"We call about {request.custom_field}.")
        return Speak(f"Welcome back, {customer.name}." if customer else "Welcome to the shop.")

    @hooks.greeting("menu")
    async def menu(request: GreetingRequest) -> str:
        return "For support press 1, for sales press 2."

    @hooks.passthru("crm-check")
    async def crm_check(request: PassthruRequest) -> Passthru:
        """Important customers go to their manager, others must know their PIN, strangers wait."""
        customer = await crm.find(request.from_)
        if customer is None:
            return Passthru.select("stranger")
        return Passthru.select("important" if customer.manager else "customer")

    @hooks.connect("manager")
    async def manager(request: ConnectRequest) -> ConnectPlan:
        customer = await crm.find(request.from_)
        if customer is None or customer.manager is None:
            return ConnectPlan.nobody()
        return ConnectPlan(
            [customer.manager, SUPPORT[0]],
            record=True,
            ring_timeout=20,
            playback=Playback(f"This is {customer.name}."),
            event_url=hooks.url("dial_event"),
        )

    @hooks.gather("pin")
    async def pin(request: GatherRequest) -> GatherPlan:
        return GatherPlan(
            "Your PIN, please.",
            max_digits=4,
            timeout=10,
            repeats=1,
            repeat_prompt="Four digits, please.",
        )

    @hooks.passthru("pin-check")
    async def pin_check(request: PassthruRequest) -> Passthru:
        customer = await crm.find(request.from_)
        right = customer is not None and request.digits == customer.pin
        return Passthru.proceed() if right else Passthru.divert()

    @hooks.connect("support", fallback=ConnectPlan(SUPPORT))
    async def support(request: ConnectRequest) -> ConnectPlan:
        return ConnectPlan(SUPPORT, parallel_ringing=2, event_url=hooks.url("dial_event"))

    @hooks.dial_whom("sales")
    async def sales(request: ConnectRequest) -> DialWhom:
        return DialWhom(SALES)

    @hooks.whisper("sales")
    async def whisper(request: WhisperRequest) -> Playback:
        return Playback("Somebody wants to buy something.")

    @hooks.sms("thanks")
    async def thanks(request: SmsRequest) -> SmsText:
        return SmsText("Thank you for your call.")

    @hooks.passthru("voicemail")
    async def voicemail(request: PassthruRequest) -> None:
        if request.recording_url is not None:
            log.voicemails.append(request.recording_url)

    @hooks.dial_event
    async def dialled(event: DialEvent) -> None:
        log.agents.append((str(event.event_type), event.dialled_number or ""))

    @hooks.status_callback
    async def told(event: StatusCallback) -> None:
        if event.is_final:
            log.ends.append(event.sid)
            log.ended[event.sid] = str(event.status)

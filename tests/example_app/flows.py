"""The shop's flows, as they are put together in Exotel's dashboard."""

from __future__ import annotations

from exotel_async.emulator import (
    Connect,
    Email,
    Flow,
    Gather,
    Greeting,
    Hangup,
    Menu,
    Passthru,
    Sms,
    SwitchCase,
    Transfer,
    Voicemail,
)
from exotel_async.webhooks import ExotelWebhooks

INCOMING, SUPPORT, OUTGOING = 100, 101, 102


def flows(hooks: ExotelWebhooks) -> list[Flow]:
    """All nine applets, Gather and Switch-case; the URLs are those of the application."""
    thanks = Sms(name="thanks", url=hooks.url("sms", "thanks"), then=Hangup())
    message = Voicemail(
        name="voicemail",
        text="Please leave a message.",
        then=Passthru(
            name="noted",
            url=hooks.url("passthru", "voicemail"),
            sync=False,
            ok=Email(to="shop@shop.example", subject="A message", then=Hangup()),
        ),
    )
    support = Connect(
        name="support",
        url=hooks.url("connect", "support"),
        then="thanks",
        no_answer="voicemail",
        not_dialled="voicemail",
    )
    manager = Connect(
        name="manager",
        url=hooks.url("connect", "manager"),
        then=thanks,
        no_answer=message,
        not_dialled="support",
    )
    pin = Gather(
        name="pin",
        url=hooks.url("gather", "pin"),
        then=Passthru(
            name="pin-check",
            url=hooks.url("passthru", "pin-check"),
            ok="support",
            otherwise=Hangup(name="refused"),
        ),
        otherwise="refused",
    )
    check = Passthru(
        name="crm-check",
        url=hooks.url("passthru", "crm-check"),
        ok=SwitchCase(
            name="who",
            cases={"important": manager, "customer": pin, "stranger": "voicemail"},
            otherwise="support",
        ),
        otherwise=support,
    )
    sales = Connect(
        name="sales",
        dial_whom_url=hooks.url("dial_whom", "sales"),
        whisper_url=hooks.url("whisper", "sales"),
        events_url=hooks.url("dial_event"),
        then=Hangup(),
        no_answer=Hangup(),
        not_dialled=Hangup(),
    )
    menu = Menu(
        name="menu",
        url=hooks.url("greeting", "menu"),
        keys={"1": Transfer(name="to-support", flow=SUPPORT), "2": sales},
        repeat=1,
        otherwise="to-support",
    )
    welcome = hooks.url("greeting", "welcome")
    return [
        Flow(INCOMING, start=Greeting(name="welcome", url=welcome, then=menu)),
        Flow(SUPPORT, start=check),
        Flow(OUTGOING, start=Greeting(name="welcome", url=welcome, then=Hangup())),
    ]

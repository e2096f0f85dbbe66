"""Endpoints of what an emulator has received and sent, and of the emulator as a whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any

import attrs

from exotel_async.emulator.callbacks import SentCallback
from exotel_async.emulator.control.endpoint import Body, Endpoint, Input, Result, of_type
from exotel_async.emulator.control.pages import PAGE, a_page_of, page_of
from exotel_async.emulator.control.views import Time
from exotel_async.emulator.flows.outbox import SentEmail, SentSms
from exotel_async.emulator.operations import Operations
from exotel_async.emulator.request_log import Download, ReceivedRequest, Statistics

StartOutage = Callable[[float], Awaitable[None]]
"""Refuses connections for that many real seconds, from now on."""


@attrs.frozen(kw_only=True)
class Absence:
    """How long the emulator is unreachable."""

    seconds: float = attrs.field(validator=(attrs.validators.gt(0.0), attrs.validators.le(3600.0)))
    """Real seconds."""


def _listed(name: str, as_type: Any, about: str) -> Endpoint:
    def show(emulator: Operations, asked: Input) -> Result:
        seen: Collection[object] = getattr(emulator, name)
        return page_of(seen if isinstance(seen, Sequence) else tuple(seen), asked)

    return Endpoint(
        method="GET",
        path=f"/{name}",
        name=f"get_{name}",
        about=about,
        act=show,
        query=PAGE,
        returns=a_page_of(as_type),
    )


def _statistics(emulator: Operations, _: Input) -> Result:
    return Result(value=emulator.statistics())


def _reset(emulator: Operations, _: Input) -> Result:
    emulator.reset()
    return Result(value=emulator.statistics())


def _time(emulator: Operations, _: Input) -> Result:
    clock = emulator.clock
    return Result(value=Time(elapsed=clock.elapsed(), now=clock.now(), speed=clock.speed))


def endpoints(start_outage: StartOutage) -> Collection[Endpoint]:
    """Return all of them. `start_outage` is for the one that needs the socket."""

    def absent(_: Operations, asked: Input) -> Result:
        return Result(value=asked.body, then=partial(start_outage, asked.body.seconds))

    return [
        _listed(
            "requests", ReceivedRequest, "Every request for the API, ExoPhones included, in order."
        ),
        _listed("callbacks", SentCallback, "Every attempt to send a status callback, in order."),
        _listed("sms", SentSms, "Every SMS that flows have sent, in order."),
        _listed("emails", SentEmail, "Every e-mail that flows have sent, in order."),
        _listed("downloads", Download, "Every request for a recording, in order."),
        _listed("whitelist", str, "The numbers that `CustomerWhitelist` has added."),
        Endpoint(
            method="GET",
            path="/statistics",
            name="get_statistics",
            about="The totals since the start or the last reset.",
            act=_statistics,
            returns=of_type(Statistics),
        ),
        Endpoint(
            method="GET",
            path="/clock",
            name="get_clock",
            about="The emulator's clock.",
            act=_time,
            returns=of_type(Time),
        ),
        Endpoint(
            method="POST",
            path="/unreachable",
            name="be_unreachable",
            about="Answer, and then refuse connections for a while; open ones are reset.",
            act=absent,
            takes=Body.of(Absence, {"seconds": 0.5}),
            returns=of_type(Absence),
            status=202,
        ),
        Endpoint(
            method="POST",
            path="/reset",
            name="reset",
            about="Remove requests, downloads, calls, callbacks, SMS, e-mails, faults, the "
            "whitelist and the rate windows' counts. Settings and ExoPhones stay.",
            act=_reset,
            returns=of_type(Statistics),
        ),
    ]

"""A canary token and a canary number: they show nowhere."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import ModuleType
from typing import Any

import httpx
import pytest

from exotel_async import AsyncExotel, ExotelError, RetryPolicy, ServerError, Timeouts
from exotel_async.credentials import Credentials
from exotel_async.emulator import Emulator, Fault, Garbage
from exotel_async.events import SessionEvent
from tests.conftest import AGENT, EXOPHONE, session
from tests.test_otel import Recorded

TOKEN = "canary-0f3a9b-token"
KEY = "canary-77aa-key"
NUMBER = "+919898767654"
DIGITS = "9898767654"
BASIC = base64.b64encode(f"{KEY}:{TOKEN}".encode()).decode()

Attempt = Callable[[AsyncExotel], Coroutine[Any, Any, object]]


def assert_private(shown: str) -> None:
    for secret in (TOKEN, DIGITS, BASIC):
        assert secret not in shown


def echo(status: int) -> Fault:
    """A gateway's error page that repeats the whole request."""
    page = f"<html><title>Error for {NUMBER} {TOKEN}</title>Authorization: Basic {BASIC} {NUMBER}"
    return Fault.act_then_body(page.encode(), content_type="text/html", status=status)


FAULTS = [
    None,
    Fault.act_then_drop(),
    Fault.act_then_cut(),
    Fault.act_then_status(500),
    Fault.answer(403, message=f"{NUMBER} is registered under TRAI NDNC"),
    Fault.answer(429, message=f"too many for {NUMBER}"),
    Fault.act_then_garbage(Garbage.XML),
    Fault.act_then_garbage(Garbage.TRUNCATED),
    Fault.act_then_stall(),
    *(echo(status) for status in (200, 400, 401, 500)),
]
ATTEMPTS: list[Attempt] = [
    lambda exotel: exotel.calls.connect(AGENT, NUMBER, caller_id=EXOPHONE),
    lambda exotel: exotel.calls.connect(NUMBER, AGENT, caller_id=EXOPHONE, timeout=0.1),
    lambda exotel: exotel.calls.connect_to_flow(NUMBER, flow=7, caller_id=EXOPHONE),
    lambda exotel: exotel.numbers.lookup(NUMBER),
    lambda exotel: exotel.numbers.lookup(f"{NUMBER}{NUMBER}"),
    lambda exotel: exotel.numbers.whitelist([NUMBER, AGENT], exophone=EXOPHONE),
    lambda exotel: exotel.numbers.whitelist([AGENT, f"{NUMBER}{NUMBER}"], exophone=EXOPHONE),
    lambda exotel: exotel.numbers.whitelist_status(NUMBER),
    lambda exotel: exotel.calls.connect(AGENT, f"tel:{NUMBER}", caller_id=EXOPHONE),
    lambda exotel: exotel.calls.get(f"{NUMBER}/"),
    lambda exotel: exotel.account.balance(extra={"Phone": NUMBER}),
    lambda exotel: exotel.request("GET", f"Numbers/{NUMBER}.json", params={"Phone": NUMBER}),
    lambda exotel: exotel.request("DELETE", f"Numbers/%2B{NUMBER[1:6]}%2D{NUMBER[6:]}"),
    lambda exotel: exotel.request("POST", f"Numbers/({NUMBER})", form={"Phone": NUMBER}),
    lambda exotel: exotel.request("PUT", f"Numbers/{NUMBER}?to={NUMBER}&key={TOKEN}"),
    lambda exotel: exotel.request("GET", f"Numbers/{NUMBER[:6]}%2d{NUMBER[6:]}//"),
    lambda exotel: exotel.request("GET", f"https://{KEY}:{TOKEN}@api.exotel.com/{NUMBER}"),
    lambda exotel: exotel.request("GET", "Balance", form={NUMBER: TOKEN}),
    lambda exotel: exotel.request("GET", "Balance", params={f"{NUMBER}\n": TOKEN}),
]


@pytest.mark.slow(7)
async def test_canaries_show_nowhere(library: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    core = library.__name__.replace("httpx", "httpcore")
    for name in ("exotel_async", library.__name__, core, "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    asyncio.get_running_loop().set_debug(True)
    seen, reported = 0, Recorded()
    heard: list[SessionEvent] = []

    def hear(event: SessionEvent) -> None:
        heard.append(event)
        reported.telemetry(event)

    async with Emulator(api_key=KEY, api_token=TOKEN, speed=1000) as emulator:
        exotel = session(
            emulator,
            retry=RetryPolicy(attempts=2, refusals=1, backoff=0.001, total=2),
            timeout=Timeouts(connect=0.5, read=0.1, write=0.5, exchange=0.3),
            on_orphaned_call=lambda *told: assert_private(repr(told)),
            on_event=hear,
        )
        assert_private(repr(exotel) + repr(vars(exotel)) + repr(vars(exotel._pipeline)))
        assert_private(repr(vars(exotel._pipeline.transport)["_auth"]))
        for fault in FAULTS:
            for attempt in ATTEMPTS:
                emulator.faults.clear()
                if fault is not None:
                    emulator.faults.add(fault, times=None)
                try:
                    assert_private(repr(await attempt(exotel)))
                except ExotelError as error:
                    seen += 1
                    assert_private(f"{error!s} {error!r} {error.args!r}")
                    assert_private("".join(traceback.format_exception(error)))
                    assert_private(pickle.dumps(error).decode("latin-1"))
                    kept = repr(vars(error))
                    assert TOKEN not in kept
                    assert BASIC not in kept
        with suppress(ExotelError, TimeoutError):  # a dial whose caller leaves
            emulator.faults.add(echo(500), times=None)
            async with asyncio.timeout(0):
                await exotel.calls.connect(AGENT, NUMBER, caller_id=EXOPHONE)
        await exotel.aclose()
    assert seen > 60
    assert any(record.name == "exotel_async" for record in caplog.records)
    assert any(record.name == f"{core}.http11" for record in caplog.records)
    for record in caplog.records:
        assert_private(record.getMessage() + repr(record.args) + str(record.exc_text))
        fields = {name: value for name, value in vars(record).items() if name.startswith("exotel")}
        assert_private(repr(fields))
    assert len(heard) > 300
    for event in heard:
        assert_private(repr(event) + json.dumps(event.to_dict()))
    assert len(reported.spans) > 100
    for span in reported.spans:
        assert_private(span.to_json())
    assert_private(repr(reported.metrics()))


@pytest.mark.parametrize("status", [200, 400])
async def test_secrets_repeated_all_over_an_answer_do_not_show(status: int) -> None:
    def repeat(_: httpx.Request) -> httpx.Response:
        said = {"RestException": {"Message": f"bad {TOKEN}", "Code": TOKEN}}
        headers = {"Content-Type": f"text/html {TOKEN} {NUMBER}"}
        if status == 400:
            return httpx.Response(400, json=said, headers=headers)
        return httpx.Response(200, text="x" * 10 + TOKEN * 40, headers=headers)

    async with httpx.AsyncClient(transport=httpx.MockTransport(repeat)) as client:
        exotel = AsyncExotel(account_sid="acme1", api_key=KEY, api_token=TOKEN, http_client=client)
        async with exotel:
            with pytest.raises(ExotelError) as caught:
                await exotel.account.balance()
    error = caught.value
    assert_private(f"{error!r} {error.args!r}")
    kept = repr(vars(error))
    for secret in (TOKEN, TOKEN[:8], BASIC):
        assert secret not in kept


async def test_secrets_a_gateway_repeats_in_a_header_do_not_show() -> None:
    def repeat(request: httpx.Request) -> httpx.Response:
        echo = {"X-Echo": f"{request.headers['authorization']} {TOKEN} {NUMBER}"}
        return httpx.Response(502, headers=echo)

    async with httpx.AsyncClient(transport=httpx.MockTransport(repeat)) as client:
        exotel = AsyncExotel(
            account_sid="acme1",
            api_key=KEY,
            api_token=TOKEN,
            http_client=client,
            retry=RetryPolicy.never(),
        )
        async with exotel:
            with pytest.raises(ServerError) as caught:
                await exotel.account.balance()
    assert "x-echo" in caught.value.headers
    assert_private(f"{caught.value!r} {caught.value.args!r}")
    for secret in (TOKEN, BASIC):
        assert secret not in repr(vars(caught.value))


def test_credentials_show_and_pickle_nowhere() -> None:
    credentials = Credentials.find("acme1", KEY, TOKEN)
    assert_private(repr(credentials) + str(credentials))
    with pytest.raises(TypeError):
        pickle.dumps(credentials)

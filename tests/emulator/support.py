"""What the emulator's tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from exotel_async.emulator import Applet, Caller, EmulatedCall, Emulator, Flow
from tests.conftest import SOON, TLS

EXOPHONE = "08030000000"
AGENT = "09812300001"
CUSTOMER = "09812300002"
TWO_NUMBERS = {"From": AGENT, "To": CUSTOMER, "CallerId": EXOPHONE}
FLOW_URL = "http://my.exotel.com/acme1/exoml/start_voice/926"
TO_FLOW = {"From": CUSTOMER, "CallerId": EXOPHONE, "Url": FLOW_URL}
UNREACHED = [
    ("busy", "busy"),
    ("no-answer", "no-answer"),
    ("failed", "failed"),
    ("canceled", "failed"),
]
"""What a second party does, and the status of the call then."""


def client_of(emulator: Emulator, **options: object) -> httpx.AsyncClient:
    """A client with the right credentials; its URLs are relative to the account."""
    return httpx.AsyncClient(
        base_url=f"{emulator.base_url}/v1/Accounts/{emulator.account_sid}/",
        auth=(emulator.api_key, emulator.api_token),
        trust_env=False,
        verify=TLS,
        **options,  # type: ignore[arg-type]
    )


class StoppedClock:
    """Stops an emulator's clock and moves it by hand."""

    def __init__(self, emulator: Emulator) -> None:
        self.seconds = emulator.clock.elapsed()
        """Since the start."""
        emulator.clock.elapsed = lambda: self.seconds  # type: ignore[method-assign]


async def dial(client: httpx.AsyncClient, **parameters: str) -> str:
    """Dial two numbers, or a flow if there is a `Url`; the SID."""
    base = TO_FLOW if "Url" in parameters else TWO_NUMBERS
    answer = await client.post("Calls/connect.json", data={**base, **parameters})
    assert answer.status_code == 200, answer.text
    sid: str = answer.json()["Call"]["Sid"]
    return sid


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks bring about."""
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.01)


async def listing(client: httpx.AsyncClient, **query: str) -> dict[str, Any]:
    """One page of calls."""
    answer = await client.get("Calls.json", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def cursor(page: dict[str, Any], name: str = "After") -> str | None:
    """The cursor to the page after a page, or the one before it."""
    uri = page["Metadata"]["NextPageUri" if name == "After" else "PrevPageUri"]
    return parse_qs(urlsplit(uri).query)[name][0] if uri else None


async def walk(client: httpx.AsyncClient, **query: str) -> list[list[str]]:
    """The SIDs of all pages from the first on, as a client reads them that follows cursors."""
    pages: list[list[str]] = []
    while True:
        page = await listing(client, **query)
        pages.append([call["Sid"] for call in page["Calls"]])
        after = cursor(page)
        if after is None:
            return pages
        query["After"] = after


async def call_in(
    emulator: Emulator, start: Applet, caller: Caller | None = None, *, others: Sequence[Flow] = ()
) -> EmulatedCall:
    """Let a call come in to a flow of those applets, and go through all of it at once."""
    emulator.flows = [Flow(926, start=start), *others]
    emulator.exophone_flows[EXOPHONE] = 926
    call = await emulator.incoming_call(CUSTOMER, EXOPHONE, caller=caller)
    await emulator.finish_calls()
    return call


def branch(call: EmulatedCall, applet: str) -> str | None:
    """The exit a call took from an applet, the first time it came there."""
    return call.transcript.step(applet).branch

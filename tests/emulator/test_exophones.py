"""The ExoPhones pages: listing, showing, and assigning flows; their own rate window."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from exotel_async.emulator import Emulator, Fault, Flow, Greeting
from tests.conftest import TLS
from tests.emulator.support import CUSTOMER, StoppedClock, client_of

PHONES = [f"0803000000{n}" for n in range(5)]
FLOW = Flow(926, start=Greeting(text="Hello"))
URL = "http://my.exotel.com/acme1/exoml/start_voice/926"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """One with five ExoPhones, one of them assigned to a flow."""
    async with Emulator(
        exophones=PHONES, flows=[FLOW], exophone_flows={"+918030000001": 926}
    ) as running:
        yield running


@pytest.fixture
async def phones(emulator: Emulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the pages."""
    async with httpx.AsyncClient(
        base_url=f"{emulator.base_url}/v2_beta/Accounts/acme1/",
        auth=(emulator.api_key, emulator.api_token),
        trust_env=False,
        verify=TLS,
    ) as running:
        yield running


async def listed(phones: httpx.AsyncClient, **query: int) -> dict[str, Any]:
    answer = await phones.get("IncomingPhoneNumbers", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def sid_of(phones: httpx.AsyncClient, number: str) -> str:
    page = await listed(phones)
    sid: str = next(
        phone["sid"]
        for phone in page["incoming_phone_numbers"]
        if phone["phone_number"] == "+91" + number.removeprefix("0")
    )
    return sid


async def test_the_list(phones: httpx.AsyncClient) -> None:
    page = await listed(phones)
    uri = "http://twilix.exotel.com/v2_beta/Accounts/acme1/IncomingPhoneNumbers?Page=0&PageSize=50"
    assert {key: value for key, value in page.items() if key != "incoming_phone_numbers"} == {
        "page": 0,
        "page_size": 50,
        "uri": uri,
        "first_page_uri": uri,
        "next_page_uri": None,
        "previous_page_uri": None,
    }
    found = page["incoming_phone_numbers"]
    assert [phone["phone_number"] for phone in found] == [f"+91803000000{n}" for n in range(5)]
    assert [phone["voice_url"] for phone in found] == [None, URL, None, None, None]
    assert len({phone["sid"] for phone in found}) == 5
    assert found[0] == {
        "sid": found[0]["sid"],
        "phone_number": "+918030000000",
        "friendly_name": "08030000000",
        "capabilities": {"voice": True, "sms": True},
        "country": "IN",
        "region": found[0]["region"],
        "voice_url": None,
        "sms_url": None,
    }


async def test_its_pages(emulator: Emulator, phones: httpx.AsyncClient) -> None:
    """The URIs lead to a host that is not ours, with what to ask for in their queries."""
    emulator.exophone_host = "http://inside.example"
    seen: list[str] = []
    number: int | None = 0
    while number is not None:
        page = await listed(phones, Page=number, PageSize=2)
        assert (page["page"], page["page_size"]) == (number, 2)
        seen += [phone["phone_number"] for phone in page["incoming_phone_numbers"]]
        base = "http://inside.example/v2_beta/Accounts/acme1/IncomingPhoneNumbers"
        previous = f"{base}?Page={number - 1}&PageSize=2" if number else None
        assert page["previous_page_uri"] == previous
        number += 1
        following = f"{base}?Page={number}&PageSize=2"
        if page["next_page_uri"] != following:
            assert page["next_page_uri"] is None
            number = None
    assert len(seen) == len(set(seen)) == 5
    assert (await listed(phones, Page=9))["incoming_phone_numbers"] == []


@pytest.mark.parametrize("query", ["Page=-1", "Page=x", "PageSize=-2", "PageSize=two"])
async def test_pages_that_are_none(phones: httpx.AsyncClient, query: str) -> None:
    answer = await phones.get(f"IncomingPhoneNumbers?{query}")
    assert answer.status_code == 400
    assert answer.json()["RestException"]["Status"] == 400


async def test_assigning_a_flow(emulator: Emulator, phones: httpx.AsyncClient) -> None:
    """It is where the next call that comes in goes."""
    sid = await sid_of(phones, PHONES[3])
    form = {
        "VoiceUrl": URL,
        "FriendlyName": "Sales",
        "SMSUrl": "http://my.exotel.com/a/exoml/start_sms/7",
    }
    answer = await phones.put(f"IncomingPhoneNumbers/{sid}", data=form)
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["voice_url"], changed["friendly_name"]) == (URL, "Sales")
    assert changed["sms_url"] == form["SMSUrl"]
    assert (await phones.get(f"IncomingPhoneNumbers/{sid}")).json() == changed
    call = await emulator.incoming_call(CUSTOMER, PHONES[3])
    await emulator.finish_calls()
    assert call.transcript.path == [("Greeting", "then")]


async def test_changing_one_thing_leaves_the_others(
    emulator: Emulator, phones: httpx.AsyncClient
) -> None:
    sid = await sid_of(phones, PHONES[1])

    async def put(**form: str) -> dict[str, Any]:
        changed: dict[str, Any] = (
            await phones.put(f"IncomingPhoneNumbers/{sid}", data=form)
        ).json()
        return changed

    named = await put(FriendlyName="Desk")
    assert (named["friendly_name"], named["voice_url"]) == ("Desk", URL)
    older = await put(VoiceUrl="http://my.exotel.in/exoml/start/5")
    assert (older["friendly_name"], older["voice_url"]) == ("Desk", URL.replace("926", "5"))
    assert emulator.exophone_flows[PHONES[1]] == "5"
    assert (await put(VoiceUrl=""))["voice_url"] is None
    assert PHONES[1] not in emulator.exophone_flows
    assert await put() == await put(VoiceUrl="", SMSUrl="")


@pytest.mark.parametrize(
    "form",
    [
        {"VoiceUrl": "ftp://example.com/", "FriendlyName": "x"},
        {"VoiceUrl": "926", "FriendlyName": "x"},
        {"SMSUrl": "ftp://example.com/", "FriendlyName": "x"},
    ],
)
async def test_a_url_that_is_none_changes_nothing(
    phones: httpx.AsyncClient, form: dict[str, str]
) -> None:
    sid = await sid_of(phones, PHONES[1])
    before = (await phones.get(f"IncomingPhoneNumbers/{sid}")).json()
    assert (await phones.put(f"IncomingPhoneNumbers/{sid}", data=form)).status_code == 400
    body = await phones.put(f"IncomingPhoneNumbers/{sid}", json=form)
    assert body.status_code == 400
    assert (await phones.get(f"IncomingPhoneNumbers/{sid}")).json() == before


async def test_what_is_not_there(emulator: Emulator, phones: httpx.AsyncClient) -> None:
    for method, page in (
        ("GET", "IncomingPhoneNumbers/unknown"),
        ("PUT", "IncomingPhoneNumbers/08030000000"),
        ("GET", "Calls"),
        ("GET", f"{emulator.base_url}/v2_beta/Accounts/other/IncomingPhoneNumbers"),
    ):
        answer = await phones.request(method, page)
        assert answer.status_code == 404, (method, page)
    assert (await phones.get("IncomingPhoneNumbers", auth=("a", "b"))).status_code == 401


async def test_a_rate_window_of_their_own(emulator: Emulator, phones: httpx.AsyncClient) -> None:
    """Fifty a minute, beside the two hundred of Voice."""
    clock = StoppedClock(emulator)
    emulator.rate_limit_headers = True
    statuses = [(await phones.get("IncomingPhoneNumbers")).status_code for _ in range(52)]
    assert statuses == [200] * 50 + [429] * 2
    refused = await phones.get("IncomingPhoneNumbers")
    assert refused.headers["x-ratelimit-limit"] == "50"
    assert refused.headers["content-type"] == "application/json"
    async with client_of(emulator) as client:
        answer = await client.get("Balance.json")
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-limit"] == "200"
    assert emulator.refused == 3
    assert emulator.busiest_window() == 1, "that of Voice"
    clock.seconds += 60
    assert (await phones.get("IncomingPhoneNumbers")).status_code == 200
    emulator.reset()
    assert emulator.busiest_window() == 0


async def test_faults(emulator: Emulator, phones: httpx.AsyncClient) -> None:
    emulator.faults.add(Fault.answer(503), path="IncomingPhoneNumbers")
    emulator.faults.add(Fault.act_then_garbage("html"), path="IncomingPhoneNumbers")
    assert (await phones.get("IncomingPhoneNumbers")).status_code == 503
    assert (await phones.get("IncomingPhoneNumbers")).headers["content-type"] == "text/html"
    assert emulator.faults.pending == []

"""`GET Calls`: what is listed, every filter and its limits, pages and cursors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import httpx
import pytest

from exotel_async.emulator import Behaviour, Dial, Emulator, Scenario
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, FLOW_URL, client_of, dial

OTHER_PHONE = "08030000001"
BUSY = "09812300008"
NOW = datetime(2026, 9, 15, 12, 0, tzinfo=UTC)  # 17:30 in India


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """Ten past calls: number n was dialled n days ago, talked for 30 s."""
    settings = Emulator(
        now=NOW,
        rate=1000,
        exophones=[EXOPHONE, OTHER_PHONE],
        scenario=Scenario.all_answered(),
    )
    async with settings as running:
        for day in range(1, 11):
            call = Dial(from_=f"+9198123000{day:02}", to=CUSTOMER, caller_id=EXOPHONE)
            running.add_call(call, ago=timedelta(days=day))
        yield running


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(emulator) as running:
        yield running


async def listed(client: httpx.AsyncClient, **query: str) -> list[str]:
    """The `From` of each call, without the leading 098123000."""
    answer = await client.get("Calls.json", params=query)
    assert answer.status_code == 200, answer.text
    return [call["From"][-2:] for call in answer.json()["Calls"]]


def days(*numbers: int) -> list[str]:
    return [f"{number:02}" for number in numbers]


async def test_metadata_and_flat_records_newest_first(client: httpx.AsyncClient) -> None:
    answer = (await client.get("Calls.json")).json()
    assert answer["Metadata"] == {
        "Total": 10,
        "PageSize": 50,
        "FirstPageUri": "/v1/Accounts/acme1/Calls.json?PageSize=50",
        "PrevPageUri": None,
        "NextPageUri": None,
    }
    assert [call["From"][-2:] for call in answer["Calls"]] == days(*range(1, 11))
    assert answer["Calls"][0]["Duration"] == "40"
    assert "Details" not in answer["Calls"][0]
    assert await listed(client, SortBy="DateCreated:asc") == days(*range(10, 0, -1))
    full = (await client.get("Calls.json?PageSize=10")).json()
    assert full["Metadata"]["NextPageUri"] is None


async def test_xml(client: httpx.AsyncClient) -> None:
    answer = await client.get("Calls", params={"PageSize": "3"})
    root = ET.fromstring(answer.text)  # noqa: S314 - our own answer
    assert root.findtext("Metadata/Total") == "10"
    assert len(root.findall("Calls/Call")) == 3
    uri = root.findtext("Metadata/NextPageUri") or ""
    assert urlsplit(uri).path == "/v1/Accounts/acme1/Calls"


async def test_calls_going_on_are_left_out(emulator: Emulator, client: httpx.AsyncClient) -> None:
    sid = await dial(client)
    assert len(await listed(client)) == 10
    assert await listed(client, Sid=sid) == []
    assert await listed(client, Status="in-progress") == []
    await emulator.finish_calls(settle=False)
    assert await listed(client, Sid=sid) == ["01"]
    assert len(await listed(client)) == 11


async def test_date_bounds_are_indian_and_take_in_their_second(client: httpx.AsyncClient) -> None:
    """The call of two days ago was made at 17:30:00 in India, not at 12:00:00."""
    await_day = [
        ("gte:2026-09-13 17:30:00;lte:2026-09-13 17:30:00", [2]),
        ("gte:2026-09-13 17:30:01;lte:2026-09-15 17:29:00", [1]),
        ("gte:2026-09-13 12:00:00;lte:2026-09-13 12:00:00", []),
        ("gte:2026-09-12 00:00:00", [1, 2, 3]),
        ("lte:2026-09-07 00:00:00", [9, 10]),
    ]
    for text, expected in await_day:
        assert await listed(client, DateCreated=text) == days(*expected), text


async def test_only_31_days_back_without_a_date(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    old = Dial(from_="+919812300040", to=CUSTOMER, caller_id=EXOPHONE)
    call = emulator.add_call(old, ago=timedelta(days=40))
    for day in (30.9, 31.1):
        at_the_edge = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE)
        emulator.add_call(at_the_edge, ago=timedelta(days=day))
    assert len(await listed(client)) == 11
    assert await listed(client, Sid=call.sid) == []
    window = "gte:2026-08-01 00:00:00;lte:2026-08-20 00:00:00"
    assert await listed(client, Sid=call.sid, DateCreated=window) == ["40"]


async def test_by_sid_and_number(emulator: Emulator, client: httpx.AsyncClient) -> None:
    sids = list(emulator.calls)
    assert await listed(client, Sid=f"{sids[3]},{sids[1]},unknown,{sids[1]}") == days(2, 4)
    assert await listed(client, From="09812300003, 919812300005") == days(3, 5)
    assert len(await listed(client, To="+919812300002")) == 10
    assert await listed(client, To=AGENT) == []
    flow = Dial(from_="09812300011", to=None, url=FLOW_URL, caller_id=OTHER_PHONE)
    emulator.add_call(flow, ago=timedelta(hours=1))
    assert await listed(client, PhoneNumber=f"+91{OTHER_PHONE[1:]}") == ["11"]
    assert await listed(client, To=OTHER_PHONE) == ["11"]
    emulator.flow_to = "null"
    assert await listed(client, To=OTHER_PHONE) == []


async def test_by_status_direction_duration_price(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.scenario = Scenario(
        numbers={BUSY: Behaviour("busy", ring=3), "09812300099": Behaviour(ring=5, talk=80)}
    )
    emulator.add_call(
        Dial(from_=BUSY, to=CUSTOMER, caller_id=EXOPHONE, direction="outbound-dial"),
        ago=timedelta(hours=2),
    )
    emulator.add_call(
        Dial(from_="09812300099", to=None, url=FLOW_URL, caller_id=EXOPHONE),
        ago=timedelta(hours=1),
    )
    assert await listed(client, Status="busy") == ["08"]
    assert await listed(client, Direction="outbound-dial") == ["08"]
    assert len(await listed(client, Direction="outbound-api")) == 11
    assert await listed(client, Duration="gte:41s") == ["99"]
    assert await listed(client, Duration="lte:39s") == ["08"]
    assert await listed(client, Duration="eq:85s") == ["99"]
    assert len(await listed(client, Duration="gte:3s;lte:40s")) == 11
    assert await listed(client, Price="gte:0.80;lte:2") == ["99"]
    assert await listed(client, Price="lte:0.0") == ["08"]


async def test_details_in_bulk_can_be_turned_off(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    for name in ("details", "Details"):
        calls = (await client.get("Calls.json", params={name: "true"})).json()["Calls"]
        assert calls[0]["Details"]["Leg2Status"] == "completed"
    emulator.bulk_details = False
    calls = (await client.get("Calls.json?details=true")).json()["Calls"]
    assert "Details" not in calls[0]


async def test_extra_columns(emulator: Emulator, client: httpx.AsyncClient) -> None:
    assert "CustomField" not in (await client.get("Calls.json")).json()["Calls"][0]
    emulator.bulk_extra_columns = True
    row = (await client.get("Calls.json")).json()["Calls"][0]
    assert (row["PhoneNumber"], row["CustomField"]) == (EXOPHONE, "N/A")


REFUSED = [
    {"DateCreated": "gte:2026-09-01 00:00:00;lte:2026-09-15 17:31:00"},
    {"DateCreated": "gte:2026-08-01 00:00:00;lte:2026-09-01 00:00:01"},
    {"DateCreated": "gte:2026-03-01 00:00:00;lte:2026-03-20 00:00:00"},
    {"DateCreated": "gt:2026-09-10 00:00:00"},
    {"DateCreated": "gte:2026-09-10"},
    {"DateCreated": "2026-09-10 00:00:00"},
    {"DateCreated": "gte:2026-09-10 00:00:00;gte:2026-09-11 00:00:00"},
    {"Sid": ",".join(f"sid{index}" for index in range(101))},
    {"To": "1,2,3,4,5,6"},
    {"From": "1,2,3,4,5,6"},
    {"PhoneNumber": "1,2,3,4,5,6"},
    {"Status": "eq:done"},
    {"Direction": "outbound"},
    {"Duration": "gte:tens"},
    {"Price": "gte:nan"},
    {"Price": "above:1"},
    {"SortBy": "Price:asc"},
    {"PageSize": "101"},
    {"PageSize": "-1"},
    {"PageSize": "many"},
    {"After": "nonsense"},
    {"Before": "bm9uc2Vuc2U="},
    {"RecordingUrlValidity": "61"},
]


@pytest.mark.parametrize("query", REFUSED, ids=[str(query)[:50] for query in REFUSED])
async def test_filters_out_of_their_limits_are_400(
    client: httpx.AsyncClient, query: dict[str, str]
) -> None:
    answer = await client.get("Calls.json", params=query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["RestException"]["Message"]


async def test_the_limits_themselves_are_fine(client: httpx.AsyncClient) -> None:
    for query in (
        {"Sid": ",".join(f"sid{index}" for index in range(100))},
        {"From": "1,2,3,4,5", "PageSize": "100"},
        {"DateCreated": "gte:2026-03-15 00:00:00;lte:2026-04-15 00:00:00"},
        {"PageSize": "1", "RecordingUrlValidity": "5"},
        {"sid": "lower case is not a parameter", "pagesize": "1000"},
    ):
        assert (await client.get("Calls.json", params=query)).status_code == 200


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_forth_and_back(client: httpx.AsyncClient, order: str) -> None:
    query = {"SortBy": f"DateCreated:{order}", "PageSize": "4", "To": CUSTOMER}
    pages, uri = [], f"/v1/Accounts/acme1/Calls.json?{httpx.QueryParams(query)}"
    previous = []
    while uri:
        answer = (
            await client.get(
                f"{client.base_url.copy_with(path=urlsplit(uri).path)}?{urlsplit(uri).query}"
            )
        ).json()
        assert answer["Metadata"]["Total"] == 10
        pages.append([call["From"][-2:] for call in answer["Calls"]])
        previous.append(answer["Metadata"]["PrevPageUri"])
        uri = answer["Metadata"]["NextPageUri"]
        if uri:
            assert set(query) | {"After"} == set(parse_qs(urlsplit(uri).query))
    straight = range(1, 11) if order == "desc" else range(10, 0, -1)
    wanted = days(*straight)
    assert pages == [wanted[:4], wanted[4:8], wanted[8:]]
    assert previous[0] is None
    back = httpx.QueryParams(urlsplit(previous[2]).query)
    assert await listed(client, **dict(back)) == wanted[4:8]


async def test_page_uris_have_their_switches(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.next_uri_json = False
    emulator.end_cursor = ""
    metadata = (await client.get("Calls.json?PageSize=9")).json()["Metadata"]
    assert metadata["NextPageUri"].startswith("/v1/Accounts/acme1/Calls?PageSize=9&After=")
    assert metadata["PrevPageUri"] == ""

"""`POST Calls/connect`: what comes back, what is refused, and what the switches change."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import httpx
import pytest

from exotel_async.emulator import Emulator
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, TO_FLOW, TWO_NUMBERS, client_of, dial

FIELDS = [
    "Sid",
    "ParentCallSid",
    "DateCreated",
    "DateUpdated",
    "AccountSid",
    "To",
    "From",
    "PhoneNumberSid",
    "Status",
    "StartTime",
    "EndTime",
    "Duration",
    "Price",
    "Direction",
    "AnsweredBy",
    "ForwardedFrom",
    "CallerName",
    "Uri",
    "RecordingUrl",
]


async def test_two_numbers_in_json() -> None:
    start = datetime(2026, 3, 2, 5, 50, 5, tzinfo=UTC)
    async with Emulator(now=start) as emulator, client_of(emulator) as client:
        form = {**TWO_NUMBERS, "From": "+919812300001"}
        answer = await client.post("Calls/connect.json", data=form)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["date"].startswith("Mon, 02 Mar 2026 05:50:")
    call = answer.json()["Call"]
    assert list(call) == FIELDS
    created = call["DateCreated"]
    assert re.fullmatch(r"2026-03-02 11:20:0\d", created), "the Indian clock, whole seconds"
    assert call == {
        **dict.fromkeys(FIELDS),
        "Sid": call["Sid"],
        "DateCreated": created,
        "DateUpdated": created,
        "StartTime": created,
        "AccountSid": "acme1",
        "From": AGENT,
        "To": CUSTOMER,
        "PhoneNumberSid": EXOPHONE,
        "Status": "in-progress",
        "Direction": "outbound-api",
        "Uri": f"/v1/Accounts/acme1/Calls.json/{call['Sid']}",
    }
    assert re.fullmatch(r"[0-9a-f]{28}1a3[g-z]", call["Sid"]), (
        "year and month in hex, then a letter"
    )


async def test_xml_is_the_default(client: httpx.AsyncClient) -> None:
    answer = await client.post("Calls/connect", data=TWO_NUMBERS)
    assert answer.headers["content-type"] == "application/xml"
    root = ET.fromstring(answer.text)  # noqa: S314 - our own answer
    assert root.tag == "TwilioResponse"
    assert [element.tag for element in root] == ["Call"]
    assert [element.tag for element in root[0]] == FIELDS
    assert root.findtext("Call/Status") == "in-progress"
    assert root.findtext("Call/EndTime") == ""
    sid = root.findtext("Call/Sid")
    assert root.findtext("Call/Uri") == f"/v1/Accounts/acme1/Calls/{sid}"


async def test_multipart_is_read_as_well(emulator: Emulator, client: httpx.AsyncClient) -> None:
    parts = {name: (None, value) for name, value in TWO_NUMBERS.items()}
    answer = await client.post("Calls/connect.json", files=parts)
    assert answer.status_code == 200
    assert emulator.requests[0].form == TWO_NUMBERS


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data"])
async def test_no_other_body_is(client: httpx.AsyncClient, content_type: str) -> None:
    answer = await client.post(
        "Calls/connect.json", content=b'{"From": "1"}', headers={"Content-Type": content_type}
    )
    assert answer.status_code == 400


REFUSED = [
    ({"From": ""}, "From is a required"),
    ({"CallerId": ""}, "CallerId is a required"),
    ({"To": ""}, "To, Url or StreamUrl is a required"),
    ({"From": "98-12"}, "From"),
    ({"To": "sip:"}, "To"),
    ({"CallerId": "08099999999"}, "ExoPhones"),
    ({"CallType": "transactional"}, "CallType"),
    ({"TimeLimit": "14401"}, "TimeLimit"),
    ({"TimeLimit": "-1"}, "TimeLimit"),
    ({"TimeLimit": "ten"}, "TimeLimit"),
    ({"TimeOut": "61"}, "TimeOut"),
    ({"WaitUrl": "hold.wav"}, "WaitUrl"),
    ({"Record": "yes"}, "Record"),
    ({"RecordingChannels": "stereo"}, "RecordingChannels"),
    ({"RecordingFormat": "wav"}, "RecordingFormat"),
    ({"CustomField": "x" * 129}, "CustomField"),
    ({"StartPlaybackToNew": "Caller"}, "StartPlaybackToNew"),
    ({"StatusCallback": "ftp://example.com/"}, "StatusCallback"),
    ({"StatusCallback": "http://[broken/"}, "StatusCallback"),
    ({"StatusCallbackContentType": "text/xml"}, "StatusCallbackContentType"),
    ({"StatusCallbackEvents[0]": "ringing"}, "StatusCallbackEvents"),
]


@pytest.mark.parametrize(
    ("parameters", "told"), REFUSED, ids=[str(case[0])[:40] for case in REFUSED]
)
async def test_what_is_out_of_its_limits_is_400(
    emulator: Emulator, client: httpx.AsyncClient, parameters: dict[str, str], told: str
) -> None:
    answer = await client.post("Calls/connect.json", data={**TWO_NUMBERS, **parameters})
    assert answer.status_code == 400
    body = answer.json()["RestException"]
    assert body["Status"] == 400
    assert told in body["Message"]
    assert "Code" not in body
    assert not emulator.calls


ACCEPTED: list[dict[str, str]] = [
    {"TimeLimit": "14400", "TimeOut": "60", "CallType": "trans"},
    {"Record": "true", "RecordingChannels": "dual", "RecordingFormat": "mp3-hq"},
    {"CustomField": "x" * 128, "WaitUrl": "https://example.com/hold.wav"},
    {"StartPlaybackToNew": "Both", "StartPlaybackValueNew": "https://example.com/a.wav"},
    {"CallerId": "+918030000000"},
    {"From": "sip:agent@example.com"},
    {"From": "sip:agent7f3a", "To": "sip:agent8b2c"},
    {"From": "+4915112345678"},
    {"Whatever": "is not known"},
    {"Url": TO_FLOW["Url"]},
    {"Url": "http://my.exotel.in/exoml/start/926"},
    {"To": CUSTOMER, "StreamUrl": "wss://example.com/", "StreamBegin": "at Leg2Connect"},
]


@pytest.mark.parametrize("parameters", ACCEPTED, ids=[str(case)[:40] for case in ACCEPTED])
async def test_what_is_within_is_taken(
    client: httpx.AsyncClient, parameters: dict[str, str]
) -> None:
    await dial(client, **parameters)


async def test_of_to_and_url_the_url_decides(emulator: Emulator, client: httpx.AsyncClient) -> None:
    await dial(client, To=AGENT, Url=TO_FLOW["Url"])
    (call,) = emulator.calls.values()
    assert (call.to, call.dial.url, call.channels) == (None, TO_FLOW["Url"], 1)
    assert emulator.rung(AGENT) == 0


@pytest.mark.parametrize("name", list(TWO_NUMBERS))
async def test_names_are_case_sensitive(client: httpx.AsyncClient, name: str) -> None:
    form = {**TWO_NUMBERS, name.lower(): TWO_NUMBERS[name]}
    del form[name]
    answer = await client.post("Calls/connect.json", data=form)
    assert answer.status_code == 400
    assert name in answer.json()["RestException"]["Message"]


async def test_an_error_in_xml(client: httpx.AsyncClient) -> None:
    answer = await client.post("Calls/connect", data={"From": "<&>"})
    root = ET.fromstring(answer.text)  # noqa: S314 - our own answer
    assert root.findtext("RestException/Status") == "400"
    assert "CallerId" in (root.findtext("RestException/Message") or "")


@pytest.mark.parametrize(("switch", "to"), [("exophone", EXOPHONE), ("null", None)])
async def test_to_of_a_flow_call(switch: str, to: str | None) -> None:
    async with Emulator(flow_to=switch) as emulator, client_of(emulator) as client:  # type: ignore[arg-type]
        answer = await client.post("Calls/connect.json", data=TO_FLOW)
    assert answer.json()["Call"]["To"] == to
    assert answer.json()["Call"]["From"] == CUSTOMER


@pytest.mark.parametrize(
    ("switch", "shown"),
    [("national", AGENT), ("e164", "+919812300001"), ("as-sent", "919812300001")],
)
async def test_how_numbers_come_back(switch: str, shown: str) -> None:
    async with Emulator(echo_numbers=switch) as emulator, client_of(emulator) as client:  # type: ignore[arg-type]
        form = {**TWO_NUMBERS, "From": "919812300001"}
        answer = await client.post("Calls/connect.json", data=form)
    assert answer.json()["Call"]["From"] == shown


async def test_limits_that_only_some_documents_have_can_be_lifted() -> None:
    async with (
        Emulator(max_ring_timeout=None, max_custom_field=None) as emulator,
        client_of(emulator) as client,
    ):
        await dial(client, TimeOut="61", CustomField="x" * 129)


async def test_no_balance_is_402_no_kyc_403_with_a_code_ndnc_403_without() -> None:
    async with Emulator(ndnc={"+91 98123 00002".replace(" ", "")}) as emulator:
        async with client_of(emulator) as client:

            async def refusal() -> tuple[int, object]:
                answer = await client.post("Calls/connect.json", data=TWO_NUMBERS)
                return answer.status_code, answer.json()["RestException"].get("Code")

            assert await refusal() == (403, None)
            emulator.kyc = False
            assert await refusal() == (403, 340030)
            emulator.balance_exhausted = True
            assert await refusal() == (402, None)
            assert emulator.rung(CUSTOMER) == 0
            await client.get("Balance.json")
        assert [r.status for r in emulator.requests] == [403, 403, 402, 200]


async def test_a_trial_account_calls_verified_numbers_only() -> None:
    async with Emulator(verified_numbers=[AGENT]) as emulator, client_of(emulator) as client:
        assert (await client.post("Calls/connect", data=TWO_NUMBERS)).status_code == 403
        assert (await client.post("Calls/connect", data={**TO_FLOW, "From": AGENT})).is_success


async def test_channels_two_for_two_numbers_ringing_included() -> None:
    async with Emulator(channels=3) as emulator, client_of(emulator) as client:
        await dial(client)
        assert (await client.post("Calls/connect", data=TWO_NUMBERS)).status_code == 402
        await dial(client, Url=TO_FLOW["Url"], To="")
        emulator.channels_status = 409
        assert (await client.post("Calls/connect", data=TO_FLOW)).status_code == 409
        await emulator.finish_calls(settle=False)
        await dial(client)


async def test_rung_counts_accepted_dials_however_numbers_are_written(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    await dial(client, From="+919812300001")
    await dial(client, From="9812300001", To="09812300003")
    await client.post("Calls/connect", data={**TWO_NUMBERS, "CallerId": "0"})
    assert emulator.rung("919812300001") == 2
    assert emulator.rung("+919812300002") == emulator.rung("09812300003") == 1
    assert emulator.rung("09812300009") == 0


async def test_requests_are_recorded_without_credentials(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    await client.post("Calls/connect.json?details=true", data=TWO_NUMBERS)
    (request,) = emulator.requests
    assert request.method == "POST"
    assert request.path == "/v1/Accounts/acme1/Calls/connect.json"
    assert request.query == {"details": "true"}
    assert request.form == TWO_NUMBERS
    assert b"From=09812300001" in request.body
    assert (request.status, request.refused, request.counted) == (200, False, True)
    assert 0 <= request.arrived <= emulator.clock.elapsed()
    assert "emulator-token" not in repr(emulator.requests) + repr(emulator)

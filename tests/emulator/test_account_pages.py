"""What applications ask first: the account, its ExoPhones, numbers to buy, whitelist, streams."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import httpx
import pytest

from exotel_async.emulator import Emulator
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, TWO_NUMBERS, StoppedClock, dial

ALLOWED = {"VirtualNumber": EXOPHONE, "Number": CUSTOMER}
BOT = {"From": CUSTOMER, "CallerId": EXOPHONE, "StreamType": "bidirectional"}


def xml(answer: httpx.Response) -> ET.Element:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/xml"
    return ET.fromstring(answer.text)  # noqa: S314 - our own answer


@pytest.mark.parametrize("suffix", ["", "/", ".json"])
async def test_the_account_itself(
    emulator: Emulator, client: httpx.AsyncClient, suffix: str
) -> None:
    """Three programs see by its status whether their credentials are right."""
    url = f"{emulator.base_url}/v1/Accounts/acme1{suffix}"
    answer = await client.get(url)
    if suffix == ".json":
        assert answer.json() == {"Account": {"Sid": "acme1", "Status": "active"}}
    else:
        assert xml(answer).findtext("Account/Sid") == "acme1"
        assert xml(answer).findtext("Account/Status") == "active"
    assert (await client.get(url, auth=("acme1", "wrong"))).status_code == 401
    assert (await client.get(url.replace("acme1", "acme10"))).status_code == 404


async def test_an_account_whose_sid_must_be_quoted() -> None:
    async with (
        Emulator(account_sid="exo tel:1") as emulator,
        httpx.AsyncClient(auth=(emulator.api_key, emulator.api_token), trust_env=False) as client,
    ):
        for sid in ("exo%20tel:1", "exo%20tel%3A1"):
            url = f"{emulator.base_url}/v1/Accounts/{sid}"
            assert (await client.get(f"{url}.json")).json()["Account"]["Sid"] == "exo tel:1"
            assert (await client.get(f"{url}/Balance.json")).status_code == 200


async def test_its_exophones_in_voice(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.exophones = {"08030000001", EXOPHONE}
    answer = await client.get("IncomingPhoneNumbers.json")
    assert answer.json() == {
        "IncomingPhoneNumbers": [
            {"IncomingPhoneNumber": {"PhoneNumber": EXOPHONE}},
            {"IncomingPhoneNumber": {"PhoneNumber": "08030000001"}},
        ]
    }
    found = xml(await client.get("IncomingPhoneNumbers"))
    path = "IncomingPhoneNumbers/IncomingPhoneNumber/PhoneNumber"
    assert [number.text for number in found.findall(path)] == [EXOPHONE, "08030000001"]
    assert not any(request.exophones for request in emulator.requests), "they count as Voice"


async def test_numbers_to_buy(emulator: Emulator, client: httpx.AsyncClient) -> None:
    base = f"{emulator.base_url}/v2_beta/Accounts/acme1/AvailablePhoneNumbers"
    countries = (await client.get(base)).json()
    assert countries["uri"] == "/v2_beta/Accounts/acme1/AvailablePhoneNumbers"
    assert [country["country_code"] for country in countries["countries"]] == ["IN"]
    seen: set[str] = set()
    for kind in ("Landline", "Mobile", "TollFree"):
        numbers = (await client.get(f"{base}/IN/{kind}")).json()
        assert {number["number_type"] for number in numbers} == {kind}
        seen |= {number["phone_number"] for number in numbers}
        assert len(numbers) == len({number["region"] for number in numbers}) == 23
    assert len(seen) == 3 * 23
    (one,) = (await client.get(f"{base}/IN/Mobile", params={"InRegion": "KA"})).json()
    assert one == {
        "friendly_name": one["friendly_name"],
        "phone_number": "+91" + one["friendly_name"].removeprefix("0"),
        "capabilities": {"voice": True, "sms": True},
        "country": "IN",
        "region": "KA",
        "number_type": "Mobile",
        "rental_price": "499.000000",
    }
    wanted = {"Contains": one["phone_number"][-10:]}
    assert (await client.get(f"{base}/IN/Mobile", params=wanted)).json() == [one]
    texts = {"IncomingSMS": "true"}
    assert (await client.get(f"{base}/IN/Landline", params=texts)).json() == []
    for page in ("/IN/mobile", "/XX/Mobile", "/IN", "/IN/Mobile/1"):
        assert (await client.get(base + page)).status_code == 404, page
    assert all(request.exophones for request in emulator.requests)


@pytest.mark.parametrize("page", ["CustomerWhitelist", "CustomerWhitelist/"])
async def test_a_whitelisted_number_may_be_called(
    emulator: Emulator, client: httpx.AsyncClient, page: str
) -> None:
    """That is what the list is for: those who are on the DND register."""
    emulator.ndnc = {CUSTOMER}
    assert (await client.post("Calls/connect", data=TWO_NUMBERS)).status_code == 403
    before = xml(await client.get(f"CustomerWhitelist/{CUSTOMER}"))
    assert {field.tag: field.text for field in before[0]} == {
        "Status": "Neutral",
        "Type": None,
        "Expiry": "-1",
    }
    answer = await client.post(page, data={**ALLOWED, "Language": "en"})
    assert xml(answer).findtext("Result/Message") == "Success"
    assert CUSTOMER in emulator.whitelist
    assert list(emulator.whitelist) == [CUSTOMER]
    await dial(client)


async def test_the_whitelist_in_json_for_several_numbers_until_it_expires(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    clock = StoppedClock(emulator)
    form = {"VirtualNumber": "+918030000000", "Number": f"+91{CUSTOMER[1:]}, {AGENT}"}
    answer = await client.post("CustomerWhitelist.json", data=form)
    assert answer.json() == {"Result": {"Message": "Success"}}
    assert sorted(emulator.whitelist) == [AGENT, CUSTOMER]
    six_months = 180 * 86_400
    clock.seconds += six_months - 60
    for number in (CUSTOMER, "%2B919812300002", AGENT):
        told = (await client.get(f"CustomerWhitelist/{number}.json")).json()
        assert told == {"Result": {"Status": "Whitelist", "Type": "API", "Expiry": 60}}
    clock.seconds += 60
    told = (await client.get(f"CustomerWhitelist/{CUSTOMER}.json")).json()
    assert told == {"Result": {"Status": "Neutral", "Type": "", "Expiry": -1}}
    assert len(emulator.whitelist) == 0


async def test_a_reset_clears_the_whitelist(emulator: Emulator, client: httpx.AsyncClient) -> None:
    await client.post("CustomerWhitelist", data=ALLOWED)
    emulator.reset()
    assert list(emulator.whitelist) == []
    assert CUSTOMER not in emulator.whitelist


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ({"Number": CUSTOMER}, "VirtualNumber"),
        ({"VirtualNumber": EXOPHONE}, "Number"),
        ({"VirtualNumber": AGENT, "Number": CUSTOMER}, "VirtualNumber"),
        ({"VirtualNumber": EXOPHONE, "Number": f"{CUSTOMER},who"}, "Number"),
    ],
)
async def test_a_bad_request_whitelists_nobody(
    emulator: Emulator, client: httpx.AsyncClient, form: dict[str, str], name: str
) -> None:
    answer = await client.post("CustomerWhitelist.json", data=form)
    assert answer.status_code == 400
    assert answer.json()["RestException"]["Message"].startswith(name)
    assert list(emulator.whitelist) == []
    assert (await client.post("CustomerWhitelist", json=ALLOWED)).status_code == 400


async def test_streams_in_progress(emulator: Emulator, client: httpx.AsyncClient) -> None:
    """From when the call is answered, after 5 s, to its end."""
    clock = StoppedClock(emulator)

    async def streams() -> dict[str, str | None]:
        stream = xml(await client.get("ActiveStreams"))[0]
        assert stream.tag == "Stream"
        return {field.tag: field.text for field in stream}

    await dial(client)
    for _ in range(2):
        await client.post("Calls/connect", data={**BOT, "StreamUrl": "wss://bot.example/"})
    assert await streams() == {"ActiveStreamCount": "0", "ThrottleLimit": "100"}
    clock.seconds += 5
    emulator.channels = 30
    assert await streams() == {"ActiveStreamCount": "2", "ThrottleLimit": "30"}
    answer = await client.get("ActiveStreams.json")
    assert answer.json() == {"Stream": {"ActiveStreamCount": 2, "ThrottleLimit": 30}}
    clock.seconds += 600
    assert (await streams())["ActiveStreamCount"] == "0"

"""Numbers, the balance, credentials, and the control pages."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import httpx
import pytest

from exotel_async.emulator import Emulator
from tests.emulator.support import CUSTOMER, client_of, dial


@pytest.mark.parametrize(
    "number", ["9812300002", CUSTOMER, "919812300002", "+919812300002", "%2B919812300002"]
)
async def test_a_number_comes_back_with_its_zero(client: httpx.AsyncClient, number: str) -> None:
    answer = await client.get(f"Numbers/{number}.json")
    first = await client.get(f"Numbers/{CUSTOMER}.json")
    assert answer.json() == first.json()
    numbers = answer.json()["Numbers"]
    assert list(numbers) == [
        "PhoneNumber",
        "Circle",
        "CircleName",
        "Type",
        "Operator",
        "OperatorName",
        "DND",
    ]
    assert (numbers["PhoneNumber"], numbers["Type"], numbers["DND"]) == (CUSTOMER, "Mobile", "No")


async def test_dnd_and_landlines(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.ndnc = {CUSTOMER}
    assert (await client.get(f"Numbers/{CUSTOMER}.json")).json()["Numbers"]["DND"] == "Yes"
    assert (await client.get("Numbers/08030000000.json")).json()["Numbers"]["Type"] == "Landline"


async def test_a_number_in_xml(client: httpx.AsyncClient) -> None:
    root = ET.fromstring((await client.get(f"Numbers/{CUSTOMER}")).text)  # noqa: S314
    assert root.findtext("Numbers/PhoneNumber") == CUSTOMER


@pytest.mark.parametrize("number", ["+4915112345678", "12345", "who"])
async def test_a_foreign_number_is_404_or_what_the_switch_says(
    emulator: Emulator, client: httpx.AsyncClient, number: str
) -> None:
    assert (await client.get(f"Numbers/{number}.json")).status_code == 404
    emulator.foreign_number_status = 400
    assert (await client.get(f"Numbers/{number}.json")).status_code == 400


async def test_the_balance(client: httpx.AsyncClient) -> None:
    account = (await client.get("Balance.json")).json()["Account"]
    assert account["AccountSid"] == "acme1"
    assert account["BalanceData"]["Balance"] == "1000.00"
    assert list(account["BalanceData"]) == ["Balance", "Currency", "PricingPlan", "DateUpdated"]
    root = ET.fromstring((await client.get("Balance")).text)  # noqa: S314 - our own answer
    assert root.findtext("Account/BalanceData/Currency") == "INR"


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Basic Zm9v"}, {"Authorization": "Bearer emulator-token"}],
)
async def test_without_credentials_401(emulator: Emulator, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(trust_env=False, headers=headers) as stranger:
        answer = await stranger.get(f"{emulator.base_url}/v1/Accounts/acme1/Balance.json")
        assert answer.status_code == 401
        assert answer.json()["RestException"]["Status"] == 401
        other = await stranger.get(f"{emulator.base_url}/v1/Accounts/other/Balance.json")
        assert other.status_code == 401, "a stranger is not told which accounts there are"


@pytest.mark.parametrize(
    "path", ["/", "/v1/Accounts/other/Balance.json", "/v1/accounts/acme1/Balance.json"]
)
async def test_what_is_not_there_is_404(
    emulator: Emulator, client: httpx.AsyncClient, path: str
) -> None:
    assert (await client.get(f"{emulator.base_url}{path}")).status_code == 404


@pytest.mark.parametrize(
    "page", ["calls.json", "Balances.json", "Calls/a/b", "Calls//", "Calls/", "Calls/*", "*"]
)
async def test_pages_are_case_sensitive(client: httpx.AsyncClient, page: str) -> None:
    assert (await client.get(page)).status_code == 404


async def test_the_control_pages_need_no_credentials_and_cost_nothing() -> None:
    async with (
        Emulator(rate=2, per=3600) as emulator,
        client_of(emulator) as client,
        httpx.AsyncClient(base_url=emulator.base_url, trust_env=False) as control,
    ):
        await dial(client)
        await client.get("Balance.json")
        await client.get("Balance.json")
        for _ in range(3):
            assert (await control.get("/_emulator/statistics")).json() == {
                "requests": 3,
                "accepted": 2,
                "refused": 1,
                "busiest_window": 3,
                "calls": {"in-progress": 1},
            }
        reset = await control.post("/_emulator/reset")
        assert reset.json() == {
            "requests": 0,
            "accepted": 0,
            "refused": 0,
            "busiest_window": 0,
            "calls": {},
        }
        assert emulator.rung(CUSTOMER) == 0
        assert (await client.get("Balance.json")).status_code == 200
        assert (await control.get("/_emulator/reset")).status_code == 405

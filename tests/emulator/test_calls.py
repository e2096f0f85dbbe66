"""`GET Calls/{sid}` and the life of a call: legs, lengths, what settles late, and the seed."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

import attrs
import httpx
import pytest

from exotel_async.emulator import Behaviour, Dial, Emulator, Outcome, Scenario
from exotel_async.emulator.scenario import Timeline
from tests.conftest import SOON
from tests.emulator.support import (
    AGENT,
    CUSTOMER,
    EXOPHONE,
    TO_FLOW,
    TWO_NUMBERS,
    UNREACHED,
    client_of,
    dial,
    listing,
)

OTHER = "09812300003"


async def details(client: httpx.AsyncClient, sid: str) -> dict[str, object]:
    answer = await client.get(f"Calls/{sid}.json", params={"details": "true"})
    assert answer.status_code == 200
    call: dict[str, object] = answer.json()["Call"]
    return call


def leg_data(call: dict[str, object]) -> tuple[object, ...]:
    """Talk time, both statuses, and each leg's id and seconds."""
    data = call["Details"]
    assert isinstance(data, dict)
    legs = [(leg["Leg"]["Id"], leg["Leg"]["OnCallDuration"]) for leg in data["Legs"]]
    return data["ConversationDuration"], data["Leg1Status"], data["Leg2Status"], legs


async def test_a_life_from_dial_to_settled_values(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    """Each phone rings 5 s, they talk for 30 s, and 120 s later the values show.

    Until then nothing is told of the second party.
    """
    sid = await dial(client, Record="true")
    call = emulator.calls[sid]
    live = await details(client, sid)
    assert live["Status"] == "in-progress"
    assert leg_data(live) == (None, None, None, [(1, 0)])

    call.run_ahead(7)
    assert leg_data(await details(client, sid)) == (None, "in-progress", None, [(1, 2)])
    call.run_ahead(12)
    bridged = await details(client, sid)
    assert leg_data(bridged) == (None, "in-progress", None, [(1, 7)])

    call.run_ahead(40)
    over = await details(client, sid)
    assert over["Status"] == "completed"
    assert leg_data(over) == (None, "completed", None, [(1, 35)])
    late = ("EndTime", "Duration", "Price", "AnsweredBy", "RecordingUrl")
    assert [over[name] for name in late] == [None] * 5
    assert over["DateUpdated"] == over["DateCreated"]

    call.run_ahead(160)
    settled = await details(client, sid)
    assert settled["Duration"] == "40", "text, and all ringing is in it"
    assert settled["Price"] == "0.750"
    assert settled["AnsweredBy"] == "human"
    start = datetime.fromisoformat(str(settled["StartTime"]))
    assert datetime.fromisoformat(str(settled["EndTime"])) == start + timedelta(seconds=40)
    assert datetime.fromisoformat(str(settled["DateUpdated"])) == start + timedelta(seconds=160)
    assert str(settled["RecordingUrl"]).endswith(f"/exotelrecordings/acme1/{sid}.mp3")
    assert leg_data(settled) == (30, "completed", "completed", [(1, 35), (2, 30)])


async def test_details_may_show_at_once(emulator: Emulator, client: httpx.AsyncClient) -> None:
    """In a list of calls as well as of a single one."""
    sid = await dial(client)
    call = emulator.calls[sid]
    call.run_ahead(12)
    emulator.late_details = False
    bridged = await details(client, sid)
    assert leg_data(bridged) == (0, "in-progress", "in-progress", [(1, 7), (2, 2)])
    call.run_ahead(40)
    whole = (30, "completed", "completed", [(1, 35), (2, 30)])
    for late, expected in ((True, (None, "completed", None, [(1, 35)])), (False, whole)):
        emulator.late_details = late
        (row,) = (await listing(client, details="true"))["Calls"]
        assert leg_data(row) == leg_data(await details(client, sid)) == expected


async def test_details_only_on_demand_and_in_xml(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    sid = await dial(client)
    await emulator.finish_calls()
    assert "Details" not in (await client.get(f"Calls/{sid}.json")).json()["Call"]
    root = ET.fromstring((await client.get(f"Calls/{sid}?details=true")).text)  # noqa: S314
    assert root.findtext("Call/Details/Leg1Status") == "completed"
    assert [leg.findtext("Id") for leg in root.findall("Call/Details/Legs/Leg")] == ["1", "2"]
    assert root.findtext("Call/Duration") == "40"


async def test_a_flow_call_has_one_leg(emulator: Emulator, client: httpx.AsyncClient) -> None:
    sid = await dial(client, Url=TO_FLOW["Url"])
    await emulator.finish_calls()
    call = await details(client, sid)
    assert leg_data(call) == (0, "completed", None, [(1, 30)])
    assert call["To"] == EXOPHONE


@pytest.mark.parametrize(
    ("first", "status", "duration"),
    [
        (Behaviour("busy", ring=4), "busy", "4"),
        (Behaviour("failed", ring=0), "failed", "0"),
        (Behaviour("no-answer"), "no-answer", "20"),
        (Behaviour(ring=25), "no-answer", "20"),
    ],
)
async def test_a_first_party_who_does_not_answer(
    first: Behaviour, status: str, duration: str
) -> None:
    scenario = Scenario(numbers={"+919812300001": first})
    async with Emulator(scenario=scenario) as emulator, client_of(emulator) as client:
        sid = await dial(client, TimeOut="20")
        await emulator.finish_calls()
        call = await details(client, sid)
    assert (call["Status"], call["Duration"], call["Price"]) == (status, duration, "0.000")
    assert leg_data(call) == (0, status, None, [(1, 0)])
    assert call["AnsweredBy"] is None


@pytest.mark.parametrize(("second", "word"), UNREACHED)
@pytest.mark.parametrize("switch", ["second-leg", "completed"])
async def test_a_second_party_who_is_not_reached(second: str, word: str, switch: str) -> None:
    """Their leg tells the status, or the first one; the first party has paid for it either way."""
    scenario = Scenario(numbers={AGENT: Behaviour(ring=5), CUSTOMER: Behaviour(second, ring=10)})
    async with (
        Emulator(scenario=scenario, unreached_second=switch) as emulator,  # type: ignore[arg-type]
        client_of(emulator) as client,
    ):
        sid = await dial(client, Record="true")
        entered = emulator.add_call(Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE))
        await emulator.finish_calls()
        call = await details(client, sid)
        status = word if switch == "second-leg" else "completed"
        listed = {row["Sid"] for row in (await listing(client, Status=status))["Calls"]}
    assert call["Status"] == entered.status == status
    assert listed == {sid, entered.sid}
    rang = 30 if second == "no-answer" else 10
    assert leg_data(call) == (0, "completed", second, [(1, rang), (2, 0)])
    assert call["RecordingUrl"] is None
    assert (call["Price"], call["AnsweredBy"]) == ("0.750", "human")


async def test_a_reached_second_party_and_an_unreached_first_one(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    """The switch has no say: the status is `completed`, and the first leg's."""
    emulator.scenario = attrs.evolve(emulator.scenario, numbers={OTHER: Behaviour("busy")})
    for switch in ("second-leg", "completed"):
        emulator.unreached_second = switch
        for number in (AGENT, OTHER):
            await dial(client, From=number, To=CUSTOMER)
    await emulator.finish_calls()
    assert [call.status for call in emulator.calls.values()] == ["completed", "busy"] * 2


@pytest.mark.parametrize(
    ("limit", "status", "legs"),
    [
        ("20", "completed", (10, "completed", "completed", [(1, 15), (2, 10)])),
        ("8", "failed", (0, "completed", "canceled", [(1, 3), (2, 0)])),
        ("3", "no-answer", (0, "no-answer", None, [(1, 0)])),
    ],
)
async def test_the_time_limit_ends_the_call(
    emulator: Emulator,
    client: httpx.AsyncClient,
    limit: str,
    status: str,
    legs: tuple[object, ...],
) -> None:
    sid = await dial(client, TimeLimit=limit)
    await emulator.finish_calls()
    call = await details(client, sid)
    assert (call["Status"], call["Duration"]) == (status, limit)
    assert leg_data(call) == legs


async def test_the_recording_is_signed_for_some_minutes(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    sid = await dial(client, Record="true")
    await emulator.finish_calls()

    async def signed(validity: str | None) -> str:
        params = {} if validity is None else {"RecordingUrlValidity": validity}
        answer = await client.get(f"Calls/{sid}.json", params=params)
        url: str = answer.json()["Call"]["PreSignedRecordingUrl"]
        return url

    for not_given in (None, ""):
        assert "X-Amz-Expires=300&" in await signed(not_given)
    assert "X-Amz-Expires=300&" in await signed("5")
    assert "X-Amz-Expires=3600&" in await signed("60")
    for wrong in ("4", "61", "ten"):
        params = {"RecordingUrlValidity": wrong}
        assert (await client.get(f"Calls/{sid}.json", params=params)).status_code == 400


async def test_amounts_may_be_numbers(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.amounts = "number"
    sid = await dial(client)
    await emulator.finish_calls()
    call = (await client.get(f"Calls/{sid}.json")).json()["Call"]
    assert (call["Duration"], call["Price"]) == (40, 0.75)


async def test_an_unknown_sid_is_404(client: httpx.AsyncClient) -> None:
    answer = await client.get("Calls/0a1b2c3d4e5f60718293a4b5c6d71a3j.json")
    assert answer.status_code == 404
    assert answer.json()["RestException"]["Status"] == 404


async def test_the_clock_runs_at_its_speed() -> None:
    """40 emulator seconds pass in 20 ms."""
    async with (
        Emulator(speed=2000, rate=10_000, scenario=Scenario.all_answered(settle=0)) as emulator,
        client_of(emulator) as client,
    ):
        sid = await dial(client)
        async with asyncio.timeout(SOON):
            while (await details(client, sid))["Status"] == "in-progress":
                pass
        assert emulator.clock.elapsed() - emulator.calls[sid].at >= 40


async def test_finish_without_settling(emulator: Emulator, client: httpx.AsyncClient) -> None:
    sid = await dial(client)
    await emulator.finish_calls(settle=False)
    call = await details(client, sid)
    assert (call["Status"], call["Duration"]) == ("completed", None)


async def outcomes(seed: int, numbers: list[str]) -> dict[str, Timeline]:
    """Dial all at once, so that they arrive in any order."""
    async with Emulator(seed=seed, rate=1000) as emulator, client_of(emulator) as client:
        await asyncio.gather(*(dial(client, From=number) for number in numbers))
        return {call.from_: call.timeline for call in emulator.calls.values()}


@pytest.mark.slow
async def test_the_seed_decides_and_the_order_of_arrival_does_not() -> None:
    numbers = [f"098123{index:05}" for index in range(40)]
    first = await outcomes(7, numbers)
    assert await outcomes(7, numbers[::-1]) == first
    assert await outcomes(8, numbers) != first


async def test_a_number_dialled_again_has_another_draw() -> None:
    async with Emulator() as emulator, client_of(emulator) as client:
        sids = [await dial(client) for _ in range(5)]
        assert len(set(sids)) == 5
        assert len({emulator.calls[sid].timeline for sid in sids}) > 1


@pytest.mark.slow
async def test_shares_come_out_as_asked() -> None:
    scenario = Scenario(busy=0.25, no_answer=0.25, failed=0.1, second_canceled=0.5)
    async with Emulator(scenario=scenario, rate=5000) as emulator, client_of(emulator) as client:
        for index in range(600):
            await client.post(
                "Calls/connect.json", data={**TWO_NUMBERS, "From": f"098123{index:05}"}
            )
        lines = [call.timeline for call in emulator.calls.values()]
    for outcome, share in (("busy", 0.25), ("no-answer", 0.25), ("failed", 0.1)):
        assert abs(sum(line.first == outcome for line in lines) / 600 - share) < 0.06
    answered = [line for line in lines if line.second is not None]
    canceled = sum(line.second is Outcome.CANCELED for line in answered)
    assert abs(canceled / len(answered) - 0.5) < 0.1


def test_a_scenario_checks_itself() -> None:
    with pytest.raises(ValueError, match="sum up to 1"):
        Scenario(busy=0.6, no_answer=0.6)
    with pytest.raises(ValueError, match="from low to high"):
        Scenario(talk=(10, 5))
    assert Scenario.all_answered().price_per_minute == Decimal("0.750")

"""Pages of `GET Calls`: cursors of both kinds, many calls, switches, and faults of listings."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random

import attrs
import httpx
import pytest

from exotel_async.emulator import Behaviour, Dial, EmulatedCall, Emulator, Fault, Scenario
from exotel_async.emulator.call_store import CallBook
from tests.emulator.support import (
    AGENT,
    CUSTOMER,
    EXOPHONE,
    FLOW_URL,
    TWO_NUMBERS,
    StoppedClock,
    client_of,
    cursor,
    dial,
    listing,
    walk,
)

TALKER = "09812300007"
CALL = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE)
LONG_CALL = Dial(from_=AGENT, to=TALKER, caller_id=EXOPHONE)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """Without calls; they will take 40 s, those to TALKER six hours and ten seconds."""
    numbers = {TALKER: Behaviour(talk=6 * 3600)}
    scenario = attrs.evolve(Scenario.all_answered(), numbers=numbers)
    async with Emulator(rate=100_000, scenario=scenario) as running:
        yield running


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(emulator) as running:
        yield running


def add_hourly(emulator: Emulator, count: int) -> list[str]:
    """Calls an hour apart; their SIDs, newest first."""
    calls = [emulator.add_call(CALL, ago=timedelta(hours=hour)) for hour in range(1, count + 1)]
    return [call.sid for call in calls]


def pages_of(sids: list[str], size: int) -> list[list[str]]:
    return [sids[start : start + size] for start in range(0, len(sids), size)]


@pytest.mark.slow(3)
@pytest.mark.parametrize("cursors", ["position", "offset"])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("filtered", [False, True])
async def test_pages_are_cuts_of_the_sorted_list_forth_and_back(
    emulator: Emulator, client: httpx.AsyncClient, cursors: str, order: str, filtered: bool
) -> None:
    """Entered in any order, several of one moment, some going on: against plain sorting."""
    emulator.cursors = cursors  # type: ignore[assignment]
    StoppedClock(emulator)
    random = Random(5)
    hours = [random.randint(1, 24) for _ in range(60)]
    calls = [
        emulator.add_call(random.choice([CALL, LONG_CALL]), ago=timedelta(hours=hour))
        for hour in hours
    ]
    ended = [call for call in calls if not (call.to == TALKER and call.age <= 6 * 3600)]
    assert 0 < len(ended) < 60
    kept = [call for call in ended if call.to == TALKER or not filtered]
    kept.sort(key=lambda call: (call.at, call.sid), reverse=order == "desc")
    sids = [call.sid for call in kept]
    query = {"SortBy": f"DateCreated:{order}"}
    if filtered:
        query["To"] = TALKER
    for size in (4, 7, 100):
        query["PageSize"] = str(size)
        pages = pages_of(sids, size)
        assert await walk(client, **query) == pages
        page = await listing(client, **query)
        assert page["Metadata"]["Total"] == len(sids)
        for before, expected in enumerate(pages[1:]):
            page = await listing(client, **query, After=str(cursor(page)))
            assert [call["Sid"] for call in page["Calls"]] == expected
            back = await listing(client, **query, Before=str(cursor(page, "Before")))
            assert [call["Sid"] for call in back["Calls"]] == pages[before]
            assert (cursor(back, "Before") is None) is (before == 0)


async def test_only_the_page_is_read_of_many_calls(
    emulator: Emulator, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, age, reads = 5000, EmulatedCall.age, 0

    def counted(call: EmulatedCall) -> float:
        nonlocal reads
        reads += 1
        value: float = age.fget(call)  # type: ignore[attr-defined]
        return value

    for minute in range(count, 0, -1):
        emulator.add_call(CALL, ago=timedelta(minutes=minute))
    emulator.add_call(CALL, ago=timedelta(minutes=4000))
    emulator.add_call(LONG_CALL, ago=timedelta(minutes=20))
    monkeypatch.setattr(EmulatedCall, "age", property(counted))
    monkeypatch.delattr(CallBook, "between")  # which is for those who look through all
    page = await listing(client, PageSize="100")
    page = await listing(client, PageSize="100", After=str(cursor(page)))
    assert page["Metadata"]["Total"] == count + 1, "one goes on"
    assert len(page["Calls"]) == 100
    assert reads < 2000


@pytest.mark.parametrize("query", [{}, {"To": CUSTOMER}, {"SortBy": "DateCreated:asc"}])
async def test_a_page_and_a_dial_look_at_no_call_that_goes_on(
    emulator: Emulator,
    client: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    query: dict[str, str],
) -> None:
    """Counted: a thousand calls going on cost a page, and a look for a free channel, no more."""
    age, reads = EmulatedCall.age, 0

    def counted(call: EmulatedCall) -> float:
        nonlocal reads
        reads += 1
        value: float = age.fget(call)  # type: ignore[attr-defined]
        return value

    async def cost() -> tuple[int, int]:
        nonlocal reads
        before = reads
        page = await listing(client, PageSize="10", **query)
        assert page["Metadata"]["Total"] == 20
        after = reads
        refused = await client.post("Calls/connect.json", data=TWO_NUMBERS)
        assert refused.status_code == emulator.channels_status
        return after - before, reads - after

    StoppedClock(emulator)
    add_hourly(emulator, 20)
    emulator.channels = 1
    monkeypatch.setattr(EmulatedCall, "age", property(counted))
    emulator.add_call(LONG_CALL)
    await cost()
    few = await cost()
    for minute in range(1000):
        # Before, between and behind those that are over.
        emulator.add_call(LONG_CALL, ago=timedelta(seconds=20 * minute))
    assert emulator._book.channels() == 2 * 1001
    assert await cost() == few


async def test_calls_are_listed_and_their_channels_free_once_they_are_over(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    """However it comes about: by the clock, by a life that runs ahead, and by a life made anew."""
    clock = StoppedClock(emulator)
    by_clock, ahead, anew = (emulator.add_call(LONG_CALL) for _ in range(3))
    flow = emulator.add_call(attrs.evolve(CALL, to=None, url=FLOW_URL))
    flow.timeline = attrs.evolve(flow.timeline, ended=math.inf)
    flow.agents = 2

    async def listed() -> list[str]:
        return [call["Sid"] for call in (await listing(client, SortBy="DateCreated:asc"))["Calls"]]

    assert await listed() == []
    assert emulator._book.channels() == 3 * 2 + 3
    ahead.run_ahead(ahead.timeline.ended)
    assert await listed() == [ahead.sid]
    anew.timeline = attrs.evolve(anew.timeline, ended=100.0)
    flow.agents = 0
    assert await listed() == [ahead.sid]
    assert emulator._book.channels() == 2 * 2 + 1
    clock.seconds += 100
    assert set(await listed()) == {ahead.sid, anew.sid}
    clock.seconds += 7 * 3600
    assert set(await listed()) == {ahead.sid, anew.sid, by_clock.sid}
    flow.timeline = attrs.evolve(flow.timeline, ended=5.0)
    assert len(await listed()) == 4
    assert emulator._book.channels() == 0


async def test_a_life_that_was_made_longer_holds_up_no_other(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    clock = StoppedClock(emulator)
    longer, other = emulator.add_call(CALL), emulator.add_call(CALL)
    assert (await listing(client))["Calls"] == []
    longer.timeline = attrs.evolve(longer.timeline, ended=60.0)
    clock.seconds += 50
    assert [call["Sid"] for call in (await listing(client))["Calls"]] == [other.sid]
    clock.seconds += 50
    assert (await listing(client))["Metadata"]["Total"] == 2


async def test_calls_going_on_outside_the_window_change_nothing_in_it(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    sids = add_hourly(emulator, 5)
    for minutes in (10, 100):
        emulator.add_call(LONG_CALL, ago=timedelta(minutes=minutes))
    until = emulator.clock.text(emulator.clock.elapsed() - 3.5 * 3600)
    page = await listing(client, DateCreated=f"lte:{until}")
    assert page["Metadata"]["Total"] == 2
    assert [call["Sid"] for call in page["Calls"]] == sids[3:]
    since = emulator.clock.text(emulator.clock.elapsed() - 3600 / 2)
    assert (await listing(client, DateCreated=f"gte:{since}"))["Metadata"]["Total"] == 0


async def test_calls_long_over_are_not_among_those_looked_through_for_live_ones(
    emulator: Emulator,
) -> None:
    add_hourly(emulator, 50)
    live = emulator.add_call(LONG_CALL)
    assert emulator._book.unsettled() == emulator._book.live() == {live}
    live.run_ahead(live.timeline.ended)
    assert emulator._book.unsettled() == {live}
    assert emulator._book.live() == set()
    await emulator.finish_calls()
    assert emulator._book.unsettled() == set()


async def test_a_call_cannot_be_moved_in_time(emulator: Emulator) -> None:
    call = emulator.add_call(CALL)
    with pytest.raises(AttributeError):
        call.at = 0.0


@pytest.mark.parametrize(("cursors", "twice"), [("position", 0), ("offset", 2)])
async def test_a_call_that_becomes_listed_in_the_middle_of_a_read(
    emulator: Emulator, client: httpx.AsyncClient, cursors: str, twice: int
) -> None:
    """It comes at the front of the newest: an offset shifts, a place between calls does not."""
    emulator.cursors = cursors  # type: ignore[assignment]
    sids = add_hourly(emulator, 10)
    new = [await dial(client) for _ in range(2)]
    first = await listing(client, PageSize="4")
    assert [call["Sid"] for call in first["Calls"]] == sids[:4]
    await emulator.finish_calls()
    rest = await walk(client, PageSize="4", After=str(cursor(first)))
    assert [sid for page in rest for sid in page] == sids[4 - twice :]
    assert set((await walk(client, PageSize="4"))[0][:2]) == set(new)


@pytest.mark.parametrize("end", ["", None, "missing"])
async def test_what_stands_for_no_such_page(
    emulator: Emulator, client: httpx.AsyncClient, end: str | None
) -> None:
    emulator.end_cursor = end  # type: ignore[assignment]
    add_hourly(emulator, 3)
    metadata = (await listing(client, PageSize="2"))["Metadata"]
    assert metadata["NextPageUri"]
    if end == "missing":
        assert "PrevPageUri" not in metadata
    else:
        assert metadata["PrevPageUri"] == end
    metadata = (await listing(client))["Metadata"]
    others = {name: value for name, value in metadata.items() if name in {"Total", "PageSize"}}
    assert others == {"Total": 3, "PageSize": 50}
    assert ("NextPageUri" in metadata) is (end != "missing")


async def test_a_cursor_of_one_kind_is_none_of_the_other(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    add_hourly(emulator, 3)
    place = cursor(await listing(client, PageSize="2"))
    emulator.cursors = "offset"
    offset = cursor(await listing(client, PageSize="2"))
    assert (await client.get("Calls.json", params={"After": place})).status_code == 400
    emulator.cursors = "position"
    assert (await client.get("Calls.json", params={"After": offset})).status_code == 400


async def test_calls_going_on_are_listed_as_older_documents_have_it(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    add_hourly(emulator, 3)
    sid = await dial(client)
    assert (await listing(client))["Metadata"]["Total"] == 3
    emulator.total_counts_live = True
    page = await listing(client)
    assert (page["Metadata"]["Total"], len(page["Calls"])) == (4, 3)
    assert (await listing(client, Sid=sid))["Metadata"]["Total"] == 1
    emulator.bulk_live, emulator.total_counts_live = True, False
    page = await listing(client)
    assert page["Metadata"]["Total"] == 4
    assert (page["Calls"][0]["Sid"], page["Calls"][0]["Status"]) == (sid, "in-progress")
    for query in ({"Sid": sid}, {"Status": "in-progress"}):
        assert [call["Sid"] for call in (await listing(client, **query))["Calls"]] == [sid]


async def test_a_repeated_cursor(emulator: Emulator, client: httpx.AsyncClient) -> None:
    """The first page has none to repeat: it passes, and the fault waits for the second."""
    sids = add_hourly(emulator, 6)
    emulator.faults.add(Fault.repeated_cursor(), path="Calls.json")
    assert await walk(client, PageSize="2") == [sids[:2], sids[2:4], sids[2:4], sids[4:]]
    emulator.faults.add(Fault.repeated_cursor(), path="Calls.json", after=1)
    await listing(client, After="")
    assert await walk(client, PageSize="2") == [sids[:2], sids[2:4], sids[4:], sids[4:]]
    assert emulator.faults.pending == []


@pytest.mark.parametrize("cursors", ["position", "offset"])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_repeated_rows(
    emulator: Emulator, client: httpx.AsyncClient, cursors: str, order: str
) -> None:
    emulator.cursors = cursors  # type: ignore[assignment]
    sids = add_hourly(emulator, 10)
    if order == "asc":
        sids.reverse()
    query = {"PageSize": "4", "SortBy": f"DateCreated:{order}"}
    emulator.faults.add(Fault.repeated_rows(3), path="Calls.json")
    assert await walk(client, **query) == [sids[:4], sids[1:5], sids[5:9], sids[9:]]
    emulator.faults.add(Fault.repeated_rows(1), path="Calls.json", after=1)
    assert await walk(client, **query) == [sids[:4], sids[4:8], sids[7:]]
    emulator.faults.add(Fault.repeated_rows(99), path="Calls.json")
    assert await walk(client, **query) == [sids[:4], sids[1:5], sids[5:9], sids[9:]]


async def test_rows_without_details(emulator: Emulator, client: httpx.AsyncClient) -> None:
    (sid,) = add_hourly(emulator, 1)
    emulator.faults.add(Fault.rows_without_details())
    await listing(client)
    await client.get(f"Calls/{sid}.json", params={"details": "true"})
    assert len(emulator.faults.pending) == 1, "it waits for a listing with details"
    assert "Details" not in (await listing(client, details="true"))["Calls"][0]
    assert "Details" in (await listing(client, details="true"))["Calls"][0]


async def test_a_fault_of_listings_waits_for_a_listing(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.faults.add(Fault.repeated_rows(1))
    await dial(client)
    await client.get("Balance.json")
    assert len(emulator.faults.pending) == 1
    await listing(client)
    assert emulator.faults.pending == []


async def test_a_forgotten_call(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.channels = 2
    sids = add_hourly(emulator, 3)
    live = await dial(client)
    emulator.forget(live)
    emulator.forget(sids[1])
    for sid in (live, sids[1]):
        assert (await client.get(f"Calls/{sid}.json")).status_code == 404
        assert (await listing(client, Sid=sid))["Calls"] == []
    assert await walk(client, PageSize="1") == [[sids[0]], [sids[2]]]
    assert (await listing(client))["Metadata"]["Total"] == 2
    assert emulator.rung(AGENT) == emulator.rung(CUSTOMER) == 4
    assert await dial(client) not in {*sids, live}, "its channels are free, its SID is not"
    with pytest.raises(KeyError):
        emulator.forget(live)


async def test_what_was_dialled_this_very_moment_is_listed(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    """A date has microseconds, and a clock is finer."""
    clock, chance = StoppedClock(emulator), Random(4)
    for _ in range(20):
        clock.seconds += chance.random()
        call = emulator.add_call(CALL)
        call.run_ahead(call.timeline.ended)
        assert (await listing(client))["Calls"][0]["Sid"] == call.sid

"""Call records: every call once and in order, whatever the service does and wherever one stops."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exotel_async import (
    APIError,
    AsyncExotel,
    Call,
    CallPage,
    ConfigurationError,
    DecodeError,
    InvalidRequest,
    Priority,
    RateLimit,
    RateLimitTimeout,
    RetryPolicy,
    ServerError,
    TokenBucket,
)
from exotel_async.calls.list import CallRecords
from exotel_async.calls.list_parallel import AHEAD, LONGEST_SLICE, ParallelReader
from exotel_async.config import IST
from exotel_async.emulator import Dial, Emulator, Fault, Garbage, Scenario
from exotel_async.wire.time_range import oldest
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, session

DAY = 86_400
PLENTY: dict[str, Any] = {"rate": 1_000_000}
DIAL = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE)
OVER = Scenario.all_answered()
ENDLESS = Scenario.all_answered(talk=14_000)

both_orders = pytest.mark.parametrize("newest_first", [True, False], ids=["newest", "oldest"])
one_or_four = pytest.mark.parametrize("concurrency", [1, 4])


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def ago(seconds: float) -> datetime:
    return now() - timedelta(seconds=seconds)


@asynccontextmanager
async def exchange(**options: Any) -> AsyncIterator[Emulator]:
    """A local Exotel with room for any number of requests, begun on a whole second."""
    async with Emulator(**{"now": now()} | PLENTY | options) as emulator:
        yield emulator


def enter(emulator: Emulator, ages: Iterable[float], scenario: Scenario = OVER) -> list[str]:
    """Enter calls that were made so many seconds before the start, within a moment."""
    emulator.scenario = scenario
    return [
        emulator.add_call(
            DIAL, ago=timedelta(seconds=emulator.clock.elapsed() + age) - timedelta(milliseconds=1)
        ).sid
        for age in ages
    ]


def listed(emulator: Emulator, *, newest_first: bool) -> list[str]:
    """The calls in the order a list of them all has."""
    calls = sorted(emulator.calls.values(), key=lambda call: (call.at, call.sid))
    return [call.sid for call in (calls[::-1] if newest_first else calls)]


async def sids_of(records: CallRecords) -> list[str]:
    return [call.sid async for call in records]


async def settle(exotel: AsyncExotel) -> None:
    """Let everything go on until nothing is under way and nobody waits for the budget."""
    quiet = 0
    while quiet < 20:
        found = exotel.limiter.statistics()
        busy = found.in_flight or found.waiting_bulk or found.waiting_interactive
        quiet = 0 if busy else quiet + 1
        await asyncio.sleep(0)


def slices(emulator: Emulator) -> Counter[str]:
    """How many pages each stretch of time was asked for."""
    return Counter(
        request.query["DateCreated"]
        for request in emulator.requests
        if "DateCreated" in request.query
    )


def answered(document: Any) -> Fault:
    """That very document, whatever is asked for."""
    body = json.dumps(document).encode()
    return Fault.answer(200, body=body, content_type="application/json")


# Three windows of a month, the first and the last not whole: single calls, several of one second
# and of one moment, and a dense second that has more than two pages.
SCATTERED = [
    *(day * DAY + 40_000.0 for day in range(1, 70, 2)),
    *(5 * DAY + part / 10 for part in range(5)),
    *(31 * DAY + 0.5 for _ in range(3)),
    *(44 * DAY + part / 20 for part in range(19)),
    *(30 * DAY + part for part in range(-3, 4)),
]
PAGE = 7
SINCE = 71 * DAY

WIRES: dict[str, dict[str, Any]] = {
    "as documented": {},
    "no .json in URIs": {"next_uri_json": False},
    "ends with an empty text": {"end_cursor": ""},
    "ends without a key": {"end_cursor": "missing"},
    "cursors that count rows": {"cursors": "offset"},
    "amounts as numbers, more columns": {"amounts": "number", "bulk_extra_columns": True},
}
FAULTS: dict[str, Fault] = {
    "a cursor comes back": Fault.repeated_cursor(),
    "one row comes twice": Fault.repeated_rows(1),
    "all rows but one come twice": Fault.repeated_rows(PAGE),
    "500": Fault.answer(500),
    "502 after acting": Fault.act_then_status(502),
    "503 with Retry-After": Fault.act_then_status(503, retry_after=0.02),
    "429": Fault.too_many_requests(),
    "429 with Retry-After": Fault.too_many_requests(retry_after=0.02),
    **{f"garbage: {kind}": Fault.act_then_garbage(kind) for kind in Garbage},
    "a body that is no page": Fault.act_then_body(b'{"Calls": []}'),
    "dropped": Fault.act_then_drop(),
    "reset": Fault.act_then_drop(reset=True),
    "dropped before": Fault.drop_before(),
    "cut": Fault.act_then_cut(),
}


async def assert_all_come(
    emulator: Emulator, *, newest_first: bool, concurrency: int, since: float = SINCE
) -> None:
    quick = RateLimit(emulator.rate, per=0.5)  # a pause without Retry-After is a part of it
    async with session(emulator, rate_limit=quick) as exotel:
        records = exotel.calls.list(
            since=ago(since), newest_first=newest_first, page_size=PAGE, concurrency=concurrency
        )
        assert await sids_of(records) == listed(emulator, newest_first=newest_first)


@pytest.mark.slow(3)
@one_or_four
@both_orders
@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
async def test_all_calls_come_once_and_in_order_however_pages_are_written(
    wire: dict[str, Any], newest_first: bool, concurrency: int
) -> None:
    async with exchange(**wire) as emulator:
        enter(emulator, SCATTERED)
        await assert_all_come(emulator, newest_first=newest_first, concurrency=concurrency)


@pytest.mark.slow(9)
@one_or_four
@both_orders
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_all_calls_come_once_and_in_order_if_a_page_goes_wrong(
    fault: Fault, newest_first: bool, concurrency: int
) -> None:
    async with exchange() as emulator:
        enter(emulator, SCATTERED)
        emulator.faults.add(fault, path="Calls", after=3)
        await assert_all_come(emulator, newest_first=newest_first, concurrency=concurrency)
        assert not emulator.faults.pending


@both_orders
@pytest.mark.parametrize("lacks", ["its cursor", "its calls", "its calls and its cursor"])
@pytest.mark.parametrize("at", [1, 2])
async def test_a_page_that_lacks_something_does_not_end_a_list(
    lacks: str, at: int, newest_first: bool
) -> None:
    """The same answer says that there are more."""
    async with exchange() as emulator:
        enter(emulator, [DAY + number for number in range(4 * PAGE)])
        order = "desc" if newest_first else "asc"
        query: dict[str, Any] = {"SortBy": f"DateCreated:{order}", "PageSize": PAGE}
        url = f"{emulator.base_url}/v1/Accounts/{emulator.account_sid}/Calls.json"
        async with httpx.AsyncClient(auth=(emulator.api_key, emulator.api_token)) as client:
            for _ in range(at):
                document = (await client.get(url, params=query)).json()
                onward = parse_qs(urlsplit(document["Metadata"]["NextPageUri"]).query)
                query["After"] = onward["After"][0]
        if "cursor" in lacks:
            document["Metadata"]["NextPageUri"] = None
        if "calls" in lacks:
            document["Calls"] = []
        emulator.faults.add(answered(document), path="Calls", after=at)  # behind that of the clock
        await assert_all_come(emulator, newest_first=newest_first, concurrency=1, since=9 * DAY)
        assert not emulator.faults.pending


@both_orders
async def test_a_service_that_counts_more_calls_than_it_lists_is_asked_once_more(
    newest_first: bool,
) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        sids = enter(emulator, [DAY])
        enter(emulator, [60, 30], ENDLESS)
        emulator.total_counts_live = True
        await exotel.account.balance()  # it shows the clock
        before = len(emulator.requests)
        assert await sids_of(exotel.calls.list(newest_first=newest_first)) == sids
        assert len(emulator.requests) - before == 2


@one_or_four
@both_orders
async def test_all_calls_come_once_if_every_page_repeats_rows_of_the_one_before(
    newest_first: bool, concurrency: int
) -> None:
    async with exchange(cursors="offset") as emulator:
        enter(emulator, SCATTERED)
        emulator.faults.add(Fault.repeated_rows(3), path="Calls", times=None)
        await assert_all_come(emulator, newest_first=newest_first, concurrency=concurrency)


@one_or_four
@both_orders
@pytest.mark.parametrize("cursors", ["position", "offset"])
@pytest.mark.parametrize("number", [1, 3 * PAGE], ids=["one", "three pages of them"])
async def test_calls_that_end_while_the_list_is_read_move_no_other(
    cursors: str, newest_first: bool, concurrency: int, number: int
) -> None:
    asked = 0

    def latency(_: object) -> tuple[float, float]:
        nonlocal asked
        asked += 1
        if asked == 5:  # of some twenty
            for sid in going_on:
                call = emulator.calls[sid]
                call.run_ahead(call.timeline.settled)
        return 0.0, 0.0

    async with exchange(cursors=cursors, latency=latency) as emulator:
        enter(emulator, SCATTERED)
        there = listed(emulator, newest_first=newest_first)
        going_on = set(enter(emulator, [60 + 2 * n for n in range(number)], ENDLESS))
        async with session(emulator) as exotel:
            records = exotel.calls.list(
                since=ago(SINCE), newest_first=newest_first, page_size=PAGE, concurrency=concurrency
            )
            found = await sids_of(records)
        assert asked > 5
        assert [sid for sid in found if sid not in going_on] == there
        assert len(found) == len(set(found))
        if not newest_first:
            assert found == listed(emulator, newest_first=False)


# Cursors that lead nowhere


@one_or_four
@both_orders
async def test_cursors_that_always_come_back_end_in_an_error_or_with_all_calls(
    newest_first: bool, concurrency: int
) -> None:
    async with exchange() as emulator:
        spread = [DAY * 3 + 60.0 * n for n in range(6 * PAGE)]
        enter(emulator, spread)
        emulator.faults.add(Fault.repeated_cursor(), path="Calls", times=None)
        await assert_all_come(emulator, newest_first=newest_first, concurrency=concurrency)
        # No date lies between the third page of a second and the second.
        enter(emulator, [DAY * 3 + 7.5] * (3 * PAGE))
        with pytest.raises(DecodeError, match="never reach the end"):
            await assert_all_come(emulator, newest_first=newest_first, concurrency=concurrency)


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False], ids=["known calls", "no calls"])
async def test_pages_without_end_and_without_new_calls_end_in_an_error(known: bool) -> None:
    asked, calls = 0, list[Any]()

    def latency(_: object) -> tuple[float, float]:
        nonlocal asked
        asked += 1
        uri = f"/v1/Accounts/acme1/Calls?After=c{asked}"
        emulator.faults.clear()
        if asked > 2:
            metadata = {"Total": 5, "NextPageUri": uri}
            emulator.faults.add(answered({"Metadata": metadata, "Calls": calls}))
        return 0.0, 0.0

    async with exchange(latency=latency) as emulator, session(emulator) as exotel:
        enter(emulator, [60])
        first = exotel.calls.list()
        page = await first
        if known:
            calls += page.raw["Calls"]
        with pytest.raises(DecodeError, match="no new call"):
            await sids_of(exotel.calls.list(resume=first.resume_token))
        assert asked < 110


async def test_an_empty_page_is_the_end_when_all_have_come() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        page = {
            "Metadata": {"Total": 0, "NextPageUri": "/v1/Accounts/acme1/Calls?After=more"},
            "Calls": [],
        }
        await exotel.account.balance()
        emulator.faults.add(answered(page))
        assert await sids_of(exotel.calls.list()) == []
        assert len(emulator.requests) == 2


@one_or_four
@both_orders
async def test_a_service_that_counts_nothing_is_read_all_the_same(
    newest_first: bool, concurrency: int
) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [DAY + 60.0 * n for n in range(30 * PAGE)])
        query: dict[str, Any] = {
            "since": ago(2 * DAY),
            "until": ago(60),
            "newest_first": newest_first,
            "page_size": PAGE,
        }
        first = dict((await exotel.calls.list(**query)).raw)
        first["Metadata"] = {
            name: value for name, value in first["Metadata"].items() if name != "Total"
        }
        emulator.faults.add(answered(first))
        records = exotel.calls.list(**query, concurrency=concurrency)
        async with aclosing(records.pages()) as pages:
            one = await anext(pages)
            await settle(exotel)
            ahead = len(emulator.requests) - 2 - 1
            assert ahead <= (LONGEST_SLICE + 1 if concurrency > 1 else 1)
            found = [call.sid for call in one.calls]
            found += [call.sid async for page in pages for call in page.calls]
        assert found == listed(emulator, newest_first=newest_first)


# The service's clock


@one_or_four
async def test_a_clock_an_hour_ahead_asks_for_no_future(concurrency: int) -> None:
    async with exchange(now=now() - timedelta(hours=1)) as emulator:
        enter(emulator, [5, 60, 3_000, 40 * DAY], Scenario.all_answered(ring=1, talk=1))
        there = listed(emulator, newest_first=True)
        async with session(emulator) as exotel:
            for until in (None, now(), now() + timedelta(days=400)):
                records = exotel.calls.list(
                    since=ago(50 * DAY), until=until, concurrency=concurrency
                )
                assert await sids_of(records) == there
            assert await sids_of(exotel.calls.list(until=now())) == there[:-1]
        # It refuses what lies in its future.
        assert {request.status for request in emulator.requests} == {200}
        for request in emulator.requests[1:]:
            until_asked = request.query["DateCreated"].partition("lte:")[2]
            assert until_asked < emulator.clock.text(request.arrived)
        assert "DateCreated" not in emulator.requests[0].query


async def test_a_clock_an_hour_behind_misses_nothing() -> None:
    async with exchange(now=now() + timedelta(hours=1)) as emulator, session(emulator) as exotel:
        there = enter(emulator, [60, 3_000])
        assert await sids_of(exotel.calls.list()) == there


async def test_an_end_long_past_needs_no_look_at_the_clock() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [4 * DAY])
        assert len(await sids_of(exotel.calls.list(until=ago(2 * DAY)))) == 1
        assert len(emulator.requests) == 1


async def test_the_end_is_frozen_when_reading_begins() -> None:
    async with exchange(speed=10) as emulator, session(emulator) as exotel:
        there = enter(emulator, [60])
        records = exotel.calls.list()
        assert await sids_of(records) == there
        # Made after the end: not one of these calls, however often they are read.
        late = enter(emulator, [-0.0], Scenario.all_answered(ring=0, talk=0, settle=0))
        assert await sids_of(records) == there
        assert [call.sid for page in [await records] for call in page.calls] == there
        asked = slices(emulator)
        assert list(asked.values()) == [3]
        while emulator.clock.elapsed() < emulator.calls[late[0]].at + 3:
            await asyncio.sleep(0.02)
        await exotel.account.balance()  # by ours it is not that late yet
        assert await sids_of(exotel.calls.list()) == late + there


async def test_readers_at_the_same_time_have_the_same_end() -> None:
    first = True

    def latency(_: object) -> tuple[float, float]:
        nonlocal first
        slow, first = (0.3 if first else 0.0), False
        return 0.0, slow

    async with exchange(latency=latency, speed=10) as emulator, session(emulator) as exotel:
        enter(emulator, [60])
        records = exotel.calls.list()
        await asyncio.gather(sids_of(records), sids_of(records))
        assert list(slices(emulator).values()) == [2]


async def test_the_oldest_second_moves_on_while_the_list_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        begin = oldest(now().astimezone(IST)).astimezone(UTC) + timedelta(seconds=5)
        half_a_year = (now() - begin).total_seconds()
        enter(emulator, [half_a_year - 30 * n for n in range(100)])
        shown = exotel.calls.parts().pages.now

        def later() -> datetime:
            return shown() + timedelta(seconds=20 * len(emulator.requests))

        monkeypatch.setattr(exotel.calls.parts().pages, "now", later)
        records = exotel.calls.list(since=begin, until=begin + timedelta(hours=2), page_size=PAGE)
        found = []
        async for page in records.pages():
            found += [call.sid for call in page.calls]
            gone_by = later() - timedelta(seconds=20)
            asked = emulator.requests[-1].query["DateCreated"]
            since = datetime.strptime(asked[4:23], "%Y-%m-%d %H:%M:%S").replace(tzinfo=IST)
            assert since >= oldest(gone_by.astimezone(IST))
        # What had become too old before its page came is not there, and nothing else is missing.
        assert found == listed(emulator, newest_first=True)[: len(found)]
        assert 80 < len(found) < 100
        # Not at each page: pages that begin by date begin with what is known.
        assert len(slices(emulator)) < len(emulator.requests) / 2


@both_orders
async def test_a_clock_an_hour_ahead_takes_nothing_for_too_old(newest_first: bool) -> None:
    async with exchange(now=now() - timedelta(hours=1)) as emulator:
        # Six months and a few seconds ago by ours, an hour from that by the service's.
        begin = oldest(now().astimezone(IST)) + timedelta(seconds=30)
        ages = [emulator.clock.since_start(begin + timedelta(seconds=s)) * -1 for s in (1, 2, 90)]
        enter(emulator, ages)
        there = listed(emulator, newest_first=newest_first)
        query: dict[str, Any] = {"newest_first": newest_first}
        async with session(emulator) as exotel:
            until = begin + timedelta(days=1)
            records = exotel.calls.list(since=begin, until=until, limit=1, **query)
            found = await sids_of(records)
        async with session(emulator) as exotel:
            found += await sids_of(exotel.calls.list(resume=records.resume_token, **query))
        assert found == there


async def test_six_months_are_counted_by_the_indian_calendar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The 1st of March, 01:30 in India: August is over there, and the 29th of it still 6 months
    # ago by the calendar of UTC.
    moment = datetime(2026, 2, 28, 20, tzinfo=UTC)

    class Now(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment.astimezone(tz)

    monkeypatch.setattr("exotel_async.calls.list.datetime", Now)
    monkeypatch.setattr("exotel_async.calls.list_pages.datetime", Now)
    async with exchange(now=moment) as emulator, session(emulator) as exotel:
        with pytest.raises(InvalidRequest, match=r"from 2025-09-01 01:30\+05:30 on"):
            exotel.calls.list(since=datetime(2025, 8, 31, 12, tzinfo=UTC))
        enter(emulator, [60])
        first = datetime(2025, 9, 1, 1, 30, tzinfo=IST)
        assert len(await sids_of(exotel.calls.list(since=first, newest_first=False))) == 1
        # Some time is left for a request to wait for the budget.
        (earliest, *_) = slices(emulator)
        assert earliest.startswith("gte:2025-09-01 01:32:00;")


# Any calls, any concurrency, any interruption

MOMENTS = st.one_of(
    # Around the edges of concurrency, from either end; in the same second; anywhere.
    st.builds(
        lambda edge, off: min(66 * DAY, max(0, edge * DAY + off)),
        st.sampled_from([0, 30, 60, 66, 36, 6]),
        st.integers(-2, 2),
    ),
    st.sampled_from([1_000, 1_001, 45 * DAY]),
    st.integers(0, 66 * DAY),
)
CALLS = st.lists(st.tuples(MOMENTS, st.sampled_from([0.0, 0.25, 0.5])), max_size=60)


@pytest.mark.slow(11)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=CALLS,
    dense=st.integers(0, 40),
    newest_first=st.booleans(),
    page_size=st.sampled_from([1, 2, 3, 7, 12]),
    concurrency=st.sampled_from([1, 1, 2, 4, 16]),
    stops=st.lists(st.integers(0, 30), max_size=4),
    offset=st.booleans(),
)
async def test_any_calls_any_windows_any_interruption(
    calls: Sequence[tuple[int, float]],
    dense: int,
    newest_first: bool,
    page_size: int,
    concurrency: int,
    stops: Sequence[int],
    offset: bool,
) -> None:
    base = 100.0  # seconds before the start: all is over, and before the end of the range
    async with exchange(cursors="offset" if offset else "position") as emulator:
        enter(emulator, [base + at - part for at, part in calls])
        enter(emulator, [base + 20 * DAY - 0.5] * dense)
        query: dict[str, Any] = {
            "newest_first": newest_first,
            "page_size": page_size,
            "concurrency": concurrency,
        }
        until = emulator.clock.wall(-base).astimezone(UTC)
        token: str | None = None
        found: list[str] = []
        for stop in [*stops, None]:
            async with session(emulator) as exotel:
                records = (
                    exotel.calls.list(since=until - timedelta(days=66), until=until, **query)
                    if token is None
                    else exotel.calls.list(resume=token, **query)
                )
                async with records, aclosing(aiter(records)) as reader:  # type: ignore[type-var]
                    taken = 0
                    while stop is None or taken < stop:
                        try:
                            found.append((await anext(reader)).sid)
                        except StopAsyncIteration:
                            break
                        taken += 1
                    token = records.resume_token or token
        assert found == listed(emulator, newest_first=newest_first)


@pytest.mark.slow(17)
@one_or_four
@both_orders
async def test_a_dense_second_is_gone_on_with_at_any_call(
    newest_first: bool, concurrency: int
) -> None:
    # More than a slice in one second, and more on either side of it.
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [DAY + 0.5] * (2 * LONGEST_SLICE + 9))
        enter(emulator, [DAY + 60.0 * n for n in range(-9, 9)])
        there = listed(emulator, newest_first=newest_first)
        query: dict[str, Any] = {
            "newest_first": newest_first,
            "page_size": 2,
            "concurrency": concurrency,
        }
        records = exotel.calls.list(since=ago(2 * DAY), **query)
        tokens = [records.resume_token async for _ in records]
        for read in range(1, len(there) + 1, 3):
            rest = await sids_of(exotel.calls.list(resume=tokens[read - 1], **query))
            assert rest == there[read:], read


async def test_hundreds_of_known_calls_in_a_second_are_passed_over() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [DAY + 0.5] * 130)
        enter(emulator, [2 * DAY])
        there = listed(emulator, newest_first=True)
        records = exotel.calls.list(since=ago(3 * DAY), limit=130)
        assert await sids_of(records) == there[:130]
        rest = exotel.calls.list(resume=records.resume_token, page_size=1)
        assert await sids_of(rest) == there[130:]
        # With a limit it is not asked for one by one.
        before = len(emulator.requests)
        assert await sids_of(exotel.calls.list(resume=records.resume_token, limit=1)) == there[130:]
        assert len(emulator.requests) - before <= 2


async def test_a_cursor_that_comes_back_in_a_second_that_is_gone_on_with() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [DAY + 0.5] * 12)
        enter(emulator, [2 * DAY])
        there = listed(emulator, newest_first=True)
        records = exotel.calls.list(since=ago(3 * DAY), limit=2)
        assert await sids_of(records) == there[:2]
        emulator.faults.add(Fault.repeated_cursor(), path="Calls")
        rest = exotel.calls.list(resume=records.resume_token, page_size=5)
        assert await sids_of(rest) == there[2:]
        assert not emulator.faults.pending


async def test_a_token_is_opaque_and_short_and_the_range_is_in_it() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        there = enter(emulator, [n * DAY for n in range(1, 8)])
        records = exotel.calls.list(since=ago(6.5 * DAY), until=ago(1.5 * DAY))
        unread = [records.resume_token]
        reader = aiter(records)
        unread.append(records.resume_token)
        assert unread == [None, None]
        assert (await anext(reader)).sid == there[1]
        token = records.resume_token
        assert token is not None
        assert len(token) < 200
        assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        # Another page size and concurrency are the same list.
        again = exotel.calls.list(resume=token, page_size=2, concurrency=3)
        assert await sids_of(again) == there[2:6]
        assert await sids_of(again) == there[2:6]
        last = again.resume_token
        assert last is not None
        assert len(last) < 200
        assert await sids_of(exotel.calls.list(resume=last)) == []


async def test_a_token_is_as_good_when_its_range_has_become_too_old() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [DAY, 2 * DAY])
        begin = oldest(now().astimezone(IST))
        records = exotel.calls.list(since=begin, limit=1)
        assert len(await sids_of(records)) == 1
        a_day_ago = begin - timedelta(days=1)
        again = exotel.calls.list(since=a_day_ago, resume=records.resume_token)
        assert len(await sids_of(again)) == 1


async def test_the_token_of_a_list_until_now_is_no_cursor_for_what_is_new(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [DAY, 2 * DAY])
        for until in (None, now() + timedelta(days=9)):
            records = exotel.calls.list(until=until)
            last = [records.resume_token async for _ in records][-1]
            # Read to its end: whoever resumes it wants more than it can give.
            with pytest.raises(InvalidRequest, match=r"calls\.changes\(since=\.\.\.\)") as caught:
                exotel.calls.list(resume=records.resume_token)
            assert caught.value.argument == "resume"
            assert f"{now():%Y-%m-%d}" in caught.value.rule
            # Taken before that was known: what is left is nothing, and this is said.
            assert not caplog.records
            for limit in (None, 1):
                again = exotel.calls.list(resume=last, limit=limit)
                assert await sids_of(again) == []
                assert "calls.changes yields what is new" in caplog.text
                caplog.clear()
            # A reader of one call at a time sees the end by a list without any.
            assert await sids_of(exotel.calls.list(resume=again.resume_token, limit=1)) == []
            caplog.clear()
        # Nothing is missed by whoever has said until when.
        records = exotel.calls.list(until=ago(DAY / 2))
        assert len(await sids_of(records)) == 2
        assert await sids_of(exotel.calls.list(resume=records.resume_token)) == []
        assert not caplog.records


@one_or_four
@both_orders
async def test_several_statuses_are_one_list_in_order(newest_first: bool, concurrency: int) -> None:
    async with exchange(seed=5) as emulator, session(emulator) as exotel:
        for age in SCATTERED:
            emulator.add_call(DIAL, ago=timedelta(seconds=age + emulator.clock.elapsed()))
        wanted = ["busy", "No-Answer"]
        there = [
            sid
            for sid in listed(emulator, newest_first=newest_first)
            if emulator.calls[sid].status in {"busy", "no-answer"}
        ]
        assert len({emulator.calls[sid].status for sid in there}) == 2
        query: dict[str, Any] = {"status": wanted, "newest_first": newest_first}
        records = exotel.calls.list(
            since=ago(SINCE), page_size=PAGE, concurrency=concurrency, limit=7, **query
        )
        assert await sids_of(records) == there[:7]
        token = records.resume_token
        pages = exotel.calls.list(resume=token, page_size=PAGE, concurrency=concurrency, **query)
        found = []
        async for page in pages.pages():
            assert page.calls
            assert page.total is None
            found += [call.sid for call in page.calls]
        assert found == there[7:]
        assert not any("Status" in request.query for request in emulator.requests)


# Leaving


async def assert_nothing_is_left(exotel: AsyncExotel, before: set[asyncio.Task[Any]]) -> None:
    gc.collect()
    while asyncio.all_tasks() - before:
        await asyncio.sleep(0)
    statistics = exotel.limiter.statistics()
    assert (statistics.in_flight, statistics.waiting_bulk) == (0, 0)
    assert (await exotel.account.balance()).currency == "INR"


async def leave_by_break(records: CallRecords, _: Sequence[str]) -> None:
    async for _call in records:
        break


async def leave_by_error(records: CallRecords, _: Sequence[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        async for _call in records:
            raise ZeroDivisionError


async def leave_by_error_in_block(records: CallRecords, _: Sequence[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        async with records:
            async for _call in records:
                raise ZeroDivisionError


async def leave_block(records: CallRecords, _: Sequence[str]) -> None:
    async with aclosing(records):
        async for _call in records:
            break


async def leave_pages(records: CallRecords, _: Sequence[str]) -> None:
    async with aclosing(records.pages()) as pages:
        async for _page in pages:
            break


async def leave_unread(records: CallRecords, _: Sequence[str]) -> None:
    await records.aclose()


async def leave_first_page(records: CallRecords, _: Sequence[str]) -> None:
    await records


async def leave_by_cancellation(records: CallRecords, there: Sequence[str]) -> None:
    read: list[str] = []
    several = asyncio.Event()

    async def consume() -> None:
        async for call in records:
            read.append(call.sid)
            if len(read) > PAGE:
                several.set()
                await asyncio.sleep(0)

    consumer = asyncio.create_task(consume())
    await several.wait()
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert read == list(there[: len(read)])


async def leave_by_cancellation_at_any_turn(records: CallRecords, _: Sequence[str]) -> None:
    for turns in range(30):
        consumer = asyncio.create_task(sids_of(records))
        for _turn in range(turns):
            await asyncio.sleep(0)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer


WAYS_OUT: list[Callable[[CallRecords, Sequence[str]], Any]] = [
    leave_by_break,
    leave_by_error,
    leave_by_error_in_block,
    leave_block,
    leave_pages,
    leave_unread,
    leave_first_page,
    leave_by_cancellation,
    leave_by_cancellation_at_any_turn,
]


@pytest.mark.slow(7)
@one_or_four
@pytest.mark.parametrize("leave", WAYS_OUT)
async def test_whoever_leaves_leaves_nothing_behind(
    leave: Callable[[CallRecords, Sequence[str]], Any], concurrency: int
) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, SCATTERED)
        there = listed(emulator, newest_first=True)
        before = asyncio.all_tasks()
        records = exotel.calls.list(since=ago(SINCE), page_size=PAGE, concurrency=concurrency)
        await leave(records, there)
        await assert_nothing_is_left(exotel, before)
        token = records.resume_token
        assert await sids_of(records) == there
        if token is not None:
            rest = await sids_of(exotel.calls.list(resume=token, concurrency=concurrency))
            assert rest == there[len(there) - len(rest) :]


@pytest.mark.parametrize("block", [leave_block, leave_by_error_in_block, leave_pages])
async def test_a_block_that_is_left_has_ended_all_reading(
    block: Callable[[CallRecords, Sequence[str]], Any],
) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, SCATTERED)
        await exotel.account.balance()
        before = asyncio.all_tasks()
        await block(exotel.calls.list(since=ago(SINCE), page_size=PAGE, concurrency=4), ())
        # What is in flight ends by itself; nobody asks for more.
        left = {
            task
            for task in asyncio.all_tasks() - before
            if ParallelReader.__qualname__ in repr(task)
        }
        assert not left


async def test_a_list_that_is_closed_is_not_taken_for_read_to_its_end() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, SCATTERED)
        before = asyncio.all_tasks()
        records = exotel.calls.list(since=ago(SINCE), page_size=PAGE, concurrency=4)
        with pytest.raises(ConfigurationError, match="closed"):
            async for _ in records.pages():
                await records.aclose()

        async def consume() -> None:
            async for _ in records:
                first.set()

        first = asyncio.Event()
        consumer = asyncio.create_task(consume())
        await first.wait()
        await records.aclose()
        with pytest.raises(ConfigurationError, match="closed"):
            await consumer
        await assert_nothing_is_left(exotel, before)


@one_or_four
async def test_a_session_that_is_closed_ends_the_list_with_an_error(concurrency: int) -> None:
    async with exchange() as emulator:
        enter(emulator, SCATTERED)
        before = asyncio.all_tasks()
        async with session(emulator) as exotel:
            records = exotel.calls.list(since=ago(SINCE), page_size=PAGE, concurrency=concurrency)
            with pytest.raises(ConfigurationError):
                async for _ in records.pages():
                    await exotel.aclose()
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0)


@one_or_four
@both_orders
async def test_an_error_comes_in_its_turn_and_the_list_can_be_gone_on_with(
    newest_first: bool, concurrency: int
) -> None:
    async with exchange() as emulator:
        enter(emulator, SCATTERED)
        there = listed(emulator, newest_first=newest_first)
        async with session(emulator, retry=RetryPolicy(attempts=1)) as exotel:
            before = asyncio.all_tasks()
            query: dict[str, Any] = {"newest_first": newest_first, "page_size": PAGE}
            emulator.faults.add(Fault.answer(500), path="Calls", after=5)
            records = exotel.calls.list(since=ago(SINCE), **query, concurrency=concurrency)
            found: list[str] = []
            with pytest.raises(ServerError):
                async for page in records.pages():
                    found += [call.sid for call in page.calls]
            assert 0 < len(found) < len(there)
            await assert_nothing_is_left(exotel, before)
            found += await sids_of(exotel.calls.list(resume=records.resume_token, **query))
        assert found == there


async def test_nothing_is_read_behind_an_error() -> None:
    async with exchange() as emulator, session(emulator, retry=RetryPolicy(attempts=1)) as exotel:
        enter(emulator, [60.0 * n for n in range(2, 400)])
        await exotel.account.balance()
        # The second slice of those it is cut into; what is being read already is read on.
        emulator.faults.add(Fault.answer(500), path="Calls", after=2)
        records = exotel.calls.list(page_size=2, concurrency=2)
        async with aclosing(records.pages()) as pages:
            await anext(pages)
            await settle(exotel)
            assert len(emulator.requests) - 1 <= 3 + LONGEST_SLICE
            with pytest.raises(ServerError):
                async for _ in pages:
                    pass


async def test_garbage_again_and_again_is_an_error() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        await exotel.account.balance()
        emulator.faults.add(Fault.act_then_garbage(Garbage.HTML), path="Calls", times=None)
        with pytest.raises(DecodeError, match="HTML"):
            await exotel.calls.list()
        assert len(emulator.requests) == 4


async def test_options_go_with_every_request() -> None:
    seen = []

    class Watching(TokenBucket):
        async def acquire(self, priority: Any = None, *given: Any, **options: Any) -> Any:
            seen.append(priority)
            return await super().acquire(priority, *given, **options)

    async with exchange() as emulator:
        enter(emulator, SCATTERED)
        async with session(emulator, rate_limit=Watching(RateLimit(1_000))) as exotel:
            await sids_of(exotel.calls.list(since=ago(SINCE)))
            assert set(seen) == {Priority.BULK}
            await exotel.calls.list(priority=Priority.INTERACTIVE)
            assert seen[-1] is Priority.INTERACTIVE
        async with session(emulator, rate_limit=RateLimit(2, per=60)) as exotel:
            with pytest.raises(RateLimitTimeout):
                await sids_of(exotel.calls.list(since=ago(SINCE), max_wait=0.1))


# What is refused


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("since", {"since": datetime(2026, 1, 1)}, "2026-01-01", "time zone"),  # noqa: DTZ001
    ("until", {"until": datetime(2026, 1, 1)}, "2026-01-01", "time zone"),  # noqa: DTZ001
    ("since", {"since": ago(10), "until": ago(20)}, "+00:00", "must not be after until"),
    ("since", {"since": ago(213 * DAY)}, "+00:00", "older than 6 months"),
    ("until", {"until": ago(213 * DAY)}, "+00:00", "older than 6 months"),
    ("sids", {"sids": [f"{n:032}" for n in range(101)]}, "101", "1 to 100 SIDs"),
    ("to", {"to": [f"+91981230000{n}" for n in range(6)]}, "6", "1 to 5 numbers"),
    ("from_", {"from_": [f"+91981230000{n}" for n in range(6)]}, "6", "1 to 5 numbers"),
    ("exophone", {"exophone": [f"+91981230000{n}" for n in range(6)]}, "6", "1 to 5 numbers"),
    ("page_size", {"page_size": 0}, "0", "1 to 100"),
    ("page_size", {"page_size": 101}, "101", "1 to 100"),
    (
        "recording_url_validity",
        {"recording_url_validity": timedelta(minutes=61)},
        "3660",
        "5 to 60",
    ),
    ("limit", {"limit": 0}, "0", "1 or more"),
    ("limit", {"limit": True}, "True", "1 or more"),
    ("concurrency", {"concurrency": 0}, "0", "from 1 to 16"),
    ("concurrency", {"concurrency": 17}, "17", "from 1 to 16"),
    ("resume", {"resume": "nonsense"}, "...", "resume_token of a list"),
    ("resume", {"resume": ""}, "...", "resume_token of a list"),
    ("resume", {"resume": 7}, "...", "resume_token of a list"),
    ("max_wait", {"max_wait": -1}, "-1", "seconds"),
]


@pytest.mark.parametrize(
    ("argument", "given", "value", "rule"), BAD, ids=[f"{a}={str(g)[:40]}" for a, g, _, _ in BAD]
)
async def test_what_exotel_would_refuse_costs_no_request(
    argument: str, given: dict[str, Any], value: str, rule: str
) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        with pytest.raises(InvalidRequest) as caught:
            exotel.calls.list(**given)
        assert caught.value.argument == argument
        assert value in caught.value.shown
        assert rule in caught.value.rule
        assert str(caught.value).startswith(f"{argument}=")
        assert not emulator.requests


@pytest.mark.parametrize(
    "written",
    [
        "[" * 100_000,
        "[1]",
        "{}",
        "null",
        '[1,"d",0,0,0,[1]]',
        '[1,"d",1e400,0,0,[]]',
        '[1,"d",99999999999999,0,0,[]]',
        '[1,"d",0,0,"x",[]]',
        '[1,"d",0,0,0,0]',
        '[1,"d",0,0,0,[[]]]',
    ],
)
async def test_no_text_is_a_token_by_mistake(written: str) -> None:
    token = base64.urlsafe_b64encode(written.encode()).decode()
    async with exchange() as emulator, session(emulator) as exotel:
        with pytest.raises(InvalidRequest, match="must be the resume_token"):
            exotel.calls.list(resume=token)


async def test_the_token_of_another_list_is_refused() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [60])
        records = exotel.calls.list()
        await records
        token = records.resume_token
        asked = len(emulator.requests)
        others: list[dict[str, Any]] = [
            {"newest_first": False},
            {"to": CUSTOMER},
            {"status": "completed"},
            {"extra": {"New": "1"}},
        ]
        for other in others:
            with pytest.raises(InvalidRequest, match="token of another list") as caught:
                exotel.calls.list(**other, resume=token)
            assert caught.value.argument == "resume"
        async with session(emulator, account_sid="acme2") as stranger:
            with pytest.raises(InvalidRequest, match="token of another list"):
                stranger.calls.list(resume=token)
        same = exotel.calls.list(page_size=3, concurrency=2, details=True, resume=token)
        assert len(emulator.requests) == asked
        assert await sids_of(same) == []


async def test_a_token_whose_rest_has_become_too_old_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [10 * DAY, 20 * DAY])
        records = exotel.calls.list(since=ago(30 * DAY), limit=1)
        await records
        in_half_a_year = now() + timedelta(days=180)

        class Later(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return in_half_a_year.astimezone(tz)

        monkeypatch.setattr("exotel_async.calls.list.datetime", Later)
        with pytest.raises(InvalidRequest, match="older than 6 months") as caught:
            exotel.calls.list(resume=records.resume_token)
        assert caught.value.argument == "resume"


# Reading


async def test_the_first_page_is_awaited_alone() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        there = enter(emulator, [40 * DAY + n for n in range(3 * PAGE)])
        for concurrency in (1, 4):
            records = exotel.calls.list(since=ago(SINCE), page_size=PAGE, concurrency=concurrency)
            await settle(exotel)
            before = len(emulator.requests)
            page = await records
            assert isinstance(page, CallPage)
            assert [call.sid for call in page.calls] == there[:PAGE]
            assert page.total == 3 * PAGE
            await settle(exotel)
            # The clock once, the window that has none, and this page.
            assert len(emulator.requests) - before <= (3 if concurrency == 1 else 2)
            rest = exotel.calls.list(resume=records.resume_token)
            assert await sids_of(rest) == there[PAGE:]


@one_or_four
async def test_a_range_without_calls(concurrency: int) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [40 * DAY])
        empty = exotel.calls.list(since=ago(30 * DAY), concurrency=concurrency)
        assert await sids_of(empty) == []
        assert await empty == CallPage(calls=(), total=0)
        assert [page async for page in empty.pages()] == []
        assert empty.resume_token is not None
        # All of it lies in the future.
        assert await sids_of(exotel.calls.list(since=ago(-DAY), concurrency=concurrency)) == []


@one_or_four
@both_orders
async def test_pages_have_the_calls_that_are_listed(newest_first: bool, concurrency: int) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, SCATTERED)
        records = exotel.calls.list(
            since=ago(SINCE), newest_first=newest_first, page_size=PAGE, concurrency=concurrency
        )
        found = []
        async for page in records.pages():
            assert 1 <= len(page.calls) <= PAGE
            assert page.total is not None
            found += [call.sid for call in page.calls]
            rest = exotel.calls.list(resume=records.resume_token, newest_first=newest_first)
            there = listed(emulator, newest_first=newest_first)
            assert await sids_of(rest) == there[len(found) :]
        assert found == there


@one_or_four
@pytest.mark.parametrize("limit", [1, PAGE - 1, PAGE, PAGE + 1, 50, 10_000])
async def test_a_limit(limit: int, concurrency: int) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, SCATTERED)
        there = listed(emulator, newest_first=True)
        await exotel.account.balance()
        records = exotel.calls.list(
            since=ago(SINCE), page_size=PAGE, limit=limit, concurrency=concurrency
        )
        assert await sids_of(records) == there[:limit]
        await settle(exotel)
        assert {r.query["PageSize"] for r in emulator.requests[1:]} == {str(min(limit, PAGE))}
        needed = math.ceil(min(limit, len(there)) / PAGE)
        if limit <= PAGE or concurrency == 1:
            # Each window ends with a page that is not full.
            assert len(emulator.requests) - 1 <= needed + 2
        rest = exotel.calls.list(resume=records.resume_token, concurrency=concurrency)
        assert await sids_of(rest) == there[limit:]


@one_or_four
async def test_filters_go_with_every_page(concurrency: int) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, SCATTERED)
        there = listed(emulator, newest_first=False)
        async for call in exotel.calls.list(
            since=ago(SINCE),
            sids=there[10:40],
            to=[CUSTOMER, "+919812300009"],
            from_=AGENT,
            exophone=EXOPHONE,
            newest_first=False,
            details=True,
            page_size=PAGE,
            concurrency=concurrency,
        ):
            assert isinstance(call, Call)
            assert call.details is not None
            assert call.sid == there[10:40][0]
            there.remove(call.sid)
        assert len(there) == len(SCATTERED) - 30
        for request in emulator.requests[1:]:
            assert request.path == "/v1/Accounts/acme1/Calls.json"
            assert request.query["To"] == f"{CUSTOMER},+919812300009"
            assert request.query["SortBy"] == "DateCreated:asc"
            assert len(request.query["Sid"].split(",")) == 30


async def test_a_list_is_read_as_often_as_one_likes() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, SCATTERED)
        there = listed(emulator, newest_first=True)
        records = exotel.calls.list(since=ago(SINCE), page_size=PAGE)
        one, other = aiter(records), aiter(records)
        assert [(await anext(one)).sid for _ in range(9)] == there[:9]
        assert [(await anext(other)).sid for _ in range(3)] == there[:3]
        # The one that has begun last is what is gone on with.
        rest = await sids_of(exotel.calls.list(resume=records.resume_token))
        assert rest == there[3:]
        assert [call.sid async for call in one] == there[9:]
        async with records:
            assert await sids_of(records) == there
        assert await sids_of(records) == there


async def test_windows_of_a_list_lie_side_by_side() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, SCATTERED)
        await sids_of(exotel.calls.list(since=ago(SINCE), newest_first=False))
        asked = [
            [
                datetime.strptime(bound[4:], "%Y-%m-%d %H:%M:%S").replace(tzinfo=IST)
                for bound in window.split(";")
            ]
            for window in slices(emulator)
        ]
        assert len(asked) == 3
        assert asked[1][0] - asked[0][1] == asked[2][0] - asked[1][1] == timedelta(seconds=1)
        assert all(until - since < timedelta(days=30) for since, until in asked)


# Windows side by side


def waiting(records: CallRecords) -> int:
    """Pages in memory that were not given out."""
    return sum(len(part.pages) for parallel in records._parallel for part in parallel._line)


def uneven() -> list[float]:
    """Busy days, nights without calls, and a peak; and a month without any."""
    ages = [DAY * day + 90.0 * n for day in range(1, 9) for n in range(60)]
    return ages + [DAY * 4 + 20_000 + n / 8 for n in range(400)]


@pytest.mark.slow(8)
@both_orders
async def test_slices_are_short_and_few_wait_for_a_slow_consumer(newest_first: bool) -> None:
    concurrency, page_size = 3, 2
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, uneven())
        records = exotel.calls.list(
            since=ago(45 * DAY),
            newest_first=newest_first,
            page_size=page_size,
            concurrency=concurrency,
        )
        found: list[str] = []
        most: list[int] = []
        async with aclosing(records.pages()) as pages:
            async for page in pages:
                found += [call.sid for call in page.calls]
                await settle(exotel)
                most.append(waiting(records))
        assert found == listed(emulator, newest_first=newest_first)
        assert LONGEST_SLICE < max(most) <= concurrency * AHEAD * LONGEST_SLICE
        assert max(slices(emulator).values()) <= LONGEST_SLICE


@pytest.mark.slow(5)
@both_orders
async def test_slices_cost_few_requests_more_than_pages(newest_first: bool) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        # Three days of half a year, six hours each: most parts of the range have no calls.
        enter(emulator, [DAY * day + 15.0 * n for day in (20, 21, 95) for n in range(1_440)])
        records = exotel.calls.list(
            since=ago(180 * DAY), newest_first=newest_first, page_size=20, concurrency=4
        )
        assert await sids_of(records) == listed(emulator, newest_first=newest_first)
        assert len(emulator.requests) <= 1.25 * len(emulator.calls) / 20


@pytest.mark.slow(3)
async def test_slices_of_calls_spread_evenly_are_not_much_shorter_than_they_may_be() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [60 + 600.0 * n for n in range(4_000)])
        await sids_of(exotel.calls.list(page_size=20, concurrency=4))
        assert len(emulator.requests) <= 1.15 * 4_000 / 20


@pytest.mark.slow(3)
@one_or_four
@both_orders
async def test_hundreds_of_calls_in_one_second(newest_first: bool, concurrency: int) -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [DAY + n / 700 for n in range(600)])
        enter(emulator, [DAY + 1 + 30 * n for n in range(-20, 20)])
        there = listed(emulator, newest_first=newest_first)
        records = exotel.calls.list(
            since=ago(2 * DAY), newest_first=newest_first, page_size=10, concurrency=concurrency
        )
        async with aclosing(records.pages()) as pages:
            found = [call.sid for call in (await anext(pages)).calls]
            await settle(exotel)
            assert waiting(records) <= concurrency * AHEAD * LONGEST_SLICE
            found += [call.sid async for page in pages for call in page.calls]
        assert found == there


@pytest.mark.slow(1)
async def test_slices_are_read_at_the_same_time() -> None:
    most = 0

    def latency(_: object) -> tuple[float, float]:
        nonlocal most
        most = max(most, exotel.limiter.statistics().in_flight)
        return 0.0, 0.02

    async with exchange(latency=latency) as emulator, session(emulator) as exotel:
        enter(emulator, [60.0 * n for n in range(2, 400)])
        assert len(await sids_of(exotel.calls.list(page_size=5, concurrency=6))) == 398
        assert most == 6
        most = 0
        assert len(await sids_of(exotel.calls.list(page_size=20))) == 398
        assert most == 1


async def test_one_page_of_calls_is_not_cut() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        enter(emulator, [60.0 * n for n in range(2, 80)])
        assert len(await sids_of(exotel.calls.list(concurrency=8))) == 78
        assert len(emulator.requests) == 2


@pytest.mark.slow(3)
async def test_an_error_of_the_service_is_the_lists_own() -> None:
    async with exchange() as emulator, session(emulator) as exotel:
        emulator.faults.add(Fault.answer(403, message="no access"), path="Calls", times=None)
        for concurrency in (1, 4):
            with pytest.raises(APIError, match="no access"):
                await sids_of(exotel.calls.list(concurrency=concurrency))

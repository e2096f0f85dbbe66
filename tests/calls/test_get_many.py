"""Many calls by their SIDs: `calls.get_many`."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from exotel_async import (
    APIError,
    AsyncExotel,
    AuthenticationError,
    BadRequest,
    CallResult,
    ConfigurationError,
    DecodeError,
    FetchStatistics,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Permit,
    RateLimit,
    RateLimitTimeout,
    RequestTimeout,
    RetryPolicy,
    ServerError,
    Timeouts,
    TokenBucket,
)
from exotel_async.emulator import Dial, Emulator, Fault, Garbage, Scenario
from tests.conftest import EXOPHONE, SOON, session

BULK = "Calls.json"
NEVER = RetryPolicy.never()
LONG_OVER = timedelta(hours=2)


def finished(emulator: Emulator, number: int, *, ago: timedelta = LONG_OVER) -> list[str]:
    """Enter calls that are over, and their lengths and prices known."""
    emulator.scenario = Scenario.all_answered()
    dials = (Dial(from_=f"09{n:09}", to=None, caller_id=EXOPHONE) for n in range(number))
    return [emulator.add_call(dial, ago=ago).sid for dial in dials]


def live(emulator: Emulator, number: int) -> list[str]:
    """Enter calls that go on for longer than any test."""
    emulator.scenario = Scenario.all_answered(talk=14_000)
    dials = (Dial(from_=f"08{n:09}", to=None, caller_id=EXOPHONE) for n in range(number))
    return [emulator.add_call(dial).sid for dial in dials]


def unknown(number: int) -> list[str]:
    """Make up SIDs the service does not know."""
    return [f"{n:032x}" for n in range(number)]


async def read_all(exotel: AsyncExotel, sids: Any, **options: Any) -> list[CallResult]:
    """Read all of them."""
    async with exotel.calls.get_many(sids, **options) as results:
        return [result async for result in results]


def queries(emulator: Emulator) -> list[str]:
    """Return the SIDs of each query for many."""
    return [request.query["Sid"] for request in emulator.requests if "Sid" in request.query]


def singles(emulator: Emulator) -> int:
    """Count the requests for one."""
    return len(emulator.requests) - sum(r.path.endswith(BULK) for r in emulator.requests)


async def nothing_is_left(exotel: AsyncExotel, tasks: set[asyncio.Task[Any]]) -> None:
    """Wait for the last answer; make sure that no task is left, no slot held, nobody waiting."""
    own = asyncio.current_task()
    async with asyncio.timeout(SOON):
        while (now := exotel.limiter.statistics()).in_flight or asyncio.all_tasks() - tasks - {own}:
            await asyncio.sleep(0.01)
    assert (now.waiting_bulk, now.waiting_interactive) == (0, 0)


# The fewest requests


@pytest.mark.slow
async def test_ten_thousand_finished_calls(emulator: Emulator, exotel: AsyncExotel) -> None:
    sids = finished(emulator, 10_000)
    async with exotel.calls.get_many(sids) as results:
        found = [result async for result in results]
        statistics = results.statistics()
    assert Counter(result.sid for result in found) == Counter(sids)
    assert all(result.unwrap().sid == result.sid for result in found)
    assert len(emulator.requests) <= 102
    assert statistics.requests == len(emulator.requests)
    assert emulator.refused == 0


async def test_copies_of_what_is_asked_for_singly_share_a_request(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    (going_on,), (nosuch, other) = live(emulator, 1), unknown(2)
    for sids in ([going_on] * 150, [nosuch] * 150, [going_on, nosuch, other] * 50):
        before = singles(emulator)
        found = await read_all(exotel, sids)
        assert Counter(result.sid for result in found) == Counter(sids)
        assert all((result.error is None) == (result.sid == going_on) for result in found)
        assert singles(emulator) - before <= 2 * len({*sids}), "150 come in two batches"


async def test_what_the_list_leaves_out_is_asked_for_singly(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sids = {
        "over": finished(emulator, 470),
        "going on": live(emulator, 20),
        "old": finished(emulator, 5, ago=timedelta(days=40)),
        "unknown": unknown(5),
    }
    found = {
        x.sid: x for x in await read_all(exotel, [sid for kind in sids.values() for sid in kind])
    }
    assert all(found[sid].unwrap().is_final for sid in sids["over"] + sids["old"])
    assert not any(found[sid].unwrap().is_final for sid in sids["going on"])
    assert all(isinstance(found[sid].error, NotFound) for sid in sids["unknown"])
    assert len(queries(emulator)) == 5
    assert singles(emulator) == 30


async def test_with_a_range_old_calls_are_looked_for_month_by_month(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    days = (10, 45, 75, 100)
    sids = [sid for d in days for sid in finished(emulator, 30, ago=timedelta(days=d))]
    missing = unknown(7)
    since = datetime.now(UTC) - timedelta(days=110)
    found = await read_all(exotel, sids[::2] + missing + sids[1::2], since=since)
    assert sum(result.call is not None for result in found) == 120
    assert sum(isinstance(result.error, NotFound) for result in found) == 7
    assert singles(emulator) == 7
    asked = [len(query.split(",")) for query in queries(emulator)]
    # A window of 30 days each: 127 in two queries, and what is left in one for each of the others.
    assert asked == [100, 27, 97, 67, 37]


async def test_a_last_one_is_asked_for_singly_at_once(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    (sid,) = finished(emulator, 1, ago=timedelta(days=100))
    since = datetime.now(UTC) - timedelta(days=150)
    found = await read_all(exotel, [sid, sid], since=since, until=since + timedelta(days=140))
    assert [result.unwrap().sid for result in found] == [sid, sid]
    assert queries(emulator) == []


async def test_details_and_the_life_of_links_are_asked_for(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sids = finished(emulator, 3) + live(emulator, 1)
    validity = timedelta(minutes=7)
    found = await read_all(exotel, sids, details=True, recording_url_validity=validity)
    assert all(result.unwrap().details for result in found)
    for request in emulator.requests:
        assert request.query["details"] == "true"
        assert request.query["RecordingUrlValidity"] == "7"


# Any input, and one answer for each item of it


async def generated(sids: Iterable[str]) -> AsyncIterator[str]:
    for sid in sids:
        yield sid


@pytest.mark.parametrize(
    "make", [list, tuple, iter, dict.fromkeys, generated], ids=lambda make: make.__name__
)
async def test_any_input(emulator: Emulator, exotel: AsyncExotel, make: Any) -> None:
    sids = finished(emulator, 250)
    found = await read_all(exotel, make(sids))
    assert sorted(result.sid for result in found) == sorted(sids)
    assert len(emulator.requests) == 3
    assert await read_all(exotel, make([])) == []
    assert len(emulator.requests) == 3


async def test_each_item_has_its_answer(emulator: Emulator, exotel: AsyncExotel) -> None:
    one, two = finished(emulator, 2)
    (going_on,) = live(emulator, 1)
    (missing,) = unknown(1)
    wrong: list[Any] = [None, 7, "", "a/b", "..", "x" * 200, b"bytes", "a b"]
    items = [one, *wrong[:4], one, going_on, missing, two, missing, going_on, *wrong[4:], one]
    found = await read_all(exotel, items)
    assert len(found) == len(items)
    calls = Counter(result.sid for result in found if result.call)
    assert calls == {one: 3, two: 1, going_on: 2}
    assert [x.sid for x in found if isinstance(x.error, NotFound)] == [missing] * 2
    refused = [result for result in found if isinstance(result.error, InvalidRequest)]
    assert len(refused) == len(wrong)
    assert {"None", "7", "a/b", "a b", "b'bytes'"} < {result.sid for result in refused}


async def test_a_sid_that_cannot_be_listed_does_not_reach_a_list(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    one, two = finished(emulator, 2)
    found = await read_all(exotel, [one, f"{one},{two}", two])
    assert {result.sid for result in found if result.call} == {one, two}
    assert queries(emulator) == [f"{one},{two}"]
    assert singles(emulator) == 1


@pytest.mark.slow(1)
@pytest.mark.parametrize("is_async", [False, True])
async def test_input_is_read_as_it_is_needed(
    emulator: Emulator, exotel: AsyncExotel, is_async: bool
) -> None:
    pair = finished(emulator, 2)
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield pair[read % 2]

    source = generated(endless()) if is_async else endless()
    async with exotel.calls.get_many(source, concurrency=2, batch_size=10) as results:
        await anext(results)
        await asyncio.sleep(0.3)
        # Two jobs done, two chunks waiting to be taken out, one read and one ahead.
        assert read <= 80
        taken = 1
        async for _ in results:
            taken += 1
            assert read - taken <= 80
            if taken == 500:
                break


@pytest.mark.slow
async def test_tens_of_thousands_pass_through_and_do_not_stay(emulator: Emulator) -> None:
    pair = finished(emulator, 2)
    read = taken = most = 0

    def source() -> Iterator[str]:
        nonlocal read
        for read in range(1, 30_001):
            yield pair[read % 2]

    emulator.rate, limit = 10**6, RateLimit(10**6, per=1.0, burst=10**5)
    async with (
        session(emulator, rate_limit=limit) as exotel,
        exotel.calls.get_many(source()) as results,
    ):
        async for _ in results:
            taken += 1
            most = max(most, read - taken)
    assert taken == 30_000
    # Eight under way, as many to be taken out, and a batch or two between.
    assert most <= 2_500


@pytest.mark.parametrize(
    ("good", "bad", "going_on", "old"),
    [(10, 0, 0, False), (100, 0, 0, False), (97, 3, 0, False), (90, 0, 10, True), (0, 5, 0, False)],
)
async def test_input_that_waits_for_its_answers(
    emulator: Emulator, exotel: AsyncExotel, good: int, bad: int, going_on: int, old: bool
) -> None:
    sids: list[Any] = [*finished(emulator, good), *[None] * bad, *live(emulator, going_on)]
    answered = 0
    wanted = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        for _ in range(2):
            for sid in sids:
                yield sid
            await wanted.wait()
            wanted.clear()

    since = datetime.now(UTC) - timedelta(days=100) if old else None
    async with asyncio.timeout(SOON), exotel.calls.get_many(source(), since=since) as results:
        async for _ in results:
            answered += 1
            if answered % len(sids) == 0:
                wanted.set()
    assert answered == 2 * len(sids)


@pytest.mark.parametrize("is_async", [False, True])
async def test_input_that_fails_does_so_after_what_it_gave(
    emulator: Emulator, exotel: AsyncExotel, is_async: bool
) -> None:
    sids = finished(emulator, 130)

    def source() -> Iterator[str]:
        yield from sids
        raise OSError("the file is gone")

    found = []
    with pytest.raises(OSError, match="gone"):
        async with exotel.calls.get_many(generated(source()) if is_async else source()) as results:
            async for result in results:
                found += [result.sid]
    assert sorted(found) == sorted(sids)


# Batches that fail


@pytest.mark.parametrize(
    "fault",
    [
        Fault.answer(400),
        Fault.answer(413),
        Fault.answer(414),
        Fault.act_then_garbage(Garbage.HTML),
        Fault.act_then_garbage(Garbage.TRUNCATED),
        Fault.act_then_stall(),
    ],
    ids=["400", "413", "414", "HTML", "cut off", "timeout"],
)
async def test_a_batch_that_may_be_too_large_is_cut(emulator: Emulator, fault: Fault) -> None:
    sids = finished(emulator, 100)
    # What cannot be read is asked for three times before it counts as such.
    times = 3 if fault.garbage else 1
    emulator.faults.add(fault, path=BULK, times=times)
    async with session(emulator, retry=NEVER, timeout=Timeouts(read=2.0)) as exotel:
        found = await read_all(exotel, sids)
    assert sorted(result.unwrap().sid for result in found) == sorted(sids)
    assert [len(q.split(",")) for q in queries(emulator)] == [100] * times + [50, 50]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.answer(401), AuthenticationError),
        (Fault.answer(403), PermissionDenied),
        (Fault.answer(500), ServerError),
        (Fault.answer(503), ServerError),
    ],
    ids=["401", "403", "500", "503"],
)
async def test_a_batch_that_fails_otherwise_is_not_cut_and_spoils_no_other(
    emulator: Emulator, fault: Fault, kind: type[APIError]
) -> None:
    sids = finished(emulator, 500)
    emulator.faults.add(fault, path=BULK, after=2)
    async with (
        session(emulator, retry=NEVER) as exotel,
        exotel.calls.get_many(sids, concurrency=1) as results,
    ):
        found = {result.sid: result async for result in results}
        statistics = results.statistics()
    assert len(found) == 500
    failed = {sid for sid, result in found.items() if result.error}
    assert failed == set(sids[200:300])
    assert {type(found[sid].error) for sid in failed} == {kind}
    assert (statistics.found, statistics.missing, statistics.failed) == (400, 0, 100)
    assert len(emulator.requests) == 5


async def test_a_list_that_is_not_found_says_nothing_of_its_calls(emulator: Emulator) -> None:
    sids = finished(emulator, 50)
    emulator.faults.add(Fault.answer(404), path=BULK)
    async with session(emulator) as exotel, exotel.calls.get_many(sids) as results:
        found = [result async for result in results]
        statistics = results.statistics()
    assert (statistics.missing, statistics.failed) == (0, 50)
    assert all(isinstance(x.error, APIError) and x.error.status == 404 for x in found)
    assert not any(isinstance(x.error, NotFound) for x in found)


async def test_one_that_cannot_be_asked_for_is_found_out(emulator: Emulator) -> None:
    """The service refuses every query that names a certain SID."""
    sids = finished(emulator, 100)
    poison = sids[37]

    async with session(emulator, retry=NEVER) as exotel:
        single = exotel.calls.parts().pages.fetch

        async def fetch(request: Any, *args: Any, **options: Any) -> Any:
            if poison in dict(request.params)["Sid"]:
                # As the service would: it is asked, and says no.
                emulator.faults.add(Fault.answer(400), path=BULK)
            return await single(request, *args, **options)

        exotel.calls.parts().fetcher._pages.fetch = fetch  # type: ignore[method-assign]
        found = await read_all(exotel, sids)
    assert sorted(result.unwrap().sid for result in found) == sorted(sids)
    assert len(emulator.requests) <= 16, "each halving costs two"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "kind", "each"),
    [
        (Fault.answer(400), BadRequest, 1),
        (Fault.act_then_garbage(Garbage.HTML), DecodeError, 3),
        (Fault.drop_before(), RequestTimeout, 1),
        (Fault.answer(500), ServerError, 1),
    ],
    ids=["400", "HTML", "dropped", "500"],
)
async def test_when_nothing_works_it_is_said_and_not_tried_singly(
    emulator: Emulator, fault: Fault, kind: type[Exception], each: int
) -> None:
    sids = finished(emulator, 3_000)
    emulator.faults.add(fault, path=BULK, times=None)
    async with session(emulator, retry=NEVER) as exotel:
        found = await read_all(exotel, sids, concurrency=4)
    assert len(found) == 3_000
    assert {type(result.error) for result in found} == {kind}
    assert singles(emulator) == 0
    # Those under way at the same time are cut as well: seven queries for each of the first ones.
    assert len(emulator.requests) <= (30 + 6 * (4 + 3)) * each


async def test_a_batch_works_again_after_many_that_did_not(emulator: Emulator) -> None:
    sids = finished(emulator, 1_000)
    emulator.faults.add(Fault.answer(400), path=BULK, times=3 * 7 + 2)
    emulator.faults.add(Fault.answer(400), path=BULK, after=1)
    async with session(emulator, retry=NEVER) as exotel:
        found = await read_all(exotel, sids, concurrency=1)
    failed = {result.sid for result in found if result.error}
    # Three were cut in vain, two failed at once; one was good, so that the next one is cut again.
    assert failed == set(sids[:500])


async def test_what_one_page_brought_is_kept_when_the_next_one_fails(emulator: Emulator) -> None:
    sids = finished(emulator, 60)
    url = f"{emulator.base_url}/v1/Accounts/{emulator.account_sid}/{BULK}"
    auth = (emulator.api_key, emulator.api_token)
    async with httpx.AsyncClient(auth=auth) as client:
        page = await client.get(url, params={"Sid": ",".join(sids), "PageSize": "40"})
    # The service gives out smaller pages than it was asked for.
    small = Fault.act_then_body(page.content)
    async with session(emulator, retry=NEVER) as exotel:
        emulator.faults.add(small, path=BULK)
        whole = await read_all(exotel, sids)
        assert len(emulator.requests) == 1 + 2
        emulator.faults.add(small, path=BULK)
        emulator.faults.add(Fault.answer(500), path=BULK)
        broken = await read_all(exotel, sids)
    assert all(result.call for result in whole)
    assert sum(result.call is not None for result in broken) == 40
    assert sum(isinstance(result.error, ServerError) for result in broken) == 20
    cursor = parse_qs(urlsplit(json.loads(page.content)["Metadata"]["NextPageUri"]).query)
    assert emulator.requests[2].query["After"] == cursor["After"][0]


async def test_a_cursor_behind_the_last_row_is_not_followed_for_long(emulator: Emulator) -> None:
    sids = finished(emulator, 40) + live(emulator, 2)
    url = f"{emulator.base_url}/v1/Accounts/{emulator.account_sid}/{BULK}"
    auth = (emulator.api_key, emulator.api_token)
    async with httpx.AsyncClient(auth=auth) as client:
        page = (await client.get(url, params={"Sid": ",".join(sids)})).json()
    page["Metadata"]["NextPageUri"] = f"/v1/Accounts/acme1/{BULK}?After=round-and-round"
    body = Fault.act_then_body(json.dumps(page).encode())
    emulator.faults.add(body, path=BULK, times=None)
    async with session(emulator) as exotel:
        found = await read_all(exotel, sids)
    assert all(result.call for result in found)
    assert len(queries(emulator)) - 1 == 2
    assert singles(emulator) == 2


async def test_no_place_in_the_budget_is_no_reason_to_cut_or_to_give_up(emulator: Emulator) -> None:
    sids = finished(emulator, 300)
    async with session(emulator, rate_limit=RateLimit(3, per=60)) as exotel:
        await exotel.account.balance()
        await exotel.account.balance()
        found = await read_all(exotel, sids, max_wait=0.05)
        assert {type(result.error) for result in found} == {RateLimitTimeout}
        assert exotel.calls.parts().fetcher._failed == 0
    assert queries(emulator) == []


# Details the list does not give


async def test_a_list_without_details_is_found_out(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.bulk_details = False
    sids = finished(emulator, 60)
    found = await read_all(exotel, sids[:50], details=True, concurrency=2, batch_size=10)
    assert all(result.unwrap().details for result in found)
    assert len(queries(emulator)) <= 2, "those under way at the same time"
    assert singles(emulator) == 50
    await read_all(exotel, sids[50:], details=True)
    assert len(queries(emulator)) <= 2
    asked = len(emulator.requests)
    await read_all(exotel, sids)
    assert len(emulator.requests) - asked == 1, "without details it is as good as ever"


@pytest.mark.parametrize("before", [False, True])
async def test_rows_without_details(emulator: Emulator, exotel: AsyncExotel, before: bool) -> None:
    sids = finished(emulator, 30)
    if before:
        await read_all(exotel, sids, details=True)
    asked = len(emulator.requests)
    emulator.faults.add(Fault.rows_without_details(), path=BULK)
    found = await read_all(exotel, sids, details=True)
    assert all(result.unwrap().details for result in found)
    assert len(emulator.requests) - asked == 1 + 30
    asked = len(emulator.requests)
    await read_all(exotel, sids, details=True)
    # That it has given them before says more than one answer without.
    assert len(emulator.requests) - asked == (1 if before else 30)


async def test_details_that_are_said_to_be_none(emulator: Emulator, exotel: AsyncExotel) -> None:
    """`"Details": null` stands for a list that gives none, until it has given some."""
    sids = finished(emulator, 3)
    url = f"{emulator.base_url}/v1/Accounts/{emulator.account_sid}/{BULK}"
    async with httpx.AsyncClient(auth=(emulator.api_key, emulator.api_token)) as client:
        page = (await client.get(url, params={"Sid": ",".join(sids), "details": "true"})).json()
    page["Calls"][0]["Details"] = None
    emulator.faults.add(Fault.act_then_body(json.dumps(page).encode()), path=BULK, after=1)
    await read_all(exotel, sids, details=True)
    found = await read_all(exotel, sids, details=True)
    assert sorted(result.unwrap().details is None for result in found) == [False, False, True]
    assert singles(emulator) == 0


# How it stands


async def test_statistics_and_progress(emulator: Emulator, exotel: AsyncExotel) -> None:
    items = [*finished(emulator, 250), *unknown(4), "not/one"]
    told: list[FetchStatistics] = []
    async with exotel.calls.get_many(items, on_progress=told.append) as results:
        async for _ in results:
            pass
        end = results.statistics()
    assert (end.done, end.found, end.missing, end.failed) == (255, 250, 4, 1)
    assert end.total == 255
    assert end.requests == len(emulator.requests) == 3 + 4
    assert end.rate > 0
    assert end.time_left == timedelta()
    assert told[-1].done == 255
    assert [x.done for x in told] == sorted({x.done for x in told})
    first = told[0]
    assert first.time_left == timedelta(seconds=(255 - first.done) / first.rate)


async def test_statistics_without_a_total(emulator: Emulator, exotel: AsyncExotel) -> None:
    async with exotel.calls.get_many(iter(finished(emulator, 3))) as results:
        assert results.statistics().done == 0
        assert results.statistics().time_left is None
        async for _ in results:
            pass
        assert results.statistics().total is None
        assert results.statistics().time_left is None


async def test_progress_that_fails_is_the_consumers(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    tasks = asyncio.all_tasks()

    def complain(_: FetchStatistics) -> None:
        raise OSError("no terminal")

    async with exotel.calls.get_many(finished(emulator, 300), on_progress=complain) as results:
        with pytest.raises(OSError, match="terminal"):
            await anext(results)
        # Nothing is lost by it.
        assert (await anext(results)).call is not None
        assert results.statistics().done == 100
    await nothing_is_left(exotel, tasks)


async def test_each_error_names_its_sid(emulator: Emulator, exotel: AsyncExotel) -> None:
    sids = finished(emulator, 7)
    emulator.faults.add(Fault.answer(401))
    async with exotel.calls.get_many(sids) as results:
        found = [result async for result in results]
    assert sorted(result.sid for result in found) == sorted(sids)
    assert all(result.error and result.error.sid == result.sid for result in found)


def test_unwrapping() -> None:
    error = NotFound("no", status=404)
    for _ in range(3):
        with pytest.raises(NotFound) as caught:
            CallResult("sid", error=error).unwrap()
        assert caught.value is not error, "many may share it"
    assert error.__traceback__ is None
    with pytest.raises(NotFound):
        CallResult("sid").unwrap()


# Arguments


async def awaited(_: object) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    "arguments",
    [
        {"concurrency": 0},
        {"concurrency": 65},
        {"concurrency": True},
        {"batch_size": 0},
        {"batch_size": 101},
        {"batch_size": 2.5},
        {"on_progress": 7},
        {"on_progress": lambda: 0},
        {"on_progress": awaited},
        {"details": "yes"},
        {"recording_url_validity": timedelta(minutes=61)},
        {"since": datetime(2026, 1, 1)},  # noqa: DTZ001 - which is what is wrong
        {"since": datetime.now(UTC) - timedelta(days=220)},
        {"since": datetime.now(UTC), "until": datetime.now(UTC) - timedelta(days=1)},
        {"max_wait": -1},
        {"priority": 7},
        {"sids": "0123456789"},
        {"sids": 7},
    ],
    ids="-".join,
)
async def test_arguments_that_make_no_sense(
    emulator: Emulator, exotel: AsyncExotel, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest, match=next(reversed(arguments)) + "|since"):
        exotel.calls.get_many(**{"sids": ["a"]} | arguments)
    assert emulator.requests == []


async def test_it_is_used_in_a_block_and_once(emulator: Emulator, exotel: AsyncExotel) -> None:
    results = exotel.calls.get_many(finished(emulator, 3))
    with pytest.raises(RuntimeError, match="async with"):
        await anext(results)
    async with results:
        assert len([result async for result in results]) == 3
        assert [result async for result in results] == []
    with pytest.raises(RuntimeError, match="once"):
        async with results:
            pass


# Leaving


class Boom(Exception):
    """The consumer's own."""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["break", "raise", "cancel", "time out"])
@pytest.mark.parametrize("is_async", [False, True])
async def test_leaving_early(
    emulator: Emulator, exotel: AsyncExotel, how: str, is_async: bool
) -> None:
    sids = finished(emulator, 3_000)
    closed = []

    async def source() -> AsyncIterator[str]:
        try:
            for sid in sids:
                yield sid
        finally:
            closed.append(True)

    tasks = asyncio.all_tasks()

    async def consume() -> None:
        async with exotel.calls.get_many(source() if is_async else sids) as results:
            async for _ in results:
                if how == "break":
                    break
                if how == "raise":
                    raise Boom
                if how == "cancel":
                    consumer.cancel()
                    await asyncio.sleep(0)
                async with asyncio.timeout(0.01):
                    await asyncio.sleep(1)

    consumer = asyncio.create_task(consume())
    ends: dict[str, Any] = {
        "raise": Boom,
        "cancel": asyncio.CancelledError,
        "time out": TimeoutError,
    }
    if how == "break":
        await consumer
    else:
        with pytest.raises(ends[how]):
            await consumer
    assert len(closed) == is_async
    await nothing_is_left(exotel, tasks)
    assert len(await read_all(exotel, sids[:100])) == 100


@pytest.mark.slow
async def test_cancelled_at_any_step(emulator: Emulator) -> None:
    """Step by step of the event loop, from the first one to the last."""
    sids = finished(emulator, 4) + live(emulator, 2)
    limit = RateLimit(10**6, per=1.0, burst=10**5)
    async with session(emulator, rate_limit=limit) as exotel:
        await exotel.account.balance()
        tasks = asyncio.all_tasks()
        step, finished_at = 0, None
        while finished_at is None:
            consumer = asyncio.create_task(read_all(exotel, generated(sids), batch_size=3))
            for _ in range(step):
                await asyncio.sleep(0)
            if consumer.done():
                finished_at = step
            consumer.cancel()
            await asyncio.gather(consumer, return_exceptions=True)
            left = " ".join(repr(task.get_coro()) for task in asyncio.all_tasks() - tasks)
            assert "CallResults" not in left
            assert "ResultStream" not in left
            assert "LazyInput" not in left
            step += 1 if step < 60 else 7
        await nothing_is_left(exotel, tasks)
    assert finished_at > 20


async def test_cancelled_again_while_it_is_left(emulator: Emulator, exotel: AsyncExotel) -> None:
    sids = finished(emulator, 200)
    cleaned = []

    async def source() -> AsyncIterator[str]:
        try:
            for sid in sids:
                yield sid
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            cleaned.append(True)

    tasks = asyncio.all_tasks()
    consumer = asyncio.create_task(read_all(exotel, source()))
    while not emulator.requests:
        await asyncio.sleep(0.01)
    for _ in range(2):
        consumer.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await consumer
    await nothing_is_left(exotel, tasks)
    assert cleaned, "its clean-up was not disturbed"


async def test_who_reads_on_after_the_block_is_told(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    async def idle() -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""

    async with exotel.calls.get_many(idle()) as results:
        elsewhere = asyncio.create_task(anext(results))
        await asyncio.sleep(0.01)
    with pytest.raises(RuntimeError, match="left"):
        await elsewhere
    assert [result async for result in results] == []


async def test_who_left_results_behind_is_told_so(emulator: Emulator, exotel: AsyncExotel) -> None:
    async with exotel.calls.get_many(finished(emulator, 250)) as results:
        async with asyncio.timeout(SOON):
            while any("ResultStream" in repr(task.get_coro()) for task in asyncio.all_tasks()):
                await asyncio.sleep(0.01)
        taken = [await anext(results) for _ in range(100)]
    assert all(result.call for result in taken)
    with pytest.raises(RuntimeError, match="left"):
        await anext(results)
    assert [result async for result in results] == []


async def test_cancelling_all_tasks_ends_the_stream(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    async with exotel.calls.get_many(finished(emulator, 3_000)) as results:
        await anext(results)
        for worker in results._workers._tasks:
            worker.cancel()
        with pytest.raises(ConfigurationError, match="cancelled"):
            async with asyncio.timeout(SOON):
                while True:
                    await anext(results)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["list", "idle"])
async def test_the_session_is_closed_in_the_middle(emulator: Emulator, source: str) -> None:
    sids = finished(emulator, 5_000)

    async def idle() -> AsyncIterator[str]:
        for sid in sids[:1_000]:
            yield sid
        await asyncio.Event().wait()

    tasks = asyncio.all_tasks()
    exotel = session(emulator, rate_limit=RateLimit(20, per=1.0))
    found: list[CallResult] = []
    with pytest.raises(ConfigurationError, match="closed"):
        async with asyncio.timeout(SOON):
            async with exotel.calls.get_many(sids if source == "list" else idle()) as results:
                async for result in results:
                    found.append(result)
                    if len(found) == 200:
                        await exotel.aclose()
    assert all(result.call for result in found)
    assert len(found) < 1_000 + 100
    assert asyncio.all_tasks() == tasks


async def test_closing_ends_a_stream_whose_input_gives_no_more(emulator: Emulator) -> None:
    (sid,) = finished(emulator, 1)

    async def idle() -> AsyncIterator[str]:
        yield sid
        await asyncio.Event().wait()

    exotel = session(emulator)
    async with asyncio.timeout(SOON), exotel.calls.get_many(idle()) as results:
        assert (await anext(results)).sid == sid
        await exotel.aclose()
        with pytest.raises(ConfigurationError, match="closed"):
            await anext(results)


async def test_a_closed_session_says_so_at_once(emulator: Emulator) -> None:
    exotel = session(emulator)
    await exotel.aclose()
    for options in ({}, {"since": datetime.now(UTC) - timedelta(days=3)}):
        with pytest.raises(ConfigurationError, match="closed"):
            await read_all(exotel, unknown(3), **options)


@pytest.mark.parametrize("ranged", [False, True])
async def test_a_limiter_that_breaks_does_not_leave_anybody_waiting(
    emulator: Emulator, ranged: bool
) -> None:
    class Broken(TokenBucket):
        async def acquire(self, *args: Any, **options: Any) -> Permit:
            raise OSError("no limiter")

    tasks = asyncio.all_tasks()
    since = datetime.now(UTC) - timedelta(days=3) if ranged else None
    async with session(emulator, rate_limit=Broken()) as exotel:
        async with asyncio.timeout(SOON):
            with pytest.raises(OSError, match="no limiter"):
                await read_all(exotel, unknown(300), since=since)
    assert asyncio.all_tasks() == tasks


async def test_it_lets_others_go_first(emulator: Emulator) -> None:
    sids = finished(emulator, 2_000)
    async with (
        session(emulator, rate_limit=RateLimit(200, per=60)) as exotel,
        exotel.calls.get_many(sids) as results,
    ):
        await anext(results)
        assert exotel.limiter.statistics().waiting_bulk > 0
        ahead = len(emulator.requests)
        await exotel.account.balance()
        arrived = ["Balance" in request.path for request in emulator.requests[ahead:]]
        assert arrived.index(True) <= 2


async def test_a_stream_is_freed_with_its_last_reference(exotel: AsyncExotel) -> None:
    unused, used = exotel.calls.get_many(["a"]), exotel.calls.get_many([])
    async with used as results:
        assert [result async for result in results] == []
    del results
    gc.disable()
    try:
        alive = [weakref.ref(unused), weakref.ref(used)]
        del unused, used
        assert [one() for one in alive] == [None, None]
    finally:
        gc.enable()

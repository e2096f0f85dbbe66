"""What is new since the last time: each call once, and once more for each time it has changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exotel_async import Call, InvalidRequest, ServerError
from exotel_async.calls.changes_token import LOOK_BACK, Checkpoint, Reading, read_token, write_token
from exotel_async.calls.list_resume import to_base64
from exotel_async.emulator import Dial, Emulator, Fault
from exotel_async.emulator.calls import EmulatedCall
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, session

MINUTE, HOUR, DAY = 60, 3_600, 86_400
PLENTY: dict[str, Any] = {"rate": 1_000_000}
DIAL = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE)
START = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=20)


def go_to(emulator: Emulator, second: float) -> None:
    """Let it be that many seconds after the emulator's start, from where its clock goes on."""
    emulator.clock._zero = time.monotonic() - second


def dialled(emulator: Emulator, at: float, ended: float, settled: float) -> EmulatedCall:
    """Enter a call of those moments."""
    ago = timedelta(seconds=emulator.clock.elapsed() - at)
    call = emulator.add_call(DIAL, ago=ago)
    call.timeline = attrs.evolve(call.timeline, ended=ended - at, settle=round(settled - ended))
    return call


def seen(call: EmulatedCall) -> str | None:
    """What a list shows of it."""
    if not call.ended:
        return None
    return "settled" if call.settled else "ended"


def told(call: Call) -> str:
    """The same, of a call that was read."""
    return "ended" if call.duration is None else "settled"


# Against a model


def lives(random: Random, until: int) -> Iterator[tuple[float, float, float]]:
    """Calls at random: some dense, some long, prices late. All happens between the minutes."""
    minute = 0.0
    while minute < until:
        length = random.choice([0, 0, 1, 3, 30, random.randrange(240), 239])
        late = random.randrange(1, 15)
        yield (minute * 60 + 40, (minute + length) * 60 + 45, (minute + length + late) * 60 + 50)
        minute += random.choice([0, 0, 1, 2, 5, 20, random.randrange(900)])


@pytest.mark.slow(9)
@pytest.mark.parametrize("seed", range(12))
async def test_the_union_is_exact_whatever_settles_late_and_whatever_is_missed(seed: int) -> None:
    random = Random(seed)
    floor = random.choice([0, 7 * HOUR])
    async with Emulator(now=START, **PLENTY) as emulator:
        calls = [dialled(emulator, *life) for life in lives(random, 5 * 24 * 60)]
        given: dict[str, str] = {}
        token: str | None = None
        minute, end = random.randrange(1, 2_000), 6 * 24 * 60
        while True:
            minute = min(minute, end)
            go_to(emulator, minute * 60)
            due = {
                call.sid: word
                for call in calls
                if call.at >= floor and (word := seen(call)) and given.get(call.sid) != word
            }
            async with session(emulator) as exotel:
                since = token or START + timedelta(seconds=floor)
                changes = exotel.calls.changes(since=since, page_size=random.choice([3, 100]))
                stop = random.choice([0, 1, 5, 20, None, None]) if minute < end else None
                async with aclosing(aiter(changes)) as reader:  # type: ignore[type-var]
                    while stop is None or stop > 0:
                        if (call := await anext(reader, None)) is None:
                            break
                        # New, or changed: never again what was given.
                        assert due.pop(call.sid) == told(call)
                        given[call.sid] = told(call)
                        stop = None if stop is None else stop - 1
                token = changes.token
                assert stop is not None or not due
            if minute == end:
                break
            # Now and then just before something settles.
            late = random.choice(calls)
            settling = int(late.at + late.timeline.settled) // 60
            step = random.choice([1, 3, 20, 300, random.randrange(1, 3_000), settling - minute])
            minute += max(1, step)
        assert given == {call.sid: "settled" for call in calls if call.at >= floor}


async def test_a_night_is_caught_up_with_by_few_requests_and_a_quiet_hour_by_one() -> None:
    async with Emulator(now=START, **PLENTY) as emulator:
        for n in range(150):
            dialled(emulator, n * 600, n * 600 + 60, n * 600 + 180)
        go_to(emulator, 20 * HOUR)
        async with session(emulator) as exotel:
            changes = exotel.calls.changes(since=START)
            first = [call.sid async for call in changes]
            assert len(first) == 121 - 1
            # The object goes on by itself, and so does its token in another process.
            assert [call async for call in changes] == []
        token = changes.token
        assert token is not None
        # 25 calls lie in the hours that are read again.
        assert len(token) < 26 * 11 + 120
        go_to(emulator, 30 * HOUR)
        async with session(emulator) as exotel:
            asked = len(emulator.requests)
            later = [page async for page in exotel.calls.changes(since=token).pages()]
            # The clock, and the hours since.
            assert len(emulator.requests) - asked == 2
        assert sum(len(page.calls) for page in later) == 30
        assert {page.total for page in later} == {None}
        query = emulator.requests[-1].query["DateCreated"]
        assert query.startswith(f"gte:{emulator.clock.wall(20 * HOUR - 1) - LOOK_BACK:%Y-%m-%d %H}")


async def test_what_is_given_is_what_the_filters_let_through() -> None:
    async with Emulator(now=START, seed=3, **PLENTY) as emulator:
        for n in range(60):
            emulator.add_call(DIAL, ago=timedelta(seconds=-n))
        go_to(emulator, 5 * HOUR)
        statuses = {sid: call.status for sid, call in emulator.calls.items()}
        async with session(emulator) as exotel:
            changes = exotel.calls.changes(since=START, status=["busy", "no-answer"])
            found = {call.sid: str(call.status) async for call in changes}
            assert found == {s: w for s, w in statuses.items() if w in {"busy", "no-answer"}}
            assert len(set(found.values())) == 2
            for other in (
                {},
                {"status": "busy"},
                {"status": ["busy", "no-answer"], "details": True},
            ):
                with pytest.raises(InvalidRequest, match="is a token for other calls"):
                    exotel.calls.changes(since=changes.token, **other)
            exotel.calls.changes(since=changes.token, status=("no-answer", "busy"), page_size=7)


async def test_a_page_that_cannot_be_had_loses_nothing() -> None:
    async with Emulator(now=START, **PLENTY) as emulator:
        for n in range(60):
            dialled(emulator, n, n + 1, n + 2)
        go_to(emulator, HOUR)
        async with session(emulator) as exotel:
            changes = exotel.calls.changes(since=START, page_size=20)
            emulator.faults.add(Fault.answer(500), after=2, times=4)  # as often as it is tried
            found: list[str] = []
            with pytest.raises(ServerError):
                async for call in changes:
                    found.append(call.sid)  # noqa: PERF401 - those before the error count
            assert len(found) in {20, 40}
            again = exotel.calls.changes(since=changes.token)
            found += [call.sid async for call in again]
        assert found == list(emulator.calls)


async def test_a_gap_beyond_six_months_is_never_passed_over_in_silence() -> None:
    async with Emulator(now=START, **PLENTY) as emulator:
        dialled(emulator, 0, 60, 180)
        go_to(emulator, DAY)
        async with session(emulator) as exotel:
            changes = exotel.calls.changes(since=START)
            assert len([call async for call in changes]) == 1
            assert changes.gap is None
            token = changes.token
        lost = dialled(emulator, 2 * DAY, 2 * DAY + 1, 2 * DAY + 2)
        go_to(emulator, 190 * DAY)
        kept = dialled(emulator, 180 * DAY, 180 * DAY + 1, 180 * DAY + 2)
        async with session(emulator) as exotel:
            changes = exotel.calls.changes(since=token)
            with pytest.raises(InvalidRequest, match="has no more of the calls") as caught:
                [call async for call in changes]
            assert caught.value.argument == "since"
            assert "allow_gap=True" in caught.value.rule
            assert changes.gap is not None
            assert changes.token == token
            # Whoever knows of it reads on.
            changes = exotel.calls.changes(since=token, allow_gap=True)
            assert [call.sid async for call in changes] == [kept.sid]
            assert changes.gap is not None
            first, last = changes.gap
            assert first <= emulator.clock.wall(lost.at) <= last
            assert last < emulator.clock.wall(kept.at)
            assert [call async for call in changes] == []
            assert changes.gap is None


# Tokens


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"[]",
        b"{}",
        b'["changes",1,"d",0]',
        b'["changes",1,"d",0,99999999999999]\n',
        b'["changes",1,"d",0,1e400]\n',
        b'["changes",1,"d",0,-62135596800]\n',
        b'["changes",1,"d",0,"x"]\n',
        b'["changes",1,"d",0,0]\n1234567',
        b'["other",1,"d",0,0]\n',
        b"[" * 99_999,
    ],
)
def test_no_text_is_a_token_by_mistake(written: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"a token of calls\.changes"):
        read_token(to_base64(written), "d")


async def test_tokens_of_lists_and_of_changes_are_told_apart() -> None:
    async with Emulator(now=START, **PLENTY) as emulator, session(emulator) as exotel:
        dialled(emulator, -60, -50, -40)
        records = exotel.calls.list()
        async for _ in records.pages():
            token = records.resume_token
        with pytest.raises(InvalidRequest, match=r"a token of calls\.changes"):
            exotel.calls.changes(since=token)
        for neither in (1_772_430_605, START.date(), b"token"):
            with pytest.raises(InvalidRequest, match=r"a token of calls\.changes"):
                exotel.calls.changes(since=neither)  # type: ignore[arg-type]
        changes = exotel.calls.changes()
        assert changes.token is None
        assert len([call async for call in changes]) == 1
        with pytest.raises(InvalidRequest, match="must be the resume_token of a list"):
            exotel.calls.list(resume=changes.token)
        for wrong in ("", "é", "nonsense", 7, datetime(2026, 1, 1)):  # noqa: DTZ001
            with pytest.raises(InvalidRequest) as caught:
                exotel.calls.changes(since=wrong)  # type: ignore[arg-type]
            assert caught.value.argument == "since"
        with pytest.raises(InvalidRequest, match="allow_gap"):
            exotel.calls.changes(allow_gap="yes")  # type: ignore[arg-type]


MOMENTS = st.integers(0, 1_700_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))


@settings(max_examples=30)
@given(
    since=st.none() | MOMENTS,
    until=st.none() | MOMENTS,
    digests=st.frozensets(st.binary(min_size=8, max_size=8), max_size=9),
    account=st.text(max_size=5),
)
def test_what_is_written_is_read(
    since: datetime | None, until: datetime | None, digests: frozenset[bytes], account: str
) -> None:
    given = Checkpoint(since, until, digests)
    token = write_token(account, given)
    assert token.replace("-", "").replace("_", "").isalnum()
    assert read_token(token, account) == given
    with pytest.raises(InvalidRequest, match="for other calls"):
        read_token(token, f"{account}!")


@given(st.text(max_size=40))
def test_any_text_is_a_token_or_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_token(text, "d")


def record(second: int, **fields: Any) -> Call:
    return Call(
        sid=f"s{second}",
        created_at=datetime.fromtimestamp(second, UTC),
        raw={"Sid": f"s{second}", **fields},
    )


def test_a_signed_link_that_differs_is_no_change() -> None:
    reading = Reading(Checkpoint(None), None)
    assert reading.advance(record(5, PreSignedRecordingUrl="https://a"))
    again = Reading(reading.checkpoint(), None)
    assert not again.advance(record(5, PreSignedRecordingUrl="https://b"))
    assert again.advance(record(5, PreSignedRecordingUrl="https://b", Price="1.500"))


def test_no_more_is_remembered_than_may_still_change() -> None:
    reading = Reading(Checkpoint(None), None)
    step = int(LOOK_BACK.total_seconds()) // 10
    for n in range(100):
        assert reading.advance(record(n * step))
    assert len(reading.checkpoint().digests) == 11
    # Nor is what another reading had remembered, once it is passed.
    again = Reading(reading.checkpoint(), None)
    for n in range(89, 200):
        assert again.advance(record(n * step)) is (n >= 100)
    assert len(again.checkpoint().digests) == 11
    # A clock that was put back takes nothing away.
    again = Reading(reading.checkpoint(), None)
    again.end(datetime.fromtimestamp(0, UTC))
    assert again.checkpoint() == reading.checkpoint()

"""What became of a dial whose answer was lost: nobody may be told that there was none too soon."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import httpx
import pytest

from exotel_async import (
    IST,
    AsyncExotel,
    AuthenticationError,
    Call,
    CallAmbiguous,
    CallFound,
    CallNotFound,
    CallOutcomeUnknown,
    CallStatus,
    ConfigurationError,
    Direction,
    InvalidRequest,
    Priority,
    RetryPolicy,
    ServerError,
    Timeouts,
)
from exotel_async.calls import seen
from exotel_async.calls.reconcile_claims import LostDials
from exotel_async.calls.reconcile_evidence import Records
from exotel_async.calls.reconcile_match import DialSignature, Match
from exotel_async.calls.reconcile_scan import DialWindow
from exotel_async.calls.seen import SeenCalls
from exotel_async.emulator import Dial, Emulator, Fault, Garbage, Scenario
from exotel_async.http import outcome, pipeline, server_clock
from exotel_async.masking import mask_number
from exotel_async.wire.time_range import TimeRange
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, SOON, session

DIAL = "Calls/connect"
FAST = 0.05  # seconds between looks
SHORT = Scenario.all_answered(ring=2, talk=2)  # seconds of the emulator
LONG = Scenario.all_answered(ring=2, talk=36_000)
QUARTER = timedelta(minutes=15)
ABOUT = 2  # seconds: Exotel's clock is shown in whole ones
SIP = "sip:alice@pbx.example"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """A local Exotel twenty times as fast as time, with calls of some tenths of a second."""
    async with Emulator(speed=20, scenario=SHORT, rate=100_000) as emulator:
        yield emulator


@pytest.fixture
async def slow() -> AsyncIterator[Emulator]:
    """One whose clock may be met after the dial, for it does not run away that fast."""
    async with Emulator(speed=2, scenario=SHORT, rate=100_000) as emulator:
        yield emulator


@pytest.fixture
async def exotel(emulator: Emulator) -> AsyncIterator[AsyncExotel]:
    """A session that has met its emulator: the clock of one that is fast must be known in time."""
    async with session(emulator) as exotel:
        await exotel.account.balance()
        yield exotel


async def lost(
    exotel: AsyncExotel,
    emulator: Emulator,
    fault: Fault | None = None,
    *,
    from_: str = AGENT,
    to: str | None = CUSTOMER,
    **options: Any,
) -> CallOutcomeUnknown:
    """Dial, and lose the answer."""
    emulator.faults.add(fault or Fault.act_then_drop(), path=DIAL)
    with pytest.raises(CallOutcomeUnknown) as caught:
        if to is None:
            await exotel.calls.connect_to_flow(from_, flow=926, caller_id=EXOPHONE, **options)
        else:
            await exotel.calls.connect(from_, to, caller_id=EXOPHONE, **options)
    return caught.value


async def test_a_lost_dial_is_noted_when_nothing_can_be_imported_any_more(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without a free file descriptor, or while another version is installed."""
    emulator.faults.add(Fault.act_then_stall(), path=DIAL)
    async with session(emulator) as exotel:
        dial = asyncio.create_task(
            exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE, timeout=0.5)
        )
        await until(lambda: len(emulator.calls) == 1)
        for name in [name for name in sys.modules if name.startswith("exotel_async.calls.")]:
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(CallOutcomeUnknown):
            await dial
        monkeypatch.undo()
        assert len(exotel.calls.parts().reconciler._dials._dials) == 1
        await exotel.aclose(grace=0)  # the response never comes


async def not_made(exotel: AsyncExotel, emulator: Emulator, **options: Any) -> CallOutcomeUnknown:
    """Dial, and lose the dial itself."""
    return await lost(exotel, emulator, Fault.drop_before(), **options)


def back(error: CallOutcomeUnknown, by: timedelta) -> CallOutcomeUnknown:
    """Return what it would be if it had happened before."""
    earlier = copy.copy(error)
    earlier.sent_at, earlier.lost_at = error.sent_at - by, error.lost_at - by
    # In most tests our clock is Exotel's, and in the others it is wrong since.
    earlier.clock_offset = timedelta()
    return earlier


def starred(error: CallOutcomeUnknown) -> CallOutcomeUnknown:
    """Return what it would be if its numbers had been written down masked."""
    masked = copy.copy(error)
    masked.from_, masked.caller_id = mask_number(error.from_), mask_number(error.caller_id)
    masked.to = error.to and mask_number(error.to)
    return masked


def another_dials(emulator: Emulator, *, ago: float = 0.0, **changes: Any) -> str:
    """Have the same parties called by somebody else, and return the SID."""
    dial: dict[str, Any] = {"from_": AGENT, "to": CUSTOMER, "caller_id": EXOPHONE}
    return emulator.add_call(Dial(**(dial | changes)), ago=timedelta(seconds=ago)).sid


def found(how: object) -> str:
    assert isinstance(how, CallFound), how
    return how.call.sid


def made(emulator: Emulator) -> str:
    """The one call there is."""
    [sid] = emulator.calls
    return sid


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON):
        while not what():
            await asyncio.sleep(0.005)


async def listed(exotel: AsyncExotel, emulator: Emulator) -> None:
    """All calls are over, and so long ago that a list may reach up to them."""
    await emulator.finish_calls()
    newest = max(call.at for call in emulator.calls.values())
    await until(lambda: emulator.clock.elapsed() > newest + 3)
    await exotel.account.balance()


def reads(emulator: Emulator) -> int:
    return sum(r.method == "GET" and "/Calls" in r.path for r in emulator.requests)


# Found


@pytest.mark.slow(4)
@pytest.mark.parametrize(
    "fault",
    [
        Fault.act_then_drop(),
        Fault.act_then_stall(1.0),
        Fault.act_then_status(504),
        Fault.act_then_garbage(Garbage.EMPTY),
        Fault.act_then_garbage(Garbage.HTML),
        Fault.act_then_garbage(Garbage.XML),
        Fault.act_then_garbage(Garbage.TRUNCATED),
        Fault.act_then_cut(),
    ],
    ids=["drop", "stall", "504", "empty", "html", "xml", "truncated", "cut"],
)
@pytest.mark.parametrize("to", [CUSTOMER, None])
async def test_the_call_is_found(emulator: Emulator, fault: Fault, to: str | None) -> None:
    async with session(emulator, timeout=Timeouts(read=0.4)) as exotel:
        await exotel.account.balance()
        error = await lost(exotel, emulator, fault, to=to)
        async with asyncio.timeout(SOON):
            assert found(await exotel.calls.reconcile(error, interval=FAST)) == made(emulator)


async def test_one_that_goes_on_is_waited_for(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = LONG
    error = await lost(exotel, emulator)
    task = asyncio.create_task(exotel.calls.reconcile(error, interval=FAST))
    await until(lambda: reads(emulator) >= 3)
    assert not task.done()
    await emulator.finish_calls()
    how = await task
    assert found(how) == made(emulator)
    assert isinstance(how, CallFound)
    assert how.call.is_final


async def test_one_that_goes_on_is_found_where_the_list_has_it(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario, emulator.bulk_live = LONG, True
    error = await lost(exotel, emulator)
    how = await exotel.calls.reconcile(error, timeout=5, interval=FAST)
    assert found(how) == made(emulator)
    assert isinstance(how, CallFound)
    assert not how.call.is_final


async def test_one_look_is_enough_for_one_that_is_over(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    error = await lost(exotel, emulator)
    await listed(exotel, emulator)
    assert found(await exotel.calls.reconcile(error, timeout=0)) == made(emulator)
    assert reads(emulator) == 1


@pytest.mark.slow(2)
@pytest.mark.parametrize("echo", ["national", "e164", "as-sent"])
@pytest.mark.parametrize(
    ("from_", "to"),
    [
        ("+919812300002", "+919812300001"),
        ("09812300002", "9812300001"),
        ("919812300002", "098123 00001"),
        (SIP, "+919812300001"),
        ("+14155550100", "+442071838750"),
    ],
)
async def test_numbers_are_the_same_in_every_spelling(
    emulator: Emulator, exotel: AsyncExotel, from_: str, to: str, echo: Any
) -> None:
    emulator.echo_numbers = echo
    error = await lost(exotel, emulator, from_=from_, to=to)
    another_dials(emulator, from_="+919812300003", to=to)
    another_dials(emulator, from_=from_, to="+919812300003")
    await listed(exotel, emulator)
    assert found(await exotel.calls.reconcile(error, timeout=0)) == next(iter(emulator.calls))


@pytest.mark.parametrize("flow_to", ["exophone", "null"])
async def test_calls_to_a_flow_are_told_from_those_between_two(
    emulator: Emulator, exotel: AsyncExotel, flow_to: Any
) -> None:
    emulator.flow_to = flow_to
    error = await lost(exotel, emulator, to=None)
    another_dials(emulator)
    await listed(exotel, emulator)
    assert found(await exotel.calls.reconcile(error, timeout=0)) == next(iter(emulator.calls))


@pytest.mark.slow(3)
@pytest.mark.parametrize("to", [CUSTOMER, None])
async def test_an_error_that_was_pickled_will_do(slow: Emulator, to: str | None) -> None:
    async with session(slow) as exotel:
        await exotel.account.balance()
        error = pickle.loads(pickle.dumps(await lost(exotel, slow, to=to)))  # noqa: S301
        assert (error.from_, error.to, error.caller_id) == (AGENT, to, EXOPHONE)
        another_dials(slow, from_="+919812300003", to=to)
        await listed(exotel, slow)
    async with session(slow) as another:
        assert found(await another.calls.reconcile(error, timeout=0)) == next(iter(slow.calls))


@pytest.mark.slow
@pytest.mark.parametrize("hours", [-1, 1])
async def test_our_clock_may_be_wrong(hours: int) -> None:
    now = datetime.now(UTC) + timedelta(hours=hours)
    async with Emulator(now=now) as emulator, session(emulator) as exotel:
        error = await lost(exotel, emulator)
        await emulator.finish_calls()
        assert found(await exotel.calls.reconcile(error, interval=FAST)) == made(emulator)
        before = emulator.clock.now()
        error = await not_made(exotel, emulator)
        after = emulator.clock.now()
        how = await exotel.calls.reconcile(error, timeout=0)
    assert isinstance(how, CallNotFound)
    assert not how.certain
    about = timedelta(seconds=ABOUT)
    assert before - about <= how.certain_at - timedelta(hours=4) - QUARTER <= after + about


@pytest.mark.parametrize("hours", [-1, 0, 1])
@pytest.mark.parametrize("is_known", [True, False])
async def test_the_clock_of_another_machine_may_have_been_wrong(
    emulator: Emulator, hours: int, is_known: bool
) -> None:
    """Its error tells how wrong; where it does not, nothing is certain."""
    off = timedelta(hours=hours)
    dialled_at = datetime.now(UTC) - timedelta(minutes=100)
    error = _error(
        sent_at=dialled_at - off,
        lost_at=dialled_at - off,
        time_limit=timedelta(seconds=60),
        clock_offset=off if is_known else None,
        account_sid=emulator.account_sid,
    )
    error = pickle.loads(pickle.dumps(error))  # noqa: S301
    async with session(emulator) as exotel:
        await exotel.account.balance()
        how = await exotel.calls.reconcile(error, timeout=0)
        assert isinstance(how, CallNotFound)
        assert how.certain is is_known
        assert abs(how.certain_at - dialled_at - QUARTER) <= timedelta(minutes=2) or not is_known
    # Of what was dialled when that clock showed it, and when Exotel's did, the one is meant.
    wrong = another_dials(emulator, ago=(100 + hours * 60) * 60) if hours else None
    async with session(emulator) as exotel:
        await exotel.account.balance()
        how = await exotel.calls.reconcile(error, timeout=0)
        if is_known or wrong is None:
            assert isinstance(how, CallNotFound)
        else:
            assert isinstance(how, CallAmbiguous)
            assert [call.sid for call in how.candidates] == [wrong]
    right = another_dials(emulator, ago=100 * 60)
    async with session(emulator) as exotel:
        await exotel.account.balance()
        how = await exotel.calls.reconcile(error, timeout=0)
        if is_known:
            assert found(how) == right
        else:
            assert isinstance(how, CallAmbiguous)


@pytest.mark.parametrize("ahead", [*map(timedelta, (-400, -2, 0, 2, 400)), timedelta(hours=1)])
async def test_times_by_exotels_clock_are_exact_whatever_ours_shows(ahead: timedelta) -> None:
    """A ledger that keeps Exotel's time is read on a machine whose clock is anything."""
    now = datetime.now(UTC) - ahead
    async with Emulator(now=now, scenario=SHORT) as emulator:
        kept: dict[str, Any] = {
            "time_limit": timedelta(seconds=60),
            "clock_offset": timedelta(0),
            "account_sid": emulator.account_sid,
        }
        dialled_at = now - timedelta(minutes=100)
        error = _error(sent_at=dialled_at, lost_at=dialled_at, **kept)
        just_now = _error(sent_at=now - timedelta(minutes=10), lost_at=now, **kept)
        if ahead > timedelta():  # by our clock it would be this one
            another_dials(emulator, ago=100 * 60 + ahead.total_seconds())
        async with session(emulator) as exotel:
            how = await exotel.calls.reconcile(error, timeout=0)
            assert how == CallNotFound(True, dialled_at + timedelta(seconds=60) + QUARTER)
            how = await exotel.calls.reconcile(just_now, timeout=0)
            assert how == CallNotFound(False, now + timedelta(seconds=60) + QUARTER)
        right = another_dials(emulator, ago=100 * 60)
        async with session(emulator) as exotel:
            assert found(await exotel.calls.reconcile(error, timeout=0)) == right


async def test_what_was_known_of_exotels_clock_may_be_old(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    """This machine has slept: time has passed, but not by the clock that counts seconds."""
    error = back(await not_made(exotel, emulator, time_limit=60), timedelta(minutes=20))
    exotel.calls.parts().reconciler._evidence.note_lost(error)
    sid = another_dials(emulator, ago=20 * 60)
    await emulator.finish_calls()
    slept = datetime.now(UTC) - timedelta(hours=1)
    exotel._pipeline.server_clock.saw(format_datetime(slept, usegmt=True))
    assert found(await exotel.calls.reconcile(error, timeout=0)) == sid


@pytest.mark.parametrize("hours", [-1, 1])
async def test_our_clock_may_be_put_right_meanwhile(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """What it has shown is wrong, and what is known of Exotel's clock is so by now."""

    class WrongClock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=hours)

    for module in (pipeline, outcome, server_clock):
        monkeypatch.setattr(module, "datetime", WrongClock)
    error = await lost(exotel, emulator)
    assert abs(error.sent_at - datetime.now(UTC)) > timedelta(minutes=59)
    monkeypatch.undo()
    await listed(exotel, emulator)
    assert found(await exotel.calls.reconcile(error, timeout=0)) == made(emulator)


@pytest.mark.parametrize("hours", [-1, 1])
async def test_our_clock_may_be_set_while_a_dial_is_in_flight(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """It begins by another clock than it ends by, and than Exotel is ahead of."""
    ahead = timedelta()

    class OurClock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + ahead

    def set_clock(_: object) -> tuple[float, float]:
        nonlocal ahead
        ahead = timedelta(hours=hours)
        return 0.0, 0.0

    for module in (pipeline, outcome, server_clock):
        monkeypatch.setattr(module, "datetime", OurClock)
    await exotel.account.balance()
    emulator.latency = set_clock
    error = await lost(exotel, emulator)
    assert error.sent_at <= error.lost_at
    await listed(exotel, emulator)
    assert found(await exotel.calls.reconcile(error, timeout=0)) == made(emulator)


async def test_the_sid_in_a_damaged_answer_is_enough(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = LONG
    error = await lost(exotel, emulator, Fault.act_then_garbage(Garbage.XML))
    assert found(await exotel.calls.reconcile(error)) == made(emulator)
    assert reads(emulator) == 1
    emulator.forget(made(emulator))
    assert found(await exotel.calls.reconcile(error)) == error.sid


# An answer that came too late


@pytest.mark.slow(1)
async def test_an_answer_that_comes_late_is_no_answer_to_another_dial(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.latency = lambda _: (0.0, 1.0)
    with pytest.raises(CallOutcomeUnknown) as caught:
        await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE, timeout=0.5)
    error = caught.value
    written_down = pickle.dumps(error)
    await until(lambda: error.sid)
    emulator.latency = None
    await listed(exotel, emulator)
    assert found(await exotel.calls.reconcile(error)) == made(emulator)
    # Nor does it make one that was written down before a dial that never was.
    error = pickle.loads(written_down)  # noqa: S301
    assert error.sid is None
    assert found(await exotel.calls.reconcile(error, timeout=0)) == made(emulator)


@pytest.mark.slow(1)
async def test_an_answer_that_comes_late_ends_the_search(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = LONG
    await exotel.account.balance()
    emulator.faults.add(Fault.act_then_stall(1.0), path=DIAL)
    with pytest.raises(CallOutcomeUnknown) as caught:
        await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE, timeout=0.5)
    async with asyncio.timeout(SOON):
        assert found(await exotel.calls.reconcile(caught.value, interval=60)) == made(emulator)


# Not found


@pytest.mark.parametrize("timeout", [0, 0.3])
async def test_it_is_not_certain_while_it_may_go_on(
    emulator: Emulator, exotel: AsyncExotel, timeout: float
) -> None:
    emulator.scenario = LONG
    error = await lost(exotel, emulator)
    lost_by = emulator.clock.now()
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(SOON):
        how = await exotel.calls.reconcile(error, timeout=timeout, interval=FAST)
    assert asyncio.get_running_loop().time() - began >= timeout
    assert isinstance(how, CallNotFound)
    assert not how.certain
    at = how.certain_at - timedelta(hours=4) - QUARTER
    assert emulator.clock.wall(-ABOUT) <= at <= lost_by + timedelta(seconds=ABOUT)


@pytest.mark.slow(7)
@pytest.mark.parametrize("limit", [600, None])
async def test_it_is_certain_once_every_call_must_be_listed(limit: int | None) -> None:
    async with Emulator() as emulator, session(emulator) as exotel:
        error = await not_made(exotel, emulator, time_limit=limit)
        longest = timedelta(seconds=limit or 4 * 3600)
        error = back(error, longest + QUARTER - timedelta(seconds=2.5))
        how = await exotel.calls.reconcile(error, timeout=0.2, interval=FAST)
        assert isinstance(how, CallNotFound)
        assert not how.certain
        async with asyncio.timeout(SOON):
            how = await exotel.calls.reconcile(error)
        assert isinstance(how, CallNotFound)
        assert how.certain
        assert abs(how.certain_at - error.lost_at - longest - QUARTER) < timedelta(seconds=3)
        assert how.certain_at <= datetime.now(UTC)


async def test_it_is_certain_by_exotels_clock_and_not_by_ours() -> None:
    """A clock that is ahead would have us dial somebody who is still on the line."""
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    async with Emulator(now=an_hour_ago) as emulator, session(emulator) as exotel:
        error = await not_made(exotel, emulator, time_limit=600)
        error = back(error, timedelta(minutes=24))
        how = await exotel.calls.reconcile(error, timeout=0)
    assert isinstance(how, CallNotFound)
    assert not how.certain


async def test_without_exotels_clock_nothing_is_certain(emulator: Emulator) -> None:
    async def strip(response: httpx.Response) -> None:
        del response.headers["date"]

    client = httpx.AsyncClient(event_hooks={"response": [strip]})
    async with client, session(emulator, http_client=client) as exotel:
        error = back(await not_made(exotel, emulator, time_limit=60), timedelta(hours=1))
        how = await exotel.calls.reconcile(error, interval=FAST)
    assert isinstance(how, CallNotFound)
    assert not how.certain


@pytest.mark.parametrize(
    "changes",
    [
        {"from_": CUSTOMER, "to": AGENT},
        {"to": "+919812300009"},
        {"from_": "+919812300009"},
        {"ago": 20},
        {"ago": -200},
    ],
    ids=str,
)
async def test_other_calls_of_the_same_parties_are_not_meant(changes: dict[str, Any]) -> None:
    async with Emulator() as emulator, session(emulator) as exotel:
        error = back(await not_made(exotel, emulator, time_limit=60), timedelta(minutes=20))
        ago = 20 * 60 + changes.pop("ago", 0)
        another_dials(emulator, ago=ago, **changes)
        await emulator.finish_calls()
        how = await exotel.calls.reconcile(error, timeout=0)
    assert isinstance(how, CallNotFound)
    assert how.certain


@pytest.mark.parametrize("direction", ["inbound", "outbound-dial"])
async def test_one_that_is_alike_but_for_its_direction_is_no_certain_absence(
    direction: str,
) -> None:
    async with Emulator() as emulator, session(emulator) as exotel:
        error = back(await not_made(exotel, emulator, time_limit=60), timedelta(minutes=20))
        sid = another_dials(emulator, ago=20 * 60, direction=direction)
        await emulator.finish_calls()
        how = await exotel.calls.reconcile(error, timeout=0)
        assert isinstance(how, CallAmbiguous)
        assert [call.sid for call in how.candidates] == [sid]
        # One that is quite alike is more likely.
        sid = another_dials(emulator, ago=20 * 60)
        await emulator.finish_calls()
        assert found(await exotel.calls.reconcile(error, timeout=0)) == sid


def page(*rows: dict[str, Any], total: int) -> bytes:
    metadata = {"Total": total, "PageSize": 100, "NextPageUri": None}
    return httpx.Response(200, json={"Metadata": metadata, "Calls": list(rows)}).content


async def test_nothing_is_certain_where_rows_are_missing() -> None:
    """What the service counts and does not show may be the call, or another one like it."""
    async with Emulator() as emulator, session(emulator) as exotel:
        await exotel.account.balance()
        ago, options = timedelta(minutes=20), {"time_limit": 60, "custom_field": "order-7"}
        error = back(await not_made(exotel, emulator, **options), ago)
        emulator.faults.add(Fault.act_then_body(page(total=1)), path="Calls.json")
        how = await exotel.calls.reconcile(error, timeout=0)
        assert isinstance(how, CallNotFound)
        assert not how.certain
        row = ROW | {"DateCreated": f"{error.sent_at.astimezone(IST):%Y-%m-%d %H:%M:%S}"}
        emulator.faults.add(Fault.act_then_body(page(row, total=2)), path="Calls.json")
        how = await exotel.calls.reconcile(error, timeout=0)
        assert isinstance(how, CallAmbiguous)
        assert [call.sid for call in how.candidates] == [ROW["Sid"]]
        # Of the one that carries the custom field that is no question.
        marked = page(row | {"CustomField": "order-7"}, total=2)
        emulator.faults.add(Fault.act_then_body(marked), path="Calls.json")
        assert found(await exotel.calls.reconcile(error, timeout=0)) == ROW["Sid"]


async def test_rows_that_are_missing_may_come_later() -> None:
    async with Emulator() as emulator, session(emulator) as exotel:
        await exotel.account.balance()
        error = await not_made(exotel, emulator)
        emulator.faults.add(Fault.act_then_body(page(ROW, total=2)), path="Calls.json")
        emulator.faults.add(Fault.act_then_body(page(ROW, total=1)), path="Calls.json")
        async with asyncio.timeout(SOON):
            assert found(await exotel.calls.reconcile(error, interval=FAST)) == ROW["Sid"]
    assert emulator.faults.pending == []


async def test_calls_that_were_answered_are_not_meant(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    error = await lost(exotel, emulator)
    await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    await listed(exotel, emulator)
    assert found(await exotel.calls.reconcile(error, timeout=0)) == list(emulator.calls)[1]
    error = await not_made(exotel, emulator)
    await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    await listed(exotel, emulator)
    assert isinstance(await exotel.calls.reconcile(error, timeout=0), CallNotFound)


# Several


async def test_two_that_are_alike_are_ambiguous(emulator: Emulator, exotel: AsyncExotel) -> None:
    errors = [await lost(exotel, emulator) for _ in range(2)]
    await listed(exotel, emulator)
    for error in errors:
        how = await exotel.calls.reconcile(error, timeout=0)
        assert isinstance(how, CallAmbiguous)
        assert [call.sid for call in how.candidates] == list(emulator.calls)


async def test_the_custom_field_decides_where_it_is_shown(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.bulk_extra_columns = True
    errors = [await lost(exotel, emulator, custom_field=f"order-{n}") for n in range(3)]
    plain = await lost(exotel, emulator)
    await listed(exotel, emulator)
    for error, sid in zip([*errors, plain], emulator.calls, strict=True):
        assert found(await exotel.calls.reconcile(error, timeout=0)) == sid
    # A record that shows that it has none is hardly the call, and no proof that there is none.
    sid = another_dials(emulator)
    error = await not_made(exotel, emulator, custom_field="order-9")
    await listed(exotel, emulator)
    how = await exotel.calls.reconcile(error, timeout=0)
    assert isinstance(how, CallAmbiguous)
    assert [call.sid for call in how.candidates] == [sid]


async def test_another_process_is_told_apart_by_the_custom_field_where_it_is_shown(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    others = [another_dials(emulator, custom_field="order-8"), another_dials(emulator)]
    error = await lost(exotel, emulator, custom_field="order-7")
    await listed(exotel, emulator)
    how = await exotel.calls.reconcile(error, timeout=0)
    assert isinstance(how, CallAmbiguous)
    assert [call.sid for call in how.candidates] == list(emulator.calls)
    emulator.bulk_extra_columns = True
    sid = found(await exotel.calls.reconcile(error, timeout=0))
    assert emulator.calls.keys() - {sid} == set(others)


async def test_calls_of_other_orders_are_not_meant(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.bulk_extra_columns = True
    another_dials(emulator, custom_field="order-8")
    error = await not_made(exotel, emulator, custom_field="order-7", time_limit=60)
    await listed(exotel, emulator)
    assert isinstance(await exotel.calls.reconcile(error, timeout=0), CallNotFound)


@pytest.mark.parametrize("placed", [(True, False), (False, True)])
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("pickled", [True, False])
async def test_one_call_is_not_found_for_two_dials(
    emulator: Emulator,
    exotel: AsyncExotel,
    placed: tuple[bool, bool],
    at_once: bool,
    pickled: bool,
) -> None:
    """Neither is the call of the other dial dialled again, nor that dial taken for placed."""
    errors = [await (lost if one else not_made)(exotel, emulator) for one in placed]
    if pickled:
        errors = [pickle.loads(pickle.dumps(error)) for error in errors]  # noqa: S301
    await listed(exotel, emulator)
    searches = [exotel.calls.reconcile(error, timeout=0) for error in errors]
    hows = await asyncio.gather(*searches) if at_once else [await one for one in searches]
    for how in hows:
        assert isinstance(how, CallAmbiguous)
        assert [call.sid for call in how.candidates] == [made(emulator)]


@pytest.mark.slow(6)
@pytest.mark.parametrize("pickled", [True, False])
async def test_a_call_that_was_found_is_not_found_for_a_later_dial(
    slow: Emulator, pickled: bool
) -> None:
    async with session(slow) as exotel:
        await exotel.account.balance()
        first = await lost(exotel, slow)
        await listed(exotel, slow)
        assert found(await exotel.calls.reconcile(first, timeout=0)) == made(slow)
        # By its times it may have made that call as well.
        second = await not_made(exotel, slow)
        assert isinstance(await exotel.calls.reconcile(second, timeout=0), CallNotFound)
        if pickled:
            first = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(first))))  # noqa: S301
        another_dials(slow)
        await listed(exotel, slow)
        sid = next(iter(slow.calls))
        assert found(await exotel.calls.reconcile(first, timeout=0)) == sid


@pytest.mark.slow(3)
@pytest.mark.parametrize("closed", [True, False])
async def test_sessions_of_an_account_know_the_same(slow: Emulator, closed: bool) -> None:
    """Neither finds again what the other has found, or was answered."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(session(slow))
        await one.account.balance()
        first, second = await lost(one, slow), await not_made(one, slow)
        third = await lost(one, slow, to="+919812300003")
        answered = await one.calls.connect(AGENT, "+919812300004", caller_id=EXOPHONE)
        await listed(one, slow)
        mine = list(slow.calls)[1]
        assert found(await one.calls.reconcile(third, timeout=0)) == mine
        if closed:
            await stack.aclose()
        async with session(slow) as other:
            await other.account.balance()
            for error in (first, second):
                how = await other.calls.reconcile(copy.copy(error), timeout=0)
                assert isinstance(how, CallAmbiguous)
            fourth = await not_made(other, slow, to="+919812300003")
            fifth = await not_made(other, slow, to="+919812300004")
            assert answered.sid in slow.calls
            for error in (fourth, fifth):
                how = await other.calls.reconcile(error, timeout=0)
                assert isinstance(how, CallNotFound)
            third = pickle.loads(pickle.dumps(third))  # noqa: S301
            assert found(await other.calls.reconcile(third, timeout=0)) == mine


@pytest.mark.parametrize("left", [True, False])
async def test_a_dial_whose_answer_has_not_come_yet_counts_as_well(
    emulator: Emulator, exotel: AsyncExotel, left: bool
) -> None:
    error = await not_made(exotel, emulator)
    emulator.faults.add(Fault.act_then_stall(), path=DIAL)
    dial = asyncio.create_task(exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE))
    await until(lambda: emulator.calls)
    if left:
        dial.cancel()
    await listed(exotel, emulator)
    how = await exotel.calls.reconcile(error, timeout=0)
    assert isinstance(how, CallAmbiguous)
    assert [call.sid for call in how.candidates] == [made(emulator)]
    dial.cancel()
    await exotel.aclose(0.0)
    assert not list(exotel._pipeline.dials.as_lost())


async def test_a_dial_whose_caller_had_left_counts_as_well(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    orphans: list[Any] = []
    exotel._pipeline.orphans._listener = lambda ended, _: orphans.append(ended)
    emulator.faults.add(Fault.act_then_drop(), path=DIAL)
    emulator.latency = lambda _: (0.0, 0.2)
    dial = asyncio.create_task(exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE))
    await until(lambda: emulator.calls)
    dial.cancel()
    await until(lambda: orphans)
    emulator.latency = None
    other = await not_made(exotel, emulator)
    await listed(exotel, emulator)
    for error in (other, *orphans):
        assert isinstance(await exotel.calls.reconcile(error, timeout=0), CallAmbiguous)


@pytest.mark.slow(1)
async def test_two_errors_of_one_dial_are_of_one_dial(emulator: Emulator) -> None:
    """One when its caller could wait no longer, and one when the exchange was over."""
    errors: list[Any] = []
    timeout = Timeouts(read=1.0)
    async with session(
        emulator, timeout=timeout, on_orphaned_call=lambda ended, _: errors.append(ended)
    ) as exotel:
        await exotel.account.balance()
        emulator.faults.add(Fault.act_then_stall(), path=DIAL)
        with pytest.raises(CallOutcomeUnknown) as caught:
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE, timeout=0.5)
        await until(lambda: errors)
        await listed(exotel, emulator)
        for error in (*errors, caught.value):
            assert found(await exotel.calls.reconcile(error, timeout=0)) == made(emulator)


async def test_the_call_of_a_damaged_answer_is_no_other_dials(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    one = await lost(exotel, emulator, Fault.act_then_garbage(Garbage.XML))
    assert one.sid is not None
    two = await lost(exotel, emulator)
    await listed(exotel, emulator)
    mine, other = emulator.calls
    assert found(await exotel.calls.reconcile(two, timeout=0)) == other
    assert found(await exotel.calls.reconcile(one, timeout=0)) == mine


@pytest.mark.slow(1)
async def test_a_late_answer_settles_which_call_is_whose(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.faults.add(Fault.act_then_stall(1.0), path=DIAL)
    with pytest.raises(CallOutcomeUnknown) as caught:
        await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE, timeout=0.5)
    one = caught.value
    two = await lost(exotel, emulator)
    await until(lambda: one.sid)
    await listed(exotel, emulator)
    mine, other = emulator.calls
    assert one.sid == mine
    assert found(await exotel.calls.reconcile(two, timeout=0)) == other


@pytest.mark.parametrize("shown", ["record", "callback"])
async def test_the_custom_field_tells_two_dials_apart(
    emulator: Emulator, exotel: AsyncExotel, shown: str
) -> None:
    emulator.bulk_extra_columns = shown == "record"
    not_placed = await not_made(exotel, emulator, custom_field="order-7")
    placed = await lost(exotel, emulator, custom_field="order-8")
    await listed(exotel, emulator)
    if shown == "callback":
        exotel.calls.notify(event(emulator, made(emulator)))
    assert isinstance(await exotel.calls.reconcile(not_placed, timeout=0), CallNotFound)
    assert found(await exotel.calls.reconcile(placed, timeout=0)) == made(emulator)


async def test_a_custom_field_of_two_dials_settles_nothing(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    placed = await lost(exotel, emulator, custom_field="campaign-5")
    not_placed = await not_made(exotel, emulator, custom_field="campaign-5")
    exotel.calls.notify(event(emulator, made(emulator)))
    await listed(exotel, emulator)
    for error in (placed, not_placed):
        assert isinstance(await exotel.calls.reconcile(error, timeout=0), CallAmbiguous)


@pytest.mark.parametrize(
    "shown", [{"from_": None}, {"to": None}, {"from_": "XXXXXX"}, {"from_": SIP}], ids=str
)
async def test_nor_does_it_where_the_call_does_not_show_its_parties(
    emulator: Emulator, exotel: AsyncExotel, shown: dict[str, Any]
) -> None:
    errors = [_error(custom_field="campaign-5") for _ in range(2)]
    reconciler = exotel.calls.parts().reconciler
    dials = [reconciler._dials.of(error) for error in errors]
    call = _call(custom_field="campaign-5", **shown)
    assert reconciler._evidence.may_be_anothers(call, dials[0])
    reconciler._dials.found(dials[1], "y")
    assert not reconciler._evidence.may_be_anothers(call, dials[0])


@pytest.mark.slow
async def test_what_was_known_of_exotels_clock_may_be_old_for_the_other_dial(
    slow: Emulator,
) -> None:
    """The times of a dial that nobody has looked for yet are no more certain than one's own."""
    async with session(slow) as exotel:
        wrong = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
        errors = []
        for _ in range(2):
            exotel._pipeline.server_clock.saw(wrong)
            errors.append(await not_made(exotel, slow))
        another_dials(slow)
        await listed(exotel, slow)
        for error in errors:
            how = await exotel.calls.reconcile(error, timeout=0)
            assert isinstance(how, CallAmbiguous)
            assert [call.sid for call in how.candidates] == [made(slow)]


def test_no_reading_of_exotels_clock_is_dropped_for_another() -> None:
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)

    def around(*hours: float) -> DialWindow:
        about = timedelta(minutes=1)
        middles = [noon + timedelta(hours=hour) for hour in hours]
        ranges = tuple(TimeRange(middle - about, middle + about) for middle in middles)
        return DialWindow(ranges, noon + timedelta(hours=max(hours)), is_exact=True)

    three = around(1) | around(0) | around(2)
    assert three == around(0, 1, 2)
    assert three.cover(around(1.005), timedelta(seconds=30))
    assert not three.cover(around(1.01), timedelta(seconds=30))
    assert (three | around(1.01)).ranges[1] == TimeRange(
        three.ranges[1].since, around(1.01).ranges[0].until
    )


async def test_a_custom_field_that_is_not_quite_the_same_settles_nothing(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.bulk_extra_columns = True
    error = await not_made(exotel, emulator, custom_field="lead-1.2")
    sid = another_dials(emulator, custom_field="lead-12")
    await listed(exotel, emulator)
    how = await exotel.calls.reconcile(error, timeout=0)
    assert isinstance(how, CallAmbiguous)
    assert [call.sid for call in how.candidates] == [sid]


async def test_a_dial_that_certainly_was_not_placed_has_no_part_in_it() -> None:
    async with Emulator() as emulator, session(emulator) as exotel:
        ago = timedelta(minutes=20)
        not_placed = back(await not_made(exotel, emulator, time_limit=60), ago)
        assert isinstance(await exotel.calls.reconcile(not_placed), CallNotFound)
        placed = back(await not_made(exotel, emulator), ago)
        sid = another_dials(emulator, ago=20 * 60)
        await emulator.finish_calls()
        assert found(await exotel.calls.reconcile(placed, timeout=0)) == sid


def test_an_answer_outweighs_what_was_found() -> None:
    """The other dial was in flight, and not lost yet, when its call was found for the first."""
    known, searched = SeenCalls(), _error()
    dials = LostDials(known)
    dial = dials.of(searched)
    dials.found(dial, "x")
    assert dials.sid_of(dial) == "x"
    late = dials.of(_error())
    assert dials.is_anothers("x", late)
    dials.answered(late, "x")
    assert dials.sid_of(late) == "x"
    assert dials.sid_of(dial) is None
    dials.found(dial, "y")
    known.dialled(_call(sid="y"))
    assert dials.sid_of(dial) is None


@pytest.mark.slow
def test_old_dials_are_forgotten() -> None:
    dials = LostDials(SeenCalls())
    now = datetime.now(UTC)
    errors = [
        _error(from_=f"+9198{n:08}", sent_at=now + timedelta(seconds=n)) for n in range(10_100)
    ]
    for n, error in enumerate(errors):
        dials.found(dials.of(error), f"{n}")
    assert len(dials._dials) == len(dials._found) == 10_000
    assert sum(map(len, dials._groups.values())) == 10_000
    again = dials.of(errors[0])
    assert not dials.is_anothers("0", again)
    assert dials.is_anothers("9999", again)


@pytest.mark.parametrize(
    "changes",
    [{"from_": "+919812399902"}, {"to": "+919812399901"}, {"caller_id": "08030000009"}],
    ids=str,
)
def test_dials_of_the_same_moment_are_told_apart(changes: dict[str, Any]) -> None:
    dials, one = LostDials(SeenCalls()), _error()
    other = _error(sent_at=one.sent_at, **changes)
    assert dials.of(other) is not dials.of(one)
    for error in (one, other):
        pickled = pickle.loads(pickle.dumps(error))  # noqa: S301
        again = pickle.loads(pickle.dumps(pickled))  # noqa: S301
        assert dials.of(again) is dials.of(pickled) is dials.of(error)


@pytest.mark.slow(3)
@pytest.mark.parametrize("was_found", [True, False])
async def test_an_error_tells_more_than_its_stars(
    slow: Emulator, was_found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the last four digits a call may be another one's."""
    async with session(slow) as exotel:
        await exotel.account.balance()
        error = await not_made(exotel, slow)
        masked = starred(error)
        sid = another_dials(slow, from_="+919999900002")
        await listed(exotel, slow)
    monkeypatch.setattr(seen, "_kept", WeakKeyDictionary())  # another process
    async with session(slow) as another:
        if was_found:
            assert found(await another.calls.reconcile(masked, timeout=0)) == sid
        else:
            another.calls.parts().reconciler._dials.of(masked)
        for one in (error, masked):
            how = await another.calls.reconcile(one, timeout=0)
            assert isinstance(how, CallNotFound)


def test_what_its_own_answer_told_stays_with_a_dial() -> None:
    dials, error = LostDials(SeenCalls()), _error()
    dial = dials.of(pickle.loads(pickle.dumps(error)))  # noqa: S301
    dials.answered(dial, "x")
    dials.found(dial, "x")
    assert dials.sid_of(dials.of(error)) == "x"


def test_a_dial_that_is_lost_again_may_have_been_placed_since() -> None:
    dials, error = LostDials(SeenCalls()), _error()
    dial = dials.of(error)
    dial.is_void = True
    assert dials.of(error).is_void
    again = _error(sent_at=error.sent_at, lost_at=error.lost_at + timedelta(seconds=9))
    assert dials.of(again) is dial
    assert not dial.is_void


async def test_a_dial_that_is_lost_again_while_it_is_looked_for_is_not_void() -> None:
    async with Emulator() as emulator, session(emulator) as exotel:
        await exotel.account.balance()
        error = back(await not_made(exotel, emulator, time_limit=60), timedelta(minutes=20))
        again = copy.copy(error)
        again.lost_at = error.lost_at + timedelta(minutes=18)
        emulator.latency = lambda _: (0.0, 0.3)
        search = asyncio.create_task(exotel.calls.reconcile(error, timeout=0))
        await until(lambda: reads(emulator) == 1)
        dial = exotel.calls.parts().reconciler._dials.of(again)
        how = await search
    assert isinstance(how, CallNotFound)
    assert not how.certain
    assert not dial.is_void
    assert how.certain_at > again.lost_at


def test_an_error_is_not_kept_alive() -> None:
    dials = LostDials(SeenCalls())
    error = _error()
    gone = weakref.ref(error)
    dials.of(error)
    del error
    assert gone() is None


ROW = {
    "Sid": "0a1b2c3d4e5f60718293a4b5c6d71a3j",
    "Status": "completed",
    "Direction": "outbound-api",
    "From": "09812300002",
    "To": "09812300001",
    "PhoneNumberSid": EXOPHONE,
}


@pytest.mark.parametrize(
    "changes",
    [
        {"PhoneNumberSid": "08030000009"},
        {"To": None},
        {"From": "", "To": ""},
        {"To": "XXXXXX0001"},
        {"ParentCallSid": "0a1b2c3d4e5f60718293a4b5c6d71a3k"},
    ],
    ids=str,
)
async def test_one_that_does_not_quite_look_like_it_is_no_certain_absence(
    changes: dict[str, Any],
) -> None:
    async with Emulator() as emulator, session(emulator) as exotel:
        error = back(await not_made(exotel, emulator, time_limit=60), timedelta(minutes=20))
        body = httpx.Response(200, json={"Metadata": {}, "Calls": [ROW | changes]}).content
        emulator.faults.add(Fault.act_then_body(body), path="Calls.json", after=0, times=None)
        how = await exotel.calls.reconcile(error, interval=FAST)
        assert isinstance(how, CallAmbiguous)
        assert [call.sid for call in how.candidates] == [ROW["Sid"]]
        # While the right one may still come, it is waited for.
        error = await not_made(exotel, emulator)
        search = asyncio.create_task(exotel.calls.reconcile(error, interval=FAST))
        await asyncio.sleep(0.3)
        assert not search.done()
        search.cancel()


def _error(**changes: Any) -> CallOutcomeUnknown:
    now = datetime.now(UTC)
    given: dict[str, Any] = {"from_": AGENT, "to": CUSTOMER, "caller_id": EXOPHONE}
    return CallOutcomeUnknown("lost", **({"sent_at": now, "lost_at": now} | given | changes))


def _call(**changes: Any) -> Call:
    given: dict[str, Any] = {
        "sid": "x",
        "direction": Direction.OUTBOUND_API,
        "from_": "09812300002",
        "to": "09812300001",
        "exophone": EXOPHONE,
    }
    return Call(**(given | changes))


@pytest.mark.parametrize(
    ("dialled", "shown", "expected"),
    [
        ({}, {}, Match.ALIKE),
        ({}, {"direction": None}, Match.ALIKE),
        ({}, {"direction": Direction("outbound-campaign")}, Match.ALIKE),
        ({}, {"direction": Direction("Inbound")}, Match.DOUBTFUL),
        ({"custom_field": "7"}, {"raw": {"CustomField": "N/A"}}, Match.DOUBTFUL),
        ({}, {"raw": {"CustomField": "N/A"}}, Match.ALIKE),
        ({}, {"exophone": None}, Match.ALIKE),
        ({}, {"exophone": "+918030000000"}, Match.ALIKE),
        ({}, {"exophone": "PN0123456789"}, Match.ALIKE),
        ({}, {"exophone": "08030000001"}, Match.DOUBTFUL),
        # Numbers
        ({}, {"from_": "9812300002", "to": "+91 98123-00001"}, Match.ALIKE),
        ({}, {"from_": "00919812300002"}, Match.ALIKE),
        ({}, {"from_": "+919812300012"}, Match.ANOTHER),
        ({}, {"to": "sip:09812300001@pbx.example"}, Match.DOUBTFUL),
        ({"from_": "+14155550100"}, {"from_": "14155550100"}, Match.ALIKE),
        ({"from_": "+14155550100"}, {"from_": "0014155550100"}, Match.ALIKE),
        ({"from_": "08030001234"}, {"from_": "30001234"}, Match.ALIKE),
        ({"from_": "100"}, {"from_": "09812300100"}, Match.ANOTHER),
        ({"from_": "100"}, {"from_": "100"}, Match.ALIKE),
        # SIP
        ({"from_": SIP}, {"from_": "SIP:Alice@pbx.example:5060"}, Match.ALIKE),
        ({"from_": SIP}, {"from_": "sip:bob@pbx.example"}, Match.ANOTHER),
        ({"from_": SIP}, {"from_": "09812300002"}, Match.DOUBTFUL),
        # Calls to a flow
        ({"to": None}, {"to": None}, Match.ALIKE),
        ({"to": None}, {"to": "+918030000000"}, Match.ALIKE),
        ({"to": None}, {"to": "09812300001"}, Match.DOUBTFUL),
        # Custom fields
        ({"custom_field": "7"}, {"custom_field": "7"}, Match.MARKED),
        ({"custom_field": "7"}, {"custom_field": "8"}, Match.ANOTHER),
        ({"custom_field": "7"}, {"custom_field": "77"}, Match.ANOTHER),
        ({"custom_field": "7"}, {}, Match.ALIKE),
        ({}, {"custom_field": "7"}, Match.ANOTHER),
        ({"custom_field": "7"}, {"custom_field": "7", "to": None}, Match.MARKED),
        ({"custom_field": "7"}, {"custom_field": "7", "to": "09812300009"}, Match.ANOTHER),
        (
            {"custom_field": '{"Order": "A 7"}'},
            {"custom_field": "{&quot;order&quot;:&quot;A 7&quot;}"},
            Match.MARKED,
        ),
        ({"custom_field": "\u2192"}, {"custom_field": "?"}, Match.ALIKE),
        ({"custom_field": "Lead  12 "}, {"custom_field": "lead 12"}, Match.MARKED),
        ({"custom_field": "a&b"}, {"custom_field": "a&amp;b"}, Match.MARKED),
        ({"custom_field": "lead-1.2"}, {"custom_field": "lead-12"}, Match.DOUBTFUL),
        ({"custom_field": "lead-1-2"}, {"custom_field": "lead-12"}, Match.DOUBTFUL),
        ({"custom_field": "lead 1 2"}, {"custom_field": "lead 12"}, Match.DOUBTFUL),
        (
            {"custom_field": "1.2"},
            {"custom_field": "12", "to": "09812300009"},
            Match.ANOTHER,
        ),
    ],
    ids=str,
)
def test_what_makes_a_call_the_dials(
    dialled: dict[str, Any], shown: dict[str, Any], expected: Match
) -> None:
    error, call = _error(**dialled), _call(**shown)
    assert DialSignature(error).match(call, call.custom_field) is expected
    # And the same from stars, where they suffice.
    assert DialSignature(starred(error)).match(call, call.custom_field) in {expected, Match.ALIKE}


@pytest.mark.parametrize("to", ["+919812300001", "+919812300000", "+919812345600"])
def test_the_zeros_that_are_left_of_a_number_count(to: str) -> None:
    dialled = DialSignature(starred(_error(to=to)))
    assert dialled.match(_call(to=to), None) is Match.ALIKE
    for other in ("+919812300011", "+919812300010"):
        assert dialled.match(_call(to=other), None) is Match.ANOTHER


# Callbacks


def event(emulator: Emulator, of: str, **changes: Any) -> Call:
    """The long callback of a call."""
    call = emulator.calls[of]
    told: dict[str, Any] = {
        "sid": of,
        "status": CallStatus.COMPLETED,
        "from_": call.from_,
        "to": call.to,
        "custom_field": call.custom_field,
        "created_at": emulator.clock.wall(call.at),
        "direction": Direction.OUTBOUND_API,
    }
    return Call(**(told | changes))


@pytest.mark.parametrize("before", [True, False])
async def test_a_callback_settles_it_without_a_request(
    emulator: Emulator, exotel: AsyncExotel, before: bool
) -> None:
    emulator.scenario = LONG
    await exotel.account.balance()
    error = await lost(exotel, emulator, custom_field="order-7")
    told = event(emulator, made(emulator))
    if before:
        exotel.calls.notify(told)
    search = asyncio.create_task(exotel.calls.reconcile(error, interval=60))
    await until(lambda: before or reads(emulator) == 1)
    asked = len(emulator.requests)
    exotel.calls.notify(told)
    async with asyncio.timeout(SOON):
        how = await search
    assert isinstance(how, CallFound)
    assert how.call == told
    assert len(emulator.requests) == asked


async def test_a_callback_settles_it_while_a_look_hangs(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = LONG
    await exotel.account.balance()
    error = await lost(exotel, emulator, custom_field="order-7")
    emulator.faults.add(Fault.act_then_stall(), path="Calls.json")
    search = asyncio.create_task(exotel.calls.reconcile(error))
    await until(lambda: reads(emulator) == 1)
    exotel.calls.notify(event(emulator, made(emulator)))
    async with asyncio.timeout(SOON):
        assert found(await search) == made(emulator)
    await exotel.aclose(0)


@pytest.mark.parametrize("before", [True, False])
async def test_a_callback_that_shows_too_little_is_looked_up(
    emulator: Emulator, exotel: AsyncExotel, before: bool
) -> None:
    """A custom field need not be one call's own."""
    emulator.scenario = LONG
    error = await lost(exotel, emulator, custom_field="campaign-5")
    sid = made(emulator)
    others = [
        another_dials(emulator, to=f"+9198123000{n}", custom_field="campaign-5")
        for n in range(11, 16)
    ]
    search = asyncio.create_task(exotel.calls.reconcile(error, interval=60))
    if not before:
        await asyncio.sleep(0.2)
    for one in (*others, sid):
        told = SimpleNamespace(sid=one, status="completed", custom_field="campaign-5")
        exotel.calls.notify(told)
    async with asyncio.timeout(SOON):
        how = await search
    assert found(how) == sid
    assert isinstance(how, CallFound)
    assert how.call.to == "09812300001"


@pytest.mark.slow(3)
@pytest.mark.parametrize(
    "changes",
    [
        {"to": "+919812300009"},
        {"from_": "+919812300009"},
        {"direction": Direction.INBOUND},
        {"direction": Direction.OUTBOUND_DIAL},
        {"custom_field": "order-8"},
        {"created_at": datetime(2026, 1, 1, tzinfo=IST)},
        {"sid": "0" * 32, "from_": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("before", [True, False])
async def test_callbacks_of_unrelated_calls_settle_nothing(
    emulator: Emulator, exotel: AsyncExotel, changes: dict[str, Any], before: bool
) -> None:
    emulator.scenario = LONG
    error = await not_made(exotel, emulator, custom_field="order-7")
    told = event(emulator, another_dials(emulator, custom_field="order-7"), **changes)
    if before:
        exotel.calls.notify(told)
    search = asyncio.create_task(exotel.calls.reconcile(error, timeout=0.2, interval=FAST))
    await until(lambda: reads(emulator) >= 1)
    exotel.calls.notify(told)
    how = await search
    assert isinstance(how, CallNotFound)
    assert not how.certain


async def test_the_callback_of_a_call_that_was_answered_settles_nothing(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    options: dict[str, Any] = {"caller_id": EXOPHONE, "custom_field": "order-7"}
    answered = await exotel.calls.connect(AGENT, CUSTOMER, **options)
    error = await not_made(exotel, emulator, custom_field="order-7")
    exotel.calls.notify(event(emulator, answered.sid))
    assert isinstance(await exotel.calls.reconcile(error, timeout=0.3), CallNotFound)


async def test_what_a_callback_has_told_of_a_record_counts(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    """The list does not show custom fields, but the callbacks did."""
    errors = [await lost(exotel, emulator, custom_field=f"order-{n}") for n in (7, 8)]
    await listed(exotel, emulator)
    mine, other = emulator.calls
    exotel.calls.notify(event(emulator, other))
    assert found(await exotel.calls.reconcile(errors[0], timeout=0)) == mine


async def test_what_a_callback_tells_while_others_are_read_counts(exotel: AsyncExotel) -> None:
    """A record that looked like it, when it was read, is by now known to be another order's."""
    evidence = exotel.calls.parts().reconciler._evidence
    error = _error(custom_field="order-7")
    evidence.note_lost(error)
    dial, records = evidence.dials.of(error), Records()
    evidence.note(dial, records, _call())
    exotel.calls.notify(_call(custom_field="order-8", status=CallStatus.COMPLETED))
    assert evidence.found(dial, records) is None
    exotel.calls.notify(_call(custom_field="order-7", status=CallStatus.COMPLETED))
    assert evidence.found(dial, records) == _call()


async def test_old_callbacks_are_forgotten(exotel: AsyncExotel) -> None:
    for n in range(1100):
        told = SimpleNamespace(sid=f"{n:032}", status="completed", custom_field=f"{n}")
        exotel.calls.notify(told)
    assert len(exotel.calls.parts().reconciler._evidence.reported) == 1000


# What goes wrong


@pytest.mark.slow(9)
@pytest.mark.parametrize(
    "fault", [Fault.answer(500), Fault.act_then_drop(), Fault.act_then_garbage(Garbage.EMPTY)]
)
@pytest.mark.parametrize("knows_clock", [True, False])
async def test_passing_failures_are_borne(slow: Emulator, fault: Fault, knows_clock: bool) -> None:
    async with session(slow, retry=RetryPolicy.never()) as exotel:
        if knows_clock:
            await exotel.account.balance()
        error = await lost(exotel, slow)
        await slow.finish_calls()
        slow.faults.add(fault, path="Calls.json", times=4)
        async with asyncio.timeout(SOON):
            assert found(await exotel.calls.reconcile(error, interval=FAST)) == made(slow)
    assert slow.faults.pending == []


@pytest.mark.slow
@pytest.mark.parametrize("knows_clock", [True, False])
async def test_failures_that_persist_are_told(emulator: Emulator, knows_clock: bool) -> None:
    async with session(emulator, retry=RetryPolicy.never()) as exotel:
        if knows_clock:
            await exotel.account.balance()
        error = await not_made(exotel, emulator)
        emulator.faults.add(Fault.act_then_drop(), method="GET", times=None)
        for options in ({}, {"timeout": 0.3}, {"timeout": 0}):
            with pytest.raises(Exception, match=r"^no usable answer from 127\.0\.0\.1:\d+: "):
                await exotel.calls.reconcile(error, interval=0.05, **options)
        emulator.faults.clear()
        emulator.faults.add(Fault.answer(500), method="GET", times=None)
        with pytest.raises(ServerError):
            await exotel.calls.reconcile(error, interval=0.05)


async def test_lasting_failures_are_told_at_once(emulator: Emulator, exotel: AsyncExotel) -> None:
    error = await lost(exotel, emulator)
    emulator.api_token = "another"
    with pytest.raises(AuthenticationError):
        await exotel.calls.reconcile(error)
    assert reads(emulator) == 1


async def test_a_look_that_hangs_does_not_outlast_the_timeout(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    error = await not_made(exotel, emulator)
    await exotel.account.balance()
    emulator.faults.add(Fault.act_then_stall(), path="Calls.json", after=1)
    async with asyncio.timeout(SOON):
        how = await exotel.calls.reconcile(error, timeout=0.4, interval=FAST)
    assert isinstance(how, CallNotFound)
    assert not how.certain
    await exotel.aclose(0)


async def test_what_is_refused(emulator: Emulator, exotel: AsyncExotel) -> None:
    with pytest.raises(InvalidRequest, match="error"):
        await exotel.calls.reconcile(ServerError("no", status=500))  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=r"account acme2.*this session's account, acme1"):
        await exotel.calls.reconcile(_error(account_sid="acme2"))
    with pytest.raises(InvalidRequest, match="timeout"):
        await exotel.calls.reconcile(_error(), timeout=[])  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="timeout"):
        await exotel.calls.reconcile(_error(), timeout=-1)
    with pytest.raises(InvalidRequest, match="interval"):
        await exotel.calls.reconcile(_error(), interval=0)
    with pytest.raises(InvalidRequest, match="its times must be aware"):
        await exotel.calls.reconcile(_error(sent_at=datetime.now()))  # noqa: DTZ005
    assert reads(emulator) == 0
    with pytest.raises(InvalidRequest, match="6 months"):
        await exotel.calls.reconcile(back(_error(), timedelta(days=200)))


async def test_the_limits_of_a_view_are_no_limits_of_the_search(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    error = await lost(exotel, emulator)
    hurried = exotel.with_options(max_wait=0.0, timeout=0.05, priority=Priority.BULK)
    emulator.latency = lambda _: (0.0, 0.1)
    async with asyncio.timeout(SOON):
        assert found(await hurried.calls.reconcile(error, interval=FAST)) == made(emulator)


# Cost, and leaving


@pytest.mark.slow(3)
async def test_many_searches_share_their_looks() -> None:
    # Not a fast one: its clock would run away from what was known of it when the first was lost.
    async with Emulator(scenario=SHORT, rate=100_000) as emulator, session(emulator) as exotel:
        await exotel.account.balance()
        for n in range(150):
            another_dials(emulator, from_=f"+9197{n:08}")
        errors = [await lost(exotel, emulator, from_=f"+9198{n:08}") for n in range(60)]
        await listed(exotel, emulator)
        before = reads(emulator)
        hows = await asyncio.gather(*(exotel.calls.reconcile(error) for error in errors))
        assert [found(how) for how in hows] == list(emulator.calls)[150:]
        assert reads(emulator) - before <= 3, "210 calls, a hundred on a page"


async def test_dials_far_apart_are_not_read_as_one(exotel: AsyncExotel, emulator: Emulator) -> None:
    errors = [back(_error(to=f"+9198123000{n}"), timedelta(days=n)) for n in (11, 33, 55)]
    for error in errors:
        ago = (datetime.now(UTC) - error.sent_at).total_seconds()
        another_dials(emulator, to=error.to, ago=ago)
    await exotel.account.balance()
    hows = await asyncio.gather(*(exotel.calls.reconcile(error, timeout=0) for error in errors))
    assert {found(how) for how in hows} == set(emulator.calls)
    assert reads(emulator) == 3


@pytest.mark.parametrize("looking", [True, False])
@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_leaving_leaves_nothing(emulator: Emulator, looking: bool, how: str) -> None:
    before = asyncio.all_tasks()
    exotel = session(emulator)
    await exotel.account.balance()
    errors = [await not_made(exotel, emulator, custom_field=f"{n}") for n in range(3)]
    if looking:
        emulator.faults.add(Fault.act_then_stall(), path="Calls.json", times=None)
    searches = [asyncio.create_task(exotel.calls.reconcile(error)) for error in errors]
    await until(lambda: reads(emulator) >= 1)
    await asyncio.sleep(0.1)
    closing = asyncio.create_task(exotel.aclose(60)) if how == "close" else None
    for search in searches if how == "cancel" else ():
        search.cancel()
    async with asyncio.timeout(SOON):
        ended = await asyncio.gather(*searches, return_exceptions=True)
    expected = ConfigurationError if how == "close" else asyncio.CancelledError
    assert all(isinstance(error, expected) for error in ended)
    assert exotel.calls.parts().reconciler._searches == []
    if closing is None:
        assert exotel.limiter.statistics().in_flight == looking
        await exotel.aclose(0.0)
    else:
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
    await until(lambda: asyncio.all_tasks() == before)


async def test_one_who_leaves_does_not_take_the_others_look_away(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    errors = [await lost(exotel, emulator, from_=f"+9198{n:08}") for n in range(2)]
    await listed(exotel, emulator)
    emulator.latency = lambda _: (0.0, 0.2)
    leaving, staying = (asyncio.create_task(exotel.calls.reconcile(error)) for error in errors)
    await until(lambda: reads(emulator) == 1)
    leaving.cancel()
    assert found(await staying) == list(emulator.calls)[1]
    assert reads(emulator) == 1


@pytest.mark.slow(1)
@pytest.mark.parametrize("others", [0, 1])
async def test_cancelling_all_tasks_ends_the_search(
    emulator: Emulator, exotel: AsyncExotel, others: int
) -> None:
    errors: Sequence[CallOutcomeUnknown] = [
        await lost(exotel, emulator, from_=f"+9198{n:08}") for n in range(1 + others)
    ]
    await exotel.account.balance()
    emulator.faults.add(Fault.act_then_stall(0.5), path="Calls.json")
    searches = [asyncio.create_task(exotel.calls.reconcile(copy.copy(error))) for error in errors]
    await until(lambda: reads(emulator) == 1)
    reading = exotel.calls.parts().reconciler._scanners[Priority.INTERACTIVE]._reading
    assert reading is not None
    reading.cancel()
    ended = await asyncio.gather(*searches, return_exceptions=True)
    assert all(isinstance(error, ConfigurationError) for error in ended)
    assert found(await exotel.calls.reconcile(errors[0], interval=FAST)) in emulator.calls


async def test_a_defect_ends_the_search(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defective(*_: Any, **__: Any) -> None:
        raise KeyError("a defect")

    error = await lost(exotel, emulator)
    await listed(exotel, emulator)
    monkeypatch.setattr(exotel.calls.parts().reconciler._evidence, "note", defective)
    with pytest.raises(Exception, match="KeyError"):
        await exotel.calls.reconcile(error)
    monkeypatch.undo()
    assert found(await exotel.calls.reconcile(error)) == made(emulator)

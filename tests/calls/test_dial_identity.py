"""What was passed to a dial comes back with its call, also where its task has gone."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Awaitable, Callable

import attrs
import pytest

from exotel_async import AsyncExotel, Call, CallOutcomeUnknown, DialTarget
from exotel_async.emulator import Emulator, Fault
from exotel_async.wire import requests
from tests.conftest import EXOPHONE, SOON, session

DIAL = "Calls/connect"
FIRST, SECOND, SHOWN = "+91 98123 00001", "098123-00002", "080 3000 0000"

Dialling = Callable[[AsyncExotel], Awaitable[Call]]


def two(exotel: AsyncExotel) -> Awaitable[Call]:
    return exotel.calls.connect(
        FIRST, SECOND, caller_id=SHOWN, custom_field="order 7", time_limit=600
    )


def flow(exotel: AsyncExotel) -> Awaitable[Call]:
    return exotel.calls.connect_to_flow(FIRST, flow=926, caller_id=SHOWN)


PASSED: dict[Dialling, DialTarget] = {
    two: DialTarget(from_=FIRST, to=SECOND, caller_id=SHOWN, options={"custom_field": "order 7"}),
    flow: DialTarget(from_=FIRST, flow=926, caller_id=SHOWN),
}


@pytest.mark.parametrize("dial", PASSED)
async def test_the_call_carries_what_was_passed(
    emulator: Emulator, exotel: AsyncExotel, dial: Dialling
) -> None:
    call = await dial(exotel)
    assert call.target == PASSED[dial]
    assert call.target is not None
    assert type(call.target.flow) is type(PASSED[dial].flow)
    assert (await exotel.calls.get(call.sid)).target is None, "one that was read was dialled by any"
    (request, _) = emulator.requests
    assert request.form["From"] == "+919812300001"


async def test_it_changes_nothing_else_of_the_call(exotel: AsyncExotel) -> None:
    call = await two(exotel)
    bare = attrs.evolve(call, target=None)
    assert (bare, hash(bare), repr(bare)) == (call, hash(call), repr(call))
    for again in (copy.deepcopy(call), pickle.loads(pickle.dumps(call))):  # noqa: S301
        assert again.target == call.target


@pytest.mark.parametrize("dial", PASSED)
@pytest.mark.parametrize("lost", [False, True])
async def test_an_orphan_comes_with_what_was_passed(
    emulator: Emulator, dial: Dialling, lost: bool
) -> None:
    told: list[tuple[Call | CallOutcomeUnknown, DialTarget]] = []
    if lost:
        emulator.faults.add(Fault.act_then_drop(), path=DIAL)
    emulator.latency = lambda _: (0.0, 0.2)
    async with session(emulator, on_orphaned_call=lambda *what: told.append(what)) as exotel:
        dialling = asyncio.ensure_future(dial(exotel))
        async with asyncio.timeout(SOON):
            while not emulator.calls:
                await asyncio.sleep(0.01)
        dialling.cancel()
        await asyncio.wait({dialling})
        await exotel.aclose(grace=SOON)
    ((ended, target),) = told
    assert target == PASSED[dial]
    assert isinstance(ended, CallOutcomeUnknown if lost else Call)
    if isinstance(ended, Call):
        assert ended.target is target


@pytest.mark.slow(1)
async def test_a_dial_that_times_out_comes_back_with_it(emulator: Emulator) -> None:
    told: list[tuple[Call | CallOutcomeUnknown, DialTarget]] = []

    async def tell(ended: Call | CallOutcomeUnknown, target: DialTarget) -> None:
        told.append((ended, target))

    emulator.latency = lambda _: (0.0, 1.0)
    async with session(emulator, on_orphaned_call=tell) as exotel:
        with pytest.raises(CallOutcomeUnknown):
            await exotel.calls.connect(FIRST, SECOND, caller_id=SHOWN, timeout=0.4)
    ((ended, target),) = told
    assert isinstance(ended, Call)
    assert target == DialTarget(from_=FIRST, to=SECOND, caller_id=SHOWN)


def test_a_request_that_waits_holds_the_callers_own_strings() -> None:
    """Tens of thousands may wait: what is made of them is made when one is sent."""
    request = requests.connect(from_=FIRST, to=SECOND, caller_id=SHOWN, custom_field="x" * 99)
    assert isinstance(request.passed, tuple)
    assert [id(one) for one in request.passed] == [id(FIRST), id(SECOND), id(None), id(SHOWN)]
    assert request == requests.connect(
        from_="+919812300001", to="09812300002", caller_id=EXOPHONE, custom_field="x" * 99
    )

"""SIDs name one call for ever: no run brings back those of another, and outcomes rest on none."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exotel_async.emulator import Caller, Connect, Dial, Emulator, Scenario, Voicemail
from exotel_async.emulator.server import Listener, bind
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, call_in, client_of, dial

DIAL = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE, record=True)
EVENTS = {
    "StatusCallbackEvents[0]": "terminal",
    "StatusCallbackEvents[1]": "answered",
    "StatusCallbackContentType": "application/json",
}


class Consumer:
    """An application that stays up, and does the work for an event once, as the rule has it.

    Deliveries come twice: the advice is to know them by CallSid, EventType and leg states
    (VOICE_V1 6.4).
    """

    def __init__(self) -> None:
        self.url = ""
        self.seen: set[str] = set()
        self.handled: list[str] = []

    async def event(self, request: Request) -> Response:
        """One status callback."""
        told = await request.json()
        legs = [leg["Status"] for leg in told["Legs"]]
        key = json.dumps([told["CallSid"], told["EventType"], legs])
        if key not in self.seen:
            self.seen.add(key)
            self.handled.append(told["EventType"])
        return Response()


@asynccontextmanager
async def consumer() -> AsyncIterator[Consumer]:
    """One on a real socket."""
    application = Consumer()
    bound = bind("127.0.0.1", 0)
    application.url = f"http://127.0.0.1:{bound.getsockname()[1]}/events"
    routes = [Route("/events", application.event, methods=["POST"])]
    listener = Listener(Starlette(routes=routes), bound)
    await listener.open()
    yield application
    await listener.close()


async def run(emulator: Emulator, application: Consumer) -> list[str]:
    """Two calls of the same two parties; what the application did for them."""
    application.handled.clear()
    async with client_of(emulator) as client:
        for _ in range(2):
            await dial(client, StatusCallback=application.url, **EVENTS)
    await emulator.finish_calls()
    return list(application.handled)


async def test_an_application_that_stays_up_handles_every_event_of_every_run() -> None:
    scenario = Scenario.all_answered()
    async with consumer() as application:
        async with Emulator(scenario=scenario) as emulator:
            first = await run(emulator, application)
            emulator.reset()
            after_reset = await run(emulator, application)
        async with Emulator(scenario=scenario) as emulator:
            in_another = await run(emulator, application)
    assert sorted(first) == ["answered"] * 4 + ["terminal"] * 2
    assert sorted(after_reset) == sorted(in_another) == sorted(first)


PROGRAM = """
import asyncio
from datetime import timedelta
from exotel_async.emulator import Dial, Emulator
async def main():
    async with Emulator() as emulator:
        print(emulator.add_call(Dial(from_="1", to="2", caller_id="3")).sid)
asyncio.run(main())
"""


@pytest.mark.slow
async def test_nor_does_another_process_bring_them_back() -> None:
    async def sid() -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, stdout=asyncio.subprocess.PIPE
        )
        return (await process.communicate())[0]

    assert len({await sid(), await sid()}) == 2


async def test_the_seed_decides_outcomes_whatever_the_sids() -> None:
    async def outcomes(emulator: Emulator) -> list[object]:
        return [emulator.add_call(DIAL).timeline for _ in range(20)]

    async with Emulator(seed=3) as emulator:
        one = await outcomes(emulator)
        sids = set(emulator.calls)
        emulator.reset()
        again = await outcomes(emulator)
        assert sids.isdisjoint(emulator.calls)
    async with Emulator(seed=3) as emulator:
        in_another = await outcomes(emulator)
    async with Emulator(seed=4) as emulator:
        other_seed = await outcomes(emulator)
    assert one == again == in_another != other_seed


async def test_records_of_legs_and_recordings_go_by_sids_of_their_own_run() -> None:
    async def names(emulator: Emulator) -> set[str]:
        flow = Connect(numbers=[AGENT], record=True, then=Voicemail())
        emulator.flow_settings.child_legs = True
        call = await call_in(emulator, flow, Caller(speaks=5))
        children = [other for other in emulator.calls.values() if other.parent_sid == call.sid]
        assert len(children) == 1
        files = {recording.file for recording in call.recordings}
        assert files == {f"{call.sid}.mp3", f"{call.sid}-2.mp3"}
        return {call.sid, *(child.sid for child in children), *files}

    async with Emulator(scenario=Scenario.all_answered()) as emulator:
        one = await names(emulator)
        emulator.reset()
        other = await names(emulator)
    assert len(one) == 4
    assert one.isdisjoint(other)


async def test_they_have_the_form_of_exotels() -> None:
    """32 characters: hex, then year, month, and one more sign (VOICE_V1 1.3)."""
    async with Emulator() as emulator:
        sids = [emulator.add_call(DIAL).sid for _ in range(50)]
        day = emulator.clock.now()
    assert len(set(sids)) == 50
    tail = f"{day.year - 2000:02x}{day.month:x}"
    for sid in sids:
        assert re.fullmatch(rf"[0-9a-f]{{28}}{tail}[g-z]", sid), sid


async def test_fixed_sids_are_the_same_in_every_run_of_a_seed() -> None:
    async def sids(seed: int) -> list[str]:
        async with Emulator(seed=seed, fixed_sids=True) as emulator:
            first = [emulator.add_call(DIAL).sid for _ in range(3)]
            emulator.reset()
            assert [emulator.add_call(DIAL).sid for _ in range(3)] == first
            return first

    one, again, other = [await sids(seed) for seed in (3, 3, 4)]
    assert one == again
    assert len({*one, *other}) == 6

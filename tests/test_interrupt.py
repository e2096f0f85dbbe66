"""Ctrl-C in a program with dials in flight."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from exotel_async.emulator import Emulator, Fault
from tests.conftest import SOON

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, sys
from exotel_async import AsyncExotel, RateLimit

async def main(base_url):
    unknown = []
    try:
        async with AsyncExotel(
            account_sid="acme1", api_key="emulator-key", api_token="emulator-token",
            base_url=base_url, rate_limit=RateLimit(200, per=2),
            on_orphaned_call=lambda *told: unknown.append(told),
        ) as exotel:
            await exotel.account.balance()
            await asyncio.gather(*(
                exotel.calls.connect("+919999900000", f"+91 98123 {n:05}", caller_id="08030000000")
                for n in range(3)
            ))
    finally:
        print(sorted((type(u).__name__, target.to) for u, target in unknown), flush=True)

asyncio.run(main(sys.argv[1]))
"""


async def test_it_does_not_wait_for_the_answers_and_reports_the_dials_as_unknown() -> None:
    async with Emulator() as emulator:
        emulator.faults.add(Fault.act_then_stall(), path="Calls/connect", times=None)
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, emulator.base_url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(SOON):
            while len(emulator.calls) < 3:
                await asyncio.sleep(0.01)
        program.send_signal(signal.SIGINT)
        async with asyncio.timeout(SOON):  # they never come
            out, err = await program.communicate()
    dialled = [("CallOutcomeUnknown", f"+91 98123 {n:05}") for n in range(3)]
    assert out.decode().strip() == str(dialled)
    assert err.count(b"it is not known whether") == 3
    assert b"KeyboardInterrupt" in err
    assert b"never retrieved" not in err
    assert b"was destroyed" not in err

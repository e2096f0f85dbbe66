"""The same session on uvloop, which many servers run."""

from __future__ import annotations

import asyncio

import pytest

from exotel_async import CallOutcomeUnknown, Priority
from exotel_async.emulator import Emulator, Fault
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, session

uvloop = pytest.importorskip("uvloop")


@pytest.mark.slow(1)
def test_the_budget_and_the_unknown_on_uvloop() -> None:
    async def main() -> None:
        async with Emulator(rate=20, per=0.5) as emulator, session(emulator) as exotel:
            bulk = exotel.with_options(priority=Priority.BULK)
            await asyncio.gather(*(bulk.account.balance() for _ in range(50)))
            emulator.faults.add(Fault.act_then_drop(), path="Calls/connect")
            with pytest.raises(CallOutcomeUnknown):
                await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        assert emulator.refused == 0
        assert emulator.rung(CUSTOMER) == 1

    uvloop.run(main())

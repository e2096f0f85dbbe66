"""What a session makes of a `Retry-After`, however absurd."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from exotel_async import AsyncExotel, RateLimit, RetryPolicy
from exotel_async.emulator import Emulator, Fault
from tests.conftest import session


@pytest.mark.parametrize("status", [429, 503])
async def test_a_retry_after_of_a_day_holds_up_nobody_for_longer_than_a_pause_may_be(
    emulator: Emulator, status: int
) -> None:
    rate, day = RateLimit(200, per=0.2), "86400"
    for seconds in (day, "8640000"):
        emulator.faults.add(Fault.answer(status, retry_after=seconds), times=1)
    async with session(emulator, rate_limit=rate) as exotel:
        await exotel.account.balance()
    first, second, third = (one.arrived / emulator.speed for one in emulator.requests)
    assert second - first >= 0.6 - 0.001
    assert third - second >= 0.6 - 0.001


@pytest.mark.parametrize("status", [429, 503])
async def test_the_log_says_how_long_a_pause_is_and_until_when(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    emulator.faults.add(Fault.answer(status, retry_after=86_400), times=1)
    async with session(emulator, retry=RetryPolicy(longest_pause=0.4)) as exotel:
        began = datetime.now(UTC).replace(microsecond=0)
        await exotel.account.balance()
        ended = datetime.now(UTC)
    (said,) = [one.getMessage() for one in caplog.records if "requests pause" in one.getMessage()]
    found = re.fullmatch(
        rf"HTTP {status} from Exotel: the account's requests pause for (0\.\d) s, until (.*) UTC",
        said,
    )
    assert found
    assert float(found[1]) <= 0.4
    assert began <= datetime.fromisoformat(found[2] + "+00:00") <= ended


@pytest.mark.parametrize(
    "retry_after", ["nan", "-1", "1e400", "0", datetime(1970, 1, 1, tzinfo=UTC)]
)
async def test_a_retry_after_that_asks_for_nothing(
    emulator: Emulator, exotel: AsyncExotel, retry_after: Any
) -> None:
    for status in (429, 503):
        emulator.faults.add(Fault.answer(status, retry_after=retry_after), times=1)
    await exotel.account.balance()
    assert len(emulator.requests) == 3

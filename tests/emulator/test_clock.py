"""The emulator's clock shows one time, wherever it shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from unittest import mock

import pytest

from exotel_async.emulator.clock import Clock


@pytest.mark.parametrize("microsecond", [0, 1, 500_000, 999_999])
def test_the_date_of_an_answer_is_the_second_that_the_clock_shows(microsecond: int) -> None:
    start = datetime(2026, 3, 2, 9, 59, 58, microsecond, tzinfo=UTC)
    with mock.patch("time.monotonic", return_value=1000.0):
        clock = Clock(1.0, start)
    for eighths in range(40):
        with mock.patch("time.monotonic", return_value=1000.0 + eighths / 8):
            shown = clock.now().astimezone(UTC)
            date = parsedate_to_datetime(clock.http_date().decode())
        assert date == shown.replace(microsecond=0)

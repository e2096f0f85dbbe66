"""Exotel's clock, as its answers show it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from exotel_async.http import server_clock
from exotel_async.http.server_clock import ServerClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Time:
    """A monotonic clock that goes when it is told to, and a service with a clock."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return self.passed

    def date(self, ahead: float = 0.0) -> str:
        """Return what the service's answers show."""
        return format_datetime(NOON + timedelta(seconds=self.passed + ahead), usegmt=True)


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The clock by which times are counted on."""
    clock = Time()
    monkeypatch.setattr(server_clock, "time", clock)
    return clock


def test_an_answer_that_waited_while_we_were_stopped_does_not_put_the_clock_back(
    passing: Time,
) -> None:
    clock = ServerClock()
    clock.saw(passing.date())
    passing.passed = 10
    answer = passing.date()
    passing.passed = 70  # SIGSTOP, and SIGCONT
    clock.saw(answer, took=61)
    assert clock.now() == NOON + timedelta(seconds=70)
    passing.passed = 80
    clock.saw(passing.date(), took=1)
    assert clock.now() == NOON + timedelta(seconds=80)


def test_the_date_of_such_an_answer_may_have_been_a_second_behind(passing: Time) -> None:
    """It has whole seconds, and the clock was read just when one began."""
    clock = ServerClock()
    passing.passed = 10
    clock.saw(passing.date())
    passing.passed = 10.95
    answer = passing.date()
    passing.passed = 70.95
    clock.saw(answer, took=60)
    assert clock.now() == NOON + timedelta(seconds=70.95)


@pytest.mark.parametrize("ahead", [-3600.0, -70.0, 5.0, 3600.0])
def test_what_waiting_does_not_explain_is_believed(passing: Time, ahead: float) -> None:
    """The clock was set, or was wrong before."""
    clock = ServerClock()
    clock.saw(passing.date())
    passing.passed = 70
    clock.saw(passing.date(ahead), took=61)
    assert clock.now() == NOON + timedelta(seconds=70 + ahead)


def test_the_first_answer_is_believed_however_long_it_took(passing: Time) -> None:
    clock = ServerClock()
    clock.saw(passing.date(), took=30)
    assert clock.now() == NOON

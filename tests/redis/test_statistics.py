"""What is told of a budget that is shared, and what a process has without its server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exotel_async.redis import Fallback
from exotel_async.redis.statistics import read_account

ACCOUNT: dict[str, Any] = {
    "processes": [
        {"name": "b", "granted": 1, "held": 2, "used": 3, "interactive": 4, "bulk": 5},
        {"name": "a", "granted": 6, "held": 7, "used": 8, "interactive": 9, "bulk": 10},
    ],
    "used": 11,
    "permits": 12,
    "interactive": 13,
    "bulk": 14,
    "paused": 1_500_000,
    "opens": 2_500_000,
    "learned": 15,
}


def test_the_account_is_read_as_the_ledger_says() -> None:
    before = datetime.now(UTC)
    account = read_account(ACCOUNT)
    assert [one.name for one in account.processes] == ["a", "b"]
    one = account.processes[0]
    assert (one.granted, one.held, one.used) == (6, 7, 8)
    assert (one.waiting_interactive, one.waiting_bulk) == (9, 10)
    assert (account.window_used, account.window_size) == (11, 12)
    assert (account.waiting_interactive, account.waiting_bulk) == (13, 14)
    assert (account.paused_for, account.opens_in, account.learned_limit) == (1.5, 2.5, 15)
    assert account.paused_until is not None
    until = account.paused_until - timedelta(seconds=1.5)
    assert before <= until <= datetime.now(UTC)


def test_an_account_of_which_there_is_nothing_to_tell() -> None:
    nothing = {"processes": {}, "paused": 0, "opens": 0, "learned": 0}
    account = read_account(ACCOUNT | nothing)
    assert account.processes == ()
    assert (account.paused_for, account.paused_until) == (0.0, None)
    assert (account.opens_in, account.learned_limit) == (0.0, None)


@pytest.mark.parametrize(
    ("share", "permits", "processes", "part"),
    [(0.25, 200, 1, 50), (0.25, 200, 4, 12), (1, 200, 3, 66), (1, 3, 1, 3), (0.25, 3, 9, 1)],
)
def test_a_part_of_the_budget_is_shared_by_the_processes(
    share: float, permits: int, processes: int, part: int
) -> None:
    assert Fallback(share=share).part_of(permits, processes) == part


def test_a_fallback_is_a_quarter_and_not_at_once() -> None:
    assert Fallback() == Fallback(share=0.25, at_once=False)

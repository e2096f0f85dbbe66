"""A part of what `python -m tests.campaigns.survival` does: see there for all of it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.campaigns.survival.killing import Ordeal, endure

pytestmark = pytest.mark.slow(60)


@pytest.mark.parametrize(
    "ordeal",
    [
        Ordeal(kills=12, contacts=120, seed=1),
        Ordeal(kills=6, contacts=60, seed=2, records_show_marks=False),
        Ordeal(kills=3, contacts=60, seed=3, signal=signal.SIGTERM),
        Ordeal(kills=3, contacts=60, seed=4, signal=signal.SIGINT),
    ],
    ids=["killed", "killed, and the records show no marks", "terminated", "interrupted"],
)
async def test_nobody_is_rung_twice_and_nobody_is_lost(ordeal: Ordeal, tmp_path: Path) -> None:
    outcome = await endure(ordeal, tmp_path)
    assert outcome.verdict.problems == []
    assert outcome.kills == ordeal.kills, "it was over before"
    assert outcome.verdict.contacts == ordeal.contacts
    # Where the records show no mark, or there is none.
    unmarked = {"no-mark", "no-mark-either"}
    if not ordeal.records_show_marks:
        unmarked |= {"custom-field"}
    assert set(outcome.verdict.unresolved) <= unmarked

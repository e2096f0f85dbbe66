"""`exotel-async campaign pause`, `resume` and `cancel`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from exotel_async.campaigns import CampaignAdmin, CampaignState, Ledger
from exotel_async.campaigns.clock import Clock
from tests.campaigns.ledgers import EXCHANGE, intent
from tests.campaigns.running import numbers
from tests.cli.campaign_ledgers import REACHED, commanded, filled

CREATED, IN_PROGRESS, PAUSED = "created", "in-progress", "paused"
COMPLETED, FAILED, CANCELED = "completed", "failed", "canceled"
WHY = "the account has no balance"

# What a command does to a campaign: its exit code, the state then, and words that it says.
TABLE = [
    ("pause", CREATED, 0, PAUSED, "is paused. To continue it: exotel-async campaign resume diwali"),
    ("pause", IN_PROGRESS, 0, PAUSED, "is paused."),
    ("pause", PAUSED, 0, PAUSED, f"is already paused: {WHY}."),
    ("pause", COMPLETED, 0, PAUSED, "is paused."),
    ("pause", FAILED, 1, FAILED, f"has failed: {WHY}: there is nothing to pause"),
    ("pause", CANCELED, 1, CANCELED, "was cancelled: there is nothing to pause"),
    (
        "resume",
        CREATED,
        0,
        CREATED,
        "is not paused: it has never been run. No process is dialling it",
    ),
    ("resume", IN_PROGRESS, 0, IN_PROGRESS, "is not paused. No process is dialling it"),
    ("resume", PAUSED, 0, IN_PROGRESS, "is no longer paused. No process is dialling it."),
    ("resume", FAILED, 0, IN_PROGRESS, "can be dialled again."),
    ("resume", COMPLETED, 0, COMPLETED, "is completed: each of its contacts has its outcome"),
    ("resume", CANCELED, 1, CANCELED, "was cancelled: it cannot be resumed"),
    ("cancel", CREATED, 0, CANCELED, "is cancelled: 2 contacts will not be dialled any more."),
    ("cancel", IN_PROGRESS, 0, CANCELED, "is cancelled: 2 contacts will not be dialled any more."),
    ("cancel", PAUSED, 0, CANCELED, "is cancelled: 2 contacts will not be dialled any more."),
    ("cancel", FAILED, 0, CANCELED, "is cancelled: 2 contacts will not be dialled any more."),
    ("cancel", COMPLETED, 0, CANCELED, "is cancelled: no contacts were left to dial."),
    ("cancel", CANCELED, 0, CANCELED, "was already cancelled."),
]


def at(place: Path, state: str) -> None:
    """Make a campaign with two contacts, in that state."""
    reason = WHY if state in {PAUSED, FAILED} else None
    ends = [REACHED] * 2 if state == COMPLETED else []
    filled(place, numbers(2), ends, state=CampaignState(state), reason=reason)
    if state == CANCELED:
        asyncio.run(_cancel(place))


async def _cancel(place: Path) -> None:
    async with CampaignAdmin(place) as admin:
        await admin.cancel("diwali")


@pytest.mark.parametrize(("command", "state", "code", "then", "words"), TABLE)
def test_what_each_command_does_in_each_state(
    command: str,
    state: str,
    code: int,
    then: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    at(tmp_path / "campaigns.db", state)
    yes = ["--yes"] if command == "cancel" else []
    ended = commanded(capsys, command, "diwali", *yes)
    assert ended.code == code, ended
    told, silent = (ended.err, ended.out) if code else (ended.out, ended.err)
    assert f"diwali {words}" in told
    assert silent == ""
    status = commanded(capsys, "status", "diwali", "--json")
    assert json.loads(status.out)["state"] == then


def test_json_has_the_state_before_and_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at(place := tmp_path / "campaigns.db", IN_PROGRESS)
    where = ("diwali", "--json", "--ledger", str(place))
    told = json.loads(commanded(capsys, "pause", *where).out)
    assert told == {"name": "diwali", "state": PAUSED, "was": IN_PROGRESS, "reason": None}
    told = json.loads(commanded(capsys, "cancel", *where, "--yes").out)
    assert (told["state"], told["canceled"]) == (CANCELED, 2)
    ended = commanded(capsys, "pause", *where)
    assert ended.code == 1
    assert "was cancelled" in json.loads(ended.out)["error"]["text"]
    assert "was cancelled" in ended.err


def test_nobody_is_cancelled_without_a_yes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at(place := tmp_path / "campaigns.db", IN_PROGRESS)
    ended = commanded(capsys, "cancel", "diwali", "--ledger", str(place))
    assert ended.code == 2
    assert "confirm it with --yes" in ended.err
    status = commanded(capsys, "status", "diwali", "--json", "--ledger", str(place))
    assert json.loads(status.out)["pending"] == 2


def test_a_cancelling_that_was_cut_short_is_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "campaigns.db"
    filled(place, numbers(3), state=CampaignState.CANCELED)  # and its contacts are as they were
    ended = commanded(capsys, "cancel", "diwali", "--yes", "--ledger", str(place))
    assert ended.code == 0
    assert "3 contacts will not be dialled any more" in ended.out


def test_who_runs_it_is_named_and_calls_in_progress_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "campaigns.db"
    filled(place, numbers(3))

    async def while_it_is_run() -> None:
        async with Ledger(place) as ledger:
            entry = await ledger.campaign("diwali")
            assert entry is not None
            await _run(ledger, entry.id)
            paused = await asyncio.to_thread(
                commanded, capsys, "pause", "diwali", "--ledger", str(place)
            )
            assert "diwali is paused; 1 call in progress continues." in paused.out
            resumed = await asyncio.to_thread(
                commanded, capsys, "resume", "diwali", "--ledger", str(place)
            )
            assert "no longer paused. Dialling from this ledger: process" in resumed.out
            listed = await asyncio.to_thread(commanded, capsys, "list", "--ledger", str(place))
            assert "Dialling from this ledger: process" in listed.out
            await ledger.unlock(_now())

    asyncio.run(while_it_is_run())


async def _run(ledger: Ledger, campaign_id: int) -> None:
    assert await ledger.lock(_now(), EXCHANGE) is None
    await ledger.set_state(campaign_id, CampaignState.IN_PROGRESS, None, _now())
    (contact,) = await ledger.claim(campaign_id, [""], 1, _now(), _now() + EXCHANGE)
    await ledger.intend([intent(contact)], 5)


def _now() -> int:
    return Clock().now_ms()

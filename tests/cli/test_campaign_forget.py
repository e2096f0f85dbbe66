"""`exotel-async campaign forget`, and the questions that commands ask at a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from exotel_async.campaigns import CampaignAdmin, Contact
from exotel_async.campaigns.clock import Clock
from exotel_async.campaigns.ledger import Ledger
from tests.campaigns.ledgers import EXCHANGE, intent
from tests.campaigns.running import campaign, number, numbers
from tests.cli.campaign_ledgers import REACHED, commanded, fill, filled
from tests.cli.support import environment
from tests.cli.terminals import at_a_terminal

terminals = pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger that commands find by themselves."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "campaigns.db"


async def contacts_left(place: Path) -> dict[str, int]:
    async with CampaignAdmin(place) as admin:
        return {name: (await admin.statistics(name)).created for name in await admin.names()}


def test_a_person_is_deleted_from_all_campaigns(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place, numbers(2), [REACHED])
    filled(place, numbers(3), made=campaign("holi"))
    ended = commanded(capsys, "forget", "098000", "00000", "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "2 contacts deleted, with all calls and outcomes. The do-not-call list is not changed. "
        "If a list that still has this person is added again, the person is dialled again.\n"
    )
    assert asyncio.run(contacts_left(place)) == {"diwali": 1, "holi": 2}
    again = commanded(capsys, "forget", number(0), "--yes")
    assert (again.code, again.err) == (0, "")
    assert again.out.startswith("No campaign of this ledger has +********0000: nothing was deleted")


def test_by_key(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(place, [Contact(number(0), key="C-1"), Contact(number(1), key="C-2")])
    ended = commanded(capsys, "forget", "--key", "C-1", "--yes", "--json")
    assert (ended.code, json.loads(ended.out)) == (0, {"deleted": 1})
    assert asyncio.run(contacts_left(place)) == {"diwali": 1}


def test_who_is_being_dialled_is_not_deleted(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def dial() -> None:
        now = Clock().now_ms()
        async with Ledger(place) as ledger:
            entry = await ledger.campaign("diwali")
            assert entry is not None
            await ledger.lock(now, EXCHANGE)
            (contact,) = await ledger.claim(entry.id, [""], 1, now, now + EXCHANGE)
            await ledger.intend([intent(contact)], 5)

    filled(place, numbers(1), [])
    asyncio.run(_begin(place))
    asyncio.run(dial())
    ended = commanded(capsys, "forget", number(0), "--yes", "--json")
    assert ended.code == 1
    assert "is being dialled, or it is in doubt" in ended.err
    assert "nothing was deleted" in json.loads(ended.out)["error"]["text"]
    assert number(0)[3:] not in ended.err
    assert asyncio.run(contacts_left(place)) == {"diwali": 1}


async def _begin(place: Path) -> None:
    async with CampaignAdmin(place) as admin:
        await admin.pause("diwali")
        await admin.resume("diwali")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give either a NUMBER or --key"),
        ([number(0), "--key", "C-1"], "give either a NUMBER or --key"),
        (["--key", "", "--yes"], "--key must not be empty"),
        (["nobody", "--yes"], "NUMBER 'nobody'"),
        ([number(0)], "confirm it with --yes"),
    ],
)
def test_what_cannot_be_meant_deletes_nobody(
    arguments: list[str], words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place, numbers(1))
    ended = commanded(capsys, "forget", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
    assert asyncio.run(contacts_left(place)) == {"diwali": 1}


@terminals
@pytest.mark.slow(8)
@pytest.mark.parametrize(
    ("command", "answer", "code", "told"),
    [
        (["forget", number(0)], "y\n", 0, "1 contact deleted"),
        (["forget", number(0)], "\n", 1, "not confirmed: nothing was deleted"),
        (["forget", number(0)], "y\x04\x04", 1, "not confirmed: nothing was deleted"),
        (["cancel", "diwali"], "yes\n", 0, "2 contacts will not be dialled any more."),
        (["cancel", "diwali"], "no\n", 1, "diwali was not cancelled: nothing was changed"),
        (["cancel", "diwali"], "y\x04\x04", 1, "diwali was not cancelled: nothing was changed"),
    ],
)
async def test_at_a_terminal_it_asks(
    command: list[str], answer: str, code: int, told: str, place: Path
) -> None:
    """Ctrl-D behind an answer without Enter takes it back."""
    await fill(place, numbers(2))
    arguments = ("campaign", *command)
    async with at_a_terminal(*arguments, env=environment(), cwd=place.parent) as terminal:
        asked = await terminal.until("[y/N] ")
        assert all(len(line) <= 60 for line in asked.splitlines())
        os.write(terminal.master, answer.encode())
        assert await terminal.end() == code
        assert told in " ".join(terminal.seen.split())
    if code:
        assert await contacts_left(place) == {"diwali": 2}


@terminals
@pytest.mark.slow
async def test_sigterm_is_no_answer(place: Path) -> None:
    await fill(place, numbers(2))
    arguments = ("campaign", "cancel", "diwali")
    async with at_a_terminal(*arguments, env=environment(), cwd=place.parent) as terminal:
        await terminal.until("[y/N] ")
        terminal.process.send_signal(signal.SIGTERM)
        assert await terminal.end() == 130
    assert "exotel-async: interrupted" in terminal.seen
    assert await contacts_left(place) == {"diwali": 2}

"""Lists that are added to campaigns by `campaign add`, and a person who is asked about them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from exotel_async.campaigns import CampaignAdmin, CampaignState, Ledger
from exotel_async.campaigns.clock import Clock
from exotel_async.cli import campaign_add
from exotel_async.cli.contact_files import ContactFile
from exotel_async.cli.contact_list import open_list
from tests.campaigns.running import campaign
from tests.cli.campaign_ledgers import commanded
from tests.cli.support import environment, left_in
from tests.cli.terminals import at_a_terminal

LIST = "Mobile,id\n98123 00001,a\n9812300002,b\n+91 98123-00001,c\n12,d\n"
HEADED_BY_A_LETTER = "C,Home,Work\nAsha,9812300001,9812300011\nRavi,9812300002,9812300012\n"
TWO_COLUMNS = "Home,Work\n9812300001,9812300011\n9812300002,9812300012\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a ledger that has one campaign, and a list; commands run in it."""
    monkeypatch.chdir(tmp_path)
    asyncio.run(_created())
    (tmp_path / "more.csv").write_text(LIST)
    return tmp_path


async def _created() -> None:
    async with CampaignAdmin() as admin:
        await admin.create(campaign())


async def _cancel() -> None:
    async with CampaignAdmin() as admin:
        await admin.cancel("diwali")


async def _pending() -> int:
    async with CampaignAdmin() as admin:
        known = await admin.statistics("diwali")
        assert known.state is CampaignState.CREATED
        return known.pending


async def _numbers() -> dict[str, str]:
    """The numbers of the contacts, by their keys."""
    async with Ledger("campaigns.db") as ledger:
        entry = await ledger.campaign("diwali")
        assert entry is not None
        now = Clock().now_ms()
        await ledger.lock(now, 60_000)
        found = await ledger.claim(entry.id, [""], 10, now, now + 1)
        await ledger.unlock(now)
        return {one.key: one.number for one in found}


def test_those_who_are_new_are_added(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = commanded(capsys, "add", "diwali", "more.csv")
    assert ended.code == 0
    assert ended.out.splitlines()[:2] == [
        "2 contacts of more.csv added to diwali",
        "1 row rejected and 1 duplicate: see more.csv.rejected.csv",
    ]
    assert "No process is dialling it" in ended.out
    assert asyncio.run(_pending()) == 2
    rejected = Path("more.csv.rejected.csv").read_text(encoding="utf-8-sig")
    assert "the same number as in line 2" in rejected

    ended = commanded(capsys, "add", "diwali", "more.csv", "--json")
    assert ended.code == 0
    assert json.loads(ended.out) == {
        "campaign": "diwali",
        "file": "more.csv",
        "added": 0,
        "duplicates": 1,
        "in_campaign": 2,
        "other_number": 0,
        "rejected": 1,
        "rejected_file": "more.csv.rejected.csv",
    }
    assert asyncio.run(_pending()) == 2


def test_a_number_that_was_changed_is_told_and_replaced_once_the_contact_is_forgotten(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "keyed.csv"
    command = ("add", "diwali", "keyed.csv", "--map", "key=id")
    file.write_text("Mobile,id,Alternate Mobile\n9812300001,K1,\n9812300002,K2,9812300012\n")
    assert commanded(capsys, *command).err == ""
    file.write_text("Mobile,id\n9812300009,K1\n9812300012,K2\n")  # K2: the alternative
    ended = commanded(capsys, *command)
    assert ended.code == 0
    assert ended.out.startswith("2 contacts of keyed.csv in diwali, none of them new\n")
    assert ended.err == (
        "diwali has another number than keyed.csv for 1 contact, and keeps it: key K1. To replace "
        "it, run `exotel-async campaign forget --key KEY`, then the same command again\n"
    )
    ended = commanded(capsys, *command, "--json")
    told = json.loads(ended.out)
    assert (told["in_campaign"], told["other_number"]) == (2, 1)
    assert asyncio.run(_numbers()) == {"K1": "9812300001", "K2": "9812300002"}

    assert commanded(capsys, "forget", "--key", "K1", "--yes").code == 0
    assert commanded(capsys, *command).err == ""
    assert asyncio.run(_numbers()) == {"K1": "9812300009", "K2": "9812300002"}


def test_of_many_whose_number_was_changed_the_first_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "keyed.csv"
    command = ("add", "diwali", "keyed.csv", "--map", "key=id")
    keys = ["CRM-1", *(f"99999{n:05}" for n in range(6))]
    file.write_text(
        "Mobile,id\n" + "".join(f"98123{n:05},{key}\n" for n, key in enumerate(keys, 1))
    )
    commanded(capsys, *command)
    file.write_text(
        "Mobile,id\n" + "".join(f"98124{n:05},{key}\n" for n, key in enumerate(keys, 1))
    )
    ended = commanded(capsys, *command)
    assert ended.err.startswith(
        "diwali has another number than keyed.csv for 7 contacts, and keeps it: keys CRM-1, "
        "******0000, ******0001, ******0002, ******0003 and 2 more. To replace it, run"
    )


def test_a_list_of_which_nobody_is_taken_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("more.csv").write_text("Mobile,id\n12,d\n")
    ended = commanded(capsys, "add", "diwali", "more.csv")
    assert ended.code == 2
    assert ended.err == (
        "exotel-async: no contact in more.csv can be dialled: 1 row rejected, see "
        "more.csv.rejected.csv\n"
    )
    assert left_in(folder) == ["campaigns.db", "more.csv", "more.csv.rejected.csv"]


def test_nobody_is_added_to_what_is_not_there_or_was_cancelled(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = commanded(capsys, "add", "holi", "more.csv")
    assert ended.code == 2
    assert "its campaigns: diwali" in ended.err
    ended = commanded(capsys, "add", "diwali", "nothing.csv")
    assert ended.code == 2
    assert "nothing.csv" in ended.err
    asyncio.run(_cancel())
    ended = commanded(capsys, "add", "diwali", "more.csv")
    assert ended.code == 1
    assert "was cancelled: no contacts can be added" in ended.err
    assert "more.csv.rejected.csv" not in left_in(folder)


def test_a_campaign_that_is_cancelled_while_a_list_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*arguments: Any, **options: Any) -> ContactFile:
        asyncio.run(_cancel())
        return open_list(*arguments, **options)

    monkeypatch.setattr(campaign_add, "open_list", opened)
    ended = commanded(capsys, "add", "diwali", "more.csv")
    assert (ended.code, ended.err) == (
        1,
        "exotel-async: diwali was cancelled: no contacts can be added\n",
    )


def test_where_rejected_rows_cannot_be_written_it_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those who can be dialled are added nevertheless, and once that is over the rest is told."""
    (folder / "more.csv.rejected.csv").mkdir()
    ended = commanded(capsys, "add", "diwali", "more.csv", "--json")
    assert ended.code == 1
    text = json.loads(ended.out)["error"]["text"]
    assert text == "more.csv.rejected.csv cannot be written: Is a directory"
    assert "more.csv: the contacts added so far stay in diwali; run the same command" in ended.err
    assert left_in(folder) == ["campaigns.db", "more.csv", "more.csv.rejected.csv"]
    (folder / "more.csv.rejected.csv").rmdir()
    ended = commanded(capsys, "add", "diwali", "more.csv")
    assert ended.code == 0
    assert ended.out.startswith("2 contacts of more.csv in diwali, none of them new")
    assert "1 row rejected and 1 duplicate: see more.csv.rejected.csv" in ended.out


def test_where_nobody_can_be_asked_a_doubt_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "two.csv").write_text(TWO_COLUMNS)
    ended = commanded(capsys, "add", "diwali", "two.csv")
    assert ended.code == 2
    assert "--map" in ended.err
    assert "Home" in ended.err
    assert "Work" in ended.err
    assert asyncio.run(_pending()) == 0
    assert commanded(capsys, "add", "diwali", "two.csv", "--map", "number=Work").code == 0
    assert asyncio.run(_pending()) == 2


@pytest.mark.slow(5)
@pytest.mark.parametrize(("typed", "code"), [("2", 0), ("", 2)])
def test_a_person_is_asked_which_column_it_is(folder: Path, typed: str, code: int) -> None:
    (folder / "two.csv").write_text(HEADED_BY_A_LETTER)

    async def asked() -> tuple[int, str]:
        arguments = ("campaign", "add", "diwali", "two.csv")
        async with at_a_terminal(*arguments, env=environment(), cwd=folder) as terminal:
            await terminal.until("which one should be dialled (1 to 2)? ")
            if typed:
                terminal.types("9")  # is none of them: it is asked again
                await terminal.until("which one should be dialled (1 to 2)? ")
            terminal.types(typed)
            return await terminal.end(), terminal.seen

    ended, seen = asyncio.run(asked())
    assert ended == code
    assert "2: Work, column C: ******0011" in seen
    assert asyncio.run(_pending()) == (2 if code == 0 else 0)
    assert ('next time: --map number="Work"' in seen) is (code == 0)


@pytest.mark.slow(3)
def test_a_column_without_a_header_is_named_once(folder: Path) -> None:
    numbers = TWO_COLUMNS.partition("\n")[2]
    (folder / "two.csv").write_text(numbers)

    async def asked() -> str:
        arguments = ("campaign", "add", "diwali", "two.csv")
        async with at_a_terminal(*arguments, env=environment(), cwd=folder) as terminal:
            await terminal.until("which one should be dialled (1 to 2)? ")
            terminal.types("")
            await terminal.end()
            return terminal.seen

    assert "2: column B: ******0011" in asyncio.run(asked())

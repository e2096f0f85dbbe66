"""The pages whose programs are commands: what they have one paste, run on an emulator."""

from __future__ import annotations

import re
import shlex
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import xlsxwriter

from exotel_async import IST
from exotel_async.cli.app import app
from exotel_async.emulator import Dial, Emulator, Scenario
from tests.cli.support import pointing_at, ran
from tests.docs.pages import ROOT, blocks
from tests.docs.programs import SPEED

pytestmark = pytest.mark.slow(4)

PAST = Dial(from_="+919812300001", to="+919812300002", caller_id="08030000000")


def commands(text: str) -> list[list[str]]:
    """The arguments of each `exotel-async` in a block, up to a pipe."""
    lines = (line.partition(" | ")[0].strip() for line in text.splitlines())
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("exotel-a")]


async def test_a_spreadsheet_is_dialled(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(tmp_path / "leads.xlsx")
    sheet = book.add_worksheet()
    for row, cells in enumerate(
        [("Name", "Mobile"), ("Asha", "98123 00001"), ("Ravi", "9.81E+09")]
    ):
        sheet.write_row(row, 0, cells)
    book.close()
    (block,) = blocks("how-to/spreadsheets", "sh")
    doctor, dry_run, dial = commands(block)
    morning = datetime(2026, 3, 2, 11, tzinfo=IST)
    answered = Scenario.all_answered(talk=20)
    async with Emulator(speed=SPEED, now=morning, scenario=answered) as emulator:
        env, cwd = pointing_at(emulator), str(tmp_path)
        assert (await ran(*doctor, env=env)).code == 0
        shown = await ran(*dry_run, env=env, cwd=cwd)
        assert shown.code == 0, shown
        assert "to be dialled: 1" in shown.out
        assert not emulator.calls
        ended = await ran(*dial, "--poll-interval", "0.1", env=env, cwd=cwd)
        assert ended.code == 0, ended
        assert emulator.rung("+919812300001") == 1
    assert (tmp_path / "leads.xlsx.rejected.csv").exists()


@pytest.mark.parametrize("page", ["docs/how-to/nightly-sync.md", "docs/reference/command-line.rst"])
async def test_exports_are_made(page: str, tmp_path: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    exports = [
        one for one in commands(re.sub(r"^ +", "", text, flags=re.MULTILINE)) if one[0] == "export"
    ]
    assert exports
    async with Emulator(speed=SPEED) as emulator:
        for hours in (6, 30, 60):
            emulator.add_call(PAST, ago=timedelta(hours=hours))
        for arguments in exports:
            if "--follow" in arguments:  # to its first rest
                continue
            ended = await ran(*arguments, env=pointing_at(emulator), cwd=str(tmp_path))
            assert ended.code == 0, (arguments, ended)
            made = arguments[arguments.index("-o") + 1]
            assert ended.out if made == "-" else (tmp_path / made).stat().st_size


def test_commands_within_sentences_can_be_read() -> None:
    """With something instead of what a reader puts there."""
    meant = {
        "NAME": "leads",
        "FILE": "leads.csv",
        "NUMBER": "+919812300001",
        "KEY": "7",
        "SID": "a1",
    }
    seen = 0
    for path in (ROOT / "docs").rglob("*.md"):
        for command in re.findall(r"`exotel-async ([a-z][^`]*)`", path.read_text(encoding="utf-8")):
            if "..." in command or "…" in command:
                continue
            arguments = [meant.get(word, word) for word in shlex.split(command)]
            if arguments in (["campaign"], ["dial"], ["call"], ["export"], ["dial", "--json"]):
                continue  # the name of a command, and no whole line
            seen += 1
            app.parse_args(arguments, exit_on_error=False, print_error=False)
    assert seen > 10

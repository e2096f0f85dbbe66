"""A SQLite ledger that other processes open and close while it is in use."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from exotel_async.campaigns.entries import Holder
from exotel_async.campaigns.ledger import Ledger
from tests.campaigns.ledgers import EXCHANGE, NOW

_READ = """
import contextlib, sqlite3, sys
with contextlib.closing(sqlite3.connect(sys.argv[1])) as connection:
    print([name for name, in connection.execute("SELECT name FROM campaigns ORDER BY id")])
"""


async def read_elsewhere(path: Path) -> str:
    """Return the names of the campaigns that another process finds."""
    command = [sys.executable, "-c", _READ, str(path)]
    done = await asyncio.to_thread(
        subprocess.run, command, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


async def test_another_process_that_closes_the_file_does_not_take_it_for_unused(
    tmp_path: Path,
) -> None:
    """The last to close it folds the journal into it, and removes it under those who still write.

    What tells others that a process uses a file is lost when the process closes it anywhere.
    """
    path = tmp_path / "campaigns.db"
    async with Ledger(path) as ledger:
        await ledger.create("first", "{}", 0)
        assert [one.name for one in await ledger.campaigns()] == ["first"]
        assert await read_elsewhere(path) == "['first']"
        await ledger.create("second", "{}", 0)
        assert await read_elsewhere(path) == "['first', 'second']"
        assert [one.name for one in await ledger.campaigns()] == ["first", "second"]


async def test_a_file_has_one_dialer_by_whatever_name(tmp_path: Path) -> None:
    path, link = tmp_path / "campaigns.db", tmp_path / "current.db"
    try:
        link.symlink_to(path)
    except OSError:
        pytest.skip("no links here")
    async with Ledger(link) as ledger, Ledger(path) as other:
        assert await ledger.lock(NOW, EXCHANGE) is None
        assert isinstance(await other.lock(NOW, EXCHANGE), Holder)


async def test_a_file_stays_the_same_wherever_the_process_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with Ledger("50%25?mode=ro#1.db") as ledger:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir("elsewhere")
        made = await ledger.create("diwali", "{}", NOW)
        assert await ledger.campaigns() == [made]
    files = await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
    assert {path.name for path in files} == {"50%25?mode=ro#1.db", "elsewhere"}

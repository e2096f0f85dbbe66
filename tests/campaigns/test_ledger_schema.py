"""The schema of a ledger's database: as the tables say, from every version that was released."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event

from exotel_async import ConfigurationError
from exotel_async.campaigns import LedgerUnavailable, ledger_schema
from exotel_async.campaigns.entries import IntentResult
from exotel_async.campaigns.ledger import Ledger
from exotel_async.campaigns.tables import VERSION, VERSION_TABLE, metadata
from tests.campaigns.ledgers import (
    EXCHANGE,
    NOW,
    claimed,
    connection,
    counted,
    intent,
    is_postgres,
    path_of,
    people,
    running,
)

DUMPS = Path(__file__).with_name("ledger_dumps")
VERSIONS = sorted({path.name.partition(".")[0] for path in DUMPS.iterdir()})


def differences(ledger: Ledger) -> list[Any]:
    """Return in what a database is not as the tables say."""
    with connection(ledger) as own:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        found = list(compare_metadata(MigrationContext.configure(own, opts=options), metadata))
        own.engine.dispose()
    return found


def test_there_is_a_dump_of_each_version() -> None:
    scripts = ScriptDirectory(str(ledger_schema._MIGRATIONS))
    assert sorted(one.revision for one in scripts.walk_revisions()) == VERSIONS
    assert scripts.get_current_head() == VERSION


@pytest.mark.slow(1)
async def test_a_new_ledger_is_as_the_tables_say(ledger: Ledger) -> None:
    assert differences(ledger) == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_ledger_of_each_version_is_brought_up_to_date(place: str, version: str) -> None:
    ledger = Ledger(place)
    if is_postgres(ledger):
        with psycopg.connect(place) as server:
            server.execute((DUMPS / f"{version}.postgres.sql").read_bytes())
    else:
        with closing(sqlite3.connect(place)) as file:
            file.executescript((DUMPS / f"{version}.sql").read_text(encoding="utf-8"))
    async with ledger:
        assert differences(ledger) == []
        assert await ledger.lock(NOW, EXCHANGE) is None
        statistics = await ledger.statistics("diwali")
        assert statistics is not None
        assert (statistics.created, statistics.pending, statistics.reached) == (2, 1, 1)
        ((_, outcome),) = await ledger.outcomes(1, 0, 9)
        assert [one.sid for one in outcome.attempts] == [f"sid{1:016x}"]
        assert len(await ledger.claim(1, [""], 9, NOW, NOW)) == 1


async def test_calls_whose_end_is_not_known_are_counted_in_an_older_ledger(place: str) -> None:
    """Version 0001 did not count them."""
    ledger = Ledger(place)
    if is_postgres(ledger):
        with psycopg.connect(place) as server:
            server.execute((DUMPS / "0001.postgres.sql").read_bytes())
            server.execute("SET search_path TO public")
            _unresolve(server.execute)
    else:
        with closing(sqlite3.connect(place)) as file:
            file.executescript((DUMPS / "0001.sql").read_text(encoding="utf-8"))
            _unresolve(file.execute)
            file.commit()
    async with ledger:
        statistics = await ledger.statistics("diwali")
        assert statistics is not None
        assert (statistics.attempts, statistics.end_unknown) == (1, 1)
        there, true = counted(ledger)
        assert there == true


def _unresolve(execute: Any) -> None:
    execute("UPDATE attempts SET state = 'unresolved', status = NULL")
    execute("UPDATE contacts SET state = 'unresolved' WHERE state = 'reached'")
    execute("UPDATE counts SET name = 'unresolved' WHERE name = 'reached'")
    execute("DELETE FROM counts WHERE name IN ('attempts', 'status:completed')")


async def test_tables_of_others_are_left_alone(place: str) -> None:
    ledger = Ledger(place)
    with connection(ledger) as own:
        own.exec_driver_sql("CREATE TABLE contacts (name text)")
        own.commit()
        own.engine.dispose()
    with pytest.raises(ConfigurationError, match="tables of something else: contacts"):
        await ledger.open()
    if is_postgres(ledger):
        with psycopg.connect(place, autocommit=True) as server:
            server.execute("CREATE SCHEMA dialer")
        async with Ledger(f"{place}&options=-csearch_path%3Ddialer") as own_schema:
            await running(own_schema, people(1))
            assert differences(own_schema) == []


async def test_two_make_one_new_ledger_together(place: str) -> None:
    ledgers = [Ledger(place) for _ in range(4)]
    await asyncio.gather(*(ledger.open() for ledger in ledgers))
    await asyncio.gather(*(ledger.create("diwali", "{}", NOW) for ledger in ledgers))
    assert len(await ledgers[0].campaigns()) == 1
    for ledger in ledgers:
        await ledger.close()


@pytest.mark.slow
def test_alembic_is_imported_only_to_change_a_schema(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from exotel_async.campaigns.ledger import Ledger
async def main():
    async with Ledger("campaigns.db"): print("alembic" in sys.modules)
asyncio.run(main())
"""
    command = [sys.executable, "-c", program]
    said = [subprocess.check_output(command, cwd=tmp_path, text=True) for _ in range(2)]
    assert said == ["True\n", "False\n"]


async def test_intents_are_committed_as_durably_as_it_goes(place: str) -> None:
    found: list[Any] = []
    ledger = Ledger(place)
    if is_postgres(ledger):  # whatever is usual there
        with psycopg.connect(place, autocommit=True) as server:
            for usual in (
                "synchronous_commit = off",
                "default_transaction_isolation = 'serializable'",
            ):
                server.execute(f'ALTER DATABASE "{server.info.dbname}" SET {usual}'.encode())

    def committing(own: Connection) -> None:
        cursor: Any = own.connection.cursor()
        if is_postgres(ledger):
            for name in ("synchronous_commit", "transaction_isolation"):
                cursor.execute(f"SHOW {name}")
                found.append(cursor.fetchone()[0])
        else:
            names = ("journal_mode", "synchronous", "fullfsync", "foreign_keys")
            found.extend(cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in names)

    async with ledger:
        campaign = await running(ledger, people(1))
        (contact,) = await claimed(ledger, campaign, 1)
        event.listen(Engine, "commit", committing)
        try:
            assert await ledger.intend([intent(contact)], 2) == [IntentResult.TAKEN]
        finally:
            event.remove(Engine, "commit", committing)
    expected = ["on", "read committed"] if is_postgres(ledger) else ["wal", 2, 1, 1]  # 2 is FULL
    assert found == expected


async def test_a_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("files have other rights there")
    before = os.umask(0)
    try:
        async with Ledger(tmp_path / "campaigns.db") as ledger:
            await running(ledger, people(1))
            files = sorted(path_of(ledger).parent.iterdir())
            rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files}
    finally:
        os.umask(before)
    names = ("campaigns.db", "campaigns.db-shm", "campaigns.db-wal", "campaigns.db.lock")
    assert rights == dict.fromkeys(names, 0o600)


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_whether_there_is_a_ledger_is_told_without_making_one(
    place: str, tmp_path: Path
) -> None:
    assert not await Ledger(place).exists()
    assert not await Ledger(place).exists()
    assert left_in(tmp_path) == []
    async with Ledger(place) as ledger:
        assert await ledger.exists()
    assert await Ledger(place).exists()


async def test_what_is_no_database_has_no_ledger(tmp_path: Path) -> None:
    file = tmp_path / "campaigns.db"
    file.write_text("number\n9812300001\n" * 100)
    with pytest.raises(ConfigurationError, match="not a SQLite database"):
        await Ledger(file).exists()
    with pytest.raises(LedgerUnavailable, match="File name too long"):
        await Ledger(tmp_path / ("x" * 300)).exists()

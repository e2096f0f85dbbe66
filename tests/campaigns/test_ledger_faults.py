"""What goes wrong with a ledger's database: nothing is lost, and it goes on when that is over."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from traceback import format_exception
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from exotel_async import ConfigurationError, ExotelError
from exotel_async.campaigns import ContactState, ledger_thread
from exotel_async.campaigns.dialer import Dialer
from exotel_async.campaigns.entries import IntentResult
from exotel_async.campaigns.errors import LedgerBusy, LedgerUnavailable
from exotel_async.campaigns.ledger import Ledger
from tests.campaigns.ledgers import (
    EXCHANGE,
    NOW,
    claimed,
    connection,
    counted,
    ended,
    intended,
    intent,
    is_postgres,
    people,
    person,
    placed,
    running,
)
from tests.campaigns.running import campaign, fast_exotel, number, run_all, until
from tests.conftest import SOON, session
from tests.support import postgres


@pytest.mark.parametrize(
    ("fault", "over", "says"),
    [
        # As many pages as there are already.
        ("max_page_count = 1", "max_page_count = 1000000", "the disk is full"),
        ("query_only = ON", "query_only = OFF", "it cannot be written"),
    ],
)
async def test_a_file_that_cannot_grow_or_be_written_loses_nothing(
    tmp_path: Path, fault: str, over: str, says: str
) -> None:
    setting = over

    def set_up(own: Connection) -> None:
        own.connection.cursor().execute(f"PRAGMA {setting}")

    event.listen(Engine, "begin", set_up)
    try:
        async with Ledger(tmp_path / "campaigns.db") as ledger:
            campaign = await running(ledger, people(3))
            one, _ = await intended(ledger, campaign, 2)
            setting = fault
            with pytest.raises(LedgerUnavailable, match=rf"campaigns\.db: {says}"):
                await ledger.add(campaign.id, [person(n) for n in range(10, 2000)], NOW)
            setting = over
            assert await ledger.add(campaign.id, [person(10)], NOW) == []
            await ledger.record([placed(one), ended(one)])
            there, true = counted(ledger)
            assert there == true
            assert there[campaign.id, "pending"] == 2
    finally:
        event.remove(Engine, "begin", set_up)


@pytest.mark.slow(1)
async def test_a_lock_that_lasts_is_told_and_waited_for(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await running(ledger, people(2))
    one, _ = await intended(ledger, campaign, 2)
    own = connection(ledger)
    own.begin()
    own.exec_driver_sql("UPDATE contacts SET reason = 'x'")
    own.exec_driver_sql("UPDATE attempts SET error = 'x'")
    try:
        monkeypatch.setattr(ledger_thread, "PATIENCE", 0.05)
        with pytest.raises(LedgerBusy, match="locked"):
            await ledger.record([placed(one), ended(one)])
        # Readers do not wait for it.
        statistics = await ledger.statistics("diwali")
        assert statistics is not None
        assert statistics.in_progress == 2
        monkeypatch.setattr(ledger_thread, "PATIENCE", SOON)
        waiting = asyncio.create_task(ledger.record([placed(one), ended(one)]))
        await asyncio.sleep(0)
    finally:
        own.close()
        own.engine.dispose()
    await waiting
    statistics = await ledger.statistics("diwali")
    assert statistics is not None
    assert statistics.reached == 1


async def test_what_is_no_ledger_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to look like one" * 99)
    with pytest.raises(ConfigurationError, match=r"notes\.txt is not a SQLite database"):
        await Ledger(tmp_path / "notes.txt").open()
    with pytest.raises(LedgerUnavailable, match="No such file or directory"):
        await Ledger(tmp_path / "nowhere" / "campaigns.db").open()
    for use in (Ledger(tmp_path).open, Ledger(tmp_path).exists):
        with pytest.raises(ConfigurationError, match=f"^{tmp_path} is a folder: give a file in it"):
            await use()
    with pytest.raises(LedgerUnavailable, match="not open"):
        await Ledger(tmp_path / "campaigns.db").campaigns()
    for place in ("", ":memory:", "sqlite:///x.db", "mysql://user:secret@host/db", "://secret"):
        with pytest.raises(ConfigurationError, match="path of a SQLite file") as caught:
            Ledger(place)
        assert "secret" not in str(caught.value)


async def test_where_the_log_cannot_be_made_the_folder_is_blamed(tmp_path: Path) -> None:
    """As in a folder that may not be written, which no folder is to root."""
    place = tmp_path / "campaigns.db"
    async with Ledger(place):
        pass
    (tmp_path / "campaigns.db-wal").mkdir()
    for use in (Ledger(place).open, Ledger(place).exists):
        with pytest.raises(
            LedgerUnavailable, match=r"cannot be opened: .* even to read it, .* folder"
        ):
            await use()


async def test_where_the_log_cannot_be_kept_no_ledger_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def without_shared_memory(path: str, **settings: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(f"file:{path}?vfs=unix-dotfile", uri=True, **settings)
        return made

    monkeypatch.setattr(sqlite3.dbapi2, "connect", without_shared_memory)
    with pytest.raises(ConfigurationError, match=r"campaigns\.db: .* write-ahead log"):
        await Ledger(tmp_path / "campaigns.db").open()


async def test_a_place_that_cannot_be_taken_is_not_taken_for_another_dialer_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    async with Ledger(tmp_path / "campaigns.db") as ledger:
        monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
        with pytest.raises(LedgerUnavailable, match=r"campaigns\.db\.lock: No locks available"):
            await ledger.lock(NOW, EXCHANGE)


async def test_values_are_in_no_error_of_ours(ledger: Ledger) -> None:
    wrong: Any = [object(), "9812300001"]
    with pytest.raises(Exception, match=r"(?i)adapt|serializable") as caught:
        await ledger.listed(wrong)
    assert "9812300001" not in str(caught.value)
    assert not isinstance(caught.value, LedgerUnavailable)


async def test_a_ledger_of_a_newer_version_is_left_alone(place: str) -> None:
    async with Ledger(place) as ledger:
        with connection(ledger) as own:
            own.exec_driver_sql("UPDATE ledger_version SET version_num = '9999'")
            own.commit()
            own.engine.dispose()
    with pytest.raises(ConfigurationError, match="schema 9999, of a newer exotel-async"):
        await Ledger(place).open()


async def test_a_password_is_nowhere(tmp_path: Path) -> None:
    ledger = Ledger(
        f"postgresql+psycopg2://user:secret@localhost/db?host={tmp_path}&password=secret"
    )
    assert repr(ledger) == "Ledger('postgresql://user:***@localhost/db')"
    with pytest.raises(LedgerUnavailable, match=r"postgresql://user:\*\*\*@localhost/db") as caught:
        await ledger.open()
    assert "secret" not in "".join(format_exception(caught.value))


@pytest.mark.parametrize(
    "place",
    [
        "postgresql://user:sec@ret@localhost/db",
        "postgresql://user:sec@re/t@localhost/db",
        "postgresql://user@sec:ret@ret/db@",
        "postgresql://user:sec@ret/@localhost/db",
        "postgresql://user:secret@:ret@localhost:5432/db",
    ],
)
def test_no_part_of_a_password_that_was_not_encoded_is_shown(place: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Ledger(place)
    assert "sec" not in str(caught.value)
    assert "ret" not in str(caught.value)


@pytest.mark.parametrize("place", ["host=127.0.0.1 password=secret", "  dbname = x"])
def test_settings_of_libpq_are_no_path(place: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="by a URL like") as caught:
        Ledger(place)
    assert "secret" not in str(caught.value)
    assert repr(Ledger(tmp_path / "dbname" / "host=1.db")).endswith("host=1.db')")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_that_cannot_hold_all_scripts_is_refused(
    encoding: str, postgres_server: postgres.Server
) -> None:
    ledger = Ledger(postgres_server.new_database(encoding=encoding))
    refused = f"encoding of the database is {encoding}; a ledger needs one in UTF8"
    with pytest.raises(ConfigurationError, match=refused):
        await ledger.open()
    with pytest.raises(ConfigurationError, match=refused):
        await ledger.exists()


@pytest.mark.slow
async def test_a_server_that_was_stopped_and_started(own_server: postgres.Server) -> None:
    async with Ledger(own_server.new_database()) as ledger:
        campaign = await running(ledger, people(3))
        (one,) = await intended(ledger, campaign)
        own_server.stop()
        with pytest.raises(LedgerUnavailable, match="postgresql://postgres@/test_"):
            await ledger.record([placed(one), ended(one)])
        with pytest.raises(LedgerUnavailable):
            await ledger.statistics("diwali")
        with pytest.raises(LedgerUnavailable):
            await ledger.renew_lease(NOW)
        own_server.start()

        await ledger.record([placed(one), ended(one)])
        await ledger.renew_lease(NOW)
        assert len(await claimed(ledger, campaign, 2)) == 2
        there, true = counted(ledger)
        assert there == true


@pytest.mark.slow
async def test_a_dialer_that_waits_for_another_one_waits_for_the_server_as_well(
    own_server: postgres.Server, caplog: pytest.LogCaptureFixture
) -> None:
    place = own_server.new_database()
    caplog.set_level(logging.INFO, "exotel_async")
    async with (
        fast_exotel() as emulator,
        session(emulator) as exotel,
        Ledger(place) as first,
        Dialer(exotel, place, poll_interval=0.03) as dialer,
    ):
        assert await first.lock(NOW, EXCHANGE) is None
        await dialer.create(campaign())
        await dialer.add("diwali", [number(1)])
        waiting = asyncio.create_task(run_all(dialer))
        await until(lambda: "Another dialer has the ledger" in caplog.text or waiting.done())
        own_server.stop()
        await until(lambda: "Trying again" in caplog.text or waiting.done())
        own_server.start()
        # The first one has lost its place with its connection.
        (outcome,) = await waiting
    assert outcome.state is ContactState.REACHED


async def test_whoever_reads_does_not_hear_of_a_connection_that_was_lost_before(
    ledger: Ledger,
) -> None:
    if not is_postgres(ledger):
        pytest.skip("a file has no connections")
    assert await ledger.campaigns() == []
    with connection(ledger) as own:
        own.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        own.engine.dispose()
    assert await ledger.campaigns() == []


@pytest.mark.slow(1)
def test_psycopg_is_needed_for_a_server_alone(tmp_path: Path) -> None:
    program = """
import asyncio, sys
sys.modules["psycopg"] = None
from exotel_async.campaigns.ledger import Ledger
sys.modules["alembic"] = None
try:
    asyncio.run(Ledger("campaigns.db").open())
except Exception as error:
    print(type(error).__name__, error)
del sys.modules["alembic"]
asyncio.run(Ledger("campaigns.db").open())
try:
    asyncio.run(Ledger("postgresql://localhost/db").open())
except Exception as error:
    print(type(error).__name__, error)
sys.modules["sqlalchemy"] = None
for name in [name for name in sys.modules if "campaigns" in name or "sqlalchemy." in name]:
    del sys.modules[name]
try:
    import exotel_async.campaigns.ledger
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        'ConfigurationError campaigns need Alembic: pip install "exotel-async[campaigns]"\n'
        'ConfigurationError PostgreSQL needs psycopg: pip install "exotel-async[postgres]"\n'
        'ConfigurationError campaigns need SQLAlchemy: pip install "exotel-async[campaigns]"\n'
    )


async def test_a_ledger_that_was_closed_is_opened_again(place: str) -> None:
    ledger = Ledger(place)
    for _ in range(2):
        async with ledger:
            assert await ledger.lock(NOW, EXCHANGE) is None
            await ledger.create("diwali", "{}", NOW)
            await ledger.unlock(NOW)
    with pytest.raises(LedgerUnavailable, match="not open"):
        await ledger.campaigns()


async def test_a_ledger_that_is_open_is_opened_for_a_dialer_as_well(place: str) -> None:
    async with Ledger(place) as ledger:
        async with ledger:
            await asyncio.gather(*(ledger.create(f"{n}", "{}", NOW) for n in range(3)))
            assert len(await ledger.campaigns()) == 3
        await ledger.create("after", "{}", NOW)
    with pytest.raises(LedgerUnavailable, match="not open"):
        await ledger.campaigns()


async def test_a_ledger_whose_closing_is_cancelled_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "campaigns.db"
    ledger = Ledger(path)
    await ledger.open()
    assert await ledger.lock(NOW, EXCHANGE) is None
    closing = asyncio.create_task(ledger.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(LedgerUnavailable, match="not open"):
        await ledger.create("diwali", "{}", NOW)
    async with Ledger(path) as other:
        assert await other.lock(NOW, EXCHANGE) is None


async def test_a_disk_that_fails_when_the_log_is_emptied_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Ledger(tmp_path / "campaigns.db") as ledger:
        await running(ledger, people(1))

        def fail(*, to_read: bool) -> Connection:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

        monkeypatch.setattr(ledger._database, "connect", fail)
        with pytest.raises(LedgerUnavailable, match="an error of the disk"):
            await ledger.forget("customer 0")


async def test_what_the_database_refuses_is_told_without_numbers(ledger: Ledger) -> None:
    campaign = await running(ledger, people(1))
    (contact,) = await claimed(ledger, campaign, 1)
    twice = [intent(contact, "9812300001")]
    assert await ledger.intend(twice, SOON) == [IntentResult.TAKEN]
    await ledger.add(campaign.id, [person(2)], NOW)
    (contact,) = await claimed(ledger, campaign, 1)
    with pytest.raises(ExotelError, match=r"(?i)unique") as caught:
        await ledger.intend([intent(contact, "9812300001")], SOON)
    assert not isinstance(caught.value, LedgerUnavailable)
    assert "9812300001" not in str(caught.value)
    assert await ledger.intend([intent(contact)], SOON) == [IntentResult.TAKEN]


@pytest.mark.slow(1)
async def test_a_server_writes_nobody_who_is_there_already_to_its_log(
    own_server: postgres.Server,
) -> None:
    async with Ledger(own_server.new_database()) as ledger:
        campaign = await running(ledger, [person(0)])
        added = await ledger.add(campaign.id, [person(0), person(1), person(0, key="o")], NOW)
        assert added == [(0, "key"), (2, "number")]
    log = own_server.log()
    assert "98123" not in log
    assert "customer" not in log


@pytest.mark.slow
async def test_why_a_connection_was_lost_is_told(own_server: postgres.Server) -> None:
    async with Ledger(own_server.new_database()) as ledger:
        campaign = await running(ledger, [person(0)])
        with connection(ledger) as own:
            own.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            own.engine.dispose()
        with pytest.raises(LedgerUnavailable, match="administrator"):
            await ledger.promote(campaign.id, NOW)


@pytest.mark.slow(1)
async def test_why_a_connection_was_lost_while_a_list_was_added_is_told(
    own_server: postgres.Server,
) -> None:
    async with Ledger(own_server.new_database()) as ledger:
        campaign = await running(ledger)
        with connection(ledger) as own:
            own.exec_driver_sql(
                "CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'"
            )
            own.exec_driver_sql(
                "CREATE TRIGGER lost BEFORE INSERT ON contacts FOR EACH ROW"
                " WHEN (NEW.key = 'customer 1') EXECUTE FUNCTION end_session()"
            )
            own.commit()
            with pytest.raises(LedgerUnavailable, match="administrator"):
                await ledger.add(campaign.id, people(3), NOW)
            own.exec_driver_sql("DROP TRIGGER lost ON contacts")
            own.commit()
            own.engine.dispose()
        assert await ledger.add(campaign.id, people(3), NOW) == []
        there, true = counted(ledger)
        assert there == true

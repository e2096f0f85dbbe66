"""A ledger that cannot be written for a while holds up the dialling; one that is gone ends it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy import Connection, Engine, event

from exotel_async.campaigns.dialer import Dialer
from exotel_async.campaigns.errors import LedgerLost
from exotel_async.emulator import Emulator, Scenario
from tests.campaigns.running import campaign, dialled, dialling, number, numbers, run_all
from tests.conftest import SOON

pytestmark = pytest.mark.anyio

FORBIDDEN: list[str] = []
"""Beginnings of statements before each of which the ledger becomes one that cannot be written."""


class _Cursor(sqlite3.Cursor):
    def execute(self, statement: str, *parameters: Any) -> Self:
        self._look(statement)
        return super().execute(statement, *parameters)

    def executemany(self, statement: str, parameters: Any) -> Self:
        self._look(statement)
        return super().executemany(statement, parameters)

    def _look(self, statement: str) -> None:
        if FORBIDDEN and statement.startswith(FORBIDDEN[0]):
            FORBIDDEN.pop(0)
            super().execute("PRAGMA query_only = ON")


class _Driver(sqlite3.Connection):
    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)


def _connect(dialect: Any, record: Any, args: Any, options: dict[str, Any]) -> sqlite3.Connection:
    return sqlite3.connect(*args, **options, factory=_Driver)


def _begin(connection: Connection) -> None:
    connection.connection.cursor().execute("PRAGMA query_only = OFF")


@pytest.fixture(autouse=True)
def _forbidding() -> Iterator[None]:
    event.listen(Engine, "do_connect", _connect)
    event.listen(Engine, "begin", _begin)
    yield
    event.remove(Engine, "begin", _begin)
    event.remove(Engine, "do_connect", _connect)


@contextmanager
def read_only(statement: str, times: int) -> Iterator[None]:
    """Let the ledger not be written when these statements come first: each of those times."""
    FORBIDDEN[:] = [statement] * times
    yield
    assert not FORBIDDEN


async def test_intents_that_cannot_be_written_are_written_later(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.add("diwali", numbers(5))
    with read_only("INSERT INTO attempts", 3):
        outcomes = await run_all(dialer)
    assert [outcome.is_reached for outcome in outcomes] == [True] * 5
    assert [exotel_server.rung(number(index)) for index in range(5)] == [1] * 5


async def test_what_the_register_says_of_a_number_is_known_if_it_cannot_be_written(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.create(campaign("checked", check_dnd=True))
    await dialer.add("checked", numbers(2))
    with read_only("INSERT INTO lookups", 2):
        outcomes = await run_all(dialer, "checked")
    assert len(outcomes) == 2
    assert sum("Numbers" in one.path for one in exotel_server.requests) == 2


async def test_nobody_is_dialled_from_a_file_that_was_deleted(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    exotel_server.scenario = Scenario.all_answered(ring=0, talk=20, settle=0)
    async with dialling(exotel_server, tmp_path, channels=1) as dialer:
        await dialer.create(campaign())
        await dialer.add("diwali", numbers(5))
        with pytest.raises(LedgerLost, match="was deleted"):
            async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
                async for _ in outcomes:
                    for path in sorted(tmp_path.glob("campaigns.db*")):  # noqa: ASYNC240
                        path.unlink()
    # The next one may have been dialled before the first one's outcome was read.
    assert len(dialled(exotel_server)) <= 2
    assert not (tmp_path / "campaigns.db").exists()

"""A ledger that cannot be written for a while holds up the dialling, and ends nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator
from tests.campaigns.running import campaign, number, numbers, run_all

pytestmark = pytest.mark.anyio


@contextmanager
def read_only(statement: str, times: int) -> Iterator[list[str]]:
    """Let a SQLite ledger not be written when these statements come first; which they were."""
    failed: list[str] = []

    def begin(connection: Connection) -> None:
        connection.connection.cursor().execute("PRAGMA query_only = OFF")

    def execute(connection: Connection, cursor: Any, text: str, *rest: Any) -> None:
        if text.startswith(statement) and len(failed) < times:
            failed.append(text)
            cursor.execute("PRAGMA query_only = ON")

    event.listen(Engine, "begin", begin)
    event.listen(Engine, "before_cursor_execute", execute)
    try:
        yield failed
    finally:
        event.remove(Engine, "before_cursor_execute", execute)
        event.remove(Engine, "begin", begin)


async def test_intents_that_cannot_be_written_are_written_later(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.add("diwali", numbers(5))
    with read_only("INSERT INTO attempts", 3) as failed:
        outcomes = await run_all(dialer)
    assert len(failed) == 3
    assert [outcome.is_reached for outcome in outcomes] == [True] * 5
    assert [exotel_server.rung(number(index)) for index in range(5)] == [1] * 5


async def test_what_the_register_says_of_a_number_is_known_if_it_cannot_be_written(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.create(campaign("checked", check_dnd=True))
    await dialer.add("checked", numbers(2))
    with read_only("INSERT INTO lookups", 2) as failed:
        outcomes = await run_all(dialer, "checked")
    assert len(failed) == 2
    assert len(outcomes) == 2
    assert sum("Numbers" in one.path for one in exotel_server.requests) == 2

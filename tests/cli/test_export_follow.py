"""`exotel-async export --update` and `--follow`: a database that is brought up to date."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exotel_async import IST, Call
from exotel_async.cli.export_sink import Refusal
from exotel_async.cli.export_sqlite import Database
from exotel_async.emulator import Emulator, Fault
from exotel_async.emulator.calls import Dial
from exotel_async.emulator.scenario import Behaviour, Outcome, Scenario
from tests.cli.support import (
    EXOPHONE,
    FIRST,
    QUICK,
    SECOND,
    TOKEN,
    fill,
    left_in,
    pointing_at,
    ran,
    started,
)

pytestmark = pytest.mark.slow

UPDATE = ("export", "-o", "calls.db", "--update", *QUICK)
FOLLOW = ("export", "-o", "calls.db", "--follow", "--every", "1", *QUICK)
Rows = dict[str, tuple[str, int | None, float | None]]


def rows_in(file: Path) -> Rows:
    """Status, length and price of each call."""
    if not file.exists():
        return {}
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT sid, status, duration, price FROM calls").fetchall()
    return {sid: (status, duration, price) for sid, status, duration, price in rows}


async def until(file: Path, holds: Callable[[Rows], bool]) -> Rows:
    """Wait until a database is like that."""
    deadline = time.monotonic() + 20
    while not holds(rows := rows_in(file)):
        assert time.monotonic() < deadline, rows
        await asyncio.sleep(0.05)
    return rows


async def test_what_ended_later_and_what_settled_later_is_put_in(tmp_path: Path) -> None:
    file = tmp_path / "calls.db"
    hours = Behaviour(Outcome.COMPLETED, ring=1, talk=3 * 3600)
    short = Behaviour(Outcome.COMPLETED, ring=1, talk=1)
    scenario = Scenario(numbers={FIRST: hours, "09812300009": short, SECOND: short})
    async with Emulator(api_token=TOKEN, rate=1_000_000, scenario=scenario) as emulator:
        old = fill(emulator, 200)

        def dialled(number: str, to: str | None, *, hours: float) -> str:
            dial = Dial(from_=number, to=to, caller_id=EXOPHONE)
            return emulator.add_call(dial, ago=timedelta(hours=hours)).sid

        going_on = dialled(FIRST, None, hours=2.9)
        unsettled = dialled("09812300009", SECOND, hours=0.01)
        env = pointing_at(emulator)
        async with started(*FOLLOW, env=env, cwd=str(tmp_path)) as running:
            await running.line("201 calls in ")
            first = rows_in(file)
            assert set(first) == {*old, unsettled}
            assert first[unsettled] == ("completed", None, None)

            newer = dialled("09812300009", SECOND, hours=0.005)
            emulator.calls[going_on].run_ahead(3 * 3600 + 10)
            emulator.calls[unsettled].run_ahead(600)
            rows = await until(file, lambda rows: {newer, going_on} <= set(rows))
            assert rows[unsettled][1] is not None
            assert rows[unsettled][2] is not None
            assert rows[going_on] == ("completed", None, None)

            await emulator.finish_calls()
            await until(file, lambda rows: None not in rows[going_on] + rows[newer])
            new = changed = 0
            async for line in running.error_lines():
                if found := re.search(r"update at .*: (\d) new, (\d) changed", line):
                    new, changed = new + int(found[1]), changed + int(found[2])
                # It is said after it is in the file.
                if new + changed >= 2 + 3:
                    break
            ended = await running.end(signal.SIGINT)
        assert ended.code == 0, ended
        assert ended.out.splitlines()[-1].startswith("203 calls, the newest of ")
        assert (new, changed) == (2, 3)
        assert left_in(tmp_path) == ["calls.db"]
        # It looks back as far as a call may go on, and not over everything again and again.
        since = datetime.fromisoformat(emulator.requests[-1].query["DateCreated"][4:23])
        looked_back = emulator.clock.now() - since.replace(tzinfo=IST)
        assert timedelta(hours=4, minutes=15) < looked_back < timedelta(hours=4, minutes=17)

        # Started again it goes on, by the database alone.
        seen = len(emulator.requests)
        latest = dialled("09812300009", SECOND, hours=0.1)
        async with started(*FOLLOW, env=env, cwd=str(tmp_path)) as running:
            await until(file, lambda rows: latest in rows)
            ended = await running.end(signal.SIGTERM)
        assert ended.code == 0, ended
        assert ended.out.startswith("204 calls, ")
        assert len(emulator.requests) - seen < 20


async def test_an_update_brings_what_is_new_or_has_settled_and_ends(tmp_path: Path) -> None:
    file = tmp_path / "calls.db"
    scenario = Scenario.all_answered(talk=1)
    async with Emulator(api_token=TOKEN, rate=1_000_000, scenario=scenario) as emulator:
        fill(emulator, 20)
        env = pointing_at(emulator)

        def dialled(*, minutes: float) -> str:
            dial = Dial(from_=FIRST, to=SECOND, caller_id=EXOPHONE)
            return emulator.add_call(dial, ago=timedelta(minutes=minutes)).sid

        async def told() -> str:
            ended = await ran(*UPDATE, env=env, cwd=str(tmp_path))
            assert (ended.code, ended.err) == (0, ""), ended
            return ended.out

        unsettled = dialled(minutes=0.5)
        # Where there is none, it is exported; then it is updated.
        assert (await told()).startswith("21 calls in ")
        assert await told() == "calls.db: 0 new, 0 changed, 21 calls in all\n"
        assert rows_in(file)[unsettled] == ("completed", None, None)
        emulator.calls[unsettled].run_ahead(600)
        dialled(minutes=200)
        assert await told() == "calls.db: 1 new, 1 changed, 22 calls in all\n"
        assert rows_in(file)[unsettled][1] is not None
        assert await told() == "calls.db: 0 new, 0 changed, 22 calls in all\n"
        assert left_in(tmp_path) == ["calls.db"]

        emulator.faults.add(Fault.answer(500), times=None)
        ended = await ran(*UPDATE, env=env, cwd=str(tmp_path))
        assert ended.code == 1
        assert ended.err.endswith("; the next update catches up\n")


@pytest.mark.parametrize("forced", [True, False])
async def test_one_that_was_replaced_is_not_written_to(
    forced: bool, busy: Emulator, tmp_path: Path
) -> None:
    fill(busy, 9)
    env = pointing_at(busy)
    async with started(*FOLLOW, env=env, cwd=str(tmp_path)) as running:
        await until(tmp_path / "calls.db", lambda rows: len(rows) == 9)
        async for line in running.error_lines():
            if line.startswith("Following: "):
                break  # it has opened the file
        if forced:
            again = ("export", "-o", "calls.db", "--force", *QUICK)
            assert (await ran(*again, env=env, cwd=str(tmp_path))).code == 0
        else:
            (tmp_path / "calls.db").unlink()
        dial = Dial(from_=FIRST, to=SECOND, caller_id=EXOPHONE)
        busy.add_call(dial, ago=timedelta(minutes=10))
        ended = await running.end()
    assert ended.code == 1
    assert "calls.db was deleted or replaced during the update" in ended.err


async def test_ctrl_c_says_that_it_was_deleted(busy: Emulator, tmp_path: Path) -> None:
    fill(busy, 9)
    env = pointing_at(busy)
    rarely = ("export", "-o", "calls.db", "--follow", "--every", "3600", *QUICK)
    async with started(*rarely, env=env, cwd=str(tmp_path)) as running:
        file = tmp_path / "calls.db"
        await until(file, lambda rows: len(rows) == 9)
        async with asyncio.timeout(20):
            while Database(file).finished().changes is None:  # the first update ends with it
                await asyncio.sleep(0.05)
        file.unlink()
        ended = await running.end(signal.SIGINT)
    assert ended.code == 1
    assert "calls.db was deleted or replaced" in ended.err


class DeletesItFirst(list[Call]):
    """Calls that delete the file of the database when they are read."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def __iter__(self) -> Iterator[Call]:
        self.file.unlink(missing_ok=True)
        return super().__iter__()


async def test_a_database_that_was_deleted_is_no_disk_error(busy: Emulator, tmp_path: Path) -> None:
    fill(busy, 2)
    env = pointing_at(busy)
    assert (await ran("export", "-o", "calls.db", *QUICK, env=env, cwd=str(tmp_path))).code == 0
    file = tmp_path / "calls.db"
    kept = file.read_bytes()

    def refuses(use: Callable[[Database], object], *, deleted: bool = True) -> None:
        file.write_bytes(kept)
        database = Database(file)
        database.update(database.finished())
        if deleted:
            file.unlink()
        with closing(database), pytest.raises(Refusal, match=r"calls\.db was deleted or replaced"):
            use(database)

    refuses(Database.newest)
    refuses(lambda database: database.save_token(None))
    refuses(lambda database: database.upsert([]))
    refuses(lambda database: database.upsert(DeletesItFirst(file)), deleted=False)


async def test_records_that_come_without_details_keep_those_they_had(tmp_path: Path) -> None:
    def talked() -> list[int | None]:
        with closing(sqlite3.connect(tmp_path / "calls.db")) as connection:
            return [talk for (talk,) in connection.execute("SELECT talk_time FROM calls")]

    scenario = Scenario.all_answered(talk=1)
    async with Emulator(api_token=TOKEN, rate=1_000_000, scenario=scenario) as emulator:
        for minutes in range(10, 15):
            dial = Dial(from_=FIRST, to=SECOND, caller_id=EXOPHONE)
            emulator.add_call(dial, ago=timedelta(minutes=minutes))
        env = pointing_at(emulator)
        command = (*UPDATE, "--details")
        assert (await ran(*command, env=env, cwd=str(tmp_path))).code == 0
        assert talked() == [1] * 5
        emulator.faults.add(Fault.rows_without_details(), path="Calls", times=None)
        ended = await ran(*command, env=env, cwd=str(tmp_path))
        assert ended.out == "calls.db: 0 new, 0 changed, 5 calls in all\n"
        assert talked() == [1] * 5


async def test_one_without_calls_is_updated_from_where_it_began(tmp_path: Path) -> None:
    async with Emulator(api_token=TOKEN, rate=1_000_000) as emulator:
        env = pointing_at(emulator)
        ended = await ran(*UPDATE, env=env, cwd=str(tmp_path))
        assert ended.out.startswith("0 calls in ")
        with closing(sqlite3.connect(tmp_path / "calls.db")) as connection, connection:
            ((state,),) = connection.execute("SELECT state FROM export")
            _, since, _ = json.loads(state)["selection"]["since"]
            begun = datetime.fromisoformat(since) + timedelta(days=30)
            assert abs(datetime.now(UTC) - begun) < timedelta(minutes=9)
            # As if it had been exported two months ago.
            longer_ago = datetime.fromisoformat(since) - timedelta(days=60)
            changed = state.replace(since, longer_ago.isoformat())
            connection.execute("UPDATE export SET state = ?", (changed,))
        dial = Dial(from_=FIRST, to=SECOND, caller_id=EXOPHONE)
        sid = emulator.add_call(dial, ago=timedelta(days=45)).sid
        assert (await ran(*UPDATE, env=env, cwd=str(tmp_path))).code == 0
        assert list(rows_in(tmp_path / "calls.db")) == [sid]


async def test_a_gap_beyond_six_months_is_told_once(busy: Emulator, tmp_path: Path) -> None:
    fill(busy, 3)
    env = pointing_at(busy)
    assert (await ran(*UPDATE, env=env, cwd=str(tmp_path))).code == 0
    # As if it had been exported long ago.
    with closing(sqlite3.connect(tmp_path / "calls.db")) as connection, connection:
        connection.execute("UPDATE calls SET created_at = '2024-01-01T10:00:00+05:30'")
    words = "Exotel keeps records for six months: calls created from 2024-01-01 "
    ended = await ran(*UPDATE, env=env, cwd=str(tmp_path))
    assert ended.code == 0, ended
    (line,) = ended.error_lines
    assert line.startswith(words)
    assert ended.out == "calls.db: 0 new, 0 changed, 3 calls in all\n"
    ended = await ran(*UPDATE, env=env, cwd=str(tmp_path))
    assert (ended.code, ended.err) == (0, "")


async def test_interrupted_before_it_was_whole_it_goes_on_by_itself(
    busy: Emulator, tmp_path: Path
) -> None:
    sids = fill(busy, 500)
    busy.latency = lambda _: (0.0, 0.1)
    env = pointing_at(busy)
    async with started(*FOLLOW, "--page-size", "20", env=env, cwd=str(tmp_path)) as running:
        while len(busy.requests) < 5:
            await asyncio.sleep(0.01)
        ended = await running.end(signal.SIGINT)
    assert ended.code == 130, ended
    command = "exotel-async export -o calls.db --rate 60000 --follow --every 1"
    assert ended.err.endswith(f" calls are in calls.db.part, to continue: {command}\n")
    busy.latency = None
    async with started(*FOLLOW, env=env, cwd=str(tmp_path)) as running:
        await running.line("500 calls in ")
        assert list(rows_in(tmp_path / "calls.db")) == sids
        assert (await running.end(signal.SIGINT)).code == 0


async def test_a_look_that_fails_is_made_up_for_but_not_wrong_credentials(
    busy: Emulator, tmp_path: Path
) -> None:
    fill(busy, 3)
    file = tmp_path / "calls.db"
    env = pointing_at(busy)
    async with started(*FOLLOW, env=env, cwd=str(tmp_path)) as running:
        await running.line("3 calls in ")
        busy.faults.add(Fault.answer(500), times=4)
        while sum(request.status == 500 for request in busy.requests) < 4:
            await asyncio.sleep(0.02)
        dial = Dial(from_=FIRST, to=SECOND, caller_id=EXOPHONE)
        late = busy.add_call(dial, ago=timedelta(hours=1)).sid
        await until(file, lambda rows: late in rows)
        busy.api_token = "another"
        assert await running.process.wait() == 1
        assert running.process.stderr is not None
        told = (await running.process.stderr.read()).decode()
    assert "failed, the next update catches up: " in told
    assert "HTTP 401" in told.splitlines()[-1]


async def test_what_was_exported_before_is_followed_if_it_has_no_end(
    busy: Emulator, tmp_path: Path
) -> None:
    fill(busy, 3)
    env = pointing_at(busy)
    for arguments in ((), ("--until", "3d", "--force")):
        exported = ("export", "-o", "calls.db", *QUICK, *arguments)
        assert (await ran(*exported, env=env, cwd=str(tmp_path))).code == 0
        if not arguments:
            async with started(*FOLLOW, env=env, cwd=str(tmp_path)) as running:
                while len(busy.requests) < 4:
                    await asyncio.sleep(0.02)
                assert (await running.end(signal.SIGINT)).out.startswith("3 calls, ")
    ended = await ran(*FOLLOW, env=env, cwd=str(tmp_path))
    assert ended.code == 1, ended
    assert "calls.db was started with --until, but --follow never ends" in ended.err

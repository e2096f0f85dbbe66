"""`exotel-async export`: what it writes, and what it refuses to do."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import shlex
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exotel_async import IST, RetryPolicy
from exotel_async.cli import main
from exotel_async.cli.export_columns import NAMES
from exotel_async.cli.export_filters import Selection
from exotel_async.cli.export_sink import Sink, State
from exotel_async.cli.export_sqlite import Database
from exotel_async.cli.export_text import TextFile, as_csv
from exotel_async.cli.time_arguments import Moment
from exotel_async.emulator import Emulator, Fault, Scenario
from tests.cli.support import (
    COMMAND,
    EAGER,
    QUICK,
    TOKEN,
    Ended,
    environment,
    fill,
    left_in,
    pointing_at,
    ran,
    started,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, where no request leads anywhere."""
    monkeypatch.chdir(tmp_path)
    pauses: Any = RetryPolicy.__init__
    monkeypatch.setitem(pauses.__kwdefaults__, "backoff", 0.01)
    for name, value in (
        ("SUBDOMAIN", "http://127.0.0.1:1"),
        ("ACCOUNT_SID", "acme1"),
        ("API_KEY", "k"),
        ("API_TOKEN", "t"),
    ):
        monkeypatch.setenv(f"EXOTEL_{name}", value)
    return tmp_path


async def exported(emulator: Emulator, file: Path, *arguments: str) -> Ended:
    """Run the command."""
    env = pointing_at(emulator)
    return await ran("export", "-o", str(file), *QUICK, *arguments, command=EAGER, env=env)


def sink_for(file: Path) -> Sink:
    """What writes that file."""
    return Database(file) if file.suffix == ".db" else TextFile(file, as_csv)


def rows_of(file: Path, query: str) -> list[tuple[object, ...]]:
    """What a query of a database gives."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


# Formats


async def test_jsonl_has_each_record_as_it_came_oldest_first(
    busy: Emulator, tmp_path: Path
) -> None:
    sids = fill(busy, 2_350)
    file = tmp_path / "calls.jsonl"
    ended = await exported(busy, file)
    assert ended.code == 0, ended
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [record["Sid"] for record in records] == sids
    assert records[0]["Price"] is not None
    assert ended.err == ""
    calls, requests = re.fullmatch(r"([\d,]+) calls in (\d+) requests: .*\n", ended.out).groups()  # type: ignore[union-attr]
    assert calls == "2,350"
    assert int(requests) == len(busy.requests) <= 30
    assert left_in(tmp_path) == ["calls.jsonl"]


async def test_csv_has_fixed_columns(busy: Emulator, tmp_path: Path) -> None:
    sids = fill(busy, 250)
    file = tmp_path / "calls.csv"
    ended = await exported(busy, file, "--details")
    assert ended.code == 0, ended
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    assert [row["sid"] for row in rows] == sids
    assert tuple(rows[0]) == NAMES
    done = next(row for row in rows if row["talk_time"] not in {"", "0"})
    created = datetime.fromisoformat(done["created_at"])
    assert created.utcoffset() == timedelta(hours=5, minutes=30)
    assert datetime.fromisoformat(done["ended_at"]) - created == timedelta(
        seconds=int(done["duration"])
    )
    assert re.fullmatch(r"\d+\.\d{3}", done["price"])
    assert (done["leg1_status"], done["leg2_status"]) == ("completed", "completed")
    assert done["from_number"].startswith("098123")


@pytest.mark.parametrize("are_listed", [True, False])
async def test_that_no_call_came_with_details_is_said(are_listed: bool, tmp_path: Path) -> None:
    async with Emulator(
        api_token=TOKEN, rate=1_000_000, bulk_details=are_listed, scenario=Scenario.all_answered()
    ) as emulator:
        fill(emulator, 3)
        command = ("export", "-o", "calls.csv", "--details", *QUICK)
        ended = await ran(*command, env=pointing_at(emulator), cwd=str(tmp_path))
        assert ended.code == 0
        assert ("Exotel sent no details of these calls" in ended.err) == (not are_listed)


async def test_sqlite_has_typed_columns_and_the_record(busy: Emulator, tmp_path: Path) -> None:
    sids = fill(busy, 250)
    file = tmp_path / "calls.db"
    ended = await exported(busy, file)
    assert ended.code == 0, ended
    rows = rows_of(file, "SELECT sid, duration, price, raw FROM calls ORDER BY created_at, rowid")
    assert [row[0] for row in rows] == sids
    for _, duration, price, raw in rows:
        assert isinstance(duration, int)
        assert isinstance(price, int | float)
        assert json.loads(str(raw))["Duration"] == str(duration)
    plan = rows_of(file, "EXPLAIN QUERY PLAN SELECT * FROM calls WHERE created_at > '2026'")
    assert "calls_created_at" in str(plan)
    assert left_in(tmp_path) == ["calls.db"]


async def test_nothing_is_a_file_as_well(busy: Emulator, tmp_path: Path) -> None:
    for name in ("calls.jsonl", "calls.csv", "calls.sqlite"):
        ended = await exported(busy, tmp_path / name)
        assert ended.code == 0, ended
        assert ended.out.startswith("0 calls in 2 requests")
    assert (tmp_path / "calls.jsonl").read_text() == ""
    assert (tmp_path / "calls.csv").read_text() == ",".join(NAMES) + "\n"
    assert rows_of(tmp_path / "calls.sqlite", "SELECT count(*) FROM calls") == [(0,)]


async def test_filters_reach_the_service(busy: Emulator, tmp_path: Path) -> None:
    fill(busy, 30)
    now = datetime.now(IST)
    since, until = now - timedelta(days=8), now - timedelta(days=2)
    ended = await exported(
        busy,
        tmp_path / "calls.jsonl",
        *("--since", f"{since:%Y-%m-%d}", "--until", f"{until:%Y-%m-%d}", "--details"),
        *("--from", "09812300005", "--from", "+91 98123 00006", "--exophone", "08030000000"),
        *("--to", "09812300002", "--status", "completed", "--direction", "outbound-api"),
        *("--min-duration", "10", "--max-duration", "1h", "--min-price", "0.5"),
        *("--max-price", "100", "--page-size", "50"),
    )
    assert ended.code == 0, ended
    asked = busy.requests[-1].query
    assert asked == {
        "DateCreated": f"gte:{since:%Y-%m-%d} 00:00:00;lte:{until:%Y-%m-%d} 23:59:59",
        "SortBy": "DateCreated:asc",
        "PageSize": "50",
        "From": "09812300005,+919812300006",
        "To": "09812300002",
        "PhoneNumber": "08030000000",
        "Status": "completed",
        "Direction": "outbound-api",
        "Duration": "gte:10s;lte:3600s",
        "Price": "gte:0.5;lte:100",
        "details": "true",
    }


async def test_several_statuses(busy: Emulator, tmp_path: Path) -> None:
    fill(busy, 60)
    file = tmp_path / "calls.jsonl"
    ended = await exported(busy, file, "--status", "busy", "--status", "no-answer")
    assert ended.code == 0, ended
    found = [json.loads(line)["Status"] for line in file.read_text().splitlines()]
    there = [call.status for call in busy.calls.values()]
    assert found == [word for word in there if word in {"busy", "no-answer"}]
    assert len(set(found)) == 2


def test_a_state_with_one_status_is_read() -> None:
    assert Selection.read({"status": "busy"}) == Selection(status=("busy",))
    noted = Selection(status=("busy", "failed"))
    assert Selection.read(noted.noted()) == noted
    for wrong in (["done"], "done", [["busy"]], 3):
        with pytest.raises(ValueError, match=r"no such word|no selection"):
            Selection.read({"status": wrong})


# Standard output


async def test_standard_output_gets_the_records_and_nothing_else(
    busy: Emulator, tmp_path: Path
) -> None:
    sids, env, folder = fill(busy, 250), pointing_at(busy), str(tmp_path)
    ended = await ran("export", "-o", "-", *QUICK, env=env, cwd=folder)
    assert (ended.code, ended.err) == (0, "")
    assert [json.loads(line)["Sid"] for line in ended.out.splitlines()] == sids
    ended = await ran("export", "-o", "-", "--format", "csv", *QUICK, env=env, cwd=folder)
    assert (ended.code, ended.err) == (0, "")
    assert [row["sid"] for row in csv.DictReader(io.StringIO(ended.out))] == sids
    assert left_in(tmp_path) == []


async def test_a_reader_that_has_enough_ends_it_quietly(busy: Emulator, tmp_path: Path) -> None:
    sids, env = fill(busy, 2_000), pointing_at(busy)
    command = shlex.join((*COMMAND, "export", "-o", "-", *QUICK))
    script = f"set -o pipefail; {command} | head -n 1"
    ended = await ran("-c", script, command=("bash",), env=env, cwd=str(tmp_path))
    assert (ended.code, ended.err) == (130, "")
    assert json.loads(ended.out)["Sid"] == sids[0]
    assert len(busy.requests) < 20


async def test_standard_output_that_is_cut_short_says_so(busy: Emulator) -> None:
    fill(busy, 500)
    busy.faults.add(Fault.answer(500), after=4, times=4)  # as often as it is tried
    ended = await ran("export", "-o", "-", *QUICK, command=EAGER, env=pointing_at(busy))
    assert ended.code == 1, ended
    assert len(ended.out.splitlines()) == 300
    assert ended.error_lines[-1].endswith("; only 300 calls were written")


# What it refuses


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "calls.txt"], "give --format"),
        (["-o", "x.csv", "--resume", "--force"], "--resume continues and --force starts again"),
        (["-o", "x.csv", "--update"], "--update needs --format sqlite"),
        (["-o", "x.db", "--update", "--follow"], "--update ends and --follow does not"),
        (["-o", "x.db", "--update", "--until", "1d"], "--update adds to the database up to now"),
        (["-o", "-", "--format", "sqlite"], "-o - (standard output) takes jsonl or csv"),
        (
            ["-o", "--resume"],
            "'--resume' looks like an option: for a file of that name, give ./--resume",
        ),
        (["-o", "-", "--resume"], "and none of --resume, --force, --update, --follow and --json"),
        (["-o", "x.csv", "--follow"], "--follow needs --format sqlite"),
        (["-o", "x.db", "--follow", "--until", "1d"], "--follow never ends"),
        (["-o", "x.csv", "--since", "yesterday"], "'yesterday' is not a date"),
        (["-o", "x.csv", "--min-duration", "9", "--max-duration", "8"], "--min-duration is above"),
        (["-o", "x.csv", "--min-price", "NaN"], "'NaN' is not an amount"),
        (["-o", "x.csv", "--max-duration", "long"], "'long' is neither a number of seconds"),
        (["-o", "x.db", "--follow", "--every", "0"], "'0' is not between a second and a week"),
        (["-o", "x.csv", "--status", "ended"], "--status"),
    ],
)
def test_wrong_usage(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments]) == 2
    assert words in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "300d"], "must not be older than 6 months"),
        (["--since", "2d", "--until", "3d"], "must not be after until"),
        (["--from", "12"], "--from '12' must be one phone number"),
        ([f"--to=0981230000{n}" for n in range(6)], "must be 1 to 5 numbers"),
    ],
)
def test_what_exotel_would_refuse_costs_no_request(
    nowhere: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["export", "-o", "calls.csv", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert left_in(nowhere) == []


@pytest.mark.parametrize("name", ["calls.csv", "calls.db"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--resume", "--status", "busy"], "started with other values of --status: "),
        (["--resume", "--since", "9d"], "started with other values of --since: "),
        (["--resume", "--to", "08040000001"], "started with other values of --to: "),
        (
            ["--resume", "--details", "--from", "0981230001"],
            "other values of --from and --details: ",
        ),
        (["--resume", "--max-price", "1.51"], "started with other values of --max-price: "),
        ([], "--resume continues it, --force starts again"),
    ],
)
def test_it_goes_on_with_the_same_options_only(
    nowhere: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    options: list[str],
    words: str,
) -> None:
    noted = Selection(
        since=Moment.read("8d"), status=("failed",), max_price=Decimal("1.50"), to=("08040000000",)
    )
    sink = sink_for(nowhere / name)
    sink.begin(State(account="acme1", selection=noted, records=3))
    sink.close()
    there = left_in(nowhere)
    assert main(["export", "-o", name, *options]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert "8040000" not in line
    assert left_in(nowhere) == there
    # What is as it was, or is not given, is no reason: it is tried.
    assert main(["export", "-o", name, "--resume", "--since", "8d", "--max-price", "1.5"]) == 1
    assert "cannot be reached" in capsys.readouterr().err


async def test_a_file_that_is_there_stays_unless_force_is_given(
    busy: Emulator, tmp_path: Path
) -> None:
    fill(busy, 3)
    for name in ("calls.csv", "calls.db"):
        file = tmp_path / name
        file.write_text("precious")
        for option in ((), ("--resume",)):
            ended = await exported(busy, file, *option)
            assert ended.code == 1, ended
            assert f"{file} already exists" in ended.error_lines[-1]
            assert file.read_text() == "precious"
        assert (await exported(busy, file, "--force")).code == 0
        assert file.read_bytes() != b"precious"
    assert left_in(tmp_path) == ["calls.csv", "calls.db"]


async def test_a_disk_that_does_not_take_it(busy: Emulator, tmp_path: Path) -> None:
    fill(busy, 2_000)
    for name in ("calls.jsonl", "calls.db"):
        ended = await exported(busy, tmp_path / "none" / name)
        assert ended.code == 1, ended
        (line,) = ended.error_lines
        assert line.startswith(f"exotel-async: cannot write {tmp_path / 'none' / name}: ")
        # As if the disk were full: no file may be longer than 300 KB.
        file = tmp_path / name
        command = shlex.join((*COMMAND, "export", "-o", str(file), *QUICK))
        ended = await ran(
            "-c", f"ulimit -f 300; {command}", command=("bash",), env=pointing_at(busy)
        )
        assert ended.code == 1, ended
        assert f"cannot write {file}: " in ended.error_lines[-1]
        assert "to continue: exotel-async export" in ended.error_lines[-1]
        assert (await exported(busy, file, "--resume")).code == 0
    lines = (tmp_path / "calls.jsonl").read_text().splitlines()
    assert len({json.loads(line)["Sid"] for line in lines}) == len(lines) == 2_000
    assert rows_of(tmp_path / "calls.db", "SELECT count(*) FROM calls") == [(2_000,)]


async def test_the_result_is_json_where_that_is_asked_for(busy: Emulator, tmp_path: Path) -> None:
    fill(busy, 3)
    file, there = tmp_path / "calls.db", tmp_path / "calls.csv"
    there.write_text("precious")
    for options, result in (
        (("--update",), {"file": str(file), "calls": 3, "requests": 2}),
        (("--update",), {"file": str(file), "calls": 3, "new": 0, "changed": 0}),
        (("--resume",), {"file": str(file), "calls": 3, "requests": 2}),
    ):
        ended = await exported(busy, file, *options, "--json")
        assert ended.code == 0, ended
        assert json.loads(ended.out) == result
    ended = await exported(busy, there, "--json")
    assert ended.code == 1, ended
    error = json.loads(ended.out)["error"]
    assert (error["type"], ended.err) == ("Refusal", f"exotel-async: {error['text']}\n")


async def test_credentials_that_do_not_open_leave_nothing_behind(
    emulator: Emulator, tmp_path: Path
) -> None:
    env = pointing_at(emulator, EXOTEL_API_TOKEN="wrong")
    for name in ("calls.csv", "calls.db"):
        ended = await ran("export", "-o", str(tmp_path / name), env=env)
        assert ended.code == 1, ended
        assert "HTTP 401" in ended.error_lines[-1]
        ended = await ran("export", "-o", str(tmp_path / name), env=environment())
        assert "are not set" in ended.error_lines[-1]
    assert left_in(tmp_path) == []


# Cut short


@pytest.mark.parametrize("name", ["calls.jsonl", "calls.csv", "calls.db"])
async def test_ctrl_c_tells_the_command_that_goes_on(
    busy: Emulator, tmp_path: Path, name: str
) -> None:
    sids = fill(busy, 1_000)
    busy.latency = lambda _: (0.0, 0.05)
    arguments = ("export", "-o", name, "--page-size", "20", *QUICK, "--since", "20d")
    env = pointing_at(busy)
    async with started(*arguments, env=env, cwd=str(tmp_path)) as running:
        while len(busy.requests) < 8:
            await asyncio.sleep(0.01)
        ended = await running.end(signal.SIGINT)
    assert ended.code == 130, ended
    (line,) = ended.error_lines
    told = re.fullmatch(
        rf"exotel-async: interrupted; (\d+) calls are in {name}\.part, to continue: (.*)", line
    )
    assert told is not None
    assert 20 <= int(told[1]) < 1_000
    words = shlex.split(told[2])
    assert words == ["exotel-async", "export", "-o", name, "--rate", "60000", "--resume"]

    strange = pointing_at(busy, EXOTEL_ACCOUNT_SID="another")
    ended = await ran(*words[1:], env=strange, cwd=str(tmp_path))
    assert "has calls of another account, acme1" in ended.err

    busy.latency = None
    ended = await ran(*words[1:], "--since", "20d", env=env, cwd=str(tmp_path))
    assert ended.code == 0, ended
    assert ended.out.startswith("1,000 calls in ")
    assert left_in(tmp_path) == [name]
    # Again it finds nothing to do, or nothing that it knows.
    ended = await ran(*words[1:], env=env, cwd=str(tmp_path))
    if name.endswith(".db"):
        assert (ended.code, ended.out) == (0, f"{name} is complete: 1,000 calls\n")
        kept = [row[0] for row in rows_of(tmp_path / name, "SELECT sid FROM calls ORDER BY rowid")]
    else:
        assert (ended.code, ended.out) == (1, "")
        kept = re.findall(r"\b[0-9a-f]{28}[0-9a-z]{4}\b", (tmp_path / name).read_text())
    assert list(dict.fromkeys(kept)) == sids


async def test_ctrl_c_before_the_first_page_leaves_nothing(busy: Emulator, tmp_path: Path) -> None:
    busy.latency = lambda _: (0.0, 5.0)
    env = pointing_at(busy)
    async with started("export", "-o", "calls.csv", env=env, cwd=str(tmp_path)) as running:
        while not busy.requests:
            await asyncio.sleep(0.01)
        ended = await running.end(signal.SIGINT)
    assert ended.code == 130, ended
    assert ended.err == "exotel-async: interrupted; nothing was exported\n"
    assert left_in(tmp_path) == []


async def test_a_network_that_has_gone_is_a_reason_to_go_on_later(
    busy: Emulator, tmp_path: Path
) -> None:
    sids = fill(busy, 500)
    file = tmp_path / "calls.jsonl"
    busy.faults.add(Fault.answer(500), after=4, times=4)  # as often as it is tried
    ended = await exported(busy, file)
    assert ended.code == 1, ended
    assert "reports an internal error: HTTP 500: " in ended.err
    assert "; 300 calls are in" in ended.err
    ended = await exported(busy, file, "--resume")
    assert ended.code == 0, ended
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert [record["Sid"] for record in records] == sids


@pytest.mark.parametrize("name", ["calls.csv", "calls.db"])
def test_two_do_not_write_one_file(
    nowhere: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    sink = sink_for(nowhere / name)
    sink.begin(State(account="acme1", selection=Selection()))
    there = left_in(nowhere)
    for option in ("--resume", "--force"):
        assert main(["export", "-o", name, option]) == 1
        told = capsys.readouterr().err
        assert told == f"exotel-async: {name}.part is being written by another export\n"
        assert left_in(nowhere) == there
    sink.close()


async def test_what_nobody_can_go_on_with(busy: Emulator, tmp_path: Path) -> None:
    fill(busy, 3)
    part, state = tmp_path / "calls.csv.part", tmp_path / "calls.csv.part.state"
    part.write_text("what")
    ended = await exported(busy, tmp_path / "calls.csv", "--resume")
    assert "does not: --force starts again" in ended.err
    state.write_text("{}")
    ended = await exported(busy, tmp_path / "calls.csv", "--resume")
    assert "cannot be read as the state of an export" in ended.err
    (tmp_path / "calls.db.part").write_text("what")
    ended = await exported(busy, tmp_path / "calls.db", "--resume")
    assert "cannot be read as an unfinished export" in ended.err
    for name in ("calls.csv", "calls.db"):
        assert (await exported(busy, tmp_path / name, "--force")).code == 0
    assert left_in(tmp_path) == ["calls.csv", "calls.db"]
    now = datetime.now(UTC)
    assert now - datetime.fromisoformat(
        str(rows_of(tmp_path / "calls.db", "SELECT max(created_at) FROM calls")[0][0])
    ) > timedelta(hours=1)

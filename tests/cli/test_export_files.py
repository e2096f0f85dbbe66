"""The files of `exotel-async export`: who may read them, what is replaced, what is believed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from attrs import define
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exotel_async import AsyncExotel, Call, InvalidRequest
from exotel_async.calls.list_resume import Position, write_token
from exotel_async.cli import main
from exotel_async.cli.export import _Run
from exotel_async.cli.export_arguments import ExportArguments
from exotel_async.cli.export_filters import Selection
from exotel_async.cli.export_sink import Refusal, Sink, State
from exotel_async.cli.export_sqlite import Database
from exotel_async.cli.export_text import TextFile, as_jsonl
from exotel_async.cli.time_arguments import Moment
from exotel_async.emulator import Emulator
from exotel_async.wire.time_range import TimeRange
from tests.cli.support import fill, left_in, pointing_at, ran

ACCOUNT = "acme1"
NAMES = ["calls.jsonl", "calls.db"]
CALLS = [Call(sid=f"a{n}", raw={"Sid": f"a{n}", "From": "09812300001"}) for n in range(3)]
posix = pytest.mark.skipif(os.name != "posix", reason="there are no such files")


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, where no request leads anywhere."""
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("SUBDOMAIN", "http://127.0.0.1:1"),
        ("ACCOUNT_SID", ACCOUNT),
        ("API_KEY", "k"),
        ("API_TOKEN", "t"),
    ):
        monkeypatch.setenv(f"EXOTEL_{name}", value)
    return tmp_path


@pytest.fixture
def no_umask() -> Iterator[None]:
    """As if everybody were to read everything."""
    before = os.umask(0)
    yield
    os.umask(before)


def sink_for(file: Path) -> Sink:
    return Database(file) if file.suffix == ".db" else TextFile(file, as_jsonl)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in folder.iterdir()}


# Who may read it


@posix
@pytest.mark.usefixtures("no_umask")
@pytest.mark.parametrize("name", NAMES)
def test_nobody_else_may_read_it_at_any_moment(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[int]] = {}

    def look(*_: object) -> None:
        for path, mode in modes(tmp_path).items():
            seen.setdefault(path, set()).add(mode)

    sync = os.fsync

    def look_and_sync(descriptor: int) -> None:
        look()
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", look_and_sync)
    sink = sink_for(tmp_path / name)
    for leftover in {f"{name}.part.state.new", name} & {path.name for path in sink.files}:
        (tmp_path / leftover).touch(0o644)
    sink.begin(State(account=ACCOUNT, selection=Selection(), replaces=True))
    (tmp_path / name).unlink()
    seen.clear()
    for page in range(3):
        sink.add(CALLS, sink.state.advanced(3, page, None))
        look()
    sink.close()
    sink = sink_for(tmp_path / name)
    left = sink.unfinished()
    assert left is not None
    sink.resume(left)
    look()
    sink.finish()
    look()
    if isinstance(sink, Database):
        sink.update(sink.state)
        sink.upsert(CALLS)
        look()
        assert {f"{name}.part", f"{name}.part-journal", f"{name}-wal", f"{name}-shm"} <= set(seen)
        sink.close()
    else:
        assert {f"{name}.part", f"{name}.part.state", f"{name}.part.state.new"} <= set(seen)
    assert seen[name] == {0o600}
    assert {mode for each in seen.values() for mode in each} == {0o600}


@pytest.mark.slow
@posix
async def test_the_command_makes_files_for_its_owner(emulator: Emulator, tmp_path: Path) -> None:
    fill(emulator, 3)
    for name in (*NAMES, "calls.csv"):
        (tmp_path / name).touch(0o644)
        arguments = ("export", "--force", "-o", str(tmp_path / name))
        assert (await ran(*arguments, env=pointing_at(emulator))).code == 0
    assert set(modes(tmp_path).values()) == {0o600}


@posix
@pytest.mark.parametrize("name", NAMES)
def test_no_link_is_followed(tmp_path: Path, name: str) -> None:
    """One that comes into the place of a part between two steps is no way to another file."""
    precious = tmp_path / "precious"
    precious.write_text("of yesterday")

    class Sly(State):
        def dumps(self) -> str:
            for leaf in (".part", ".part.state.new"):
                if not os.path.lexists(tmp_path / f"{name}{leaf}"):
                    (tmp_path / f"{name}{leaf}").symlink_to(precious)
            return super().dumps()

    sink = sink_for(tmp_path / name)
    if isinstance(sink, Database):
        sink.discard = lambda: (tmp_path / f"{name}.part").symlink_to(precious)  # type: ignore[method-assign]
    with pytest.raises(OSError, match=r"exists|symbolic"):
        sink.begin(Sly(account=ACCOUNT, selection=Selection()))
    sink.close()
    assert precious.read_text() == "of yesterday"


# What it replaces


def special(place: Path) -> dict[str, str]:
    """Put things that are no files into a folder; what each is called."""
    os.mkfifo(place / "pipe.db")
    (place / "folder.csv").mkdir()
    (place / "file").write_text("precious")
    (place / "link.csv").symlink_to("file")
    (place / "dangling.jsonl").symlink_to("none")
    (place / "null.jsonl").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.csv")
    named = {"pipe.db": "a pipe", "folder.csv": "a folder", "socket.csv": "a socket"}
    return named | dict.fromkeys(("link.csv", "dangling.jsonl", "null.jsonl"), "a symbolic link")


@pytest.mark.slow
@posix
def test_only_a_regular_file_is_replaced(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = special(nowhere)
    there = modes(nowhere)
    targets = named | {"/dev/null": "a device", "/dev/stdout": "a symbolic link"}
    for target, kind in targets.items():
        for options in ([], ["--force"], ["--resume"], ["--follow"]):
            form = "sqlite" if options == ["--follow"] else "jsonl"
            assert main(["export", "-o", target, "--format", form, *options]) == 1
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith(f"exotel-async: {target} is {kind}")
            assert "--force" not in line
    assert modes(nowhere) == there
    assert (nowhere / "file").read_text() == "precious"
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@posix
@pytest.mark.parametrize(
    ("form", "leaf"),
    [("jsonl", leaf) for leaf in (".part", ".part.state", ".part.state.new")]
    + [("sqlite", leaf) for leaf in (".part", ".part-journal", "-wal", "-shm")],
)
def test_what_stands_in_the_place_of_its_other_files_stays(
    nowhere: Path, capsys: pytest.CaptureFixture[str], form: str, leaf: str
) -> None:
    os.mkfifo(nowhere / f"calls{leaf}")
    for options in ([], ["--force"], ["--resume"]):
        assert main(["export", "-o", "calls", "--format", form, *options]) == 1
        assert capsys.readouterr().err == f"exotel-async: calls{leaf} is a pipe\n"
    assert left_in(nowhere) == [f"calls{leaf}"]


@posix
@pytest.mark.parametrize("name", NAMES)
def test_what_comes_into_its_place_meanwhile_stays(tmp_path: Path, name: str) -> None:
    sink = sink_for(tmp_path / name)
    sink.begin(State(account=ACCOUNT, selection=Selection(), replaces=True))
    sink.add(CALLS, sink.state.advanced(3, 1, None))
    os.mkfifo(tmp_path / name)
    with pytest.raises(Refusal, match="is a pipe"):
        sink.finish()
    sink.close()
    assert stat.S_ISFIFO((tmp_path / name).lstat().st_mode)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
async def test_where_nothing_can_be_told_the_file_is_whole_all_the_same(
    emulator: Emulator, tmp_path: Path, unbuffered: str
) -> None:
    sids = fill(emulator, 3)
    file = tmp_path / "calls.jsonl"
    for arguments, code, told in (
        (f"export -o {file}", 0, ""),
        (f"get {sids[0]}", 1, "exotel-async: cannot write the output: No space left on device\n"),
        ("doctor", 1, "exotel-async: cannot write the output: No space left on device\n"),
    ):
        command = ("bash", "-c", f'exec "$0" -m exotel_async {arguments} > /dev/full')
        env = pointing_at(emulator, PYTHONUNBUFFERED=unbuffered)
        ended = await ran(sys.executable, command=command, env=env)
        assert (ended.code, ended.err) == (code, told)
    assert len(file.read_text().splitlines()) == 3


# What it believes


NOW = datetime.now(UTC).replace(microsecond=0)
SELECTION = Selection(
    since=Moment.read("8d"),
    until=Moment.read(f"{NOW:%Y-%m-%d}"),
    to=("09812300001",),
    status=("failed",),
    min_duration=timedelta(seconds=5),
    max_price=Decimal("1.50"),
    details=True,
)
SPOILT = {
    "calls.jsonl": "calls.jsonl.part.state cannot be read as the state of an export: "
    "--force starts again",
    "calls.db": "calls.db.part cannot be read as an unfinished export: --force starts again",
}


def empty_page(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"Metadata": {"Total": 0, "NextPageUri": None}, "Calls": []})


@define
class Service:
    """Where there is no call at all."""

    rate: int = 1000

    def session(self) -> AsyncExotel:
        transport = httpx.MockTransport(empty_page)
        return AsyncExotel(http_client=httpx.AsyncClient(transport=transport))


def token(*, digest: str | None = None) -> str:
    async def of() -> str:
        async with AsyncExotel(account_sid=ACCOUNT, api_key="k", api_token="t") as exotel:
            return exotel.calls.list(newest_first=False, **SELECTION.filters())._digest

    span = TimeRange(NOW - timedelta(days=8), NOW - timedelta(days=1))
    place = Position(newest_first=False, second=NOW - timedelta(days=2), sids={"a2"})
    return write_token(digest or asyncio.run(of()), span, place, until_now=False)


def leave(file: Path, noted: str) -> None:
    """Leave what an export leaves that was cut short, with that state."""
    sink = sink_for(file)
    sink.begin(State(account=ACCOUNT, selection=SELECTION, token=token()))
    sink.add(CALLS, sink.state.advanced(3, 1, sink.state.token))
    sink.close()
    put_state(file, noted)


def state_of(file: Path) -> str:
    if file.suffix == ".db":
        with closing(sqlite3.connect(f"{file}.part")) as connection:
            return str(connection.execute("SELECT state FROM export").fetchone()[0])
    return Path(f"{file}.part.state").read_text()


def put_state(file: Path, noted: object) -> None:
    if file.suffix == ".db":
        with closing(sqlite3.connect(f"{file}.part")) as connection, connection:
            connection.execute("UPDATE export SET state = ?", (noted,))
    else:
        Path(f"{file}.part.state").write_text(str(noted), encoding="utf-8")


def resume(file: Path) -> str | None:
    """Go on with it; what is said if it cannot be."""
    arguments = ExportArguments(
        selection=Selection(),
        target=file,
        format="sqlite" if file.suffix == ".db" else "jsonl",
        resume=True,
        force=False,
        update=False,
        every=None,
        page_size=100,
        as_json=False,
        service=Service(),  # type: ignore[arg-type]
    )
    run = _Run(arguments)
    try:
        asyncio.run(run.go())
    except Refusal as refusal:
        return str(refusal)
    except InvalidRequest as error:
        return str(error)
    finally:
        run.sink.close()
        for path in run.sink.files:
            path.unlink(missing_ok=True)
    return None


WRONG: list[tuple[str, object]] = [
    ("version", 2),
    ("version", None),
    ("account", 7),
    ("account", None),
    ("replaces", "no"),
    ("replaces", 1),
    ("records", -1),
    ("records", "3"),
    ("records", [3]),
    ("records", True),
    ("records", 3.0),
    ("records", 2**63),
    ("records", 10**300),
    ("records", float("nan")),
    ("requests", {}),
    ("token", 7),
    ("token", ""),
    ("token", "t"),
    ("token", "\x00"),
    ("token", "\ud800"),
    ("token", "W10"),
    ("token", token(digest="another")),
    ("offset", -1),
    ("offset", "0"),
    ("offset", 1e3),
    ("offset", None),
    ("whole", "yes"),
    ("whole", 0),
    ("selection", None),
    ("selection", []),
    ("selection", "all"),
    ("changes", 7),
    ("changes", ""),
    ("changes", "t"),
    ("changes", token()),
    ("more", 1),
]
WRONG_SELECTION: list[tuple[str, object]] = [
    ("status", "gone"),
    ("status", ["failed", "gone"]),
    ("status", [["failed"]]),
    ("direction", "up"),
    ("to", "09812300001"),
    ("to", [9812300001]),
    ("to", ["\x00"]),
    ("to", ["nobody"]),
    ("to", ["09812300001"] * 3 + ["0981230000" + n for n in "23456"]),
    ("from_", {"a": 1}),
    ("exophone", [None]),
    ("since", "8d"),
    ("since", ["8d", "2026-11-01T00:00:00", False]),
    ("since", ["8d", "yesterday", False]),
    ("since", ["8d", NOW.isoformat()]),
    ("until", ["9999-12-31", "9999-12-31T23:00:00+00:00", True]),
    ("until", ["0001-01-01", "0001-01-01T00:00:00+05:30", False]),
    ("min_duration", -1),
    ("min_duration", "5"),
    ("min_duration", 1e300),
    ("max_duration", 1),  # below the other
    ("max_duration", float("inf")),
    ("max_duration", True),
    ("min_price", "2"),  # above the other
    ("max_price", "NaN"),
    ("max_price", "1e999999999"),
    ("max_price", "1e-999999999"),
    ("max_price", 1.5),
    ("details", "yes"),
    ("details", 1),
    ("color", "red"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_state_that_makes_no_sense_is_one_clear_refusal(nowhere: Path, name: str) -> None:
    file = Path(name)
    leave(file, "")
    # What is not spoilt is gone on with.
    sink_for(file).discard()
    assert resume_with(file, {}) is None
    spoilt = [{key: value} for key, value in WRONG]
    spoilt += [{"selection": SELECTION.noted() | {key: value}} for key, value in WRONG_SELECTION]
    for changes in spoilt:
        assert resume_with(file, changes) == SPOILT[name], changes
    for text in ("", "{", "[]", "null", "7", '"x"', "[" * 100_000, "\x00", '{"version": 1}'):
        leave(file, text)
        assert resume(file) == SPOILT[name], text[:20]


def resume_with(file: Path, changes: dict[str, object]) -> str | None:
    leave(file, "{}")
    put_state(file, json.dumps(json.loads(noted_for(file)) | changes))
    return resume(file)


def noted_for(file: Path) -> str:
    offset = 0 if file.suffix == ".db" else Path(f"{file}.part").stat().st_size
    state = State(account=ACCOUNT, selection=SELECTION, token=token(), records=3, offset=offset)
    return state.dumps()


@pytest.mark.parametrize("position", [2, 3, 4])
@pytest.mark.parametrize("seconds", [253402300799, -62135596800, 2**40, -1, 0, 10**12])
def test_a_place_beyond_the_calendar(nowhere: Path, position: int, seconds: int) -> None:
    said = resume_with(Path("calls.db"), {"token": tampered(token(), position, seconds)})
    assert said is None or said == SPOILT["calls.db"] or "older than 6 months" in said


def test_a_state_that_would_cut_a_line_in_two(nowhere: Path) -> None:
    file = Path("calls.jsonl")
    for offset in (1, 5):
        assert resume_with(file, {"offset": offset}) == SPOILT[file.name]
    assert "is shorter than" in (resume_with(file, {"offset": 2**62}) or "")


@pytest.mark.parametrize(
    "tamper",
    [
        "DELETE FROM export",
        "INSERT INTO export SELECT * FROM export",
        "DROP TABLE export",
        "DROP TABLE calls",
        "UPDATE export SET state = x'00ff'",
        "UPDATE export SET state = 7.5",
        "UPDATE export SET state = CAST(x'ff' AS TEXT)",
        "ALTER TABLE calls DROP COLUMN raw",
        "PRAGMA application_id = 7",
    ],
)
def test_a_database_that_was_tampered_with(nowhere: Path, tamper: str) -> None:
    file = Path("calls.db")
    leave(file, noted_for(file))
    with closing(sqlite3.connect("calls.db.part")) as connection, connection:
        connection.execute(tamper)
    assert resume(file) == SPOILT["calls.db"]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([2**63, -1, 10**40, "\x00", "\ud800", 253402300799, -62135596800]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)  # fmt: skip
KEYS = st.sampled_from(
    ["version", "account", "replaces", "records", "requests", "token", "offset", "whole"]
)
FIELDS = st.sampled_from([*SELECTION.noted(), "from_", "exophone", "direction", "min_price"])


def tampered(token_: str, position: int, junk: object) -> str:
    known = json.loads(base64.urlsafe_b64decode(token_ + "=="))
    known[position] = junk
    return base64.urlsafe_b64encode(json.dumps(known).encode()).decode().rstrip("=")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@given(
    st.dictionaries(KEYS, JUNK, max_size=2),
    st.dictionaries(FIELDS, JUNK, max_size=2),
    st.none() | st.tuples(st.integers(0, 5), JUNK),
)
@settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_a_state_holds_nothing_but_a_refusal_comes_of_it(
    nowhere: Path,
    name: str,
    changes: dict[str, object],
    selected: dict[str, object],
    place: tuple[int, object] | None,
) -> None:
    file = Path(name)
    if place is not None:
        changes = {"token": tampered(token(), *place)} | changes
    said = resume_with(file, {"selection": SELECTION.noted() | selected} | changes)
    assert said is None or "\n" not in said
    known = (
        SPOILT[name],
        "older than 6 months",
        "is shorter than",
        "has calls of another account",
        "is gone",
        "is there",
    )
    assert said is None or any(words in said for words in known)


@given(st.text(max_size=40))
def test_no_text_is_more_than_no_state(text: str) -> None:
    with pytest.raises(ValueError, match="no state of an export"):
        State.loads(text)


def test_a_database_whose_times_are_none(nowhere: Path) -> None:
    for written in ("yesterday", "2026-11-01T00:00:00", 7):
        sink = Database(nowhere / "calls.db")
        sink.begin(State(account=ACCOUNT, selection=SELECTION))
        sink.add(CALLS, sink.state.advanced(3, 1, None))
        sink.finish()
        with closing(sqlite3.connect("calls.db")) as connection, connection:
            connection.execute("UPDATE calls SET created_at = ?", (written,))
        sink.update(sink.state)
        with pytest.raises(Refusal, match="was not made by an export"):
            sink.newest()
        sink.close()
        (nowhere / "calls.db").unlink()


def test_an_error_is_told_in_one_line(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(Path("calls.jsonl"), json.dumps({"version": 1, "selection": {}, "account": "a\nb\ud800"}))
    assert main(["export", "-o", "calls.jsonl", "--resume"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "exotel-async: calls.jsonl.part has calls of another account, a b"

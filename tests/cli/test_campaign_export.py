"""`exotel-async campaign export`: tables of what became of contacts, and the files they are in."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from exotel_async.campaigns import AttemptState, CampaignAdmin, Contact, ContactState
from exotel_async.campaigns.outcome import Attempt, ContactOutcome
from exotel_async.cli import campaign_tables
from exotel_async.cli.campaign_columns import RESULTS, FieldColumns
from exotel_async.cli.campaign_tables import CsvLines, JsonLines, workbook
from exotel_async.cli.export_sink import Refusal
from tests.campaigns.running import by_number, campaign, dialling, fast_exotel, numbers, run_all
from tests.cli.campaign_ledgers import BUSY, REACHED, commanded, fill, filled, unresolved
from tests.cli.support import environment, left_in, ran

posix = pytest.mark.skipif(os.name != "posix", reason="there are no such files")
FORMATS = ["csv", "xlsx", "jsonl"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger that commands find by themselves, alone in its folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "campaigns.db"


def outcome(fields: Mapping[str, Any], **changes: Any) -> ContactOutcome:
    """Return what became of somebody."""
    usual: dict[str, Any] = {
        "campaign": "diwali",
        "contact": Contact("+919800000000", key="C-1", fields=fields),
        "state": ContactState.REACHED,
    }
    return ContactOutcome(**(usual | changes))


def called(**changes: Any) -> Attempt:
    """Return a call that has ended."""
    usual: dict[str, Any] = {
        "id": "a",
        "number": "+919800000009",
        "caller_id": "08030000000",
        "state": AttemptState.SETTLED,
        "intended_at": datetime(2026, 11, 6, 5, 30, tzinfo=UTC),
        "sid": "f1",
    }
    return Attempt(**(usual | changes))


# The columns


def test_results_come_first_then_fields_as_they_appeared() -> None:
    columns = FieldColumns()
    for fields in ({"name": 1, "city": 2}, {"city": 3, "amount": 4, "name": 5}):
        columns.add_fields(fields)
    assert columns.names == (*RESULTS, "name", "city", "amount")
    row = columns.row(outcome({"amount": 7}))
    assert row["amount"] == 7
    assert "city" not in row


def test_a_field_that_is_named_like_a_result_has_a_prefix() -> None:
    columns = FieldColumns()
    fields = {"field.number": 1, "number": 2, "state": 3, "field.state": 4}
    columns.add_fields(fields)
    names = columns.names[len(RESULTS) :]
    assert names == ("field.number", "field.field.number", "field.state", "field.field.state")
    row = columns.row(outcome(fields))
    assert (row["number"], row["state"]) == ("+919800000000", "reached")
    assert [row[name] for name in names] == [1, 2, 3, 4]


NAMES = st.text(max_size=3) | st.sampled_from(["state", "field.state", "field.field.state"])


@settings(max_examples=40)
@given(st.lists(st.dictionaries(NAMES, st.integers(), max_size=4), max_size=3))
def test_no_field_is_lost_whatever_its_name(several: list[dict[str, int]]) -> None:
    columns = FieldColumns()
    for fields in several:
        columns.add_fields(fields)
    assert len(set(columns.names)) == len(columns.names)
    for fields in several:
        row = columns.row(outcome(fields))
        own = {name: value for name, value in row.items() if name not in RESULTS}
        assert list(own.values()) == list(fields.values())
        assert row["key"] == "C-1"


def test_the_last_call_is_described_and_money_and_talk_are_of_all_calls() -> None:
    second = called(
        number="+919800000008",
        agent="+919812300002",
        talk_time=timedelta(seconds=5),
        price=Decimal("0.5"),
        duration=timedelta(seconds=9),
        recording_url="https://r/2",
        started_at=datetime(2026, 11, 6, 6, tzinfo=UTC),
        sid="f2",
    )
    not_placed = called(sid=None, state=AttemptState.NOT_PLACED, number="+919800000007")
    first = called(talk_time=timedelta(seconds=2), price=Decimal("0.25"))
    row = FieldColumns().row(outcome({}, attempts=(first, second, not_placed)))
    assert (row["attempts"], row["talk_time"], row["price"]) == (2, 7.0, Decimal("0.75"))
    assert (row["dialled_number"], row["agent"]) == ("+919800000008", "+919812300002")
    assert (row["sid"], row["duration"], row["recording_url"]) == ("f2", 9.0, "https://r/2")
    assert row["started_at"] == second.started_at


def test_candidates_of_an_unresolved_contact_are_in_a_column() -> None:
    attempt = called(sid=None, state=AttemptState.UNRESOLVED, candidates=("c1", "c2"))
    row = FieldColumns().row(outcome({}, state=ContactState.UNRESOLVED, attempts=(attempt,)))
    assert (row["candidates"], row["attempts"], row["talk_time"]) == ("c1 c2", 0, None)


# The tables


ODD = {
    "formula": '=HYPERLINK("http://x","y")',
    "at": "@SUM(1)",
    "tab": "\t=1",
    "minus": "-5",
    "plus": "+919800000000",
    "quoted": 'a "b", c\nd',
    "link": "https://example.com/?q=1",
    "zero": "007",
    "hindi": "आशा",
    "half": "\ud800",
    "number": 12,
    "real": 1.5,
    "long": 98_000_000_000_000_000,
    "yes": True,
    "nothing": None,
    "list": ["a", 1],
}


def odd_row() -> tuple[FieldColumns, Mapping[str, Any]]:
    columns = FieldColumns()
    columns.add_fields(ODD)
    ended = datetime(2026, 11, 6, 20, 0, 5, 700_000, tzinfo=UTC)
    attempt = called(price=Decimal("1.250"), started_at=ended, talk_time=timedelta(seconds=42))
    return columns, columns.row(outcome(ODD, ended_at=ended, attempts=(attempt,)))


def test_csv_has_no_formula_and_all_else_as_it_is() -> None:
    columns, row = odd_row()
    text = io.StringIO()
    CsvLines(text.write, columns.names).add(row)
    (read,) = csv.DictReader(io.StringIO(text.getvalue()))
    assert read["formula"] == "'" + ODD["formula"]  # type: ignore[operator]
    assert (read["at"], read["tab"]) == ("'@SUM(1)", "'\t=1")
    assert (read["minus"], read["plus"], read["zero"]) == ("-5", "+919800000000", "007")
    assert read["quoted"] == ODD["quoted"]
    assert (read["hindi"], read["half"]) == ("आशा", "?")
    assert (read["field.number"], read["real"], read["yes"]) == ("12", "1.5", "true")
    assert (read["long"], read["nothing"], read["list"]) == (str(ODD["long"]), "", '["a", 1]')
    assert (read["ended_at"], read["price"]) == ("2026-11-07T01:30:05+05:30", "1.250")
    assert (read["talk_time"], read["number"]) == ("42", "+919800000000")


def test_a_header_is_no_formula_either() -> None:
    text = io.StringIO()
    CsvLines(text.write, ["number", "=1+1"])
    assert text.getvalue() == "number,'=1+1\n"


def test_json_has_the_types_of_the_fields() -> None:
    columns, row = odd_row()
    text = io.StringIO()
    JsonLines(text.write, columns.names).add(row)
    assert text.getvalue().isascii()
    read = json.loads(text.getvalue())
    renamed = {"field.number" if name == "number" else name: one for name, one in ODD.items()}
    assert {name: read[name] for name in renamed} == renamed
    assert (read["price"], read["talk_time"], read["agent"]) == ("1.250", 42, None)
    assert read["ended_at"] == "2026-11-07T01:30:05+05:30"


def test_a_workbook_has_text_as_text_and_numbers_and_times_as_such(tmp_path: Path) -> None:
    columns, row = odd_row()
    file = tmp_path / "x.xlsx"
    with workbook(file, columns.names, 2) as sheet:
        sheet.add(row)
        sheet.add({"number": "1"})
    (name,) = CalamineWorkbook.from_path(str(file)).sheet_names
    head, first, second = CalamineWorkbook.from_path(str(file)).get_sheet_by_name(name).to_python()
    read = dict(zip(head, first, strict=True))
    assert head[: len(RESULTS)] == [
        f"{one} (IST)" if one.endswith("_at") else one for one in RESULTS
    ]
    for text in ("formula", "at", "tab", "minus", "plus", "quoted", "link", "zero", "hindi"):
        assert read[text] == ODD[text], text
    assert read["number"] == "+919800000000"
    assert (read["field.number"], read["real"], read["yes"]) == (12, 1.5, True)
    assert (read["long"], read["nothing"], read["list"]) == (str(ODD["long"]), "", '["a", 1]')
    assert (read["price"], read["talk_time"]) == (1.25, 42)
    assert read["ended_at (IST)"] == datetime(2026, 11, 7, 1, 30, 5)  # noqa: DTZ001
    assert second[0] == "1"
    assert left_in(tmp_path) == ["x.xlsx"]

    with ZipFile(file) as parts:
        written = parts.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in written
    assert "<hyperlink" not in written
    assert re.search(r'<pane ySplit="1" topLeftCell="A2" .*state="frozen"', written)
    assert re.search(r'<autoFilter ref="A1:[A-Z]+3"', written)
    widths = dict(re.findall(r'<col min="(\d+)" max="\d+" width="([\d.]+)"', written))
    assert float(widths["1"]) >= len("+919800000000")
    assert float(widths["5"]) >= len("2026-11-07 01:30:05")


def test_a_sheet_has_so_many_rows_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert campaign_tables.MAX_ROWS == 2**20 - 1
    with (
        pytest.raises(Refusal, match=r"1,048,576 rows .* too many .* --format csv"),
        workbook(tmp_path / "x.xlsx", RESULTS, 2**20),
    ):
        pass
    with (
        pytest.raises(Refusal, match="1 rows of 20,000 columns"),
        workbook(tmp_path / "x.xlsx", ["x"] * 20_000, 1),
    ):
        pass
    assert left_in(tmp_path) == []


def test_a_text_that_no_cell_takes_is_not_cut(tmp_path: Path) -> None:
    with (
        pytest.raises(Refusal, match="row 1 has a text of 40,000 characters in 'note'"),
        workbook(tmp_path / "x.xlsx", ["note"], 1) as sheet,
    ):
        sheet.add({"note": "x" * 40_000})
    assert left_in(tmp_path) == []


SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)


@settings(max_examples=40)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), SCALARS), max_size=4))
def test_csv_is_read_back_whatever_the_fields(rows: list[dict[str, Any]]) -> None:
    columns = FieldColumns()
    columns.add_fields("abc")
    text = io.StringIO()
    table = CsvLines(text.write, columns.names)
    for row in rows:
        table.add(columns.row(outcome(row)))
    read = list(csv.DictReader(io.StringIO(text.getvalue(), newline="")))
    assert len(read) == len(rows)
    for got, row in zip(read, rows, strict=True):
        for name, value in row.items():
            if isinstance(value, str):
                whole = value.encode("utf-8", "replace").decode()
                assert got[name] in {whole, f"'{whole}"}
            assert not (isinstance(value, str) and got[name].startswith(("=", "@", "\t", "\r")))


# The command


def read(file: Path) -> list[dict[str, Any]]:
    """Read a file back, as the rows of a table."""
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text().splitlines()]
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8") as text:
            return list(csv.DictReader(text))
    head, *rows = CalamineWorkbook.from_path(str(file)).get_sheet_by_index(0).to_python()
    return [dict(zip(map(str, head), row, strict=True)) for row in rows]


@pytest.mark.parametrize("format_", FORMATS)
def test_each_contact_with_an_outcome_is_a_row(
    format_: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contacts = [
        Contact(one, key=f"C-{place_}", fields={"name": "आशा", "state": "MH"} if place_ else {})
        for place_, one in enumerate(numbers(5))
    ]
    filled(place, contacts, [REACHED, BUSY, unresolved("c1", "c2")])
    file = place.parent / f"out.{format_}"
    ended = commanded(capsys, "export", "diwali", "-o", file.name)
    assert ended.code == 0, ended
    assert ended.out == (
        f"3 contacts: out.{format_}\n2 contacts have no outcome yet, and are not in the export.\n"
    )
    rows = read(file)
    assert [row["key"] for row in rows] == ["C-0", "C-1", "C-2"]
    assert [row["state"] for row in rows] == ["reached", "not-reached", "unresolved"]
    assert [row.get("name") or None for row in rows] == [None, "आशा", "आशा"]
    assert [row.get("field.state") or None for row in rows] == [None, "MH", "MH"]
    assert rows[0]["number"] == "+919800000000"
    assert float(rows[0]["price"]) == 1.25
    assert rows[0]["recording_url"].endswith("rec1.mp3")
    assert rows[2]["candidates"] == "c1 c2"
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert left_in(place.parent) == ["campaigns.db", "campaigns.db.lock", file.name]


def test_outcomes_that_come_meanwhile_are_for_the_next_export(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people = [Contact(one, fields={f"field {at}": at}) for at, one in enumerate(numbers(3))]
    filled(place, people, [REACHED])
    row_of = FieldColumns.row

    async def cancel() -> None:
        async with CampaignAdmin(place) as admin:
            await admin.cancel("diwali")

    def row(columns: FieldColumns, one: ContactOutcome) -> Mapping[str, Any]:
        with ThreadPoolExecutor() as pool:
            pool.submit(asyncio.run, cancel()).result()
        return row_of(columns, one)

    monkeypatch.setattr(FieldColumns, "row", row)
    ended = commanded(capsys, "export", "diwali", "-o", "x.csv")
    assert (ended.code, ended.out) == (0, "1 contact: x.csv\n")
    (only,) = read(place.parent / "x.csv")
    assert [name for name in only if name.startswith("field ")] == ["field 0"]
    monkeypatch.undo()
    monkeypatch.chdir(place.parent)
    assert commanded(capsys, "export", "diwali", "-o", "x.csv", "--force").code == 0
    assert len(read(place.parent / "x.csv")) == 3


def test_json_says_how_many(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(place, numbers(2), [REACHED])
    ended = commanded(capsys, "export", "diwali", "-o", "a.csv", "--json")
    assert json.loads(ended.out) == {"file": "a.csv", "contacts": 1, "without_outcome": 1}


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_that_is_there_is_replaced_only_by_force(
    format_: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place, numbers(1), [REACHED])
    file = place.parent / f"out.{format_}"
    file.write_text("mine")
    order = ("export", "diwali", "-o", file.name)
    ended = commanded(capsys, *order)
    assert ended.code == 1
    assert ended.error_lines == [f"exotel-async: {file.name} already exists: --force replaces it"]
    assert file.read_text() == "mine"
    assert commanded(capsys, *order, "--force").code == 0
    assert len(read(file)) == 1
    assert left_in(place.parent) == ["campaigns.db", "campaigns.db.lock", file.name]


@posix
def test_only_a_file_is_replaced(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(place, numbers(1), [REACHED])
    (place.parent / "link.csv").symlink_to("elsewhere")
    (place.parent / "folder.csv").mkdir()
    for name in ("link.csv", "folder.csv"):
        ended = commanded(capsys, "export", "diwali", "-o", name, "--force")
        assert ended.code == 1
        assert f"{name} is a" in ended.err


@pytest.mark.parametrize("format_", FORMATS)
def test_a_folder_that_is_not_there_is_named(
    format_: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place, numbers(1), [REACHED])
    file = place.parent / "no" / f"x.{format_}"
    ended = commanded(capsys, "export", "diwali", "-o", str(file), "--json")
    assert ended.code == 1
    assert f"cannot write {file}: No such file or directory" in ended.err
    assert json.loads(ended.out)["error"]["type"] == "OSError"


@posix
@pytest.mark.slow(6)
@pytest.mark.parametrize("format_", FORMATS)
async def test_a_full_disk_leaves_nothing_behind(format_: str, tmp_path: Path) -> None:
    """And the file that was there stays: files may not grow beyond 64 KiB here."""
    place, file = tmp_path / "campaigns.db", tmp_path / f"x.{format_}"
    fields = {"note": "".join(chr(33 + (place_ * 7919) % 90) for place_ in range(3000))}
    contacts = [
        Contact(one, fields=fields | {"seed": os.urandom(1500).hex()}) for one in numbers(60)
    ]
    await fill(place, contacts, [REACHED] * 60)
    file.write_text("mine")
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "from exotel_async.cli import main\n"
        "sys.exit(main())"
    )
    command = (sys.executable, "-W", "default::ResourceWarning", "-c", program)
    order = ("campaign", "export", "diwali", "-o", file.name, "--force")
    ended = await ran(*order, command=command, env=environment(), cwd=str(tmp_path))
    assert ended.code == 1, ended
    assert ended.error_lines == [f"exotel-async: cannot write {file.name}: File too large"]
    assert file.read_text() == "mine"
    assert left_in(tmp_path) == ["campaigns.db", "campaigns.db.lock", file.name]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("how", [KeyboardInterrupt, asyncio.CancelledError])
def test_one_that_is_cut_short_leaves_nothing_behind(
    how: type[BaseException],
    format_: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By Ctrl-C, or by SIGTERM."""

    def stop(*_: object) -> None:
        raise how

    filled(place, numbers(1), [REACHED])
    monkeypatch.setattr(FieldColumns, "row", stop)
    ended = commanded(capsys, "export", "diwali", "-o", f"x.{format_}")
    assert (ended.code, ended.err) == (130, "exotel-async: interrupted\n")
    assert left_in(place.parent) == ["campaigns.db", "campaigns.db.lock"]


def test_too_many_for_a_sheet_is_said_before_anything_is_written(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(campaign_tables, "MAX_ROWS", 1)
    filled(place, numbers(2), [REACHED] * 2)
    ended = commanded(capsys, "export", "diwali", "-o", "x.xlsx")
    assert ended.code == 1
    assert "2 rows" in ended.err
    assert "use --format csv" in ended.err
    assert left_in(place.parent) == ["campaigns.db", "campaigns.db.lock"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "x.ods"], "give --format"),
        (["-o", "-", "--format", "xlsx"], "takes csv or jsonl"),
        (["-o", "-", "--force"], "neither --force nor --json"),
        (["-o", "-", "--json"], "neither --force nor --json"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    arguments: list[str], words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place)
    ended = commanded(capsys, "export", "diwali", *arguments)
    assert ended.code == 2
    assert words in ended.err


def test_standard_output_has_the_rows_alone(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    filled(place, numbers(3), [REACHED, BUSY])
    ended = commanded(capfd, "export", "diwali", "-o", "-")
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    assert [row["state"] for row in rows] == ["reached", "not-reached"]
    assert ended.err == "1 contact has no outcome yet, and is not in the export.\n"
    lines = commanded(capfd, "export", "diwali", "-o", "-", "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["reached", "not-reached"]


@pytest.mark.slow
def test_what_a_run_has_brought_about_is_exported(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run() -> Mapping[str, ContactOutcome]:
        async with fast_exotel() as exotel_server, dialling(exotel_server, place.parent) as dialer:
            await dialer.create(campaign())
            people = [Contact(one, fields={"row": at}) for at, one in enumerate(numbers(4))]
            await dialer.add("diwali", people)
            return by_number(await run_all(dialer))

    seen = asyncio.run(run())
    file = place.parent / "out.jsonl"
    ended = commanded(capsys, "export", "diwali", "-o", file.name)
    assert ended.out == f"4 contacts: {file.name}\n"
    for row in read(file):
        one = seen[row["number"]]
        assert row["sid"] == one.attempts[-1].sid
        assert row["caller_id"] == "08030000000"
        assert one.ended_at is not None
        assert datetime.fromisoformat(row["ended_at"]) == one.ended_at.replace(microsecond=0)
        assert row["ended_at"].endswith("+05:30")
        assert numbers(4)[row["row"]] == row["number"]


@pytest.fixture
def no_umask() -> Iterator[None]:
    """As if everybody were to read everything."""
    before = os.umask(0)
    yield
    os.umask(before)


@posix
@pytest.mark.usefixtures("no_umask")
@pytest.mark.parametrize("format_", FORMATS)
def test_nobody_else_may_read_it_at_any_moment(
    format_: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place, numbers(1), [REACHED])
    seen: dict[str, int] = {}
    see = FieldColumns.row

    def look(columns: FieldColumns, one: ContactOutcome) -> Mapping[str, Any]:
        for path in place.parent.iterdir():
            seen[path.name.rpartition(".")[2]] = stat.S_IMODE(path.stat().st_mode)
        return see(columns, one)

    monkeypatch.setattr(FieldColumns, "row", look)
    assert commanded(capsys, "export", "diwali", "-o", f"x.{format_}").code == 0
    assert seen.pop("part") == 0o600
    assert {mode & 0o077 for mode in seen.values()} == {0}

"""CSV and the like: character sets, delimiters, quotes and line ends; and what is no such file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exotel_async.cli.contact_files import Rejected, Taken, Unreadable
from exotel_async.cli.contact_files.text_files import TextTable, open_text
from tests.cli.contact_files.support import (
    CAMPAIGN,
    FIRST,
    SECOND,
    THIRD,
    opened,
    reasons,
    rejected,
    taken,
    text_file,
    workbook,
)

PEOPLE = f"नाम,Mobile\r\nआशा,{FIRST}\r\nZoë,{SECOND}\r\n"


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"],
)
def test_unicode_with_and_without_its_mark(tmp_path: Path, encoding: str) -> None:
    file = opened(text_file(tmp_path, PEOPLE.encode(encoding)))
    assert file.notes == ()
    assert [column.name for column in file.columns] == ["नाम", "Mobile"]
    assert taken(file) == {2: (FIRST,), 3: (SECOND,)}


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-32-be"])
def test_a_mark_of_the_other_byte_order(tmp_path: Path, encoding: str) -> None:
    file = opened(text_file(tmp_path, f"\ufeff{PEOPLE}".encode(encoding)))
    assert taken(file) == {2: (FIRST,), 3: (SECOND,)}


@pytest.mark.parametrize("encoding", ["windows-1252", "latin-1", "cp850", "mac-roman"])
def test_other_characters_leave_the_digits(tmp_path: Path, encoding: str) -> None:
    text = f"Name,Mobile\nZoë,{FIRST}\nJosé,{SECOND}\n"
    file = opened(text_file(tmp_path, text.encode(encoding)))
    assert file.notes == ("the file is not UTF-8: it is read as windows-1252",)
    assert taken(file) == {2: (FIRST,), 3: (SECOND,)}


def test_what_is_not_utf_8_far_down_is_seen(tmp_path: Path) -> None:
    rows = "".join(f"Asha,98123{number:05}\n" for number in range(1, 3000))
    text = f"Name,Mobile\n{rows}".encode() + b"Zo\xeb,9812399999\n"
    assert opened(text_file(tmp_path, text)).notes


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "rows",
    [
        ["Name~Mobile~City", "Asha~98123 00001~Pune", "Ravi~~Pune"],
        ["Asha~98123 00001~Pune", "Ravi~98123 00002~"],
        ["Leads of November", "", "Name~Mobile~City", "Asha~98123 00001~Pune", "Total: 1"],
        ['"Rao; Asha, x\t| y"~"98123 00001"~"Pune"', '"K; Ravi"~"98123 00002"~"Pune, West"'],
        ["98123 00001~Asha"],
    ],
)
def test_delimiters(tmp_path: Path, delimiter: str, rows: list[str]) -> None:
    text = "\n".join(row.replace("~", delimiter) for row in rows)
    file = opened(text_file(tmp_path, text))
    assert (FIRST,) in taken(file).values()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        # The commas are decimal points, or between two numbers.
        ("Name;Mobile;Amount\nA;9812300001;12,50\nB;9812300002;1,00\n", 2),
        ("9812300001;12,50\n9812300002;1,00\n", 2),
        ("9812300001, 9812300002;Asha\n9812300003, 9812300004;Ravi\n", 4),
        ("Name\tMobile\nRao, Asha\t9812300001\nK, Ravi\t9812300002\n", 2),
        ("9812300001\n9812300002, 9812300003\n9812300004\n", 4),
        ("sep=;\nName;Mobile\nA;9812300001\n", 1),
        ("sep=;\r\nA,B;9812300001\r\nB,C;9812300002\r\n", 2),
        ('"sep=|"\nA|9812300001\n', 1),
    ],
)
def test_which_delimiter(tmp_path: Path, text: str, numbers: int) -> None:
    assert sum(map(len, taken(opened(text_file(tmp_path, text))).values())) == numbers


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_those_of_an_editor(tmp_path: Path, end: str) -> None:
    lines = ["sep=,", "", "Name,Mobile", '"Asha', "", f'Rao",{FIRST}', "", f"Ravi,{SECOND}", "X,"]
    file = opened(text_file(tmp_path, end.join(lines)))
    assert taken(file) == {4: (FIRST,), 8: (SECOND,)}
    assert reasons(file) == {9: "no number"}


def test_empty_rows_are_skipped(tmp_path: Path) -> None:
    text = f"\n,,\nName,Mobile\n\u00a0,\u200b\nAsha,{FIRST}\n , \n\n"
    file = opened(text_file(tmp_path, text))
    assert taken(file) == {5: (FIRST,)}
    assert reasons(file) == {}


def test_zero_bytes(tmp_path: Path) -> None:
    file = opened(text_file(tmp_path, f"Name,Mobile\nA\0sha,{FIRST}\0\n\0\0,\0\n"))
    [result] = file.read(CAMPAIGN)
    assert isinstance(result, Taken)
    assert (result.contact.number, result.contact.fields["Name"]) == (FIRST, "Asha")


def test_spaces_around_quotes(tmp_path: Path) -> None:
    file = opened(text_file(tmp_path, f'Id, Name, Mobile\n1, "Rao, A", "{FIRST}"\n'))
    assert taken(file) == {2: (FIRST,)}


DAMAGED = "has misplaced quotes"
SEVERAL = "is part of a cell in quotes that spans several lines with phone numbers"


@pytest.mark.parametrize(
    "damaged",
    [
        '"Asha, 9812300009',
        '"Asha "the boss" Rao",9812300009',
        '"Asha",9812300009,"',
        '"',
        '"Asha" Rao,9812300009',
    ],
)
def test_a_wrong_quote_costs_its_row_alone(tmp_path: Path, damaged: str) -> None:
    text = f'Name,Mobile\nA,{FIRST}\n{damaged}\nRavi,{SECOND}\n"Meena, M",{THIRD}\n'
    file = opened(text_file(tmp_path, text))
    assert taken(file) == {2: (FIRST,), 4: (SECOND,), 5: (THIRD,)}
    [row] = rejected(file).values()
    assert (row.line, row.cell, row.beyond) == (3, damaged, [damaged])
    assert DAMAGED in row.reason


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        (f'Asha,"{FIRST}\nB,{SECOND}\nC,{THIRD}\nD",9812300004\n', [2, 3, 4, 5]),
        (f'"Asha,{FIRST}\nPipe 5",{SECOND}\n', [2, 3]),
        (f'A,{FIRST},"\nB,{SECOND},"\n', [2, 3]),  # ditto marks
        (f'A,{FIRST},"\nB,9.81E+09,"\n', [2, 3]),
        (f'A,{FIRST},"\nB,98123O0002,"\n', [2, 3]),
        (f'A,{FIRST},"\nB,98XXXX0002,"\n', [2, 3]),
        (f'A,{FIRST},"\nB,9812310000,"\n', [2, 3]),
        (f'A,{FIRST},"\nB,1800 123 4567,"\n', [2, 3]),
        (f'A,{FIRST},"call back, alt:\n9812300009"\n', [2, 3]),  # two people's, for all one knows
    ],
)
def test_nobody_is_taken_for_another_where_two_wrong_quotes_fit(
    tmp_path: Path, rows: str, lines: list[int]
) -> None:
    others = [f"981230001{number}" for number in range(5)]
    text = "".join(f"Om,{number},Pune\n" for number in others)
    file = opened(text_file(tmp_path, f"Name,Mobile,City\n{rows}{text}"))
    assert taken(file) == {lines[-1] + place: (one,) for place, one in enumerate(others, 1)}
    damaged = rejected(file)
    assert list(damaged) == lines
    assert [row.cell for row in damaged.values()] == rows.splitlines()
    assert all(SEVERAL in row.reason for row in damaged.values())


@pytest.mark.parametrize(
    "cell",
    [
        "12, MG Road\nPune, 411001",
        "Flat 2\nTel. 022 23456789, Pune",
        "called 2026-11-28, no answer\nand 2026-11-29, at 12:30",
        "Flat 2\nPune, 411001\nINV-2026-000123, Rs 2,50,000",
        "12-14, MG Road\nBengaluru, 560 034",
        "Plot 20x30, HSR\nBengaluru",
        "1st Main, 110 001\nDelhi",
        "Shop 5, card 4XX1\nDelhi, XX12",
        "open 10-19, sun 10-13\nGate 1/2",
        "Deal: 1234567890, closed\nasked",
    ],
)
def test_a_cell_of_several_lines(tmp_path: Path, cell: str) -> None:
    [result] = opened(text_file(tmp_path, f'Name,Address,Mobile\nAsha,"{cell}",{FIRST}\n')).read(
        CAMPAIGN
    )
    assert isinstance(result, Taken)
    assert (result.contact.number, result.contact.fields["Address"]) == (FIRST, cell)


def test_a_quote_that_is_never_closed_in_a_long_file(tmp_path: Path) -> None:
    people = "".join(f"{1000 * 'A'},98123{number:05}\n" for number in range(1, 500))
    file = opened(text_file(tmp_path, f'Name,Mobile\n"Ravi,9812399999\n{people}'))
    assert len(taken(file)) == 499
    assert [row.line for row in rejected(file).values()] == [2]


def test_a_row_whose_cells_have_moved_is_nobodys(tmp_path: Path) -> None:
    text = f"Name,Ref,Mobile\nAsha,1,{FIRST}\nRavi, the other,{SECOND},{THIRD}\nMeena,1,{THIRD},,\n"
    file = opened(text_file(tmp_path, text))
    assert taken(file) == {2: (FIRST,), 4: (THIRD,)}
    assert reasons(file) == {
        3: "has 4 cells where the headers have 3: put a cell that contains a delimiter in quotes"
    }
    assert rejected(file)[3].beyond == [THIRD]


def test_a_row_whose_cells_have_moved_in_a_file_that_a_spreadsheet_saved(tmp_path: Path) -> None:
    text = f"Name,Ref,Mobile,\nAsha,1,{FIRST},\nRavi, the other,{SECOND},{THIRD}\nOm,1,{THIRD},\n"
    file = opened(text_file(tmp_path, text))
    assert taken(file) == {2: (FIRST,), 4: (THIRD,)}
    assert "has 4 cells where the headers have 3" in reasons(file)[3]


def test_a_column_without_a_header_that_most_rows_use(tmp_path: Path) -> None:
    text = f"Name,Mobile,,\nAsha,{FIRST},x,\nRavi,{SECOND},y,\nOm,{THIRD},,\n"
    assert len(taken(opened(text_file(tmp_path, text)))) == 3


def test_a_row_whose_cells_have_moved_where_there_are_no_headers(tmp_path: Path) -> None:
    text = f"Asha,{FIRST}\nRavi,{SECOND}\nMeena, M,{THIRD}\n"
    assert reasons(opened(text_file(tmp_path, text))) == {
        3: "has 3 cells where most rows have 2: put a cell that contains a delimiter in quotes"
    }


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("leads.csv", PEOPLE)
    return data.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b" \r\n\t\n", "is empty"),
        (b"<html><table><tr><td>9812300001</td></tr></table></html>", "is a web page or XML"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html>", "is a web page or XML"),
        (b'<?xml version="1.0"?><Workbook/>', "is a web page or XML"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "but not a workbook"),
        (zipped(), "is a ZIP file, but not a workbook"),
        (b"PK\x03\x04broken", "is a ZIP file, but not a workbook"),
        (gzip.compress(PEOPLE.encode()), "is compressed with gzip"),
        (b"%PDF-1.7", "is a PDF document"),
        (json.dumps([{"phone": FIRST}]).encode(), "is JSON"),
        (bytes(range(256)) * 4, "no column of phone numbers"),
    ],
    # What is compressed has the time in it.
    ids=lambda value: value if isinstance(value, str) else "content",
)
@pytest.mark.parametrize("name", ["leads.csv", "leads.xlsx"])
def test_what_is_no_list(tmp_path: Path, content: bytes, why: str, name: str) -> None:
    path = text_file(tmp_path, content, name)
    with pytest.raises(Unreadable) as caught:
        opened(path)
    assert why in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="is a folder: give a file in it"):
        opened(tmp_path)
    with pytest.raises(Unreadable, match="cannot be read: No such file or directory"):
        opened(tmp_path / "none.csv")
    with pytest.raises(Unreadable, match="cannot be read: embedded null byte"):
        opened(tmp_path / "a\0b")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unreadable, match="is a pipe or a device"):
        opened(tmp_path / "pipe")
    with pytest.raises(Unreadable, match="has no sheets: it is a text file"):
        opened(text_file(tmp_path, PEOPLE), sheet="Leads")


def test_a_workbook_named_csv(tmp_path: Path) -> None:
    path = workbook(tmp_path, [["Mobile"], [9812300001]], "leads.csv")
    assert taken(opened(path)) == {2: (FIRST,)}


@settings(max_examples=60)
@given(
    st.binary(max_size=300)
    | st.text(alphabet='0123456789,;\t"\r\n aM+|', max_size=300).map(str.encode)
    | st.text(max_size=200).map(lambda text: text.encode("utf-16"))
)
def test_any_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = text_file(tmp_path_factory.getbasetemp(), content)
    try:
        file = opened(path)
    except Unreadable:
        return
    text = path.read_bytes().decode("latin-1")
    lines = 1 + text.count("\n") + text.count("\r")
    last = 0
    for result in file.read(CAMPAIGN):
        assert isinstance(result, Taken | Rejected)
        assert last < result.line <= lines
        last = result.line


CELLS = st.sampled_from(
    [
        *(FIRST, f"+91 {SECOND}", "98123 00003 / 98123 00004", "98123 00005\n98123 00006", "", "-"),
        *("9.81231E+09", "९८१२३००००७", 'Mob: "98123 00008"', "98123,00009", "x; y", "'0980", "आशा"),
    ]
)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32-le"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_all_ways_to_write_a_table_are_one(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    delimiter: str,
    encoding: str,
    end: str,
    quotes: Literal[0, 1],
) -> None:
    table = [("Name", "Mobile", "Note"), *rows, ("Asha", "9812300010", "")]

    def read(**dialect: Any) -> list[Taken | Rejected]:
        written = io.StringIO()
        csv.writer(written, **dialect).writerows(table)
        content = written.getvalue().encode(encoding)
        path = text_file(tmp_path_factory.getbasetemp(), content, "table.csv")
        return list(opened(path).read(CAMPAIGN))

    plain = read(delimiter=",", lineterminator="\n")
    assert read(delimiter=delimiter, lineterminator=end, quoting=quotes) == plain
    assert isinstance(plain[-1], Taken)


def test_a_file_is_read_as_it_goes(tmp_path: Path) -> None:
    """The rows that were not asked for are not read: all that is kept is what was taken."""
    path = text_file(tmp_path, PEOPLE)
    table = open_text(path, path.read_bytes())
    assert isinstance(table, TextTable)
    rows = table.rows()
    next(rows)
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(f"{'x' * 100_000},{THIRD}\r\n")
    assert len(list(rows)) == 3

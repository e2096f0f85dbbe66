"""Files that other programs have made: `made_by/README.md` says which, and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from exotel_async.cli.contact_files import ContactFile, Taken, Unreadable
from tests.cli.contact_files.support import CAMPAIGN, opened, reasons, taken

MADE_BY = Path(__file__).with_name("made_by")
LOST = "has lost digits: format the column as text and export it again"
FOOTER = "is a total or a footer, not a person"

PEOPLE = {2: ("+919812300001",), 3: ("9812300002", "9812300012"), 4: ("9812300003", "9812300013")}
NO_PEOPLE = {5: "no number", 6: LOST, 7: "the same number as in line 2", 8: FOOTER}
READ_AS_A_NUMBER = NO_PEOPLE | {
    6: "ends in zeros, as if it had lost digits: if it is right, write it with +91"
}
LEADS = {4: ("9812300001",), 6: ("9812300002",), 7: ("9812300003",)}
NO_LEADS = {5: "no number: its cell is merged with that of line 4", 10: FOOTER}
SUM = {9: "is the sum of the numbers above it"}
CONTACTS = {2: ("+919812300001",), 4: ("9812300002",), 6: ("+14155550100",)}
ABROAD = {5: LOST}
FLOATS = {2: ("919812300001",), 4: ("9812300003",), 5: ("9812300004",)}


def fields(file: ContactFile, line: int) -> dict[str, object]:
    [found] = [
        result.contact.fields
        for result in file.read(CAMPAIGN)
        if isinstance(result, Taken) and result.line == line
    ]
    return dict(found)


@pytest.mark.parametrize(
    ("name", "people", "not_taken"),
    [
        ("people.csv", PEOPLE, NO_PEOPLE),
        ("libreoffice.xlsx", PEOPLE, NO_PEOPLE),
        ("libreoffice.ods", PEOPLE, NO_PEOPLE),
        ("libreoffice.xls", PEOPLE, NO_PEOPLE),
        ("libreoffice-utf16.csv", PEOPLE, NO_PEOPLE),
        ("libreoffice-windows1252.csv", PEOPLE, NO_PEOPLE),
        ("libreoffice-numbers.csv", PEOPLE, NO_PEOPLE),
        ("libreoffice-numbers.xlsx", PEOPLE, READ_AS_A_NUMBER),
        ("openpyxl.xlsx", LEADS, NO_LEADS),
        ("libreoffice-computed.xlsx", LEADS, NO_LEADS | SUM),
        ("libreoffice-computed.xls", LEADS, NO_LEADS | SUM),
        # ODS does not say which cells are merged.
        ("libreoffice-computed.ods", LEADS, NO_LEADS | SUM | {5: "no number"}),
        ("pandas.csv", FLOATS, {3: "no number"}),
        ("pandas.xlsx", FLOATS, {3: "no number"}),
        ("like_google_sheets.csv", CONTACTS, ABROAD),
        ("like_excel_utf8.csv", CONTACTS, ABROAD),
        ("like_excel_macintosh.csv", CONTACTS, ABROAD),
        ("like_excel_unicode_text.txt", CONTACTS, ABROAD),
    ],
)
def test_the_people_and_the_rows_that_are_none(
    name: str, people: dict[int, tuple[str, ...]], not_taken: dict[int, str]
) -> None:
    file = opened(MADE_BY / name)
    assert file.found_by == "its header"
    assert file.has_header
    assert taken(file) == people
    assert reasons(file) == not_taken


@pytest.mark.parametrize(
    "name", ["libreoffice.xlsx", "libreoffice.ods", "libreoffice.xls", "libreoffice-utf16.csv"]
)
def test_all_columns_come_along(name: str) -> None:
    assert fields(opened(MADE_BY / name), 3) == {
        "Customer Name": "José D'Souza",
        "Mobile No.": "9812300002",
        "Alternate Mobile": "9812300012",
        "City": "Panaji",
        "Amount Due": "300",
        "Due Date": "2026-12-01",
    }


def test_windows_1252_is_said() -> None:
    file = opened(MADE_BY / "libreoffice-windows1252.csv")
    assert file.notes == ("the file is not UTF-8: it is read as windows-1252",)
    assert fields(file, 3)["Customer Name"] == "José D'Souza"


def test_a_cell_with_several_lines() -> None:
    file = opened(MADE_BY / "like_excel_unicode_text.txt")
    assert fields(file, 2)["Remarks"] == 'said "later",\nthen hung up'
    assert fields(file, 4)["Name"] == "रवि"


def test_the_sheet_that_is_shown_is_read() -> None:
    file = opened(MADE_BY / "openpyxl.xlsx")
    assert file.notes == (
        "sheet 'Leads' of 3 is read; not 'Notes'; 1 hidden",
        "the headers are in line 3: rows above them are not dialled",
    )
    assert (file.number_column.letter, file.number_column.name) == ("C", "Contact No")
    assert taken(opened(MADE_BY / "openpyxl.xlsx", sheet="old")) == {2: ("9812300099",)}


def test_pandas_dates_and_ids() -> None:
    file = opened(MADE_BY / "pandas.xlsx", key="crm id")
    assert fields(file, 5) == {"CRM Id": "104", "phone": "9812300004", "joined": "2026-11-04"}
    keys = [result.contact.key for result in file.read(CAMPAIGN) if isinstance(result, Taken)]
    assert keys == ["101", "103", "104"]


def test_numbers_dates_and_errors_of_a_workbook_without_headers() -> None:
    file = opened(MADE_BY / "xlsxwriter.xlsx", number="B")
    assert not file.has_header
    assert taken(file) == {
        1: ("919812300001",),
        2: ("09812300002",),
        4: ("9812300004",),
        10: ("9812300010",),
    }
    assert reasons(file) == {
        3: "is a decimal number, not a phone number",
        5: "is a negative number, not a phone number",
        6: "is TRUE or FALSE, not a phone number",
        7: "is not in the Indian numbering plan: write a number of another country with + and its"
        " country code",
        8: "no number",
        9: "is a date, not a phone number",
    }
    assert fields(file, 1) == {"column A": "Person 1", "column B": "919812300001"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("encrypted.xlsx", "is encrypted with a password"),
        ("libreoffice-html.xls", "is a web page or XML"),
    ],
)
def test_what_cannot_be_read(name: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        opened(MADE_BY / name)


def test_each_file_is_read_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    made = {path.name for path in MADE_BY.iterdir()} - {"README.md", "make.py.txt"}
    assert len(made) > 10
    assert [name for name in sorted(made) if f'"{name}"' not in source] == []

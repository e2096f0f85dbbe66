"""Workbooks: sheets, merged cells, and where rows and columns begin."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import xlsxwriter

from exotel_async.cli.contact_files import Taken, Unreadable
from tests.cli.contact_files.support import (
    CAMPAIGN,
    FIRST,
    SECOND,
    THIRD,
    opened,
    reasons,
    rejected,
    sheets,
    taken,
    text_file,
    workbook,
)

MADE_BY = Path(__file__).with_name("made_by")
LIST = [["Mobile"], [9812300001]]


def test_the_first_sheet_with_something_is_read(tmp_path: Path) -> None:
    path = sheets(
        tmp_path / "a.xlsx",
        {"old": [["Mobile"], [9812300009]], "Empty": [], "Leads": LIST, "More": [[1]]},
    )
    file = opened(path)
    assert taken(file) == {2: (FIRST,)}
    assert file.notes == ("sheet 'Leads' of 4 is read; not 'Empty', 'More'; 1 hidden",)


def test_a_sheet_by_its_name(tmp_path: Path) -> None:
    path = sheets(tmp_path / "a.xlsx", {"Leads": [["x"]], "old": LIST})
    assert taken(opened(path, sheet=" OLD ")) == {2: (FIRST,)}
    with pytest.raises(Unreadable, match="has no sheet 'New': it has 'Leads', 'old'"):
        opened(path, sheet="New")
    with pytest.raises(
        Unreadable, match=r"no column of phone numbers .* sheet 'Leads' of 2 is read; 1 hidden"
    ):
        opened(path)


def test_a_workbook_with_nothing_that_is_shown(tmp_path: Path) -> None:
    path = sheets(tmp_path / "a.xlsx", {"Leads": [], "old": LIST})
    with pytest.raises(
        Unreadable, match=r"is empty: its visible sheets have no cells: hidden .* 'old'"
    ):
        opened(path)
    with pytest.raises(Unreadable, match="is empty"):
        opened(sheets(tmp_path / "b.xlsx", {"Leads": []}))


def test_one_sheet_needs_no_note(tmp_path: Path) -> None:
    assert opened(workbook(tmp_path, LIST)).notes == ()


def test_rows_and_columns_are_those_of_the_sheet(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row("D7", ["Name", "Mobile"])
        sheet.write_row("D9", ["Asha", 9812300001])
        sheet.write_row("D12", ["Ravi", ""])
    file = opened(tmp_path / "a.xlsx")
    assert file.number_column.letter == "E"
    assert taken(file) == {9: (FIRST,)}
    assert reasons(file) == {12: "no number"}
    assert rejected(file)[12].row == {
        "column A": "", "column B": "", "column C": "", "Name": "Ravi", "Mobile": "",
    }  # fmt: skip


def test_a_number_for_several_rows_is_one_person(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["Product", "Mobile"])
        sheet.write_column(1, 0, ["Loan", "Card", "Gold", "Loan"])
        sheet.merge_range("B2:B4", 9812300001)
        sheet.write("B5", 9812300002)
    file = opened(tmp_path / "a.xlsx")
    assert taken(file) == {2: (FIRST,), 5: (SECOND,)}
    assert reasons(file) == dict.fromkeys(
        (3, 4), "no number: its cell is merged with that of line 2"
    )


def test_cells_beyond_the_headers_do_not_move_the_others(tmp_path: Path) -> None:
    rows = [["Name", "Mobile"], ["Asha", FIRST, "", "note"], ["Ravi", SECOND]]
    file = opened(workbook(tmp_path, rows))
    assert [column.name for column in file.columns] == ["Name", "Mobile", "column C", "column D"]
    assert len(taken(file)) == 2


def test_a_sum_of_the_numbers_is_not_dialled(tmp_path: Path) -> None:
    # Of a hundred numbers and more, the sum has twelve digits and may begin with 91.
    numbers = [9_000_000_011 + 4_000_001 * place for place in range(100)]
    total = sum(numbers)
    assert str(total).startswith("91")
    rows = [["Mobile"], *([number] for number in numbers), [total]]
    file = opened(workbook(tmp_path, rows))
    assert len(taken(file)) == 100
    assert reasons(file) == {102: "is the sum of the numbers above it"}


def test_an_encrypted_ods(tmp_path: Path) -> None:
    path = tmp_path / "leads.ods"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", b"\x8f\x01\x02")
        archive.writestr(
            "META-INF/manifest.xml",
            "<manifest:manifest><manifest:file-entry><manifest:encryption-data/>",
        )
    with pytest.raises(Unreadable, match="is encrypted with a password"):
        opened(path)


def test_a_workbook_that_is_cut_short(tmp_path: Path) -> None:
    whole = workbook(tmp_path, [["Mobile"], *([f"98123{n:05}"] for n in range(500))]).read_bytes()
    with pytest.raises(Unreadable, match="is a ZIP file, but not a workbook"):
        opened(text_file(tmp_path, whole[: len(whole) // 2], "cut.xlsx"))


def test_a_workbook_by_which_the_reader_is_put_out(tmp_path: Path) -> None:
    content = bytearray((MADE_BY / "libreoffice.xls").read_bytes())
    content[3123] = 12
    with pytest.raises(Unreadable, match="is a damaged workbook"):
        opened(text_file(tmp_path, bytes(content), "leads.xls"))


def test_values_as_text(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["Mobile", "Whole", "Part", "Yes", "Text"])
        sheet.write_row(1, 0, [int(THIRD), 5.0, 12.5, True, " 007 "])
    [result] = opened(tmp_path / "a.xlsx", key="Text").read(CAMPAIGN)
    assert isinstance(result, Taken)
    assert result.contact.key == "007"
    assert result.contact.fields == {
        "Mobile": THIRD, "Whole": "5", "Part": "12.5", "Yes": "TRUE", "Text": "007",
    }  # fmt: skip

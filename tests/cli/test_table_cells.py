"""Cells of tables that are going to be opened in a spreadsheet."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.cli.table_cells import csv_lines, harmless

CELLS = st.text(st.sampled_from("a\r\n\t\"',; =é") | st.characters(codec="utf-8"))


@given(st.lists(st.lists(CELLS, min_size=2, max_size=3), max_size=3))
def test_rows_are_read_back_as_they_were(rows: list[list[str]]) -> None:
    assert list(csv.reader(io.StringIO(csv_lines(rows), newline=""))) == rows


@pytest.mark.parametrize("text", ["a\rb", "\r", "a\nb", "a\r\nb"])
def test_a_line_break_in_a_cell_makes_no_row(text: str) -> None:
    """Of whatever kind: spreadsheets of the past ended their lines with carriage returns."""
    assert csv_lines([["1", text]]) == f'1,"{text}"\n'


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-1+1", "\t=1", "\r=1"])
def test_a_formula_is_made_text(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["+919812300001", "-5", "-1.5", "a=1", "", "'=1"])
def test_all_else_stays(text: str) -> None:
    assert harmless(text) == text

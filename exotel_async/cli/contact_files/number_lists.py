"""Reads do-not-call lists: files of numbers that must not be dialled."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from exotel_async.cli.contact_files.cells import (
    BadCell,
    Cell,
    NotDialled,
    has_lost_digits,
    is_meant_as_number,
    numbers_of,
)
from exotel_async.cli.contact_files.columns import Column, Frame
from exotel_async.cli.contact_files.finding import no_numbers_text
from exotel_async.cli.contact_files.frames import frame_of
from exotel_async.cli.contact_files.number_columns import NumberColumns, number_columns
from exotel_async.cli.contact_files.number_looks import has_number_inside, may_be_number
from exotel_async.cli.contact_files.odd_rows import (
    FOOTER,
    REPEATED,
    has_number,
    why_no_contact,
)
from exotel_async.cli.contact_files.rows import Row, Table
from exotel_async.cli.contact_files.sample import Sample
from exotel_async.cli.contact_files.tables import open_tables
from exotel_async.cli.contact_files.unreadable import Unreadable
from exotel_async.phone import identity_of

_FIRST: Final = 3
_ADVICE: Final = "give it a header such as Mobile"  # --map is for the list that is dialled


@frozen
class NumberList:
    """A do-not-call list.

    Attributes:
        numbers: its numbers, each once.
        notes: remarks for the user on how it was read.
    """

    numbers: Sequence[str] = field(repr=False)
    notes: Sequence[str]


def read_numbers(path: Path) -> NumberList:
    """Read a do-not-call list: each cell that is phone numbers and nothing else.

    A number that is missed would be dialled. So numbers are taken from any column, row or sheet,
    unless the header of the column says that it holds something else that looks like a number, such
    as the ids of orders. Each row of a table with a column of phone numbers must give one, and each
    cell of such a column must be understood. A placeholder such as 0000000000 is left out.

    Raises:
        Unreadable: it is not such a list, or a row gives no number. The text says which rows.
    """
    reader = _Reader(path)
    for sheet, table in open_tables(path):
        reader.read(sheet, table)
    return reader.result()


@define
class _Places:
    """Counts places in a file, and keeps the first ones for a message."""

    first: list[str] = field(factory=list)
    count: int = 0

    def add(self, text: str) -> None:
        self.count += 1
        if len(self.first) < _FIRST and text not in self.first:
            self.first.append(text)

    def __str__(self) -> str:
        return "; ".join(self.first)


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.numbers: dict[str, str] = {}
        """By identity, which is the same for all spellings of a number."""
        self.bad = _Places()
        self.unread = _Places()
        """Cells that seem to contain a number, in columns that need not have any."""
        self.notes: list[str] = []
        self.has_rows = False
        self.has_phones = False
        self.used: list[Column] = []
        self.lost: list[Column] = []

    def result(self) -> NumberList:
        if not self.has_rows:
            raise Unreadable(f"{self.path} has no rows that can be read")
        if not self.has_phones:
            raise Unreadable(f"{self.path}: {no_numbers_text(self.used, self.lost, _ADVICE)}")
        if count := self.bad.count:
            rows = "1 row cannot be read, so its number"
            if count > 1:
                rows = f"{count:,} rows cannot be read, so their numbers"
            raise Unreadable(f"{self.path}: {rows} could still be dialled: {self.bad}")
        if count := self.unread.count:
            cells = "1 cell seems" if count == 1 else f"{count:,} cells seem"
            self.notes.append(
                f"{cells} to have a number that is not put on the do-not-call list: {self.unread}"
            )
        return NumberList(list(self.numbers.values()), self.notes)

    def read(self, sheet: str, table: Table) -> None:
        sample = Sample(table, {}, is_do_not_call=True)
        if not sample.rows:
            return
        frame = frame_of(table, sample)
        columns = number_columns(table, frame, is_only_table=not sheet)
        self.has_rows = True
        self.used += (one for one in frame.columns if one.samples)
        self.lost += (
            one
            for one in frame.columns
            if one.index not in columns.others | columns.texts
            and any(map(has_lost_digits, sample.cells(one.index)))
        )
        self.has_phones |= bool(columns.phones)
        where = f"sheet {sheet!r}, line" if sheet else "line"
        any_number = False
        for row in table.rows():
            try:
                if row.line == frame.header_line:
                    numbers = _in_header(row)
                else:
                    numbers = self._numbers(row, frame, columns, where)
            except BadCell as why:
                self.bad.add(f"{where} {row.line} {why}")
                continue
            any_number = any_number or bool(numbers)
            for number in numbers:
                if identity := identity_of(number):
                    self.numbers.setdefault(identity, number)
        if sheet and not any_number:
            self.notes.append(f"the sheet {sheet!r} has no phone numbers")

    def _numbers(self, row: Row, frame: Frame, columns: NumberColumns, where: str) -> list[str]:
        """Return the numbers of a row.

        Raises:
            BadCell: a cell is not understood, or the row must have a number and has none.
        """
        phones, others = columns.phones, columns.others
        if phones and (reason := why_no_contact(row, frame, min(phones))):
            if _can_be_skipped(row, frame, reason):
                return []
            raise BadCell(reason)
        is_given = not phones
        numbers: list[str] = []
        for index, cell in enumerate(row.cells):
            if index in others:
                continue
            found = _all_in(cell) if index in phones else _optional_numbers(cell)
            if found is None:
                self.unread.add(f"{where} {row.line}")
            elif found:
                numbers += found
                is_given = is_given or index not in columns.texts
        if not is_given:
            raise BadCell("has no number")
        return numbers


def _optional_numbers(cell: Cell) -> Sequence[str] | None:
    """Return the numbers in a cell that need not have any; None: it only seems to contain one."""
    seems = False
    if may_be_number(cell):
        try:
            return _all_in(cell)
        except BadCell:
            seems = is_meant_as_number(cell)
    return None if seems or has_number_inside(cell) else ()


def _in_header(row: Row) -> list[str]:
    """Return the numbers in the row of the headers, which may be an entry of the list."""
    numbers: list[str] = []
    for cell in row.cells:
        with suppress(BadCell):
            numbers += _all_in(cell)
    return numbers


def _can_be_skipped(row: Row, frame: Frame, reason: str) -> bool:
    is_odd = row.line < frame.header_line or reason in {REPEATED, FOOTER}
    return row.damage is None and is_odd and not has_number(row)


def _all_in(cell: Cell) -> Sequence[str]:
    try:
        return numbers_of(cell)
    except NotDialled as error:
        return (error.number,)

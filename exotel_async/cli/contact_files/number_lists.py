"""Lists of numbers that are not to be dialled."""

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
from exotel_async.cli.contact_files.finding import why_none
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
        notes: what the user is to know of how it was read.
    """

    numbers: Sequence[str] = field(repr=False)
    notes: Sequence[str]


def read_numbers(path: Path) -> NumberList:
    """Read a do-not-call list: each cell that is phone numbers and nothing else.

    One that is left out is dialled, so it is all one in which column, row or sheet it is, unless
    the header of the column says that it holds something else that looks like a number, such as the
    ids of orders. Each row of a table with a column of phone numbers must give one, and each cell
    of such a column must be understood. What stands in place of a number and is none, such as
    0000000000, is left out.

    Raises:
        Unreadable: it is no such list, or a row gives no number. The text says which rows.
    """
    reader = _Reader(path)
    for sheet, table in open_tables(path):
        reader.read(sheet, table)
    return reader.result()


@define
class _Places:
    """Places in a file, of which the first ones are said."""

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
        """By what their spellings have in common."""
        self.bad = _Places()
        self.unread = _Places()
        """Cells that seem to have a number, of columns in which there need be none."""
        self.notes: list[str] = []
        self.has_rows = False
        self.has_phones = False
        self.used: list[Column] = []
        self.lost: list[Column] = []

    def result(self) -> NumberList:
        if not self.has_rows:
            raise Unreadable(f"{self.path} has no rows that can be read")
        if not self.has_phones:
            raise Unreadable(f"{self.path}: {why_none(self.used, self.lost, _ADVICE)}")
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
        columns = number_columns(table, frame, is_alone=not sheet)
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
            BadCell: one is not understood, or there is none where there is to be one.
        """
        phones, others = columns.phones, columns.others
        if phones and (reason := why_no_contact(row, frame, min(phones))):
            if _is_nobodys(row, frame, reason):
                return []
            raise BadCell(reason)
        is_given = not phones
        numbers: list[str] = []
        for index, cell in enumerate(row.cells):
            if index in others:
                continue
            found = _all_in(cell) if index in phones else _beside(cell)
            if found is None:
                self.unread.add(f"{where} {row.line}")
            elif found:
                numbers += found
                is_given = is_given or index not in columns.texts
        if not is_given:
            raise BadCell("has no number")
        return numbers


def _beside(cell: Cell) -> Sequence[str] | None:
    """Return the numbers in a cell in which there need be none; None: it only seems to have one."""
    seems = False
    if may_be_number(cell):
        try:
            return _all_in(cell)
        except BadCell:
            seems = is_meant_as_number(cell)
    return None if seems or has_number_inside(cell) else ()


def _in_header(row: Row) -> list[str]:
    """Return the numbers in the row of the headers, which may be one of the list."""
    numbers: list[str] = []
    for cell in row.cells:
        with suppress(BadCell):
            numbers += _all_in(cell)
    return numbers


def _is_nobodys(row: Row, frame: Frame, reason: str) -> bool:
    is_odd = row.line < frame.header_line or reason in {REPEATED, FOOTER}
    return row.damage is None and is_odd and not has_number(row)


def _all_in(cell: Cell) -> Sequence[str]:
    try:
        return numbers_of(cell)
    except NotDialled as error:
        return (error.number,)

"""Finds the columns of a do-not-call list that hold phone numbers, from all its rows."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from functools import cache, lru_cache
from typing import Final

from attrs import define, frozen

from exotel_async.cli.contact_files.cells import (
    BadCell,
    Cell,
    NotDialled,
    bare_digits,
    is_likely,
    is_meant_as_number,
    numbers_of,
)
from exotel_async.cli.contact_files.columns import Frame
from exotel_async.cli.contact_files.headers import TO_CONFIRM, Kind, kind_in_number_list
from exotel_async.cli.contact_files.number_looks import may_be_number
from exotel_async.cli.contact_files.rows import Table
from exotel_async.cli.contact_files.sample import ENOUGH, is_meant

_NAMED: Final = (Kind.PHONE, Kind.SECOND, Kind.OTHER_PHONE)
_LONGEST_EMPTY_TEXT: Final = 20  # characters, as of `not applicable` with quotes


@frozen
class NumberColumns:
    """What the columns of a do-not-call list hold, by their places.

    Attributes:
        phones: those in which each cell must be a phone number.
        texts: those whose header says that they hold text, which may contain a number.
        others: those whose header says that they hold something else, such as ids or amounts.
    """

    phones: frozenset[int]
    texts: frozenset[int]
    others: frozenset[int]


def number_columns(table: Table, frame: Frame, *, is_only_table: bool) -> NumberColumns:
    """Find out which columns hold what.

    Phone numbers are in columns whose header says so, if they contain something like a number, and
    in those of which at least half of the cells are numbers. The rows that show it may be anywhere
    in the table.

    Args:
        table: the table.
        frame: its columns.
        is_only_table: whether it is the only table of the file. If so, it is the list, and the
            headers alone can show where the numbers are.
    """
    kinds = {index: kind_in_number_list(header) for index, header in enumerate(frame.headers)}
    kinds |= dict.fromkeys(range(frame.own_columns), Kind.TEXT)
    tallies, has_rows = _tallies(table, frame, kinds)
    named = frozenset(index for index, kind in kinds.items() if kind in _NAMED)
    counted = {index: one for index, one in tallies.items() if index not in named}
    found = {index for index in named if tallies[index].is_meant}
    found |= {index for index, one in counted.items() if one.is_mostly(one.likely)}
    if not found:  # numbers that may be something else
        found = {index for index, one in counted.items() if one.is_mostly(one.numbers)}
    if not found and not is_only_table:
        found = {index for index, one in counted.items() if one.is_mostly(one.malformed)}
    if not found and (is_only_table or not has_rows):
        found |= named
    return NumberColumns(
        frozenset(found),
        texts=frozenset(index for index, kind in kinds.items() if kind is Kind.TEXT),
        others=frozenset(index for index, kind in kinds.items() if kind is Kind.OTHER),
    )


def _tallies(
    table: Table, frame: Frame, kinds: dict[int, Kind]
) -> tuple[defaultdict[int, _Tally], bool]:
    """Count the cells of the columns that may hold phone numbers, by what they are.

    Returns:
        The counts by column, and whether the table has rows.
    """
    tallies: defaultdict[int, _Tally] = defaultdict(_Tally)
    has_rows = False
    width = 0
    open_columns: list[int] = []
    for row in table.rows():
        if row.damage is not None or row.line <= frame.header_line:
            continue
        has_rows = True
        if len(row.cells) > width:
            more = range(width, len(row.cells))
            width = len(row.cells)
            open_columns += (
                index for index in more if kinds.get(index, Kind.UNKNOWN) in (*TO_CONFIRM, *_NAMED)
            )
        decided = []
        for index in open_columns:
            if index >= len(row.cells):
                break
            cell = row.cells[index]
            if kinds.get(index) not in _NAMED:
                tallies[index].count(cell)
            elif is_meant(cell):
                tallies[index].is_meant = True
                decided.append(index)
        for index in decided:
            open_columns.remove(index)
        if not open_columns and width >= len(kinds):
            break
    return tallies, has_rows


@define
class _Tally:
    """The numbers of cells in a column, by what they hold."""

    filled: int = 0
    """Cells that are neither empty nor say so, as `N/A` does."""
    numbers: int = 0
    likely: int = 0
    """Those that are almost certainly phone numbers."""
    malformed: int = 0
    """Phone numbers that cannot be dialled as they are written."""
    is_meant: bool = False

    def is_mostly(self, count: int) -> bool:
        """Return whether a count is enough of the filled cells to decide what the column holds."""
        return count >= ENOUGH * self.filled > 0

    def count(self, cell: Cell) -> None:
        if not may_be_number(cell):
            self.filled += _is_filled(cell)
            return
        try:
            numbers = numbers_of(cell)
        except NotDialled:
            self.filled += 1
            self.numbers += 1
        except BadCell:
            self.filled += 1
            self.malformed += _is_malformed_number(cell)
        else:
            self.filled += bool(numbers)
            self.numbers += bool(numbers)
            self.likely += is_likely(numbers)


def _is_malformed_number(cell: Cell) -> bool:
    """Return whether a cell is a malformed phone number, and not an account number or the like."""
    digits = bare_digits(cell)
    return is_meant_as_number(cell) and (not digits or digits.endswith("0000"))


def _is_filled(cell: Cell) -> bool:
    if isinstance(cell, str):
        if _digit().search(cell) is not None:
            return True
        is_text = len(cell.strip()) > _LONGEST_EMPTY_TEXT and _word().search(cell) is not None
        return is_text or not _means_empty(cell)
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return True
    return cell != 0 and not math.isnan(cell)


@lru_cache(maxsize=4096)
def _means_empty(cell: str) -> bool:
    try:
        return not numbers_of(cell)
    except BadCell:
        return False


@cache
def _word() -> re.Pattern[str]:
    return re.compile(r"\w")


@cache
def _digit() -> re.Pattern[str]:
    return re.compile(r"[1-9]")

"""Which columns of a do-not-call list have phone numbers, by all of its rows."""

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
_LONGEST_OF_NOTHING: Final = 20  # characters of `not applicable` and the like, with quotes


@frozen
class NumberColumns:
    """What there is in the columns of a do-not-call list, by their places.

    Attributes:
        phones: those in which each cell is to be a phone number.
        texts: those whose header says that there is text, which may be somebody's number.
        others: those whose header says that they hold something else, such as ids or amounts.
    """

    phones: frozenset[int]
    texts: frozenset[int]
    others: frozenset[int]


def number_columns(table: Table, frame: Frame, *, is_alone: bool) -> NumberColumns:
    """Find out what is where.

    Phone numbers are in columns whose header says so, if there is something like a number in them,
    and in those of which at least half of the cells are numbers. The rows that show it may be
    anywhere in the table.

    Args:
        table: the table.
        frame: its columns.
        is_alone: whether there is no other table in the file. If so, it is the list, and what its
            headers say is enough.
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
    if not found and not is_alone:
        found = {index for index, one in counted.items() if one.is_mostly(one.spoiled)}
    if not found and (is_alone or not has_rows):
        found |= named
    return NumberColumns(
        frozenset(found),
        texts=frozenset(index for index, kind in kinds.items() if kind is Kind.TEXT),
        others=frozenset(index for index, kind in kinds.items() if kind is Kind.OTHER),
    )


def _tallies(
    table: Table, frame: Frame, kinds: dict[int, Kind]
) -> tuple[defaultdict[int, _Tally], bool]:
    """Return what the columns hold of which it is to be found out, and whether there are rows."""
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
    """What the cells of a column are."""

    said: int = 0
    """Those that are not as good as empty."""
    numbers: int = 0
    likely: int = 0
    """Those that can hardly be anything else."""
    spoiled: int = 0
    """Those that were numbers."""
    is_meant: bool = False

    def is_mostly(self, count: int) -> bool:
        """Whether so many are enough of those that say something."""
        return count >= ENOUGH * self.said > 0

    def count(self, cell: Cell) -> None:
        if not may_be_number(cell):
            self.said += _says_something(cell)
            return
        try:
            numbers = numbers_of(cell)
        except NotDialled:
            self.said += 1
            self.numbers += 1
        except BadCell:
            self.said += 1
            self.spoiled += _has_been_number(cell)
        else:
            self.said += bool(numbers)
            self.numbers += bool(numbers)
            self.likely += is_likely(numbers)


def _has_been_number(cell: Cell) -> bool:
    """Whether a cell is a number that is spoiled, and no account's or the like."""
    digits = bare_digits(cell)
    return is_meant_as_number(cell) and (not digits or digits.endswith("0000"))


def _says_something(cell: Cell) -> bool:
    if isinstance(cell, str):
        if _digit().search(cell) is not None:
            return True
        is_text = len(cell.strip()) > _LONGEST_OF_NOTHING and _word().search(cell) is not None
        return is_text or not _says_nothing(cell)
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return True
    return cell != 0 and not math.isnan(cell)


@lru_cache(maxsize=4096)
def _says_nothing(cell: str) -> bool:
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

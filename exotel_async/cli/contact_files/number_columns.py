"""Which columns of a do-not-call list have phone numbers, by all of its rows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final

from attrs import define, frozen

from exotel_async.cli.contact_files.cells import (
    BadCell,
    Cell,
    NotDialled,
    is_empty,
    is_likely,
    numbers_of,
)
from exotel_async.cli.contact_files.columns import Frame
from exotel_async.cli.contact_files.headers import TO_CONFIRM, Kind, kind_in_number_list
from exotel_async.cli.contact_files.rows import Table
from exotel_async.cli.contact_files.sample import ENOUGH, is_meant

_FEWEST: Final = 7  # digits of a number, with its country code
_NAMED: Final = (Kind.PHONE, Kind.SECOND, Kind.OTHER_PHONE)


@frozen
class NumberColumns:
    """What there is in the columns of a do-not-call list, by their places.

    Attributes:
        phones: those in which each cell is to be a phone number.
        others: those whose header says that something else is in them.
    """

    phones: Sequence[int]
    others: frozenset[int]


def number_columns(table: Table, frame: Frame) -> NumberColumns:
    """Find out what is where.

    Phone numbers are in columns whose header says so, unless there is nothing like a number in
    them, and in those of which at least half of the cells are numbers. The rows that show it may be
    anywhere in the table.
    """
    kinds = {index: kind_in_number_list(header) for index, header in enumerate(frame.headers)}
    kinds |= dict.fromkeys(range(frame.own_columns), Kind.OTHER)
    named = [index for index, kind in kinds.items() if kind in _NAMED]
    tallies: defaultdict[int, _Tally] = defaultdict(_Tally)
    for row in table.rows():
        if row.damage is not None or row.line <= frame.header_line:
            continue
        for index, cell in enumerate(row.cells):
            if is_empty(cell):
                continue
            kind = kinds.get(index, Kind.UNKNOWN)
            if kind in TO_CONFIRM:
                tallies[index].count(cell)
            elif kind in _NAMED and not tallies[index].is_meant:
                tallies[index].is_meant = is_meant(cell)
    found = {index for index in named if tallies[index].is_meant}
    found |= {index for index, tally in tallies.items() if tally.likely >= ENOUGH * tally.said > 0}
    if not found:
        # Numbers that may be something else, and headers with nothing of the kind below them.
        found = {index for index, one in tallies.items() if one.numbers >= ENOUGH * one.said > 0}
    others = frozenset(index for index, kind in kinds.items() if kind is Kind.OTHER)
    return NumberColumns(sorted(found or named), others)


@define
class _Tally:
    """What the cells of a column are."""

    said: int = 0
    """Those that are not as good as empty."""
    numbers: int = 0
    likely: int = 0
    """Those that can hardly be anything else."""
    is_meant: bool = False

    def count(self, cell: Cell) -> None:
        if not may_be_number(cell):
            self.said += not _says_nothing(cell)
            return
        try:
            numbers = numbers_of(cell)
        except NotDialled:
            self.said += 1
            self.numbers += 1
        except BadCell:
            self.said += 1
        else:
            self.said += bool(numbers)
            self.numbers += bool(numbers)
            self.likely += is_likely(numbers)


def may_be_number(cell: Cell) -> bool:
    """Whether a cell has as many digits as a phone number.

    That is known at once, and most cells of a list have fewer.
    """
    if isinstance(cell, str):
        return _enough_digits().search(cell) is not None
    return isinstance(cell, int | float) and cell >= 10 ** (_FEWEST - 1)


@lru_cache(maxsize=4096)
def _says_nothing(cell: Cell) -> bool:
    try:
        return not numbers_of(cell)
    except BadCell:
        return False


@cache
def _enough_digits() -> re.Pattern[str]:
    return re.compile(rf"(?:\d\D*){{{_FEWEST}}}")

"""Lists of numbers that are not to be dialled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from exotel_async.cli.contact_files.cells import BadCell, Cell, NotDialled, numbers_of
from exotel_async.cli.contact_files.columns import AmbiguousColumn, Layout
from exotel_async.cli.contact_files.finding import find_columns
from exotel_async.cli.contact_files.odd_rows import (
    FOOTER,
    REPEATED,
    cell_at,
    has_number,
    why_no_contact,
)
from exotel_async.cli.contact_files.rows import Row, Table
from exotel_async.cli.contact_files.tables import open_table
from exotel_async.cli.contact_files.unreadable import Unreadable
from exotel_async.phone import identity_of

_FIRST: Final = 3
_ADVICE: Final = "give it a header such as Mobile"  # --map is for the list that is dialled


def read_numbers(path: Path) -> list[str]:
    """Read a do-not-call list: all numbers in all columns with phone numbers.

    Every row must give one number at least: a number that is not understood would be dialled. What
    stands in place of a number and is none, such as 0000000000, is left out.

    Raises:
        Unreadable: it is no such list, or a row gives no number. The text says which rows.
    """
    table = open_table(path)
    layout = _layout(path, table)
    numbers: dict[str, None] = {}
    bad: list[str] = []
    for row in table.rows():
        if row.line == layout.header_line or _is_nobodys(row, layout):
            continue
        try:
            numbers |= dict.fromkeys(_numbers(row, layout))
        except BadCell as why:
            bad.append(f"line {row.line} {why}")
    if bad:
        rows = "1 row cannot be read, so its number"
        if len(bad) > 1:
            rows = f"{len(bad):,} rows cannot be read, so their numbers"
        first = "; ".join(bad[:_FIRST])
        raise Unreadable(f"{path}: {rows} could still be dialled: {first}")
    return [one for one in numbers if identity_of(one) is not None]


def _layout(path: Path, table: Table) -> Layout:
    try:
        return find_columns(path, table, {}, advice=_ADVICE)
    except AmbiguousColumn as several:
        # Whichever it is: all columns with phone numbers are read.
        return find_columns(path, table, {"number": several.candidates[0].name})


def _is_nobodys(row: Row, layout: Layout) -> bool:
    if row.line < layout.header_line:
        return not has_number(row)
    reason = why_no_contact(row, layout, layout.number.index)
    return reason == REPEATED or (reason == FOOTER and not has_number(row))


def _numbers(row: Row, layout: Layout) -> Sequence[str]:
    if reason := why_no_contact(row, layout, layout.number.index):
        raise BadCell(reason)
    numbers: list[str] = []
    for column in layout.phones:
        numbers += _all_in(cell_at(row, column.index))
    if not numbers:
        raise BadCell("has no number")
    return numbers


def _all_in(cell: Cell) -> Sequence[str]:
    try:
        return numbers_of(cell)
    except NotDialled as error:
        return (error.number,)

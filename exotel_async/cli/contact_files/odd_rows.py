"""Recognizes rows without a contact: footers, totals, repeated headers and damaged rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from exotel_async.cli.contact_files.cells import Cell, is_empty, is_number, text_of, used_width
from exotel_async.cli.contact_files.columns import Frame
from exotel_async.cli.contact_files.headers import normal
from exotel_async.cli.contact_files.rows import Row

FOOTER: Final = "is a total or a footer, not a person"
REPEATED: Final = "repeats the headers"
ABOVE: Final = "stands above the headers"

_TOTAL: Final = (
    r"(?i)(?:(?:grand|sub|net)[\s-]*)?totals?"
    r"(?: (?:rows|records|numbers|contacts|leads|calls|count))?\s*[:=-]?\s*[0-9,.]*"
    r"|(?:sum|average|avg|count|कुल|योग|कुल योग)\s*[:=-]?\s*[0-9,.]*"
)
_FOOTER: Final = (
    r"(?i)(?:(?:report|file|list) )?"
    r"(?:generated|printed|exported|downloaded|prepared|powered) (?:by|on|at|from|with)\b.*"
    r"|page [0-9]+(?: of [0-9]+)?|end of (?:report|file|list|data)\b.*"
    r"|[0-9,]+ (?:rows|records|contacts|leads|numbers)\b.*"
)


def why_no_contact(row: Row, frame: Frame, number: int) -> str | None:
    """Return why a row cannot have a contact; None: it can.

    Args:
        row: the row.
        frame: the columns of its table.
        number: the place of the column with the numbers.
    """
    if row.damage is not None:
        return row.damage
    if row.line < frame.header_line:
        return f"{ABOVE}, which are in line {frame.header_line}"
    if frame.width is not None and len(row.cells) > frame.width:
        used = used_width(row.cells)
        if used > frame.width:
            whose = "the headers have" if frame.header_line else "most rows have"
            return (
                f"has {used} cells where {whose} {frame.width}: put a cell that contains a"
                " delimiter in quotes"
            )
    if _is_footer(row.cells[frame.own_columns :]):
        return FOOTER
    if frame.header and normal(text_of(cell_at(row, number))) == frame.header[number]:
        return REPEATED
    return None


def has_number(row: Row) -> bool:
    """Return whether a cell of a row is a phone number."""
    return any(map(is_number, row.cells))


def cell_at(row: Row, index: int) -> Cell:
    """Return the cell of a column; an empty one if the row ends before it."""
    return row.cells[index] if index < len(row.cells) else ""


def _is_footer(cells: Sequence[Cell]) -> bool:
    first = next((cell for cell in cells if not is_empty(cell)), None)
    if not isinstance(first, str):
        return False
    text = text_of(first)
    if _total().fullmatch(text):
        return True
    return _footer().fullmatch(text) is not None and len(cells) - sum(map(is_empty, cells)) <= 2


@cache
def _total() -> re.Pattern[str]:
    return re.compile(_TOTAL)  # cached, as looking it up in the cache of `re` takes longer


@cache
def _footer() -> re.Pattern[str]:
    return re.compile(_FOOTER, re.DOTALL)

"""Finds the columns of a table by its header and the width of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from exotel_async.cli.contact_files.cells import Cell, is_empty, text_of, used_width
from exotel_async.cli.contact_files.columns import OWN_COLUMNS, Column, Frame, letter_of, unnamed
from exotel_async.cli.contact_files.headers import normal
from exotel_async.cli.contact_files.rejected import unescaped
from exotel_async.cli.contact_files.rows import Table
from exotel_async.cli.contact_files.sample import Sample
from exotel_async.cli.contact_files.text_files import TextTable

_SHOWN: Final = 3


def frame_of(table: Table, sample: Sample) -> Frame:
    """Return the columns of a table that has rows."""
    headers = [text_in(cell, sample) for cell in sample.header]
    # In a text file, a delimiter without quotes may have shifted the cells of a row.
    may_move = sample.is_rejected or isinstance(table, TextTable)
    width = _width(sample, headers) if may_move else None
    return Frame(
        columns=tuple(_columns(sample, headers, sample.size if width is None else width)),
        header_line=sample.header_line,
        headers=headers,
        header=[normal(header) for header in headers],
        width=width,
        is_rejected=sample.is_rejected,
    )


def text_in(cell: Cell, sample: Sample) -> str:
    """Return a cell as text, as it was before its row was rejected."""
    return text_of(unescaped(cell) if sample.is_rejected else cell)


def _columns(sample: Sample, headers: Sequence[str], width: int) -> Iterator[Column]:
    own = len(OWN_COLUMNS) if sample.is_rejected else 0
    used: Counter[str] = Counter()
    for index in range(width):
        header = headers[index] if index < len(headers) else ""
        if index == own:
            used.clear()  # the original columns keep the names that they had
        name = " ".join(header.split()) or unnamed(index)
        used[normal(name)] += 1
        while (times := used[normal(name)]) > 1:
            name = f"{name} ({times})"
            used[normal(name)] += 1
        cells = (text_of(cell) for cell in sample.cells(index) if not is_empty(cell))
        yield Column(index, name, letter_of(index), tuple(islice(cells, _SHOWN)))


def _width(sample: Sample, headers: Sequence[str]) -> int:
    """Return how many cells a row has if all delimiters in its text are in quotes."""
    body = sample.body
    if not sample.header_line:
        return Counter(len(row.cells) for row in body).most_common(1)[0][0]
    named = used_width(headers)
    if sample.is_rejected:
        return named
    # A spreadsheet writes as many headers as the longest row has cells, the last ones empty.
    # They are columns if most rows use them.
    users = sum(used_width(row.cells) > named for row in body)
    return len(headers) if users > max(1, len(body) / 2) else named

"""Rows of a table, whatever its file's format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from exotel_async.cli.contact_files.cells import Cell


class Row(NamedTuple):
    """A row.

    Attributes:
        line: where it is: the line in which it begins in an editor, or its row in a spreadsheet.
        cells: what is in it; all its text in one cell where it is damaged.
        damage: why its cells cannot be told apart; None: they can.
        merged_with: the row whose cell reaches down into this one, by the cell's column.
    """

    line: int
    cells: Sequence[Cell]
    damage: str | None = None
    merged_with: dict[int, int] | None = None


class Table(Protocol):
    """A file's rows, which may be read again and again."""

    @property
    def notes(self) -> Sequence[str]:
        """What the user is to know of how the file is read."""

    def rows(self) -> Iterator[Row]:
        """Read the rows from the first one on, without those that are wholly empty."""

"""Rows of a table, whatever its file's format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from exotel_async.cli.contact_files.cells import Cell


class Row(NamedTuple):
    """A row.

    Attributes:
        line: where it is: the line in which it begins in an editor, or its row in a spreadsheet.
        cells: its cells; all its text in one cell if it is damaged.
        damage: why it cannot be split into cells; None: it can.
        merged_with: of cells that are merged down into this row: their first row, by column.
    """

    line: int
    cells: Sequence[Cell]
    damage: str | None = None
    merged_with: dict[int, int] | None = None


class Table(Protocol):
    """A file's rows, which may be read repeatedly."""

    @property
    def notes(self) -> Sequence[str]:
        """Remarks for the user on how the file is read."""

    def rows(self) -> Iterator[Row]:
        """Read the rows from the first one on, without empty ones."""

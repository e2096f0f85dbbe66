"""The columns of a table, and what each of them holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import field, frozen

from exotel_async.cli.contact_files.unreadable import Unreadable

OWN_COLUMNS: Final = ("line", "column", "cell", "reason")
"""The first columns of a file of rejected rows, before the columns of the original file."""


@frozen
class Column:
    """A column.

    Attributes:
        index: its place, from 0 on.
        name: its header, made unique ignoring case; `column B` if it has none.
        letter: its letter in a spreadsheet.
        samples: some of its cells.
    """

    index: int
    name: str
    letter: str
    samples: Sequence[str] = field(default=(), repr=False)

    @property
    def title(self) -> str:
        """Its header; its letter if it has none."""
        return self.letter if self.name == unnamed(self.index) else self.name


class AmbiguousColumn(Unreadable):
    """A file with several columns that may hold the numbers.

    Attributes:
        candidates: these columns.
    """

    def __init__(self, text: str, candidates: tuple[Column, ...]) -> None:
        super().__init__(text)
        self.candidates = candidates


@frozen(kw_only=True)
class Frame:
    """The columns of a table, whatever they hold, and where its rows begin.

    Attributes:
        columns: the columns.
        header_line: the line of the headers; 0: there are none.
        headers: the headers as they are written.
        header: the headers, normalized for comparison.
        width: how many cells a row may have; None: any number.
        is_rejected: whether it is a file of rejected rows.
    """

    columns: tuple[Column, ...]
    header_line: int
    headers: Sequence[str]
    header: Sequence[str]
    width: int | None
    is_rejected: bool

    @property
    def own_columns(self) -> int:
        """How many of the first columns are `OWN_COLUMNS`, and not the original file's."""
        return len(OWN_COLUMNS) if self.is_rejected else 0

    def name(self, index: int) -> str:
        """Return the name of the column at a place."""
        return self.columns[index].name if index < len(self.columns) else unnamed(index)


@frozen(kw_only=True)
class Layout(Frame):
    """Which columns of a list of people hold what.

    Attributes:
        number: the column with the numbers.
        found_by: how that column was found.
        alternatives: those with further numbers.
        countries: those that name the countries of the numbers.
        mapped: the columns of other fields of a contact.
        notes: remarks for the user.
    """

    number: Column
    found_by: str
    alternatives: Sequence[Column]
    countries: Sequence[Column]
    mapped: Mapping[str, Column]
    notes: Sequence[str]


def letter_of(index: int) -> str:
    """Return the letter that a spreadsheet gives to the column at a place."""
    letters, rest = "", index + 1
    while rest:
        rest, last = divmod(rest - 1, 26)
        letters = chr(ord("A") + last) + letters
    return letters


def unnamed(index: int) -> str:
    """Return the name of a column that has no header."""
    return f"column {letter_of(index)}"

"""The columns of a table, and what each of them holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import field, frozen

from exotel_async.cli.contact_files.unreadable import Unreadable

OWN_COLUMNS: Final = ("line", "column", "cell", "reason")
"""The first columns of a file of rejected rows; then come those of the file they are from."""


@frozen
class Column:
    """A column.

    Attributes:
        index: its place, from 0 on.
        name: its header, made unique in any case; `column B` where it has none.
        letter: what a spreadsheet calls it.
        samples: some of its cells.
    """

    index: int
    name: str
    letter: str
    samples: Sequence[str] = field(default=(), repr=False)

    @property
    def title(self) -> str:
        """Its header; its letter where it has none."""
        return self.letter if self.name == unnamed(self.index) else self.name


class AmbiguousColumn(Unreadable):
    """A file with several columns in which the numbers may be.

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
        header: the headers as they are compared.
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
        """How many of the columns in front are not the people's."""
        return len(OWN_COLUMNS) if self.is_rejected else 0

    def name(self, index: int) -> str:
        """Return the name of the column at a place."""
        return self.columns[index].name if index < len(self.columns) else unnamed(index)


@frozen(kw_only=True)
class Layout(Frame):
    """What is where in a list of people.

    Attributes:
        number: the column with the numbers.
        found_by: how it was found.
        alternatives: those with further numbers.
        countries: those that say of which country the numbers are.
        mapped: the columns of other fields of a contact.
        notes: what the user is to know.
    """

    number: Column
    found_by: str
    alternatives: Sequence[Column]
    countries: Sequence[Column]
    mapped: Mapping[str, Column]
    notes: Sequence[str]


def letter_of(index: int) -> str:
    """Return what a spreadsheet calls the column at a place."""
    letters, rest = "", index + 1
    while rest:
        rest, last = divmod(rest - 1, 26)
        letters = chr(ord("A") + last) + letters
    return letters


def unnamed(index: int) -> str:
    """Return the name of a column that has no header."""
    return f"column {letter_of(index)}"

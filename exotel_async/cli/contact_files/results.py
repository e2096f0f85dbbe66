"""The results of reading the rows of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from exotel_async.campaigns.contact import Contact
from exotel_async.masking import masked


@frozen
class Taken:
    """A row that is taken.

    Attributes:
        line: where it is: its line in an editor, or its row in a spreadsheet.
        contact: the person, with all cells of the row that are not empty as `fields`.
    """

    line: int
    contact: Contact


@frozen
class Rejected:
    """A row that is not taken.

    Attributes:
        line: where it is: its line in an editor, or its row in a spreadsheet.
        column: the name of the column in which something is wrong.
        cell: the cell in that column; of a damaged row, all its text.
        reason: what is wrong with it. The text contains no phone number.
        row: the cells of all the file's columns, by their names.
        is_duplicate: whether the reason is that the person is further up in the file.
        beyond: further cells, for which there are no columns.
    """

    line: int
    column: str
    cell: str = field(repr=masked)
    reason: str
    row: Mapping[str, str] = field(repr=False)
    is_duplicate: bool = False
    beyond: Sequence[str] = field(default=(), repr=False)

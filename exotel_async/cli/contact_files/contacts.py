"""Files of contacts for a campaign."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from exotel_async.campaigns.campaign import Campaign
from exotel_async.cli.contact_files.columns import Column, Layout
from exotel_async.cli.contact_files.finding import find_columns
from exotel_async.cli.contact_files.reading import Reading
from exotel_async.cli.contact_files.results import Rejected, Taken
from exotel_async.cli.contact_files.rows import Table
from exotel_async.cli.contact_files.tables import open_table


@frozen
class ContactFile:
    """An opened file of contacts, whose columns have been found.

    Attributes:
        path: the file.
    """

    path: Path
    _table: Table
    _layout: Layout

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns."""
        return self._layout.columns

    @property
    def number_column(self) -> Column:
        """The column with the phone numbers."""
        return self._layout.number

    @property
    def alternative_columns(self) -> Sequence[Column]:
        """The columns with further numbers of the same people."""
        return self._layout.alternatives

    @property
    def found_by(self) -> str:
        """How the number column was found.

        By "its header", "its contents", "--map", or as "the only column".
        """
        return self._layout.found_by

    @property
    def has_header(self) -> bool:
        """Whether the columns have headers."""
        return self._layout.header_line > 0

    @property
    def is_rejected(self) -> bool:
        """Whether it is a file of rejected rows, with the reasons."""
        return self._layout.is_rejected

    @property
    def notes(self) -> Sequence[str]:
        """Remarks for the user on how the file is read."""
        return (*self._table.notes, *self._layout.notes)

    def read(self, campaign: Campaign) -> Iterator[Taken | Rejected]:
        """Read the rows for a campaign, each time from the first one on.

        A row that is taken is valid for the campaign: its ledger may only refuse it as known
        already. Empty rows, and rows without a number above the headers, are left out.
        """
        return Reading(self._layout, campaign).results(self._table)


def open_contacts(
    path: Path, *, mapping: Mapping[str, str], sheet: str | None = None
) -> ContactFile:
    """Open a file of contacts, and find its columns.

    Args:
        path: CSV, TSV, XLSX, XLSB, XLS or ODS, whatever its name says.
        mapping: columns by the fields of a contact that they hold (see `read_mapping`), each named
            by its header, ignoring case, a letter like "B", or a number like "2".
        sheet: the sheet of a workbook; None: the first that is visible and not empty.

    Raises:
        AmbiguousColumn: several columns may hold the numbers.
        Unreadable: no contacts can be read from it.
    """
    table = open_table(path, sheet)
    return ContactFile(path, table, find_columns(path, table, mapping))

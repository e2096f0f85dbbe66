"""One pass through the rows of a file: each is taken, or rejected with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from attrs import Factory, define, field

from exotel_async.campaigns.adding import entry_of
from exotel_async.campaigns.campaign import Campaign
from exotel_async.campaigns.contact import Contact
from exotel_async.cli.contact_files.cells import (
    BadCell,
    Cell,
    bare_digits,
    is_empty,
    numbers_of,
    text_of,
)
from exotel_async.cli.contact_files.columns import OWN_COLUMNS, Layout
from exotel_async.cli.contact_files.headers import normal
from exotel_async.cli.contact_files.odd_rows import ABOVE, cell_at, has_number, why_no_contact
from exotel_async.cli.contact_files.other_fields import key_of, moment_of, party_of, whole_of
from exotel_async.cli.contact_files.rejected import unescaped
from exotel_async.cli.contact_files.results import Rejected, Taken
from exotel_async.cli.contact_files.rows import Row, Table
from exotel_async.errors import InvalidRequest
from exotel_async.phone import identity_of

T = TypeVar("T")

_SAME_NUMBER: Final = "the same number as in line"
_SAME_KEY: Final = "the same key as in line"
_ABROAD: Final = "is of another country, according to its row: write it with + and the country code"
_INDIA: Final = frozenset(
    ["", "india", "in", "ind", "bharat", "भारत", "91", "0091", "0", "na", "n", "a", "nan", "null"]
)
_NO_WORD: Final = r"[\s()+.,/'\-]+"
_SUM: Final = "is the sum of the numbers above it"
# Reasons that lie in other rows. They remain true of a rejected row in which nothing was changed.
_BY_OTHER_ROWS: Final = (_SAME_NUMBER, _SAME_KEY, _SUM, ABOVE)


class _Refused(Exception):
    def __init__(self, column: int, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


@define(eq=False, repr=False)
class Reading:
    """One pass through a file.

    Attributes:
        layout: which of its columns hold what.
        campaign: the campaign for which it is read.
    """

    layout: Layout
    campaign: Campaign
    _numbers: dict[str | None, int] = Factory(dict)
    """The lines of the numbers that were taken, by identity: the same for all spellings."""
    _keys: dict[str, int] = Factory(dict)
    _own: frozenset[str | None] = field(init=False)
    _sum: int = 0
    _summed: int = 0

    def __attrs_post_init__(self) -> None:
        ours = (*self.campaign.caller_ids, self.campaign.agent)
        self._own = frozenset(identity_of(one) for one in ours if one is not None)

    def results(self, table: Table) -> Iterator[Taken | Rejected]:
        """Read the rows."""
        header_line = self.layout.header_line
        for row in table.rows():
            if row.line == header_line or (row.line < header_line and not has_number(row)):
                continue
            if self.layout.is_rejected:
                row = row._replace(cells=[unescaped(cell) for cell in row.cells])  # noqa: PLW2901
            try:
                yield Taken(row.line, self._contact(row))
            except _Refused as refused:
                yield self._rejected(row, refused)

    def _contact(self, row: Row) -> Contact:
        number = self.layout.number.index
        if reason := why_no_contact(row, self.layout, number):
            raise _Refused(number, reason)
        if self.layout.is_rejected:
            self._check_unchanged(row)
        self._check_sum(row)
        numbers = self._numbers_in(row, number)
        if not numbers:
            raise _Refused(number, _why_none(row, number))
        found = dict.fromkeys(numbers, number)
        for column in self.layout.alternatives:
            for one in self._numbers_in(row, column.index):
                found.setdefault(one, column.index)
        try:
            contact = self._made(row, list(found))
            entry_of(contact, self.campaign)
        except InvalidRequest as error:
            column = self.layout.mapped.get(error.argument, self.layout.number)
            raise _Refused(column.index, error.rule) from None
        self._check_duplicate(row.line, contact.key, found)
        return contact

    def _check_unchanged(self, row: Row) -> None:
        """Refuse an unchanged row that was rejected because of other rows, which are not here."""
        _, name, cell, reason = (text_of(cell_at(row, index)) for index in range(len(OWN_COLUMNS)))
        if not reason.startswith(_BY_OTHER_ROWS):
            return
        for column in self.layout.columns[len(OWN_COLUMNS) :]:
            if column.name == name and text_of(cell_at(row, column.index)) == cell:
                raise _Refused(column.index, reason)

    def _check_sum(self, row: Row) -> None:
        number = self.layout.number.index
        if not (digits := bare_digits(cell_at(row, number))):
            return
        if self._summed > 1 and int(digits) == self._sum:
            raise _Refused(number, _SUM)
        self._sum += int(digits)
        self._summed += 1

    def _numbers_in(self, row: Row, index: int) -> Sequence[str]:
        cell = cell_at(row, index)
        try:
            numbers = numbers_of(cell)
        except BadCell as bad:
            raise _Refused(index, str(bad)) from None
        if not all(one.startswith("+") for one in numbers) and _is_abroad(row, self.layout):
            raise _Refused(index, _ABROAD)
        if any(identity_of(one) in self._own for one in numbers):
            raise _Refused(index, "is an ExoPhone or the agent of this campaign")
        return numbers

    def _made(self, row: Row, found: Sequence[str]) -> Contact:
        spellings: dict[str | None, str] = {}
        for one in found:
            spellings.setdefault(identity_of(one), one)
        number, *alternatives = spellings.values()
        zone = self._mapped(row, "time_zone", _some_text)
        return Contact(
            number,
            key=self._mapped(row, "key", key_of),
            fields=self._fields(row),
            priority=self._mapped(row, "priority", whole_of) or 0,
            not_before=self._mapped(row, "not_before", lambda cell: moment_of(cell, zone)),
            time_zone=zone,
            alternatives=tuple(alternatives),
            agent=self._mapped(row, "agent", party_of),
            custom_field=self._mapped(row, "custom_field", _some_text),
        )

    def _mapped(self, row: Row, name: str, read: Callable[[Cell], T | None]) -> T | None:
        column = self.layout.mapped.get(name)
        if column is None:
            return None
        try:
            return read(cell_at(row, column.index))
        except BadCell as bad:
            raise _Refused(column.index, str(bad)) from None

    def _check_duplicate(self, line: int, key: str | None, found: Mapping[str, int]) -> None:
        """Refuse a contact that is further up in the file, and remember a new one.

        Args:
            line: the row's line.
            key: its key.
            found: its numbers, and the columns they are in.
        """
        if key is not None and key in self._keys:
            raise _Refused(self.layout.mapped["key"].index, f"{_SAME_KEY} {self._keys[key]}")
        identities = {identity_of(one): column for one, column in found.items()}
        for identity, column in identities.items():
            if known := self._numbers.get(identity):
                raise _Refused(column, f"{_SAME_NUMBER} {known}")
        if key is not None:
            self._keys[key] = line
        self._numbers |= dict.fromkeys(identities, line)

    def _fields(self, row: Row) -> dict[str, str]:
        own = self.layout.own_columns
        return {
            self.layout.name(index): text_of(cell)
            for index, cell in enumerate(row.cells)
            if index >= own and not is_empty(cell)
        }

    def _rejected(self, row: Row, refused: _Refused) -> Rejected:
        columns = self.layout.columns
        cells = [text_of(cell_at(row, column.index)) for column in columns]
        beyond = [text_of(cell) for cell in row.cells[len(columns) :]]
        cell = text_of(cell_at(row, refused.column))
        if row.damage is not None:
            # Its text goes behind all columns, so that it is rejected again until it is corrected.
            cell = text_of(row.cells[0])
            cells, beyond = [""] * len(columns), [cell]
        named = list(zip(columns, cells, strict=True))[self.layout.own_columns :]
        return Rejected(
            line=row.line,
            column=self.layout.name(refused.column),
            cell=cell,
            reason=refused.reason,
            row={column.name: text for column, text in named},
            is_duplicate=refused.reason.startswith((_SAME_NUMBER, _SAME_KEY)),
            beyond=beyond,
        )


def _why_none(row: Row, index: int) -> str:
    above = (row.merged_with or {}).get(index)
    return (
        "no number" if above is None else f"no number: its cell is merged with that of line {above}"
    )


def _is_abroad(row: Row, layout: Layout) -> bool:
    """Return whether the row says that its numbers are of a country other than India."""
    countries = (normal(text_of(cell_at(row, column.index))) for column in layout.countries)
    return any(not _INDIA.issuperset(re.split(_NO_WORD, text)) for text in countries)


def _some_text(cell: Cell) -> str | None:
    return None if is_empty(cell) else text_of(cell)

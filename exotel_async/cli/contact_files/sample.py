"""The first rows of a table, which show what its columns hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from exotel_async.cli.contact_files.cells import (
    BadCell,
    Cell,
    has_lost_digits,
    is_empty,
    is_likely,
    numbers_of,
    text_of,
)
from exotel_async.cli.contact_files.columns import OWN_COLUMNS
from exotel_async.cli.contact_files.headers import Kind, kind_in_number_list, kind_of, normal
from exotel_async.cli.contact_files.rows import Row, Table

ENOUGH: Final = 0.5
"""The smallest share of phone numbers among the filled cells of a column that holds them."""

_ROWS: Final = 1000
_MEANT: Final = 5  # digits, at least, of a cell that is meant as a number
_HEADER_WITHIN: Final = 20  # rows
_NUMBER_KINDS: Final = (Kind.PHONE, Kind.OTHER_PHONE, Kind.SECOND, Kind.VAGUE)


class Sample:
    """The rows at the beginning of a table.

    Attributes:
        rows: these rows, without damaged ones.
        header: the cells of the row with the headers; empty: there is none.
        header_line: the line it is in; 0: there is none.
        body: the rows below it.
        size: how many cells the longest row has.
    """

    def __init__(
        self,
        table: Table,
        mapping: Mapping[str, str],
        *,
        is_do_not_call: bool = False,
    ) -> None:
        self._is_do_not_call = is_do_not_call
        self._kind_of = kind_in_number_list if is_do_not_call else kind_of
        rows = islice(table.rows(), _ROWS + _HEADER_WITHIN)
        self.rows: Sequence[Row] = [row for row in rows if row.damage is None]
        self.size: int = max((len(row.cells) for row in self.rows), default=0)
        self._likely = [frozenset(_likely_in(row)) for row in self.rows]
        place = self._find_header(mapping) if self.rows else None
        self._start = 0 if place is None else place + 1
        self.header: Sequence[Cell] = () if place is None else self.rows[place].cells
        self.header_line: int = 0 if place is None else self.rows[place].line
        self.body: Sequence[Row] = self.rows[self._start :]

    @property
    def is_rejected(self) -> bool:
        """Whether it is a file of rejected rows."""
        return _is_of_rejected(self.header)

    @property
    def has_title(self) -> bool:
        """Whether there is something above the headers."""
        return self._start > 1

    def cells(self, index: int) -> Iterator[Cell]:
        """Return the cells of a column, below its header."""
        return (row.cells[index] for row in self.body if index < len(row.cells))

    def share(self, index: int) -> float:
        """Return the share of phone numbers among the filled cells of a column.

        A cell is filled if it is neither empty nor says so, as `N/A` does.
        """
        return self._share(index, self._start)

    def is_blank(self, index: int) -> bool:
        """Return whether no cell of a column is filled."""
        return all(map(_means_empty, self.cells(index)))

    def _find_header(self, mapping: Mapping[str, str]) -> int | None:
        """Return the place of the row with the headers."""
        if _is_of_rejected(self.rows[0].cells):
            return 0
        if (named := self._mapped_header(mapping)) is not None:
            return named
        ranked = [
            (_NUMBER_KINDS.index(kind), place)
            for place, row in enumerate(self.rows[:_HEADER_WITHIN])
            if not self._likely[place]
            for index, cell in enumerate(row.cells)
            if isinstance(cell, str)
            and (kind := self._kind_of(text_of(cell))) in _NUMBER_KINDS
            and self._may_be_header(place, index)
        ]
        if ranked:
            return min(ranked)[1]
        if self._is_do_not_call and not any(self._likely):
            return self._first_row()
        return self._row_above_people()

    def _mapped_header(self, mapping: Mapping[str, str]) -> int | None:
        # A text that may be the letter or the number of a column also occurs in people's rows.
        wanted = {normal(one) for one in mapping.values() if len(one.strip()) > 2}
        found = [
            (len(wanted & {normal(text_of(cell)) for cell in row.cells}), -place)
            for place, row in enumerate(self.rows[:_HEADER_WITHIN])
            if not self._likely[place]
        ]
        most, place = max(found, default=(0, 0))
        return -place if most else None

    def _may_be_header(self, place: int, index: int) -> bool:
        """Return whether a row is neither a title nor a person's."""
        below = self._share(index, place + 1) >= ENOUGH
        alone = self.size > 1 and sum(not is_empty(cell) for cell in self.rows[place].cells) == 1
        return below or not (alone or any(self._likely[:place]))

    def _row_above_people(self) -> int | None:
        """Return the place of a row above the people if it may be headers that name no phones."""
        first = next((place for place, likely in enumerate(self._likely) if likely), None)
        if not first:
            return None
        column = min(self._likely[first])
        for place, row in enumerate(self.rows[:first][:_HEADER_WITHIN]):
            cells = [cell for cell in row.cells if not is_empty(cell)]
            texts = {normal(cell) for cell in cells if isinstance(cell, str)}
            if (
                len(texts) == len(cells)
                and len(cells) >= min(self.size, 2)
                and not any(char.isdigit() for text in texts for char in text)
                and column < len(row.cells)
                and not _means_empty(row.cells[column])
            ):
                return place
        return None

    def _first_row(self) -> int | None:
        """Return 0 if the first row may be headers, one of which is not of phones; else None."""
        cells = [cell for cell in self.rows[0].cells if not is_empty(cell)]
        texts = {text_of(cell) for cell in cells if isinstance(cell, str)}
        is_header = (
            len(texts) == len(cells) >= min(self.size, 2)
            and not any(char.isdigit() for text in texts for char in text)
            and any(self._kind_of(text) is Kind.OTHER for text in texts)
        )
        return 0 if is_header else None

    def _share(self, index: int, start: int) -> float:
        right = sum(index in likely for likely in self._likely[start:])
        filled = sum(
            index in likely or not _means_empty(row.cells[index])
            for row, likely in zip(self.rows[start:], self._likely[start:], strict=True)
            if index < len(row.cells)
        )
        return right / filled if filled else 0


def _is_of_rejected(header: Sequence[Cell]) -> bool:
    names = tuple(normal(text_of(cell)) for cell in header[: len(OWN_COLUMNS)])
    return names == OWN_COLUMNS


def _likely_in(row: Row) -> Iterator[int]:
    for index, cell in enumerate(row.cells):
        try:
            if is_likely(numbers_of(cell)):
                yield index
        except BadCell:
            pass


def _means_empty(cell: Cell) -> bool:
    try:
        return not numbers_of(cell)
    except BadCell:
        return False


def is_meant(cell: Cell) -> bool:
    """Return whether a cell is meant as a phone number, even if it is not a valid one."""
    text = text_of(cell)
    return has_lost_digits(text) or sum(map(str.isdecimal, text)) >= _MEANT

"""Which column of a table holds the phone numbers, and which row holds the headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from attrs import field, frozen

from exotel_async.cli.contact_files.cells import (
    BadCell,
    Cell,
    has_lost_digits,
    is_empty,
    is_likely,
    numbers_of,
    text_of,
)
from exotel_async.cli.contact_files.headers import (
    Kind,
    kind_of,
    names_countries,
    names_phones,
    normal,
)
from exotel_async.cli.contact_files.rows import Row, Table
from exotel_async.cli.contact_files.text_files import TextTable
from exotel_async.cli.contact_files.unreadable import Unreadable
from exotel_async.masking import redact

OWN_COLUMNS: Final = ("line", "column", "cell", "reason")
"""The first columns of a file of rejected rows; then come those of the file they are from."""

_SAMPLE: Final = 1000  # rows by which the columns are known
_HEADER_WITHIN: Final = 20  # rows
_ENOUGH: Final = 0.5  # of a column's cells are phone numbers, if it holds phone numbers
_MEANT: Final = 5  # digits, at least, of what is meant as a number
_SHOWN: Final = 3


@frozen
class Column:
    """A column.

    Attributes:
        index: its place, from 0 on.
        name: its header, made unique; `column B` where it has none.
        letter: what a spreadsheet calls it.
        samples: some of its cells.
    """

    index: int
    name: str
    letter: str
    samples: Sequence[str] = field(default=(), repr=False)


class AmbiguousColumn(Unreadable):
    """A file with several columns in which the numbers may be.

    Attributes:
        candidates: these columns.
    """

    def __init__(self, text: str, candidates: tuple[Column, ...]) -> None:
        super().__init__(text)
        self.candidates = candidates


@frozen(kw_only=True)
class Layout:
    """What is where in a table.

    Attributes:
        columns: the columns.
        number: the one with the numbers.
        found_by: how it was found.
        alternatives: those with further numbers.
        countries: those that say of which country the numbers are.
        mapped: the columns of other fields of a contact.
        header_line: the line of the headers; 0: there are none.
        header: the headers as they are compared.
        width: how many cells a row may have; None: any number.
        is_rejected: whether it is a file of rejected rows.
        notes: what the user is to know.
    """

    columns: tuple[Column, ...]
    number: Column
    found_by: str
    alternatives: Sequence[Column]
    countries: Sequence[Column]
    mapped: Mapping[str, Column]
    header_line: int
    header: Sequence[str]
    width: int | None
    is_rejected: bool
    notes: Sequence[str]

    @property
    def own_columns(self) -> int:
        """How many of the columns in front are not the people's."""
        return len(OWN_COLUMNS) if self.is_rejected else 0

    def name(self, index: int) -> str:
        """Return the name of the column at a place."""
        return self.columns[index].name if index < len(self.columns) else _unnamed(index)


def letter_of(index: int) -> str:
    """Return what a spreadsheet calls the column at a place."""
    letters, rest = "", index + 1
    while rest:
        rest, last = divmod(rest - 1, 26)
        letters = chr(ord("A") + last) + letters
    return letters


def find_columns(path: Path, table: Table, mapping: Mapping[str, str]) -> Layout:
    """Find out what is where.

    Args:
        path: the file, for what is said of it.
        table: the table.
        mapping: the columns of fields of a contact, as the user has named them.

    Raises:
        AmbiguousColumn: several columns may hold the numbers.
        Unreadable: none does, or there is no such column.
    """
    return _Finder(path, table, mapping).layout()


def _unnamed(index: int) -> str:
    return f"column {letter_of(index)}"


class _Finder:
    def __init__(self, path: Path, table: Table, mapping: Mapping[str, str]) -> None:
        self.path = path
        self.rows = [
            row for row in islice(table.rows(), _SAMPLE + _HEADER_WITHIN) if row.damage is None
        ]
        if not self.rows:
            raise Unreadable(f"{path} has no rows that can be read")
        self.mapping = mapping
        self.size = max(len(row.cells) for row in self.rows)
        self.likely = [frozenset(_likely_in(row)) for row in self.rows]
        self.header_at = self._find_header()
        self.header: Sequence[Cell] = () if self.header_at is None else self._header_cells()
        self.body = self.rows[0 if self.header_at is None else self.header_at + 1 :]
        names = tuple(normal(text_of(cell)) for cell in self.header)
        self.is_rejected = names[: len(OWN_COLUMNS)] == OWN_COLUMNS
        self.width = self._width() if isinstance(table, TextTable) else None
        self.columns = tuple(self._columns())

    def layout(self) -> Layout:
        mapped = {name: self._named(name, column) for name, column in self.mapping.items()}
        number, found_by = (
            (mapped.pop("number"), "--map") if "number" in mapped else self._find_number()
        )
        notes = []
        if self.header_at is not None and self.header_at > 0:
            line = self.rows[self.header_at].line
            notes.append(f"the headers are in line {line}: what is above them is not dialled")
        if "alternatives" in mapped:
            alternatives = [mapped.pop("alternatives")]
        else:
            alternatives = [one for one in self._seconds() if one.index != number.index]
        return Layout(
            columns=self.columns,
            number=number,
            found_by=found_by,
            alternatives=alternatives,
            countries=self._countries(),
            mapped=mapped,
            header_line=0 if self.header_at is None else self.rows[self.header_at].line,
            header=[normal(text_of(cell)) for cell in self.header],
            width=self.width,
            is_rejected=self.is_rejected,
            notes=notes,
        )

    def _find_header(self) -> int | None:
        """Return the place of the row with the headers."""
        first = list(enumerate(self.rows[:_HEADER_WITHIN]))
        if (named := self._mapped_header(first)) is not None:
            return named
        ranked = []
        for place, row in first:
            if self.likely[place]:
                continue
            for index, cell in enumerate(row.cells):
                kind = kind_of(text_of(cell)) if isinstance(cell, str) else Kind.OTHER
                if kind in _SAYING and self._may_be_header(place, index):
                    ranked.append((-_SAYING.index(kind), place))
        if tuple(normal(text_of(cell)) for cell in self.rows[0].cells[:4]) == OWN_COLUMNS:
            return 0
        return -max(((rank, -place) for rank, place in ranked))[1] if ranked else self._plain()

    def _mapped_header(self, first: Iterable[tuple[int, Row]]) -> int | None:
        # What may be the letter or the number of a column also stands in the rows of people.
        wanted = {normal(one) for one in self.mapping.values() if len(one.strip()) > 2}
        found = [
            (len(wanted & {normal(text_of(cell)) for cell in row.cells}), -place)
            for place, row in first
            if not self.likely[place]
        ]
        most, place = max(found, default=(0, 0))
        return -place if most else None

    def _may_be_header(self, place: int, index: int) -> bool:
        """Whether a row is no title, and not one of the people."""
        below = self._share(index, place + 1) >= _ENOUGH
        alone = self.size > 1 and sum(not is_empty(cell) for cell in self.rows[place].cells) == 1
        return below or not (alone or any(self.likely[:place]))

    def _plain(self) -> int | None:
        """Return the row above the people if it may be headers that say nothing of phones."""
        first = next((place for place, likely in enumerate(self.likely) if likely), None)
        if not first:
            return None
        column = min(self.likely[first])
        for place, row in enumerate(self.rows[:first][:_HEADER_WITHIN]):
            cells = [cell for cell in row.cells if not is_empty(cell)]
            texts = {normal(cell) for cell in cells if isinstance(cell, str)}
            if (
                len(texts) == len(cells)
                and len(cells) > (self.size > 1)
                and not any(char.isdigit() for text in texts for char in text)
                and column < len(row.cells)
                and not _says_nothing(row.cells[column])
            ):
                return place
        return None

    def _header_cells(self) -> Sequence[Cell]:
        assert self.header_at is not None  # noqa: S101 - there are headers
        return self.rows[self.header_at].cells

    def _columns(self) -> Iterator[Column]:
        used: Counter[str] = Counter()
        for index in range(self.size if self.width is None else self.width):
            header = text_of(self.header[index]) if index < len(self.header) else ""
            name = " ".join(header.split()) or _unnamed(index)
            used[name] += 1
            while used[name] > 1:
                name = f"{name} ({used[name]})"
                used[name] += 1
            cells = (text_of(cell) for cell in self._cells(index) if not is_empty(cell))
            yield Column(index, name, letter_of(index), tuple(islice(cells, _SHOWN)))

    def _named(self, field_name: str, wanted: str) -> Column:
        """Return the column that the user means by a header, a letter or a number."""
        headers = [normal(text_of(cell)) for cell in self.header]
        places = [place for place, header in enumerate(headers) if header == normal(wanted)]
        places += [one.index for one in self.columns if normal(one.name) == normal(wanted)]
        typed = wanted.strip()
        for column in self.columns:
            if typed.upper() == column.letter or typed == str(column.index + 1):
                places.append(column.index)
        if places:
            return self.columns[places[0]]
        known = ", ".join(repr(one.name) for one in self.columns)
        raise Unreadable(
            redact(
                f"{self.path} has no column {wanted!r}, to which {field_name} is mapped: {known}"
            )
        )

    def _find_number(self) -> tuple[Column, str]:
        """Return the column with the numbers, and how it was found."""
        kinds = {one.index: self._kind(one) for one in self.columns}
        used = [one for one in self.columns if one.samples and kinds[one.index] != Kind.OTHER]
        phones = [one for one in self.columns if kinds[one.index] == Kind.PHONE]
        if not phones:
            phones = [
                one
                for one in used
                if kinds[one.index] == Kind.SOMEBODYS
                or (kinds[one.index] in _TO_CONFIRM and self._holds_numbers(one))
            ]
        phones = phones or [one for one in used if kinds[one.index] == Kind.SECOND]
        phones = phones or self._from_reasons(used)
        # A column of the right name with no number in it does not stand beside one with numbers.
        phones = [one for one in phones if self._share(one.index)] or phones
        if len(phones) > 1:
            raise self._ambiguous(phones)
        if not phones:
            raise self._none(kinds)
        found = phones[0]
        if kinds[found.index] not in {Kind.UNKNOWN, Kind.OTHER}:
            return found, "its header"
        alone = sum(bool(one.samples) for one in self.columns) == 1
        return found, "the only column" if alone else "its contents"

    def _kind(self, column: Column) -> Kind:
        if self.is_rejected and column.index < len(OWN_COLUMNS):
            return Kind.OTHER
        if column.index >= len(self.header):
            return Kind.UNKNOWN
        return kind_of(text_of(self.header[column.index]))

    def _from_reasons(self, used: Sequence[Column]) -> list[Column]:
        """Return the column that most rejected rows were rejected for."""
        if not self.is_rejected:
            return []
        named = Counter(text_of(row.cells[1]) for row in self.body if len(row.cells) > 1)
        for name, _ in named.most_common():
            if found := [one for one in used if one.name == name]:
                return found
        return []

    def _ambiguous(self, columns: Sequence[Column]) -> AmbiguousColumn:
        names = " or ".join(f"{one.name!r} ({one.letter})" for one in columns)
        return AmbiguousColumn(
            redact(
                f"{self.path}: the numbers may be in {names}: say which with --map"
                f" number={columns[0].letter}"
            ),
            tuple(columns),
        )

    def _none(self, kinds: Mapping[int, Kind]) -> Unreadable:
        names = ", ".join(f"{one.name!r}" for one in self.columns if one.samples)
        lost = [
            one.name
            for one in self.columns
            if kinds[one.index] != Kind.OTHER and any(map(has_lost_digits, self._cells(one.index)))
        ]
        why = f"; {lost[0]!r} has lost digits, as in 9.81E+09: export it as text" if lost else ""
        return Unreadable(
            redact(
                f"{self.path}: none of its columns ({names or 'all empty'}) holds phone numbers by"
                f" its header or its contents{why}; --map number=COLUMN says which one does"
            )
        )

    def _seconds(self) -> Iterator[Column]:
        for one in self.columns:
            if self._kind(one) == Kind.SECOND:
                named = names_phones(text_of(self.header[one.index]))
                if self._holds_numbers(one) or (
                    named and any(map(_is_meant, self._cells(one.index)))
                ):
                    yield one

    def _countries(self) -> list[Column]:
        headers = zip(self.columns, self.header, strict=False)
        return [column for column, header in headers if names_countries(text_of(header))]

    def _holds_numbers(self, column: Column) -> bool:
        return self._share(column.index) >= _ENOUGH

    def _share(self, index: int, start: int | None = None) -> float:
        """Return how many of a column's cells are phone numbers, of those that say something."""
        if start is None:
            start = len(self.rows) - len(self.body)
        right = sum(index in likely for likely in self.likely[start:])
        said = sum(
            index in likely or not _says_nothing(row.cells[index])
            for row, likely in zip(self.rows[start:], self.likely[start:], strict=True)
            if index < len(row.cells)
        )
        return right / said if said else 0

    def _cells(self, index: int) -> Iterator[Cell]:
        return (row.cells[index] for row in self.body if index < len(row.cells))

    def _width(self) -> int:
        if self.header_at is not None:
            return len(self.header)
        return Counter(len(row.cells) for row in self.body).most_common(1)[0][0]


_SAYING: Final = (Kind.PHONE, Kind.SOMEBODYS, Kind.SECOND, Kind.VAGUE)
_TO_CONFIRM: Final = (Kind.VAGUE, Kind.UNKNOWN)


def _likely_in(row: Row) -> Iterator[int]:
    for index, cell in enumerate(row.cells):
        try:
            if is_likely(numbers_of(cell)):
                yield index
        except BadCell:
            pass


def _is_meant(cell: Cell) -> bool:
    """Whether a cell is meant as a phone number, even if it is none."""
    text = text_of(cell)
    return has_lost_digits(text) or sum(map(str.isdecimal, text)) >= _MEANT


def _says_nothing(cell: Cell) -> bool:
    try:
        return not numbers_of(cell)
    except BadCell:
        return False

"""Finds out which column of a table holds the phone numbers, and what the others hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from exotel_async.cli.contact_files.cells import has_lost_digits
from exotel_async.cli.contact_files.columns import (
    OWN_COLUMNS,
    AmbiguousColumn,
    Column,
    Layout,
)
from exotel_async.cli.contact_files.frames import frame_of, text_in
from exotel_async.cli.contact_files.headers import (
    TO_CONFIRM,
    Kind,
    kind_of,
    names_countries,
    names_phones,
    normal,
    says_alternative,
)
from exotel_async.cli.contact_files.rows import Table
from exotel_async.cli.contact_files.sample import ENOUGH, Sample, is_meant
from exotel_async.cli.contact_files.unreadable import Unreadable
from exotel_async.masking import redact

_ADVICE: Final = "name it with --map number=COLUMN"


def find_columns(path: Path, table: Table, mapping: Mapping[str, str]) -> Layout:
    """Find out which columns hold what.

    Args:
        path: the file, for error messages.
        table: the table.
        mapping: columns by the fields of a contact that they hold, as the user has named them.

    Raises:
        AmbiguousColumn: several columns may hold the numbers.
        Unreadable: none does, the mapping names a column that is not there, or there are no rows.
    """
    return _Finder(path, table, mapping).layout()


def no_numbers_text(used: Sequence[Column], lost: Sequence[Column], advice: str) -> str:
    """Return a text that says that no column has phone numbers.

    Args:
        used: the columns that are not empty.
        lost: the columns with numbers that have lost digits.
        advice: what the user can do.
    """
    names = ", ".join(f"{one.name!r}" for one in used) or "its empty columns"
    hint = ""
    if lost:
        hint = f"; {lost[0].name!r} has lost digits, as in 9.81E+09: export it as text"
    return redact(f"no column of phone numbers was found among {names}{hint}; {advice}")


class _Finder:
    def __init__(self, path: Path, table: Table, mapping: Mapping[str, str]) -> None:
        self.path = path
        self.mapping = mapping
        self.notes = table.notes
        self.sample = sample = Sample(table, mapping)
        if not sample.rows:
            raise Unreadable(f"{path} has no rows that can be read")
        self.frame = frame = frame_of(table, sample)
        self.headers, self.columns, self.own = frame.headers, frame.columns, frame.own_columns
        # In a file of rejected rows: how many of them were rejected for each column.
        column = OWN_COLUMNS.index("column")
        reasons = sample.cells(column) if sample.is_rejected else ()
        self.blamed = Counter(text_in(cell, sample) for cell in reasons)

    def layout(self) -> Layout:
        mapped = {name: self._named(name, column) for name, column in self.mapping.items()}
        number, found_by = (
            (mapped.pop("number"), "--map") if "number" in mapped else self._find_number()
        )
        notes = []
        if self.sample.has_title:
            line = self.sample.header_line
            notes.append(f"the headers are in line {line}: rows above them are not dialled")
        if "alternatives" in mapped:
            alternatives = [mapped.pop("alternatives")]
        else:
            alternatives = [one for one in self._alternatives() if one.index != number.index]
        return Layout(
            columns=self.columns,
            header_line=self.frame.header_line,
            headers=self.headers,
            header=self.frame.header,
            width=self.frame.width,
            is_rejected=self.frame.is_rejected,
            number=number,
            found_by=found_by,
            alternatives=alternatives,
            countries=self._countries(),
            mapped=mapped,
            notes=notes,
        )

    def _named(self, field_name: str, wanted: str) -> Column:
        """Return the column that the user has named by its header, letter or number."""
        name = normal(wanted)
        headers, columns = enumerate(self.headers), self.columns[self.own :]
        places = [
            place for place, header in headers if place >= self.own and normal(header) == name
        ]
        places += [one.index for one in columns if normal(one.name) == name]
        typed = wanted.strip()
        for column in columns:
            if typed.upper() == column.letter or typed == str(column.index + 1):
                places.append(column.index)
        if places:
            return self.columns[places[0]]
        typed = redact(f"--map {field_name}={wanted}")
        known = redact(", ".join(repr(one.name) for one in columns))
        raise Unreadable(f"{typed}: {self.path} has no such column; it has {known}")

    def _find_number(self) -> tuple[Column, str]:
        """Return the column with the numbers, and how it was found."""
        kinds = {one.index: self._kind(one) for one in self.columns}
        used = [one for one in self.columns if one.samples and kinds[one.index] != Kind.OTHER]
        phones = self._from_reasons(kinds)
        phones = phones or [one for one in self.columns if kinds[one.index] == Kind.PHONE]
        if not phones:
            phones = [
                one
                for one in used
                if kinds[one.index] == Kind.OTHER_PHONE
                or (kinds[one.index] in TO_CONFIRM and self._holds_numbers(one))
            ]
        phones = phones or [one for one in used if kinds[one.index] == Kind.SECOND]
        # A column with the right header but no numbers does not compete with one that has some.
        if not self.sample.is_rejected:
            phones = [one for one in phones if self.sample.share(one.index)] or phones
        if len(phones) > 1:
            raise self._ambiguous(phones)
        if not phones:
            raise self._no_numbers(kinds)
        found = phones[0]
        if kinds[found.index] not in {Kind.UNKNOWN, Kind.OTHER}:
            return found, "its header"
        alone = sum(bool(one.samples) for one in self.columns) == 1
        return found, "the only column" if alone else "its contents"

    def _kind(self, column: Column) -> Kind:
        if column.index < self.own:
            return Kind.OTHER
        is_named = column.index < len(self.headers)
        return kind_of(self.headers[column.index]) if is_named else Kind.UNKNOWN

    def _from_reasons(self, kinds: Mapping[int, Kind]) -> list[Column]:
        """Return the column that most rows were rejected for, or several if it remains open.

        It held the numbers of the original list, which the rejected rows alone may not show.
        """
        others = [self._named(name, column).index for name, column in self.mapping.items()]
        phones = [one for one in self.columns if kinds[one.index] != Kind.OTHER]
        blamed = [one for one in phones if self.blamed[one.name] and one.index not in others]
        firsts = [one for one in blamed if kinds[one.index] != Kind.SECOND]
        if firsts or not blamed or Kind.PHONE in kinds.values():
            return sorted(firsts, key=lambda one: -self.blamed[one.name])[:1]
        # These columns may have held the alternatives, or the only numbers.
        return [*blamed, *(one for one in phones if one not in blamed and self._holds_numbers(one))]

    def _ambiguous(self, columns: Sequence[Column]) -> AmbiguousColumn:
        names = " or ".join(f"{one.name!r} ({one.letter})" for one in columns)
        return AmbiguousColumn(
            f"{self.path}: the numbers may be in {redact(names)}: choose one with --map"
            f" number={columns[0].letter}",
            tuple(columns),
        )

    def _no_numbers(self, kinds: Mapping[int, Kind]) -> Unreadable:
        used = [one for one in self.columns if one.samples]
        lost = [
            one
            for one in self.columns
            if kinds[one.index] != Kind.OTHER
            and any(map(has_lost_digits, self.sample.cells(one.index)))
        ]
        # `notes` name the sheet of a workbook that is read: another one may be meant.
        why = "; ".join([no_numbers_text(used, lost, _ADVICE), *self.notes])
        return Unreadable(f"{self.path}: {why}")

    def _alternatives(self) -> Iterator[Column]:
        for one in self.columns:
            if self._kind(one) != Kind.SECOND:
                continue
            if self._holds_phones(one) or self.blamed[one.name] or self._may_hold_later(one):
                yield one

    def _may_hold_later(self, column: Column) -> bool:
        """Return whether alternatives may come further down: the first people may have none."""
        return says_alternative(self.headers[column.index]) and self.sample.is_blank(column.index)

    def _countries(self) -> list[Column]:
        named = zip(self.columns, self.headers, strict=False)
        return [column for column, header in named if names_countries(header)]

    def _holds_phones(self, column: Column) -> bool:
        """Return whether a column holds phone numbers, by its cells or with help of its header."""
        if (kind := self._kind(column)) == Kind.OTHER:
            return False
        named = kind not in TO_CONFIRM and names_phones(self.headers[column.index])
        return self._holds_numbers(column) or (
            named and any(map(is_meant, self.sample.cells(column.index)))
        )

    def _holds_numbers(self, column: Column) -> bool:
        return self.sample.share(column.index) >= ENOUGH

"""The formats that outcomes are exported to: rows of named values, as text or in a workbook."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, Protocol

from exotel_async import IST
from exotel_async.cli.export_sink import Refusal
from exotel_async.cli.table_cells import csv_lines, harmless, writable
from exotel_async.cli.time_arguments import iso_in_ist

Format = Literal["csv", "xlsx", "jsonl"]
SUFFIXES: Final[Mapping[str, Format]] = {
    ".csv": "csv",
    ".xlsx": "xlsx",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
"""Formats by the ends of file names."""

MAX_ROWS: Final = 1_048_575
"""Rows that fit into a sheet, below its header."""
_MAX_COLUMNS: Final = 16_384
_LONGEST_CELL: Final = 32_767  # UTF-16 units
_LONGEST_EXACT: Final = 10**15  # of smaller whole numbers, a cell keeps all digits
_WIDTHS: Final = (6, 60)  # characters
_TIME: Final = "yyyy-mm-dd hh:mm:ss"
_ZONE: Final = " (IST)"

Row = Mapping[str, Any]
Write = Callable[[str], object]


class Table(Protocol):
    """Writes rows, one after the other."""

    def add(self, row: Row) -> None:
        """Write a row."""


class JsonLines:
    """Each row as JSON, in a line of ASCII."""

    def __init__(self, write: Write, names: Sequence[str]) -> None:
        self._write = write

    def add(self, row: Row) -> None:
        """Write a row, with the values it has."""
        plain = {name: _plain(value) for name, value in row.items()}
        self._write(json.dumps(plain, separators=(",", ":")) + "\n")


class CsvLines:
    """Comma-separated values below a header, safe in a spreadsheet."""

    def __init__(self, write: Write, names: Sequence[str]) -> None:
        self._write = write
        self._names = names
        write(csv_lines([map(_cell, names)]))

    def add(self, row: Row) -> None:
        """Write a row."""
        self._write(csv_lines([[_cell(row.get(name)) for name in self._names]]))


class Sheet:
    """The only sheet of a workbook. Text is written as text, numbers and times as such."""

    def __init__(self, workbook: Any, names: Sequence[str]) -> None:
        self._sheet = workbook.add_worksheet("outcomes")
        self._time = workbook.add_format({"num_format": _TIME, "align": "left"})
        self._names = names
        self._widths = [_WIDTHS[0]] * len(names)
        self._rows = 0
        self._sheet.freeze_panes(1, 0)
        head = workbook.add_format({"bold": True})
        for place, name in enumerate(names):
            shown = name + _ZONE if name in {"ended_at", "started_at"} else name
            self._string(place, shown, head)

    def add(self, row: Row) -> None:
        """Write a row.

        Raises:
            Refusal: a text is too long for a cell.
        """
        self._rows += 1
        for place, name in enumerate(self._names):
            match row.get(name):
                case None:
                    pass
                case bool() as value:
                    self._sheet.write_boolean(self._rows, place, value)
                case float() | Decimal() as value:
                    self._sheet.write_number(self._rows, place, value)
                case int() as value if abs(value) < _LONGEST_EXACT:
                    self._sheet.write_number(self._rows, place, value)
                case datetime() as value:
                    local = value.astimezone(IST).replace(tzinfo=None, microsecond=0)
                    self._sheet.write_datetime(self._rows, place, local, self._time)
                    self._widths[place] = max(self._widths[place], len(_TIME))
                case value:
                    self._string(place, _text(value))

    def finish(self) -> None:
        """Set the widths of columns, a filter, and no warning of numbers in text."""
        for place, width in enumerate(self._widths):
            self._sheet.set_column(place, place, min(_WIDTHS[1], width + 2))
        self._sheet.autofilter(0, 0, self._rows, len(self._names) - 1)
        self._sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})

    def close(self) -> None:
        """Close the temporary file with its rows."""
        if self._sheet.row_data_fh is not None:
            self._sheet.row_data_fh.close()

    def _string(self, place: int, text: str, *how: Any) -> None:
        whole = writable(text)
        if len(whole) > _LONGEST_CELL // 2 and _units(whole) > _LONGEST_CELL:
            raise Refusal(
                f"row {self._rows:,} has a text of {len(whole):,} characters in "
                f"{self._names[place]!r}, but a cell of an XLSX file holds {_LONGEST_CELL:,} at "
                "most: use --format csv"
            )
        self._sheet.write_string(self._rows, place, whole, *how)
        self._widths[place] = max(self._widths[place], len(whole))


@contextmanager
def workbook(part: Path, names: Sequence[str], rows: int) -> Iterator[Table]:
    """Write a workbook row by row, without keeping the rows in memory.

    Args:
        part: the file.
        names: the columns.
        rows: how many rows are going to be added.

    Raises:
        Refusal: those rows or columns are too many for a sheet.
        OSError: the file cannot be written.
    """
    if rows > MAX_ROWS or len(names) > _MAX_COLUMNS:
        raise Refusal(
            f"{rows:,} rows of {len(names):,} columns are too many for an XLSX file, which holds "
            f"{MAX_ROWS:,} rows below its header, and {_MAX_COLUMNS:,} columns: use --format csv"
        )
    from xlsxwriter import Workbook  # noqa: PLC0415
    from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415

    # xlsxwriter keeps the rows in a temporary file, which this folder keeps private.
    with TemporaryDirectory(dir=part.parent, prefix=f"{part.name}.") as folder:
        book = Workbook(str(part), {"constant_memory": True, "tmpdir": folder})
        book.use_zip64()
        sheet = Sheet(book, names)
        try:
            yield sheet
            sheet.finish()
            book.close()
        except FileCreateError as error:
            cause = error.args[0] if error.args else error
            raise cause if isinstance(cause, OSError) else OSError(str(cause)) from None
        finally:
            sheet.close()


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _plain(value: object) -> Any:
    match value:
        case datetime():
            return iso_in_ist(value)
        case Decimal():
            return f"{value:f}"
        case float() if value.is_integer() and abs(value) < _LONGEST_EXACT:
            return int(value)
    return value


def _text(value: object) -> str:
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return harmless(writable(value)) if isinstance(value, str) else writable(_text(value))

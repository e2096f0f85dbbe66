"""Reads workbooks: XLSX, XLSB, XLS and ODS."""

from __future__ import annotations

import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetMetadata,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from exotel_async.cli.contact_files.cells import is_empty
from exotel_async.cli.contact_files.rows import Row
from exotel_async.cli.contact_files.unreadable import Unreadable

_PANIC: Final = "PanicException"  # of Rust code: not an `Exception`, and in no module to import
_ENCRYPTED: Final = "is encrypted with a password: save it without one"


@frozen
class SheetTable:
    """One sheet of a workbook."""

    _sheet: CalamineSheet
    notes: Sequence[str] = ()

    def rows(self) -> Iterator[Row]:
        """Read the rows from the first one on, without empty ones."""
        start = self._sheet.start
        if start is None:
            return
        # calamine leaves out the columns before the first one in use, but no rows.
        before = [""] * start[1]
        merged = self._merged()
        for line, cells in enumerate(self._sheet.iter_rows(), 1):
            if not all(map(is_empty, cells)):
                yield Row(line, [*before, *cells], merged_with=merged.get(line))

    def _merged(self) -> dict[int, dict[int, int]]:
        below: defaultdict[int, dict[int, int]] = defaultdict(dict)
        for (first, column), (last, _) in self._sheet.merged_cell_ranges or ():
            for row in range(first + 1, last + 1):
                below[row + 1][column] = first + 1
        return below


def open_workbook(path: Path, sheet: str | None, otherwise: str) -> SheetTable:
    """Open a sheet of a workbook.

    Args:
        path: the file.
        sheet: the sheet's name, ignoring case; None: the first that is visible and not empty.
        otherwise: what the file is if it is not a workbook.

    Raises:
        Unreadable: it is not a workbook, is encrypted, has no such sheet or nothing in its sheets.
    """
    with _refusing(path, otherwise):
        return _choose(path, CalamineWorkbook.from_path(path), sheet)


def each_sheet(path: Path, otherwise: str) -> Iterator[tuple[str, SheetTable]]:
    """Open the sheets of a workbook one after the other, hidden ones as well.

    Args:
        path: the file.
        otherwise: what the file is if it is not a workbook.

    Yields:
        The name of the sheet, or "" if there is only one; and the sheet.

    Raises:
        Unreadable: it is not a workbook, or is encrypted.
    """
    with _refusing(path, otherwise):
        workbook = CalamineWorkbook.from_path(path)
    names = [one.name for one in _sheets(workbook)]
    for name in names:
        with _refusing(path, otherwise):
            table = SheetTable(workbook.get_sheet_by_name(name))
        yield name if len(names) > 1 else "", table


@contextmanager
def _refusing(path: Path, otherwise: str) -> Iterator[None]:
    """Raise `Unreadable` with the reason if a workbook cannot be read."""
    if _is_encrypted_ods(path):
        raise Unreadable(f"{path} {_ENCRYPTED}")
    try:
        yield
    except PasswordError:
        raise Unreadable(f"{path} {_ENCRYPTED}") from None
    except (CalamineError, OSError, ValueError) as error:
        raise Unreadable(f"{path} is {otherwise}, or damaged: {_first_line(error)}") from error
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise Unreadable(f"{path} is a damaged workbook") from error


def _choose(path: Path, workbook: CalamineWorkbook, wanted: str | None) -> SheetTable:
    sheets = _sheets(workbook)
    shown = [one for one in sheets if one.visible == SheetVisibleEnum.Visible]
    if wanted is not None:
        name = wanted.strip().casefold()
        named = [one.name for one in sheets if one.name.strip().casefold() == name]
        if not named:
            raise Unreadable(f"{path} has no sheet {wanted!r}: it has {_names(sheets)}")
        return SheetTable(workbook.get_sheet_by_name(named[0]))
    for one in shown:
        sheet = workbook.get_sheet_by_name(one.name)
        if sheet.start is not None:
            return SheetTable(sheet, _notes(one, sheets, shown))
    hidden = f": hidden are {_names(sheets)}" if len(sheets) > len(shown) else ""
    raise Unreadable(f"{path} is empty: its visible sheets have no cells{hidden}")


def _sheets(workbook: CalamineWorkbook) -> Sequence[SheetMetadata]:
    return [one for one in workbook.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]


def _notes(
    read: SheetMetadata, sheets: Sequence[SheetMetadata], shown: Sequence[SheetMetadata]
) -> Sequence[str]:
    if len(sheets) == 1:
        return ()
    others = [one for one in shown if one.name != read.name]
    left = f"; not {_names(others)}" if others else ""
    hidden = len(sheets) - len(shown)
    kept = f"; {hidden} hidden" if hidden else ""
    return (f"sheet {read.name!r} of {len(sheets)} is read{left}{kept}",)


def _names(sheets: Sequence[SheetMetadata]) -> str:
    return ", ".join(repr(one.name) for one in sheets)


def _is_encrypted_ods(path: Path) -> bool:
    # calamine does not recognize the password of an ODS file.
    try:
        with zipfile.ZipFile(path) as archive:
            return b"manifest:encryption-data" in archive.read("META-INF/manifest.xml")
    except (OSError, EOFError, KeyError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error):
        return False


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

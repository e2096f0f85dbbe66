"""FILE.rejected.csv: the rows that were not taken, to be corrected and dialled."""

from __future__ import annotations

import csv
import filecmp
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from exotel_async.cli.contact_files.cells import Cell
from exotel_async.cli.contact_files.columns import OWN_COLUMNS
from exotel_async.cli.contact_files.results import Rejected
from exotel_async.cli.export_sink import open_private, sync_folder
from exotel_async.cli.table_cells import FORMULA
from exotel_async.errors import ExotelError

SUFFIX: Final = ".rejected.csv"
"""What is appended to the name of the file whose rows are rejected."""

_HARMLESS: Final = r"-?(?:0|[1-9][0-9]{0,10})(?:\.[0-9]+)?"
_CHANGED: Final = r"[0-9.,]+"


class RejectedFile:
    """Writes rejected rows to a file beside the original one, which only its owner may read.

    leads.xlsx has leads.xlsx.rejected.csv: the columns line, column, cell and reason, then those of
    leads.xlsx. It is UTF-8 with a byte order mark, by which Excel recognizes it. The file appears
    when the block ends without an exception, if a row was added. An older one with other contents,
    which somebody may be correcting, is renamed to leads.xlsx.rejected.csv.old.

        with RejectedFile(path) as rejected:
            rejected.add(row)

    Raises:
        ExotelError: when the block ends without an exception: the file cannot be written.
    """

    def __init__(self, path_of_input: Path) -> None:
        self.path: Final = path_of_input.with_name(f"{path_of_input.name}{SUFFIX}")
        """Where the file is going to be."""
        self.count: int = 0
        """Rows added."""
        self._part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is None:
            return
        try:
            if kind is not None:
                with suppress(OSError):
                    self._file.close()
                return
            with self._reporting_errors():
                with self._file:
                    self._file.flush()
                    os.fsync(self._file.fileno())
                self._keep_older()
                self._part.replace(self.path)
                sync_folder(self.path.parent)
        finally:
            self._part.unlink(missing_ok=True)

    def add(self, rejected: Rejected) -> None:
        """Write a row.

        Raises:
            ExotelError: the file cannot be written.
        """
        with self._reporting_errors():
            if self._file is None:
                self._part.unlink(missing_ok=True)
                self._file = open(  # noqa: SIM115 - it is closed when the block ends
                    self._part, "x", encoding="utf-8-sig", newline="", opener=open_private
                )
                self._write((*OWN_COLUMNS, *rejected.row))
            self.count += 1
            self._write(
                (
                    str(rejected.line),
                    rejected.column,
                    rejected.cell,
                    rejected.reason,
                    *rejected.row.values(),
                    *rejected.beyond,
                )
            )

    @contextmanager
    def _reporting_errors(self) -> Iterator[None]:
        """Turn an `OSError` into an `ExotelError` that names the file."""
        try:
            yield
        except OSError as error:
            raise ExotelError(f"{self.path} cannot be written: {error.strerror or error}") from None

    def _keep_older(self) -> None:
        if self.path.is_file() and not filecmp.cmp(self.path, self._part, shallow=False):
            self.path.replace(self.path.with_name(f"{self.path.name}.old"))

    def _write(self, cells: Iterable[str]) -> None:
        assert self._file is not None  # noqa: S101 - it is open
        csv.writer(self._file).writerow(map(_safe, cells))


def _safe(text: str) -> str:
    """Escape a text that a spreadsheet would take for a formula, or for a number to reformat.

    It turns 919812300001 into 9.19812E+11, and drops a leading + or 0.
    """
    changed = re.fullmatch(_CHANGED, text) and not re.fullmatch(_HARMLESS, text)
    return f"'{text}" if changed or text.startswith(FORMULA) else text


def unescaped(cell: Cell) -> Cell:
    """Return a cell of a file of rejected rows as it was in the original file."""
    if isinstance(cell, str) and cell.startswith("'") and _safe(cell[1:]) != cell[1:]:
        return cell[1:]
    return cell

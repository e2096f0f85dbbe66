"""Opens files as tables. The format is recognized by the contents, and not by the name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from exotel_async.cli.contact_files.rows import Table
from exotel_async.cli.contact_files.text_files import open_text
from exotel_async.cli.contact_files.unreadable import Unreadable
from exotel_async.cli.contact_files.workbooks import each_sheet, open_workbook

_HEAD_SIZE: Final = 4096  # bytes
_WORKBOOKS: Final = {
    b"PK\x03\x04": "a ZIP file, but not a workbook (XLSX, XLSB or ODS)",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "a Microsoft Office file, but not a workbook (XLS)",
}
_OTHERS: Final = {
    b"PK\x05\x06": "an empty ZIP file",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "compressed with gzip",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"SQLite format 3": "a database",
    b"{\\rtf": "an RTF document",
}
_MARKUP: Final = (b"<!doctype", b"<html", b"<head", b"<meta", b"<table", b"<style", b"<?xml")


def open_table(path: Path, sheet: str | None = None) -> Table:
    """Open a file as a table, whatever its name says.

    Args:
        path: the file.
        sheet: the sheet of a workbook; None: the first that is visible and not empty.

    Raises:
        Unreadable: there is no such file, or it is not a table.
    """
    head = _head(path)
    if otherwise := _workbook(head):
        return open_workbook(path, sheet, otherwise)
    if sheet is not None:
        raise Unreadable(f"{path} has no sheets: it is a text file")
    return _open_text(path, head)


def open_tables(path: Path) -> Iterator[tuple[str, Table]]:
    """Open all tables of a file: of a workbook each sheet, hidden ones as well.

    Yields:
        The name of the sheet, or "" if there is only one table; and the table.

    Raises:
        Unreadable: there is no such file, or it is not a table.
    """
    head = _head(path)
    if otherwise := _workbook(head):
        yield from each_sheet(path, otherwise)
    else:
        yield "", _open_text(path, head)


def _workbook(head: bytes) -> str | None:
    """Return what a file that begins like a workbook may be instead; None: it does not."""
    return next((what for magic, what in _WORKBOOKS.items() if head.startswith(magic)), None)


def _open_text(path: Path, head: bytes) -> Table:
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise Unreadable(f"{path} is {what}: export it as CSV or XLSX")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_MARKUP):
        raise Unreadable(
            f"{path} is a web page or XML, whatever its name: open it in a spreadsheet and save it"
            " as XLSX or CSV"
        )
    if text.startswith((b"{", b"[{", b"[[")):
        raise Unreadable(f"{path} is JSON: export it as CSV or XLSX")
    return open_text(path, head)


def _head(path: Path) -> bytes:
    if path.is_dir():
        raise Unreadable(f"{path} is a folder: give a file in it")
    try:
        if path.exists() and not path.is_file():
            raise Unreadable(f"{path} is a pipe or a device: save its output as a file")
        with path.open("rb") as file:
            head = file.read(_HEAD_SIZE)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Unreadable(f"{path} cannot be read: {why}") from error
    if not head:
        raise Unreadable(f"{path} is empty")
    return head

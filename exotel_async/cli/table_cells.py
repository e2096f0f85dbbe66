"""Text for cells of tables that may be opened in a spreadsheet."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""Prefixes of texts that a spreadsheet takes for a formula."""

# A plus is allowed for phone numbers.
_NUMBER: Final = r"[+-]?[0-9]+(\.[0-9]+)?"
_BOTH: Final = "\r\n"


def harmless(text: str) -> str:
    """Escape text from outside that a spreadsheet would take for a formula and compute."""
    if text.startswith(FORMULA) and not re.fullmatch(_NUMBER, text):
        return f"'{text}"
    return text


def writable(text: str) -> str:
    """Replace lone surrogates, which cannot be encoded."""
    return text.encode("utf-8", "replace").decode()


def csv_lines(rows: Iterable[Iterable[str]]) -> str:
    """Return rows as comma-separated values."""
    written = _Written()
    # The writer quotes cells that contain a character of its line terminator: hence CR and LF.
    csv.writer(written, lineterminator=_BOTH).writerows(rows)
    return "".join(f"{line.removesuffix(_BOTH)}\n" for line in written.lines)


class _Written:
    """Collects what a CSV writer writes, row by row."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line)

"""Text in the cells of tables that are going to be opened in a spreadsheet."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a text begins with that a spreadsheet takes for a formula."""

# With a plus in front as well: phone numbers.
_NUMBER: Final = r"[+-]?[0-9]+(\.[0-9]+)?"
_BOTH: Final = "\r\n"


def harmless(text: str) -> str:
    """Keep a spreadsheet from taking text from elsewhere for a formula, which it would compute."""
    if text.startswith(FORMULA) and not re.fullmatch(_NUMBER, text):
        return f"'{text}"
    return text


def writable(text: str) -> str:
    """Replace halves of characters: nobody can write them."""
    return text.encode("utf-8", "replace").decode()


def csv_lines(rows: Iterable[Iterable[str]]) -> str:
    """Write rows as comma-separated values."""
    written = _Written()
    # Of a cell, it quotes what ends lines: with a line feed for that alone, no carriage return.
    csv.writer(written, lineterminator=_BOTH).writerows(rows)
    return "".join(f"{line.removesuffix(_BOTH)}\n" for line in written.lines)


class _Written:
    """What a writer of CSV has written, row by row."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line)

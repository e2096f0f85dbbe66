"""Text in the cells of tables that are going to be opened in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
# With a plus in front as well: phone numbers.
_NUMBER: Final = r"[+-]?[0-9]+(\.[0-9]+)?"


def harmless(text: str) -> str:
    """Keep a spreadsheet from taking text from elsewhere for a formula, which it would compute."""
    if text.startswith(_FORMULA) and not re.fullmatch(_NUMBER, text):
        return f"'{text}"
    return text


def writable(text: str) -> str:
    """Replace halves of characters: nobody can write them."""
    return text.encode("utf-8", "replace").decode()


def csv_lines(rows: Iterable[Iterable[str]]) -> str:
    """Write rows as comma-separated values."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue()

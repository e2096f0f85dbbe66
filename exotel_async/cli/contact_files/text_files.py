"""Reads CSV, TSV and the like: finds the encoding, the delimiter and the rows."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from attrs import field, frozen

from exotel_async.cli.contact_files.cells import is_empty, is_meant_as_number, is_number
from exotel_async.cli.contact_files.rows import Row
from exotel_async.cli.contact_files.unreadable import Unreadable

_CHUNK: Final = 1 << 20  # bytes
_SAMPLE: Final = 300  # lines from which the delimiter is found
_LONGEST_SAMPLE: Final = 1 << 16  # characters of each
# Those that are likely to occur in cells come last.
_DELIMITERS: Final = "\t;|,"
_NO_DELIMITER: Final = "\x1f"
_ALIKE: Final = 0.1  # shares of rows that differ by less count as equal
_SEP_LINE: Final = r"\"?sep=([^\w\s\"]|\t)\"?\s*"
_BOMS: Final = (  # the longest first: UTF-32 begins as UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DAMAGED: Final = (
    "has misplaced quotes: put a cell that contains a quote in quotes, and double the quote"
)
_SEVERAL: Final = (
    "is part of a cell in quotes that spans several lines with phone numbers; a quote may be out of"
    " place: correct the quotes, or write the cell in one line"
)


@frozen
class TextTable:
    """A text file whose cells are delimited."""

    path: Path
    encoding: str
    delimiter: str
    skipped: int
    """Lines at the beginning that are not rows: Excel's `sep=;`."""
    notes: Sequence[str] = field(default=())

    def rows(self) -> Iterator[Row]:
        """Read the rows from the first one on, without empty ones."""
        with _opened(self.path, self.encoding) as lines:
            for _ in islice(lines, self.skipped):
                pass
            for line, cells, damage in _records(lines, self.delimiter):
                if not all(map(is_empty, cells)):
                    yield Row(line + self.skipped, cells, damage)


def open_text(path: Path, head: bytes) -> TextTable:
    """Open a text file.

    Args:
        path: the file.
        head: its beginning.

    Raises:
        Unreadable: there is nothing in it.
    """
    encoding, notes = _encoding(path, head)
    with _opened(path, encoding) as lines:
        sample = [line[:_LONGEST_SAMPLE] for line in islice(lines, _SAMPLE)]
    if all(map(is_empty, sample)):
        raise Unreadable(f"{path} is empty")
    if declared := re.fullmatch(_SEP_LINE, sample[0]):
        return TextTable(path, encoding, declared[1], 1, notes)
    return TextTable(path, encoding, _delimiter(sample), 0, notes)


def _opened(path: Path, encoding: str) -> TextIO:
    # Five bytes are undefined in windows-1252, and a file may have been cut within a character.
    return path.open(encoding=encoding, errors="replace", newline="")


def _encoding(path: Path, head: bytes) -> tuple[str, Sequence[str]]:
    """Return a file's encoding, and remarks on it for the user.

    Text that is not UTF-8 is read as windows-1252, in which Excel saves CSV. Digits and delimiters
    are the same in all single-byte encodings, and to guess the right one from a few names often
    fails.
    """
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding, ()
    if wide := _without_bom(head):
        return wide, ()
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "windows-1252", ("the file is not UTF-8: it is read as windows-1252",)
    return "utf-8", ()


def _without_bom(head: bytes) -> str | None:
    """Recognize UTF-16 and UTF-32 by the places of the zero bytes in digits and delimiters."""
    zeros = [head[place::4].count(0) / (len(head) // 4 or 1) for place in range(4)]
    for encoding, upper in (("utf-32-le", zeros[2:]), ("utf-32-be", zeros[:2])):
        if min(upper) > 0.9:
            return encoding
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if odd > 0.2 and even < odd / 10:
        return "utf-16-le"
    if even > 0.2 and odd < even / 10:
        return "utf-16-be"
    return None


def _delimiter(sample: Sequence[str]) -> str:
    """Return the delimiter that gives most rows the same number of cells, more than one.

    If several do, it is the one that leaves the most phone numbers intact.
    """
    found = []
    for delimiter in _DELIMITERS:
        rows = [cells for _, cells, _ in _records(sample, delimiter) if any(cells)]
        widths = Counter(map(len, rows))
        widths[1] = 0
        width, count = widths.most_common(1)[0]
        found.append((count / (len(rows) or 1), width, _numbers_in(rows), delimiter))
    best = max(share for share, *_ in found)
    if best < 0.5:
        return _NO_DELIMITER
    alike = [one for one in found if one[0] > best - _ALIKE]
    return max(alike, key=lambda one: (one[2], one[0], one[1]))[3]


def _numbers_in(rows: Iterable[Sequence[str]]) -> int:
    return sum(is_number(cell) for cells in rows for cell in cells)


class _Lines:
    """An iterator of lines that can be put back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._next: Callable[[], str] = iter(lines).__next__
        self._back: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else self._next()
        self.taken.append(line)
        return line

    def put_back(self, lines: Sequence[str]) -> None:
        """Put lines back, to be returned before the others."""
        self._back.extendleft(reversed(lines))


def _records(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str], str | None]]:
    """Read records, each with the number of its first line and what is wrong with it.

    A misplaced quote takes the rows after it into its cell, up to the next quote. So of a record
    that cannot be parsed only the first line is damaged, and reading continues with the second. If
    two misplaced quotes form a pair, all lines between them are damaged: it is not known which
    cells belong to which row.
    """
    source = _Lines(lines)
    # In files that are written by hand, a space often follows the delimiter.
    reader = csv.reader(source, delimiter=delimiter, strict=True, skipinitialspace=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            first, *others = source.taken
            source.put_back(others)
            yield line, [first.rstrip("\r\n")], _DAMAGED
            line += 1
        else:
            taken = [text.rstrip("\r\n") for text in source.taken]
            if len(taken) > 1 and _are_rows(taken, cells, delimiter):
                yield from ((line + place, [text], _SEVERAL) for place, text in enumerate(taken))
            else:
                yield line, cells, None
            line += len(taken)
        source.taken.clear()


def _are_rows(lines: Sequence[str], cells: Sequence[str], delimiter: str) -> bool:
    """Return whether the lines of a record are probably separate rows: one of its cells contains
    a delimiter and a line break, and several lines have phone numbers, or malformed ones."""
    if not any(delimiter in cell and len(cell.splitlines()) > 1 for cell in cells):
        return False
    parts = (re.split(f'[{re.escape(delimiter)}"]', line) for line in lines)
    return sum(any(map(is_meant_as_number, one)) for one in parts) > 1

"""What is shown on a terminal, as text."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.console import Console

WIDTHS = (60, 80, 120)
WIDE = 500
"""Columns on which nothing is broken into lines."""


def shown(print_on: Callable[[Console], object], width: int | None) -> Sequence[str]:
    """Print on a terminal of that many columns, without colours, or for None into a pipe."""
    file = io.StringIO()
    console = Console(
        file=file,
        width=80 if width is None else width,
        force_terminal=width is not None,
        color_system=None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    print_on(console)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    if width is not None:
        assert all(cell_len(line) <= width for line in lines)
    return lines


def words(lines: Sequence[str]) -> Sequence[str]:
    """The words in them, in their order."""
    return " ".join(lines).split()

"""How the commands of `campaign` print pairs, sentences and phone numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from rich.table import Table

from exotel_async.cli.terminal import one_line, out, say
from exotel_async.masking import mask_number

_GAP: Final = 2
_LONGEST_NAME: Final = 24


def show_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Print labels and their values, a pair in each line, folded to the width of a terminal."""
    lines = [(what, one_line(value)) for what, value in pairs]
    if out.is_terminal:
        table = Table.grid(padding=(0, _GAP, 0, 0))
        table.add_column(max_width=_LONGEST_NAME, overflow="fold")
        table.add_column(overflow="fold")
        for what, value in lines:
            table.add_row(what, value)
        out.print(table)
        return
    width = _GAP + max((len(what) for what, _ in lines), default=0)
    for what, value in lines:
        say(f"{what:<{width}}{value}")


def show_text(text: str) -> None:
    """Print a sentence or two, on a terminal wrapped to its width between words."""
    out.print(one_line(text), soft_wrap=not out.is_terminal)


def shown_numbers(*, whole: bool) -> Callable[[str], str]:
    """Return a function that formats a phone number, or a key that may be one, for display.

    It masks the number unless `whole`.
    """

    def show(text: str) -> str:
        return one_line(text if whole else mask_number(text))

    return show

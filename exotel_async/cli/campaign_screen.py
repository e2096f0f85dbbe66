"""What the commands of `campaign` print, and what they ask a person."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Final

from rich.table import Table

from exotel_async.cli.service import Misuse
from exotel_async.cli.terminal import err, one_line, out, say
from exotel_async.masking import mask_number

_GAP: Final = 2
_LONGEST_NAME: Final = 24
_YES: Final = {"y", "yes"}


def show_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Print what is so, each under its name. On a terminal it is folded to the width."""
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
    """Print a sentence or two. On a terminal it is folded to the width, between words."""
    out.print(one_line(text), soft_wrap=not out.is_terminal)


def shown_numbers(*, whole: bool) -> Callable[[str], str]:
    """Return what shows a phone number, or a key that may be one."""

    def show(text: str) -> str:
        return one_line(text if whole else mask_number(text))

    return show


def can_ask() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and err.is_terminal


def ask(question: str) -> str | None:
    """Ask a person, and return what was typed; None: nothing more will be."""
    err.print(question, end="")
    typed = sys.stdin.buffer.readline()
    if not typed.endswith(b"\n"):
        err.print()
    return typed.decode(errors="replace").strip() if typed else None


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask whether something that cannot be undone is to be done.

    Args:
        question: the question, which "y" affirms.
        yes: whether `--yes` has affirmed it.

    Raises:
        Misuse: nobody is there to be asked.
    """
    if yes:
        return True
    if not can_ask():
        raise Misuse("it cannot be undone, and nobody can be asked here: --yes confirms it")
    return (ask(f"{question}\n[y/N] ") or "").lower() in _YES

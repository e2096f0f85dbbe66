"""What a person at a terminal is asked."""

from __future__ import annotations

import select
import sys
from typing import Final

from exotel_async.cli.service import Misuse
from exotel_async.cli.terminal import err

_YES: Final = {"y", "yes"}
_LOOK_FOR_SIGNALS: Final = 0.2
"""Seconds between two looks for a signal while an answer is waited for."""


def can_ask() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and err.is_terminal


def ask(question: str) -> str | None:
    """Ask a person, and return the line that was typed; None: nothing more will be.

    What was typed without Enter before the end of the input is no answer.
    """
    err.print(question, end="")
    if sys.platform != "win32":
        # Such a signal does not end a read, so that Ctrl-C would be lost.
        while not select.select([sys.stdin], [], [], _LOOK_FOR_SIGNALS)[0]:
            pass
    typed = sys.stdin.buffer.readline()
    if not typed.endswith(b"\n"):
        err.print()
        return None
    return typed.decode(errors="replace").strip()


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
        raise Misuse(
            "this cannot be undone: confirm it with --yes, for there is no terminal to ask at"
        )
    return (ask(f"{question}\n[y/N] ") or "").lower() in _YES

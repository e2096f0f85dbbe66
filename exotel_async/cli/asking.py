"""Questions to the person at the terminal."""

from __future__ import annotations

import select
import sys
from typing import Final

from exotel_async.cli.service import Misuse
from exotel_async.cli.terminal import err

_YES: Final = {"y", "yes"}
_LOOK_FOR_SIGNALS: Final = 0.2
"""Seconds between two checks for a signal while an answer is awaited."""


def can_ask() -> bool:
    """Return whether there is a terminal at which to ask."""
    return sys.stdin is not None and sys.stdin.isatty() and err.is_terminal


def ask(question: str) -> str | None:
    """Ask a question and return the typed line; None if the input has ended.

    Text typed without Enter before the end of the input is not an answer.
    """
    err.print(question, end="")
    if sys.platform != "win32":
        # A signal does not interrupt a blocking read: Ctrl-C would have no effect.
        while not select.select([sys.stdin], [], [], _LOOK_FOR_SIGNALS)[0]:
            pass
    typed = sys.stdin.buffer.readline()
    if not typed.endswith(b"\n"):
        err.print()
        return None
    return typed.decode(errors="replace").strip()


def confirmed(question: str, *, yes: bool) -> bool:
    """Return whether the user confirms an action that cannot be undone.

    Args:
        question: the question, confirmed by "y".
        yes: whether `--yes` has confirmed it already.

    Raises:
        Misuse: there is no terminal at which to ask.
    """
    if yes:
        return True
    if not can_ask():
        raise Misuse(
            "this cannot be undone: confirm it with --yes, because there is no terminal to ask at"
        )
    return (ask(f"{question}\n[y/N] ") or "").lower() in _YES

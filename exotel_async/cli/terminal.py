"""What all commands share on the terminal: two consoles, exit codes, and text that is safe."""

from __future__ import annotations

import asyncio
import enum
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """The reader has gone, as in `exotel-async demo | head`: end as with Ctrl-C, quietly."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            super().on_broken_pipe()
        # An exception out of here would tear the loop down with everything still open.
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGINT)


out: Final = _Console(highlight=False, markup=False, emoji=False)
"""Results."""
err: Final = Console(stderr=True, highlight=False, markup=False, emoji=False)
"""What is being done, and what went wrong."""


class Exit(enum.IntEnum):
    """Exit codes."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNKNOWN = 3
    """A dial may or may not have rung somebody."""
    INTERRUPTED = 130


def say(line: str) -> None:
    """Print a line of the result as it is, however narrow the terminal."""
    out.print(line, soft_wrap=True)


def note(line: str) -> None:
    """Print a line beside the result."""
    err.print(line, soft_wrap=True)


def complain(problem: str) -> None:
    """Print what is wrong, in one line."""
    err.print(f"exotel-async: {one_line(problem)}", soft_wrap=True, style="red")


@contextmanager
def whoever_listens() -> Iterator[None]:
    """Print here what must not change the exit code: a reader has gone, or a disk is full."""
    try:
        yield
    except (OSError, SystemExit):
        # What is still to be flushed at the end goes nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())


def one_line(text: str) -> str:
    """Text from elsewhere without line breaks and control codes."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())

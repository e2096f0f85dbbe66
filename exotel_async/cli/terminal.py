"""What all commands share: the two consoles, exit codes, and helpers for safe output."""

from __future__ import annotations

import asyncio
import enum
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO

from rich.console import Console


class _Results(Console):
    def on_broken_pipe(self) -> None:
        """End quietly, as with Ctrl-C: the reader has gone, as in `exotel-async demo | head`."""
        self.quiet = True
        discard_output(sys.stdout)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise SystemExit(Exit.INTERRUPTED) from None
        # An exception raised here would stop the loop without cleaning up.
        signal.raise_signal(signal.SIGINT)


class _Remarks(Console):
    def on_broken_pipe(self) -> None:
        """Continue without messages: the reader has gone, but the result goes elsewhere."""
        self.quiet = True
        discard_output(sys.stderr)


out: Final = _Results(highlight=False, markup=False, emoji=False)
"""Standard output, for results."""
err: Final = _Remarks(stderr=True, highlight=False, markup=False, emoji=False)
"""Standard error, for progress, notes and errors."""


class Exit(enum.IntEnum):
    """Exit codes."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNKNOWN = 3
    """It is not known whether a dial has rung a phone."""
    NOT_COMPLETED = 4
    """A call was placed but not completed, or its end is not known; or a campaign is done, but for
    some contacts it is not known whether they were rung."""
    OUTSIDE_HOURS = 5
    """A campaign has contacts left, but must not dial at this time of the day or the week."""
    INTERRUPTED = 130


def say(line: str) -> None:
    """Print a line of the result without wrapping it."""
    out.print(line, soft_wrap=True)


def show_json(value: Mapping[str, Any]) -> None:
    """Print a result as JSON, in one line of ASCII."""
    out.out(json.dumps(value, separators=(",", ":")), highlight=False)


def report_problem(problem: str, *, kind: str, as_json: bool) -> None:
    """Print an error, also as JSON if the result was to be JSON.

    Args:
        problem: the text of the error.
        kind: the class name of the error.
        as_json: whether the result was to be JSON.
    """
    complain(problem)
    if as_json:
        show_error(problem, kind=kind)


def report_misuse(problem: str, *, as_json: bool) -> Exit:
    """Report wrong usage, and return the exit code for that."""
    report_problem(problem, kind="InvalidRequest", as_json=as_json)
    return Exit.USAGE


def show_error(problem: str, *, kind: str) -> None:
    """Print an error as JSON: its class and its text."""
    show_json({"error": {"type": kind, "text": one_line(problem)}})


def note(line: str) -> None:
    """Print a line to standard error."""
    err.print(line, soft_wrap=True)


def complain(problem: str) -> None:
    """Print an error as one line to standard error."""
    err.print(f"exotel-async: {one_line(problem)}", soft_wrap=True, style="red")


@contextmanager
def ignoring_lost_output(*streams: TextIO) -> Iterator[None]:
    """Ignore output errors in the block, so that they do not change the exit code.

    Such errors occur when the reader has gone or a disk is full.

    Args:
        streams: the streams to give up on an error; standard output and error if none is given.
    """
    try:
        yield
    except (OSError, SystemExit):
        # What remains to be flushed at exit is discarded.
        discard_output(*streams or (sys.stdout, sys.stderr))


def open_closed_streams() -> None:
    """Discard output to standard streams that were closed, as by `>&-`.

    This also keeps a file that is opened later from getting the stream's descriptor.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open until exit
            setattr(sys, name, nowhere)


def discard_output(*streams: TextIO) -> None:
    """Discard all output to these streams from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


@asynccontextmanager
async def drawing(draw: Callable[[], None], *, every: float = 0.1) -> AsyncIterator[None]:
    """Call `draw` repeatedly while the block runs, and once more after it has succeeded."""

    async def keep_drawing() -> None:
        while True:
            draw()
            await asyncio.sleep(every)

    task = asyncio.create_task(keep_drawing())
    try:
        yield
        draw()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@contextmanager
def waiting() -> Iterator[None]:
    """Show that a response is awaited. Losing the terminal meanwhile is no error."""
    if err.is_dumb_terminal or not err.is_terminal:
        yield
        return
    status = err.status("waiting for the response", spinner="line")
    with suppress(OSError):
        status.start()
    try:
        yield
    finally:
        with suppress(OSError):
            status.stop()


def end_at_once(console: Console) -> NoReturn:
    """End the process immediately, with the terminal's cursor visible again.

    Args:
        console: the console that may have been drawn on.
    """
    with suppress(OSError):
        console.show_cursor()
        os.write(2, b"exotel-async: interrupted\n")
    os._exit(Exit.INTERRUPTED)


def end_on_sigterm() -> None:
    """Let SIGTERM, as sent by service managers and to background jobs, cancel this task."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - it is called in a coroutine of the loop
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def counted(number: int, what: str) -> str:
    """Return a number with its noun, in the singular or plural."""
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def can_redraw(console: Console) -> bool:
    """Return whether the console can redraw what it has printed."""
    return console.is_terminal and not console.is_dumb_terminal


def one_line(text: str) -> str:
    """Return text from outside as one line, without control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())

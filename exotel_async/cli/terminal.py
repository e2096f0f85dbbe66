"""What all commands share on the terminal: two consoles, exit codes, and text that is safe."""

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
        """The reader has gone, as in `exotel-async demo | head`: end as with Ctrl-C, quietly."""
        self.quiet = True
        give_up(sys.stdout)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise SystemExit(Exit.INTERRUPTED) from None
        # An exception out of here would tear the loop down with everything still open.
        signal.raise_signal(signal.SIGINT)


class _Remarks(Console):
    def on_broken_pipe(self) -> None:
        """The reader has gone: the work goes on without one, for its result is elsewhere."""
        self.quiet = True
        give_up(sys.stderr)


out: Final = _Results(highlight=False, markup=False, emoji=False)
"""Results."""
err: Final = _Remarks(stderr=True, highlight=False, markup=False, emoji=False)
"""What is being done, and what went wrong."""


class Exit(enum.IntEnum):
    """Exit codes."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNKNOWN = 3
    """A dial may or may not have rung somebody."""
    NOT_COMPLETED = 4
    """A call was placed, and has ended otherwise than completed, or it is not known how; or all of
    a campaign is done, and of some contacts it is not known whether they were rung."""
    OUTSIDE_HOURS = 5
    """A campaign has contacts left, and may not dial them at this time of the day or the week."""
    INTERRUPTED = 130


def say(line: str) -> None:
    """Print a line of the result as it is, however narrow the terminal."""
    out.print(line, soft_wrap=True)


def show_json(value: Mapping[str, Any]) -> None:
    """Print a result as JSON, in one line of ASCII."""
    out.out(json.dumps(value, separators=(",", ":")), highlight=False)


def report_problem(problem: str, *, kind: str, as_json: bool) -> None:
    """Print what is wrong, and as JSON where the result was to be JSON.

    Args:
        problem: what.
        kind: the class of the error.
        as_json: whether the result was to be JSON.
    """
    complain(problem)
    if as_json:
        show_error(problem, kind=kind)


def misused(problem: str, *, as_json: bool) -> Exit:
    """Print that what was typed cannot be meant, and return what that comes to."""
    report_problem(problem, kind="InvalidRequest", as_json=as_json)
    return Exit.USAGE


def show_error(problem: str, *, kind: str) -> None:
    """Print what is wrong as JSON: the class of the error, and its text."""
    show_json({"error": {"type": kind, "text": one_line(problem)}})


def note(line: str) -> None:
    """Print a line beside the result."""
    err.print(line, soft_wrap=True)


def complain(problem: str) -> None:
    """Print what is wrong, in one line."""
    err.print(f"exotel-async: {one_line(problem)}", soft_wrap=True, style="red")


@contextmanager
def ignoring_lost_output(*streams: TextIO) -> Iterator[None]:
    """Print here what must not change the exit code if the reader has gone or a disk is full.

    Args:
        streams: those that are given up then; both if none is given.
    """
    try:
        yield
    except (OSError, SystemExit):
        # What is still to be flushed at the end goes nowhere.
        give_up(*streams or (sys.stdout, sys.stderr))


def open_closed_streams() -> None:
    """Let what is printed go nowhere where a stream was closed, as by `>&-`.

    It may also be a file that is opened next which gets its number.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
            setattr(sys, name, nowhere)


def give_up(*streams: TextIO) -> None:
    """Let what is printed there from now on go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


@asynccontextmanager
async def drawing(draw: Callable[[], None], *, every: float = 0.1) -> AsyncIterator[None]:
    """Draw again and again while the block runs, and once more when it has run well."""

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
    """Show that an answer is waited for. A terminal that goes away meanwhile changes nothing."""
    if err.is_dumb_terminal or not err.is_terminal:
        yield
        return
    status = err.status("waiting for the answer", spinner="line")
    with suppress(OSError):
        status.start()
    try:
        yield
    finally:
        with suppress(OSError):
            status.stop()


def end_at_once(console: Console) -> NoReturn:
    """End the process as it is, the terminal as it was.

    Args:
        console: what may be drawn on.
    """
    with suppress(OSError):
        console.show_cursor()
        os.write(2, b"exotel-async: interrupted\n")
    os._exit(Exit.INTERRUPTED)


def end_on_sigterm() -> None:
    """Let SIGTERM end this task: what service managers send, and reaches a background job."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - it is called in a coroutine of the loop
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def counted(number: int, what: str) -> str:
    """Write a number of things."""
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def can_redraw(console: Console) -> bool:
    """Whether things can be drawn over on it."""
    return console.is_terminal and not console.is_dumb_terminal


def one_line(text: str) -> str:
    """Text from elsewhere without line breaks and control codes."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())

"""Progress of long work: live bars on a terminal, occasional lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, Protocol

from attrs import frozen
from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from exotel_async import LimiterStatistics
from exotel_async.cli.terminal import can_redraw, counted
from exotel_async.cli.time_arguments import shown_length

_LONGEST: Final = 24
_SHORTEST: Final = 8
_WORDS: Final = 54  # columns of text beside a bar
_CTRL_C: Final = 3
LINE_EVERY: Final = 30.0
"""Seconds between two lines of progress where nothing can be redrawn."""


class Progress(Protocol):
    """The state of some work; `str()` gives it as one line."""

    @property
    def step(self) -> int:
        """A number, at first 0. Where nothing can be redrawn, a line is printed when it changes."""
        ...

    def panel(self, width: int) -> RenderableType:
        """Return what is drawn on a terminal of `width` columns."""
        ...


@contextmanager
def progress(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows a state. On a terminal, the display is removed at the end."""
    if not can_redraw(console):
        yield _line_printer(console)
        return
    # Drawn only from the event loop: rich's own thread would see inconsistent state.
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def draw(current: Progress) -> None:
            # Room for the ^C that a terminal appends: a wrapped line could not be redrawn.
            panel = Constrain(current.panel(console.width), console.width - _CTRL_C)
            live.update(panel, refresh=True)

        yield draw


def _line_printer(console: Console) -> Callable[[Progress], None]:
    last = 0

    def print_line(current: Progress) -> None:
        nonlocal last
        if current.step != last:
            last = current.step
            console.print(str(current), soft_wrap=True)

    return print_line


def bar(share: float, width: int, *, pulse: bool = False, full: str = "green") -> ProgressBar:
    """Return a bar that fits beside the text of a line."""
    return ProgressBar(
        total=None if pulse else 1.0,
        completed=min(1.0, share),
        width=max(_SHORTEST, min(_LONGEST, width - _WORDS)),
        pulse=pulse,
        complete_style="cyan",
        finished_style=full,
    )


def in_use(limiter: LimiterStatistics, budget: int) -> str:
    """Return as text how much of a budget per minute is in use, and whether it is paused."""
    paused = limiter.paused_for
    pause = f", paused for {paused:.0f} s" if paused >= 1 else ""
    return f"{limiter.window_used} of {budget} a minute{pause}"


@frozen(kw_only=True)
class Requests:
    """The state of work that needs many requests.

    Attributes:
        done: what has been done, as text.
        share: the share of the whole that is done, 0 to 1; None: not known.
        elapsed: seconds since the start.
        left: the estimated time left; None: not known.
        requests: requests sent.
        budget: requests allowed per minute.
        limiter: the limiter's statistics.
    """

    done: str
    share: float | None
    elapsed: float
    left: timedelta | None
    requests: int
    budget: int
    limiter: LimiterStatistics

    @property
    def step(self) -> int:
        """The number of half minutes since the start."""
        return int(self.elapsed / LINE_EVERY)

    @property
    def use(self) -> str:
        """How much of the budget is in use, as text."""
        return in_use(self.limiter, self.budget)

    @property
    def time(self) -> str:
        """The time elapsed and left, as text."""
        rest = "" if self.left is None else f", about {shown_length(self.left)} left"
        return f"{shown_length(timedelta(seconds=self.elapsed))}{rest}"

    def __str__(self) -> str:
        return f"{self.done}; {counted(self.requests, 'request')}, {self.use}; {self.time}"

    def panel(self, width: int) -> RenderableType:
        """Return bars for the calls and the budget."""
        lines = Table.grid(padding=(0, 2))
        lines.add_column(min_width=8, no_wrap=True)
        lines.add_column(no_wrap=True)
        lines.add_column()
        calls = bar(1.0 if self.share is None else self.share, width, pulse=self.share is None)
        lines.add_row("calls", calls, self.done)
        used = self.limiter.window_used / self.budget
        lines.add_row("budget", bar(used, width, full="yellow"), self.use)
        lines.add_row("time", counted(self.requests, "request"), f"{self.time}    Ctrl-C stops it")
        return lines

"""How far many requests have come: bars that move on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from datetime import timedelta
from types import TracebackType
from typing import Final, Protocol, Self

from attrs import frozen
from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from exotel_async import LimiterStatistics
from exotel_async.cli.terminal import counted, moves
from exotel_async.cli.time_arguments import shown_length

_LONGEST: Final = 24
_SHORTEST: Final = 8
_WORDS: Final = 54  # beside a bar
_CTRL_C: Final = 3
_LINE_EVERY: Final = 30.0  # seconds


@frozen(kw_only=True)
class Standing:
    """How it stands.

    Attributes:
        done: what has been done, in words.
        share: how much of the whole that is, 0 to 1; None where that is not known.
        elapsed: seconds since the start.
        left: how long the rest takes; None where that is not known.
        requests: requests sent.
        budget: requests a minute there are.
        limiter: the limiter.
    """

    done: str
    share: float | None
    elapsed: float
    left: timedelta | None
    requests: int
    budget: int
    limiter: LimiterStatistics

    @property
    def use(self) -> str:
        """How much of the budget is in use."""
        paused = self.limiter.paused_for
        pause = f", paused for {paused:.0f} s" if paused >= 1 else ""
        return f"{self.limiter.window_used} of {self.budget} a minute{pause}"

    @property
    def time(self) -> str:
        """How long it has taken, and is going to take."""
        rest = "" if self.left is None else f", about {shown_length(self.left)} left"
        return f"{shown_length(timedelta(seconds=self.elapsed))}{rest}"

    def __str__(self) -> str:
        return f"{self.done}; {counted(self.requests, 'request')}, {self.use}; {self.time}"


class Progress(Protocol):
    """Shows how something stands while it runs."""

    def show(self, standing: Standing) -> None:
        """Show how it stands."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def new_progress(console: Console) -> Progress:
    """Return what fits the console."""
    if moves(console):
        return LiveProgress(console)
    return PlainProgress(console)


class Unseen:
    """Shows nothing."""

    def show(self, standing: Standing) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class LiveProgress:
    """Bars that move. It leaves nothing behind."""

    def __init__(self, console: Console) -> None:
        self._console = console
        # Drawn from the event loop alone: rich's own thread would see things half changed.
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def show(self, standing: Standing) -> None:
        """Draw how it stands."""
        self._live.update(
            beside_ctrl_c(_panel(standing, self._console.width), self._console), refresh=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()


class PlainProgress(Unseen):
    """A line each half minute, without control codes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = time.monotonic() + _LINE_EVERY

    def show(self, standing: Standing) -> None:
        """Print a line if it is time for one."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LINE_EVERY
        self._console.print(str(standing), soft_wrap=True)


def _panel(standing: Standing, width: int) -> RenderableType:
    lines = Table.grid(padding=(0, 2))
    lines.add_column(min_width=8, no_wrap=True)
    lines.add_column(no_wrap=True)
    lines.add_column()
    share, used = standing.share, standing.limiter.window_used
    whole = 1.0 if share is None else share
    lines.add_row("calls", _bar(whole, width, pulse=share is None), standing.done)
    lines.add_row("budget", _bar(used / standing.budget, width, full="yellow"), f"{standing.use}")
    lines.add_row(
        "time", counted(standing.requests, "request"), f"{standing.time}    Ctrl-C stops it"
    )
    return lines


def beside_ctrl_c(shown: RenderableType, console: Console) -> RenderableType:
    """Leave room for the ^C a terminal puts behind it: broken by it, it could not be drawn over."""
    return Constrain(shown, console.width - _CTRL_C)


def _bar(share: float, width: int, *, pulse: bool = False, full: str = "green") -> ProgressBar:
    return ProgressBar(
        total=None if pulse else 1.0,
        completed=min(1.0, share),
        width=max(_SHORTEST, min(_LONGEST, width - _WORDS)),
        pulse=pulse,
        complete_style="cyan",
        finished_style=full,
    )

"""The demo while it runs: a live panel on a terminal, a few plain lines anywhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from exotel_async import LimiterStatistics
from exotel_async.cli.demo_state import Board, Stage

STYLES: Final = {
    "completed": "green",
    "busy": "yellow",
    "no-answer": "yellow",
    "failed": "red",
    Stage.REFUSED.value: "red",
    Stage.UNKNOWN.value: "bold red",
}
"""How outcomes look, here and in the table at the end."""

_STEPS: Final = 10
_BAR: Final = 24


class Display(Protocol):
    """Shows a batch while it is dialled and read back."""

    def show(self, board: Board, limiter: LimiterStatistics) -> None:
        """Show how things stand."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def new_display(console: Console, *, limit: int) -> Display:
    """The display that fits the console."""
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(console, limit=limit)
    return PlainDisplay(console, limit=limit)


class LiveDisplay:
    """Bars that move. It leaves nothing behind: the report follows in its place."""

    def __init__(self, console: Console, *, limit: int) -> None:
        self._limit = limit
        # Drawn from the event loop alone: rich's own thread would see things half changed.
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def show(self, board: Board, limiter: LimiterStatistics) -> None:
        """Draw how things stand."""
        self._live.update(_panel(board, limiter, self._limit), refresh=True)

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


class PlainDisplay:
    """A line for each tenth of the work, without control codes."""

    def __init__(self, console: Console, *, limit: int) -> None:
        self._console = console
        self._limit = limit
        self._step = 0

    def show(self, board: Board, limiter: LimiterStatistics) -> None:
        """Print a line if there is something new to tell."""
        total = len(board.dials)
        progress = _progress(board)
        dialled, ended, settled = progress
        step = _STEPS * sum(progress) // (len(progress) * total)
        if step == self._step:
            return
        self._step = step
        self._console.print(
            f"{board.elapsed():5.1f} s  of {total}: {dialled} dialled, {ended} ended, "
            f"{settled} settled; rate {limiter.window_used}/{self._limit}, "
            f"queue {limiter.waiting_interactive + limiter.waiting_bulk}",
            soft_wrap=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


def _progress(board: Board) -> tuple[int, int, int]:
    """How many are dialled, have ended, are settled: what failed counts as all of it."""
    over = board.count(Stage.SETTLED, Stage.REFUSED, Stage.UNKNOWN)
    ended = over + board.count(Stage.ENDED)
    return ended + board.count(Stage.GOING_ON), ended, over


def _panel(board: Board, limiter: LimiterStatistics, limit: int) -> Group:
    total = len(board.dials)
    bars = Table.grid(padding=(0, 2))
    bars.add_column(min_width=10, no_wrap=True)
    bars.add_column()
    bars.add_column(no_wrap=True)
    for what, done in zip(("dialled", "ended", "settled"), _progress(board), strict=True):
        bars.add_row(what, _bar(done, total), f"{done} of {total} calls")
    used = limiter.window_used
    bars.add_row("rate", _bar(used, limit, full="yellow"), f"{used} of {limit} in a minute")
    queue = (
        f"{limiter.waiting_bulk} bulk, {limiter.waiting_interactive} interactive waiting; "
        f"{limiter.in_flight} in the air"
    )
    outcomes = Text("  ").join(
        Text(f"{outcome} {count}", style=STYLES.get(outcome, ""))
        for outcome, count in board.outcomes().most_common()
    )
    lines = Table.grid(padding=(0, 2))
    lines.add_column(min_width=10, no_wrap=True)
    lines.add_column(overflow="fold")
    lines.add_row("queue", queue)
    lines.add_row("outcomes", outcomes)
    lines.add_row("time", f"{board.elapsed():.1f} s    Ctrl-C ends it")
    return Group(bars, lines)


def _bar(done: int, total: int, *, full: str = "green") -> ProgressBar:
    return ProgressBar(
        total=total, completed=done, width=_BAR, complete_style="cyan", finished_style=full
    )

"""The demo while it runs: a live panel on a terminal, a few plain lines anywhere else."""

from __future__ import annotations

from typing import Final

from attrs import frozen
from rich.console import Group
from rich.table import Table
from rich.text import Text

from exotel_async import LimiterStatistics
from exotel_async.cli.demo_state import Board, Stage
from exotel_async.cli.progress import bar

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


@frozen
class DemoStanding:
    """How it stands with a batch that is dialled and read back."""

    board: Board
    limiter: LimiterStatistics
    limit: int

    @property
    def step(self) -> int:
        """One for each tenth of the work."""
        counts = self._counts
        return _STEPS * sum(counts) // (len(counts) * len(self.board.dials))

    def __str__(self) -> str:
        dialled, ended, settled = self._counts
        board, limiter = self.board, self.limiter
        return (
            f"{board.elapsed():5.1f} s  of {len(board.dials)}: {dialled} dialled, {ended} ended, "
            f"{settled} settled; rate {limiter.window_used}/{self.limit}, "
            f"queue {limiter.waiting_interactive + limiter.waiting_bulk}"
        )

    def panel(self, width: int) -> Group:
        """Return bars for the calls and the rate, and what has become of the calls."""
        board, limiter, total = self.board, self.limiter, len(self.board.dials)
        bars = Table.grid(padding=(0, 2))
        bars.add_column(min_width=10, no_wrap=True)
        bars.add_column()
        bars.add_column(no_wrap=True)
        for what, done in zip(("dialled", "ended", "settled"), self._counts, strict=True):
            bars.add_row(what, bar(done / total, width), f"{done} of {total} calls")
        used = limiter.window_used
        rate = bar(used / self.limit, width, full="yellow")
        bars.add_row("rate", rate, f"{used} of {self.limit} in a minute")
        queue = (
            f"{limiter.waiting_bulk} bulk, {limiter.waiting_interactive} interactive waiting; "
            f"{limiter.in_flight} in flight"
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

    @property
    def _counts(self) -> tuple[int, int, int]:
        """How many are dialled, have ended, are settled: what failed counts as all of it."""
        board = self.board
        over = board.count(Stage.SETTLED, Stage.REFUSED, Stage.UNKNOWN)
        ended = over + board.count(Stage.ENDED)
        return ended + board.count(Stage.GOING_ON), ended, over

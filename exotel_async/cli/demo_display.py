"""The demo's campaign while it runs: a live panel on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from typing import Final

from attrs import frozen
from rich.console import Group
from rich.table import Table
from rich.text import Text

from exotel_async.campaigns import CampaignStatistics
from exotel_async.cli.campaign_words import finished
from exotel_async.cli.progress import bar

_STEPS: Final = 10
_STYLES: Final = {
    "reached": "green",
    "not reached": "yellow",
    "unresolved": "red",
    "in doubt": "bold red",
}


@frozen(kw_only=True)
class DemoProgress:
    """The state of the demo's campaign.

    Attributes:
        known: the campaign's statistics according to the ledger.
        calls: how many calls the emulator has recorded.
        in_use: how many of them are in progress.
        channels: how many may be in progress.
        elapsed: seconds since the start.
    """

    known: CampaignStatistics
    calls: int
    in_use: int
    channels: int
    elapsed: float

    @property
    def step(self) -> int:
        """The number of tenths of the contacts that are finished."""
        return _STEPS * finished(self.known) // max(1, self.known.created)

    def __str__(self) -> str:
        known = {**self._outcomes, **self._open}
        counts = ", ".join(f"{word} {count}" for word, count in known.items() if count)
        return f"{self.elapsed:5.1f} s  of {self.known.created} contacts: {counts}"

    def panel(self, width: int) -> Group:
        """Return bars for contacts and channels, and counts of contacts by state."""
        total = max(1, self.known.created)
        bars = Table.grid(padding=(0, 2))
        bars.add_column(min_width=8, no_wrap=True)
        bars.add_column()
        bars.add_column(no_wrap=True)
        over, in_use = finished(self.known), self.in_use
        bars.add_row("contacts", bar(over / total, width), f"{over} of {total} have their outcome")
        channels = bar(in_use / self.channels, width, full="yellow")
        bars.add_row("channels", channels, f"{in_use} of {self.channels} in use")
        lines = Table.grid(padding=(0, 2))
        lines.add_column(min_width=8, no_wrap=True)
        lines.add_column(overflow="fold")
        for title, counts in (("outcomes", self._outcomes), ("open", self._open)):
            words = (Text(f"{w} {n}", style=_STYLES.get(w, "")) for w, n in counts.items() if n)
            lines.add_row(title, Text(", ").join(words))
        lines.add_row("Exotel", f"{self.calls} calls")
        lines.add_row("time", f"{self.elapsed:.1f} s    Ctrl-C ends it")
        return Group(bars, lines)

    @property
    def _outcomes(self) -> dict[str, int]:
        known = self.known
        return {
            "reached": known.reached,
            "not reached": known.not_reached,
            "unresolved": known.unresolved,
        }

    @property
    def _open(self) -> dict[str, int]:
        known = self.known
        return {
            "in progress": known.in_progress,
            "in doubt": known.in_doubt,
            "to be dialled": known.pending,
        }

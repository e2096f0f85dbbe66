"""How results are printed."""

from __future__ import annotations

import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WIDTH: Final = 118
console: Final = Console(width=None if Console().is_terminal else _WIDTH, highlight=False)


@frozen
class Target:
    """One point of what is to be reached.

    Attributes:
        what: what was measured.
        figure: what came out.
        target: what it must be.
        reached: whether it is.
    """

    what: str
    figure: str
    target: str
    reached: bool


@frozen
class Spread:
    """Several runs of one measurement."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Sum up the runs."""
        return cls(min(values), statistics.median(values), max(values))

    def show(self, form: str = ".2f") -> str:
        """Median first, then the extremes."""
        return f"{self.median:{form}} ({self.least:{form}}-{self.most:{form}})"


def heading(title: str, *lines: str) -> None:
    """Begin one benchmark: what is compared, and how often."""
    console.print()
    console.rule(f"[bold]{title}", align="left")
    for line in lines:
        console.print(line, markup=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table whose first column is text and whose others are figures."""
    made = Table(title=title, title_justify="left", title_style="italic")
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    console.print(made)


def targets(reached: Sequence[Target]) -> None:
    """Print each target beside its figure."""
    made = Table(title="Targets", title_justify="left", title_style="bold")
    for column in ("what", "figure", "target", "reached"):
        made.add_column(column, overflow="fold")
    for one in reached:
        verdict = "[green]yes[/]" if one.reached else "[bold red]no[/]"
        made.add_row(one.what, one.figure, one.target, verdict)
    console.print(made)


def processor() -> str:
    """Name the model of the CPU."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line for line in information.read_text().splitlines() if "model name" in line]
        if names:
            return names[0].partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine() -> str:
    """Describe in one line where this runs."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{os.cpu_count()} cores of {processor()}, {platform.system()}, Python "
        f"{platform.python_version()}, httpx {version('httpx')}, "
        f"httpx2 {version('httpx2')}{load}"
    )

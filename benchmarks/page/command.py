"""`python -m benchmarks page`: measures, and writes the page, its plots and its figures."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks import tables
from benchmarks.page import bulk, cost, dials, figures, interactive, plots, text, waiting
from benchmarks.page.settings import Settings

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "benchmarks.md"
_PLOTS: Final = PAGE.parent / "_static"
_LIBRARIES: Final = (
    "exotel-async",
    "httpx",
    "httpcore",
    "sniffio",
    "aiolimiter",
    "limits",
    "pyrate-limiter",
    "requests",
    "twilio",
    "aiohttp",
)
_PARTS: Final = {
    # What measures CPU comes first: the machine is quieter then.
    "cost": cost.measure,
    "waiting": waiting.measure,
    "dials": dials.measure,
    "interactive": interactive.measure,
    "bulk": bulk.measure,
}


def run(per: int | None, from_: Path | None, *, quick: bool) -> None:
    """Write the page from a new run, or from an earlier one's file."""
    if from_ is None:
        measured = measure(Settings.of(per, quick=quick))
        figures.save(measured, figures.FILE)
    # What is written is what was saved, its digits included.
    measured = figures.load(from_ or figures.FILE)
    plots.draw(measured, _PLOTS)
    PAGE.write_text(text.render(measured), encoding="utf-8")
    tables.console.print(f"wrote {PAGE.relative_to(ROOT)}", markup=False)


def measure(settings: Settings) -> figures.Measured:
    """Measure everything."""
    began = datetime.now(UTC)
    machine = {
        "processor": tables.processor(),
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": f"{os.getloadavg()[0]:.1f}",
    }
    measured: dict[str, figures.Figures] = {"settings": settings.figures()}
    for name, part in _PARTS.items():
        tables.console.print(f"{name} ...", markup=False)
        measured[name] = part(settings)
    return figures.Measured(
        command=f"python -m benchmarks {shlex.join(sys.argv[1:])}",
        date=began.date().isoformat(),
        machine=machine,
        versions={name: version(name) for name in _LIBRARIES},
        figures=measured,
    )

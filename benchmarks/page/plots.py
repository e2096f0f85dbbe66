"""The page's plots. Equal figures make equal files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.page.text import CLIENTS, SENDERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from benchmarks.page.figures import Measured

_OURS, _OTHERS, _LINE = "#0b6e4f", "#8d99ae", "#d0d4dc"
_STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "exotel_async",
    "svg.fonttype": "none",  # text stays text: small, and readable in a diff
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_ROW: Final = 0.32  # inches


def draw(measured: Measured, folder: Path) -> None:
    """Write all plots into a folder."""
    import matplotlib as mpl  # noqa: PLC0415 - it is in the extra `bench`

    mpl.use("svg")
    folder.mkdir(parents=True, exist_ok=True)
    figures: Any = measured.figures
    with mpl.rc_context(_STYLE):
        _batch(figures["bulk"], folder / "benchmarks-batch.svg")
        _waits(figures["interactive"], folder / "benchmarks-waits.svg")
        _cpu(figures["cost"]["ways"], folder / "benchmarks-cpu.svg")


def _batch(bulk: Any, path: Path) -> None:
    drawing, (left, right) = _subplots(len(bulk), columns=2)
    names = list(bulk)
    for axes, name, title in (
        (left, "refused", "requests refused (429)"),
        (right, "time", "time, by the ideal; hollow: not all done"),
    ):
        for row, sender in enumerate(names):
            ended = list(bulk[sender].values())
            values = [one[name].value for one in ended]
            inside = ["white" if one["not_done"].value else _color(sender) for one in ended]
            axes.plot([min(values), max(values)], [row, row], color=_LINE, zorder=1)
            axes.scatter(
                values,
                [row] * len(values),
                s=22,
                facecolors=inside,
                edgecolors=_color(sender),
                zorder=2,
            )
        axes.set_title(title, loc="left", fontsize=9)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(left=0)
    left.set_xscale("symlog", linthresh=10)
    left.set_xlim(left=-0.5, right=left.get_xlim()[1] * 1.5)
    right.axvline(1, color=_LINE, zorder=0)
    left.set_yticks(range(len(names)), [SENDERS[sender] for sender in names])
    right.set_yticks(range(len(names)), [""] * len(names))
    _save(drawing, path)


def _waits(interactive: Any, path: Path) -> None:
    drawing, (axes,) = _subplots(len(interactive), columns=1)
    _bars(
        axes,
        list(interactive),
        [one["median"].value for one in interactive.values()],
        SENDERS,
        "{:.1f}",
    )
    axes.set_title("median wait, seconds of a 60 s window", loc="left", fontsize=9)
    _save(drawing, path)


def _cpu(ways: Any, path: Path) -> None:
    drawing, panels = _subplots(len(ways), columns=2)
    for axes, name, title in zip(
        panels, ("alone", "together"), ("one at a time", "side by side"), strict=True
    ):
        _bars(axes, list(ways), [one[name].value for one in ways.values()], CLIENTS, "{:.2f}")
        axes.axvline(1, color=_LINE, zorder=0)
        axes.set_title(f"CPU by that of bare httpx, {title}", loc="left", fontsize=9)
    panels[1].set_yticks(range(len(ways)), [""] * len(ways))
    _save(drawing, path)


def _bars(
    axes: Axes, names: Sequence[str], values: Sequence[float], labels: Any, form: str
) -> None:
    bars = axes.barh(range(len(names)), values, height=0.6, color=[_color(name) for name in names])
    axes.bar_label(bars, fmt=form, padding=3)
    axes.set_yticks(range(len(names)), [labels[name] for name in names])
    axes.invert_yaxis()
    axes.margins(x=0.12)


def _color(name: str) -> str:
    return (
        _OURS if name.startswith("exotel_async") or "exotel" in CLIENTS.get(name, "") else _OTHERS
    )


def _subplots(rows: int, columns: int) -> tuple[Drawing, Sequence[Axes]]:
    from matplotlib import pyplot  # noqa: PLC0415

    drawing, axes = pyplot.subplots(
        1, columns, figsize=(8, 0.7 + _ROW * rows), layout="constrained", squeeze=False
    )
    return drawing, axes[0]


def _save(drawing: Drawing, path: Path) -> None:
    from matplotlib import pyplot  # noqa: PLC0415

    drawing.savefig(path, metadata={"Date": None})
    pyplot.close(drawing)

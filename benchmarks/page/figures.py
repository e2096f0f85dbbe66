"""What was measured: each figure with its unit, in a JSON file that the page is made of."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import frozen

FILE: Final = Path(__file__).parents[1] / "measured.json"
_DIGITS: Final = 4


def _finite(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{attribute.name} must be a finite number, not {value!r}")


def _named(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{attribute.name} must be a text that says something, not {value!r}")


@frozen
class Figure:
    """A finite number and what it counts."""

    value: float = attrs.field(validator=_finite)
    unit: str = attrs.field(validator=_named)


Figures = Mapping[str, "Figure | Figures"]


@frozen(kw_only=True)
class Measured:
    """One run.

    Attributes:
        command: what was run.
        date: when, in UTC.
        machine: the processor, its cores and what ran on it.
        versions: of the libraries.
        figures: by what was measured; their leaves are of `Figure`.
    """

    command: str
    date: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    figures: Figures


def leaves(
    figures: Figures, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Figure]]:
    """Yield each figure and where it stands."""
    for name, one in figures.items():
        if isinstance(one, Figure):
            yield (*path, name), one
        else:
            yield from leaves(one, (*path, name))


def load(path: Path) -> Measured:
    """Read a run. Raises ValueError if a figure is not finite or has no unit."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return Measured(**{**content, "figures": _read(content["figures"])})


def save(measured: Measured, path: Path) -> None:
    """Write a run."""
    content = attrs.asdict(measured, recurse=False) | {"figures": _plain(measured.figures)}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read(figures: Mapping[str, Any]) -> Figures:
    return {
        name: Figure(**one) if "value" in one or "unit" in one else _read(one)
        for name, one in figures.items()
    }


def _plain(figures: Figures) -> dict[str, Any]:
    return {
        name: {"value": _short(one.value), "unit": one.unit}
        if isinstance(one, Figure)
        else _plain(one)
        for name, one in figures.items()
    }


def _short(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")

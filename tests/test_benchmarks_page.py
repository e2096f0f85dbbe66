"""docs/benchmarks.md: it is what its template makes of the figures in benchmarks/measured.json."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks.page import figures, text
from benchmarks.page.figures import Figure, Figures

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"
MEASURED = figures.load(figures.FILE)


def changed(tree: Figures, path: tuple[str, ...], value: float) -> Figures:
    """The same figures with another value at one place."""
    first, *rest = path
    there = tree[first]
    if isinstance(there, Figure):
        return {**tree, first: attrs.evolve(there, value=value)}
    return {**tree, first: changed(there, tuple(rest), value)}


def with_figure(tmp_path: Path, **one: Any) -> Path:
    """A file of a run whose only figure is this one."""
    run = json.loads(figures.FILE.read_text(encoding="utf-8")) | {"figures": {"one": one}}
    file = tmp_path / "measured.json"
    file.write_text(json.dumps(run), encoding="utf-8")
    return file


def links(page: str) -> Iterator[str]:
    """What a page shows and links to in this repository."""
    return (found for found in re.findall(r"\]\(([^)]+)\)", page) if "://" not in found)


def test_the_page_is_made_of_the_measured_figures() -> None:
    assert PAGE.read_text(encoding="utf-8") == text.render(MEASURED)


def test_the_page_shows_every_figure() -> None:
    page = text.render(MEASURED)
    paths = [path for path, _ in figures.leaves(MEASURED.figures)]
    without = [
        "/".join(path)
        for path in paths
        if page
        == text.render(attrs.evolve(MEASURED, figures=changed(MEASURED.figures, path, 7_654_321.0)))
    ]
    assert paths
    assert not without


def test_a_run_is_saved_as_it_is_loaded(tmp_path: Path) -> None:
    figures.save(MEASURED, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == figures.FILE.read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "7", None, True])
def test_a_figure_is_a_finite_number(tmp_path: Path, value: object) -> None:
    with pytest.raises(ValueError, match="value must be a finite number"):
        figures.load(with_figure(tmp_path, value=value, unit="requests"))


@pytest.mark.parametrize("unit", ["", " ", None])
def test_a_figure_names_its_unit(tmp_path: Path, unit: object) -> None:
    with pytest.raises(ValueError, match="unit must be"):
        figures.load(with_figure(tmp_path, value=7, unit=unit))


def test_the_page_links_to_what_is_there() -> None:
    page = PAGE.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    }
    for link in links(page):
        there = link[1:] in headings if link.startswith("#") else (DOCS / link).is_file()
        assert there, link


def test_the_text_needs_nothing_that_draws_or_measures() -> None:
    code = (
        "import sys\n"
        "from benchmarks.page import figures, text\n"
        "text.render(figures.load(figures.FILE))\n"
        "heavy = {'aiohttp', 'limits', 'matplotlib', 'requests', 'twilio'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=DOCS.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == "[]\n"

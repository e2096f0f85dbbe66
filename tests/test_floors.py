"""The lowest versions that pyproject.toml allows: nox's session `lowest` runs the tests on them."""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

PROJECT = tomllib.loads(
    Path(__file__).parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8")
)["project"]
TOOLS = {"test", "bench", "docs", "lint"}


def requirements(*extras: str) -> list[Requirement]:
    """Those of other projects."""
    told = [text for extra in extras for text in PROJECT["optional-dependencies"][extra]]
    found = map(Requirement, [*PROJECT["dependencies"], *told])
    return [one for one in found if one.name != PROJECT["name"]]


def floors(one: Requirement) -> list[Version]:
    return [Version(bound.version) for bound in one.specifier if bound.operator == ">="]


def test_every_dependency_has_a_lower_bound() -> None:
    unbound = [
        str(one) for one in requirements(*PROJECT["optional-dependencies"]) if not floors(one)
    ]
    assert unbound == []


@pytest.mark.skipif("LOWEST" not in os.environ, reason="only nox's session installs them")
def test_the_lowest_versions_are_installed() -> None:
    """A tool of the tests that needs a newer one would have that tested instead."""
    users = requirements(*PROJECT["optional-dependencies"].keys() - TOOLS)
    wanted = [one for one in users if one.marker is None or one.marker.evaluate()]
    assert len(wanted) > len(PROJECT["dependencies"])
    assert {one.name: Version(version(one.name)) for one in wanted} == {
        one.name: floors(one)[0] for one in wanted
    }

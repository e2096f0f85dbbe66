"""The switches' table in `docs/` against the code: neither may say what the other does not."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import attrs
import pytest

from exotel_async.emulator import Emulator, FlowSettings
from exotel_async.emulator.control.field_docs import descriptions
from exotel_async.emulator.control.switch_table import Switch, switches, table

ROOT = Path(__file__).parents[2]
MARKS = {"doc", "portal", "weak", "live", "code", "inferred", "unknown"}


@attrs.define
class Base:
    """Not a field's."""

    plain: int = 0
    told: int = 0
    """Told by the base,
    in two lines."""
    again: int = 0
    """Told by the base."""


@attrs.define
class Derived(Base):
    """Neither."""

    again: int = 1
    """Told anew."""

    def method(self) -> None:
        """Not a field's."""


def test_docstrings_below_fields() -> None:
    assert descriptions(Derived) == {
        "told": "Told by the base, in two lines.",
        "again": "Told anew.",
    }


def test_the_page_has_the_table_of_the_code() -> None:
    name = "docs/reference/emulator-switches.md"
    page = (ROOT / name).read_text("utf-8")
    command = f"python -m exotel_async.emulator.control.switch_table {name}"
    assert page.endswith("\n" + table()), f"to write it anew: {command}"


def test_every_switch_has_a_row_that_says_what_it_changes() -> None:
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \|.*\| (.+) \| .+ \|$", table(), re.MULTILINE))
    names = [
        *(field.name for field in attrs.fields(Emulator) if "section" in field.metadata),
        *(
            f"flow_settings.{field.name}"
            for field in attrs.fields(FlowSettings)
            if "section" in field.metadata
        ),
    ]
    assert sorted(rows) == sorted(names)
    assert all(rows.values())


@pytest.mark.parametrize("switch", switches(), ids=lambda switch: switch.name)
def test_sources_are_sections_of_the_wire_notes_and_begin_with_a_mark(switch: Switch) -> None:
    notes = (resources.files("exotel_async.wire") / "VOICE_V1.md").read_text("utf-8")
    sections = set(re.findall(r"^#+ ([0-9.]*[0-9])\.? ", notes, re.MULTILINE))
    assert switch.section.rstrip("abc") in sections
    mark, *rest = re.split(r"\W+", switch.source, maxsplit=1)
    assert mark in MARKS
    assert rest, "it says what there is to go by, or what was looked for"

"""The pages of the reference that list things have all of them, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from exotel_async.cli.terminal import Exit
from tests.docs import inventory

REFERENCE = Path(__file__).parents[2] / "docs/reference"
OTHER_PROGRAMS = {"REQUESTS_CA_BUNDLE"}
"""Variables that are set for others, and are not read."""


def test_environment_variables() -> None:
    page = (REFERENCE / "environment.md").read_text(encoding="utf-8")
    described = re.findall(r"^:::\{envvar\} (\w+)$", page, re.MULTILINE)
    assert sorted(described) == sorted(inventory.variables() | OTHER_PROGRAMS)


def test_exit_codes() -> None:
    page = (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")
    described = re.findall(r"^## Exit code (\d+)$", page, re.MULTILINE)
    in_table = re.findall(r"^\| \[(\d+)\]\(#exit-code-\1\) \|", page, re.MULTILINE)
    assert described == in_table == [str(code.value) for code in Exit]


def test_exit_codes_that_a_command_names_are_described_for_it() -> None:
    page = (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"## Exit code (\d+)\n(.*?)(?=\n## |\Z)", page, re.DOTALL))
    missing = [
        (command, code)
        for command, codes in inventory.exit_codes()
        for code in sorted(codes - {"2", "130"})  # which are alike for all commands
        if f"`{command}" not in sections[code]
    ]
    assert missing == []


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (REFERENCE.parent / "index.md").read_text(encoding="utf-8")
    pages = {path.stem for path in REFERENCE.iterdir()}
    assert pages == {*re.findall(r"^reference/([\w-]+)$", index, re.MULTILINE)}

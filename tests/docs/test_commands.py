"""The commands in the documentation are commands there are, with options they have."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from exotel_async.cli.app import app
from tests.docs.pages import BLOCKS, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCS = sorted((ROOT / "docs").rglob("*.md"))


def commands() -> Iterator[tuple[str, str]]:
    """Those in blocks that a reader pastes, with their pages."""
    for block in BLOCKS:
        if block.language == "sh":
            for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
                for part in re.split(r" && | \| ", line):
                    if part.startswith("exotel-async "):
                        yield block.page, part


@pytest.mark.parametrize(("page", "command"), [*commands()])
def test_a_command_can_be_read(
    page: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, *arguments = shlex.split(command, comments=True)
    monkeypatch.chdir(tmp_path)
    for argument in arguments:  # files it must find
        if re.fullmatch(r"\w+\.(csv|xlsx|toml|json)", argument):
            (tmp_path / argument).touch()
    app.parse_args(arguments, exit_on_error=False, print_error=False)


def test_the_extras_of_its_pip_commands_exist() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (*DOCS, ROOT / "README.md")]
    named = {
        extra.strip()
        for text in texts
        for extras in re.findall(r"exotel.async\[([\w,]+)\]", text)
        for extra in extras.split(",")
    }
    assert len(named) > 5
    assert named <= set(PROJECT["optional-dependencies"])

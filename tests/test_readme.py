"""The README: its commands, its links, and its length. Its program is run with those of docs/."""

from __future__ import annotations

import re
import tomllib

from exotel_async.emulator import Emulator
from tests.docs.pages import BLOCKS, ROOT, blocks

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_two_commands_do_their_own_set_up() -> None:
    demo, tests = blocks("README", "sh")[:2]
    assert demo == "pip install -e '.[cli]' && exotel-async demo\n"
    assert tests == "pip install -e '.[test]' && pytest -n 8\n"


def test_it_can_be_read_in_one_go() -> None:
    assert README.count("\n") <= 200


def test_its_extras_are_those_there_are() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for_developers = {"bench", "docs", "lint", "test"}
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", README, re.MULTILINE)
    named = {extra for row in rows for extra in re.findall(r"\w+", row)}
    assert named == set(project["optional-dependencies"]) - for_developers


def test_its_exports_are_those_of_the_emulator() -> None:
    (exports,) = (block for block in blocks("README", "sh") if block.startswith("export "))
    emulator = Emulator()
    named = dict(re.findall(r"^export (\w+)='?([^'\n]+)'?$", exports, re.MULTILINE))
    assert named == {
        "EXOTEL_SUBDOMAIN": "http://127.0.0.1:8020",
        "EXOTEL_ACCOUNT_SID": emulator.account_sid,
        "EXOTEL_API_KEY": emulator.api_key,
        "EXOTEL_API_TOKEN": "emulator-token",
    }


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert len(targets) > 20
    for target in targets:
        assert target.startswith("https://") or (ROOT / target).is_file(), target


def test_it_has_one_program() -> None:
    programs = [block for block in BLOCKS if (block.page, block.language) == ("README", "python")]
    assert [block.heading for block in programs] == ["First program"]

"""The pages in docs/: each example in them is a program or a test that runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_pytest_plugin import ASYNCIO, run

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow(6)

DOCS = Path(__file__).parents[1] / "docs"
TESTING = (DOCS / "testing.md").read_text(encoding="utf-8")
COMMANDS = {
    "js": ("dial.test.mjs", "node", "--test", "dial.test.mjs"),
    "php": ("DialTest.php", "phpunit", "DialTest.php"),
    "java": ("DialTest.java", "java", "DialTest.java"),
}
"""The name of the file, and how it is run."""
PASSED = {
    "js": r"# pass 1\n# fail 0",
    "php": r"OK \(1 test, 2 assertions\)",
    "java": r"placed \w{32}",
}


def blocks(language: str) -> list[str]:
    """The code blocks of docs/testing.md in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TESTING, re.MULTILINE | re.DOTALL)


def run_with_warnings(folder: Path, *command: str) -> str:
    """What a command prints that ends well, with this environment's own commands before others."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    printed = ended.stdout + ended.stderr
    assert ended.returncode == 0, printed
    return printed


def test_the_tests_for_pytest(pytester: pytest.Pytester) -> None:
    """In the strict modes, as they stand."""
    pytest.importorskip("pytest_asyncio")
    tests = [block for block in blocks("py") if "unittest" not in block]
    pytester.makepyfile(**{f"test_{number}": test for number, test in enumerate(tests)})
    run(pytester, "", *ASYNCIO).assert_outcomes(passed=len(tests))


def test_those_for_unittest(tmp_path: Path) -> None:
    (block,) = (block for block in blocks("py") if "unittest" in block)
    (tmp_path / "test_it.py").write_text(block, encoding="utf-8")
    assert "Ran 2 tests" in run_with_warnings(tmp_path, sys.executable, "test_it.py")


@pytest.mark.parametrize("language", COMMANDS)
def test_those_of_other_languages(tmp_path: Path, language: str) -> None:
    name, *command = COMMANDS[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    (block,) = blocks(language)
    (tmp_path / name).write_text(block, encoding="utf-8")
    assert re.search(PASSED[language], run_with_warnings(tmp_path, *command))


def test_its_links_lead_somewhere() -> None:
    headings = re.findall(r"^## (.*)$", TESTING, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", TESTING):
        if target.startswith("#"):
            assert target.removeprefix("#") in anchors
        else:
            assert (DOCS / target.partition("#")[0]).exists(), target

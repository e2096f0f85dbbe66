"""What CI does. `nox` does all of it, `nox -s lint` a part; each session makes its own environment.

`.ci/run` runs the same sessions, the first two in one environment.
"""

from __future__ import annotations

import re
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"

ROOT = Path(__file__).parent


@nox.session
def tests(session: nox.Session) -> None:
    """Run the README's test command, as it stands there."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^pip install .*pytest.*$", readme, flags=re.MULTILINE)
    if found is None:
        session.error("the README has no command that installs and runs the tests")
    session.run("bash", "-ec", found[0], external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, spelling, types, architecture and dependencies."""
    session.run("python", "-m", "pip", "install", "--quiet", "-e", ".[lint]", external=True)
    for command in (
        "ruff format --check .",
        "ruff check .",
        "codespell",
        "mypy",
        "pyright --verifytypes exotel_async --ignoreexternal",
        "lint-imports",
        "deptry .",
    ):
        session.run(*command.split(), external=True)


@nox.session(python=["3.12", "3.13"])
def quick(session: nox.Session) -> None:
    """Run the quick part of the tests on newer versions of Python, where they are installed."""
    session.install("--quiet", "-e", ".[test]")
    session.run("pytest", "-n", "6", "-m", "not slow")

"""What CI does. `nox` does all of it, `nox -s lint` a part; each session makes its own environment.

`.ci/run` runs the first four sessions, `tests` and `lint` in one environment.
"""

from __future__ import annotations

import filecmp
import re
import shutil
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
_TOOLS = {"bench", "docs", "lint", "test"}


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
    """Check format, spelling, types, architecture, dependencies and workflows."""
    workflows = " ".join(str(path) for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    session.run("python", "-m", "pip", "install", "--quiet", "-e", ".[lint]", external=True)
    for command in (
        "ruff format --check .",
        "ruff check .",
        "codespell",
        "mypy",
        "pyright --verifytypes exotel_async --ignoreexternal",
        "lint-imports",
        "deptry .",
        "zizmor --offline --quiet .github",
        f"check-jsonschema --builtin-schema vendor.github-workflows {workflows}",
        "check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml",
        "check-jsonschema --builtin-schema vendor.readthedocs .readthedocs.yaml",
    ):
        session.run(*command.split(), external=True)


@nox.session(python="3.12")
def lowest(session: nox.Session) -> None:
    """Run the quick part of the tests on the lowest versions that pyproject.toml allows.

    The newest ones, which is what `pip install` chooses, are those of the other sessions. It has a
    version of Python to itself, so that no version runs the quick tests twice.
    """
    lowest_versions = Path(session.virtualenv.location, "lowest.txt")
    lowest_versions.write_text("\n".join(_lowest_versions()), encoding="utf-8")
    session.install("--quiet", "-c", str(lowest_versions), "-e", ".[test]")
    session.run("pytest", "-n", "5", "-m", "not slow", env={"LOWEST": "1"})


def _lowest_versions() -> Iterator[str]:
    """Pin what users install; the tools of the tests need not be old."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for texts in (project["dependencies"], *(extras[name] for name in extras.keys() - _TOOLS)):
        for one in map(Requirement, texts):
            for bound in one.specifier:
                if bound.operator == ">=":
                    yield f"{one.name}=={bound.version}"


@nox.session(python="3.13")
def quick(session: nox.Session) -> None:
    """Run the quick part of the tests on a newer version of Python, where it is installed.

    Then those of requests by httpx2.
    """
    session.install("--quiet", "-e", ".[test]")
    session.run("pytest", "-n", "5", "-m", "not slow")
    by_httpx2 = {"EXOTEL_HTTP": "httpx2"}
    session.run("pytest", "-n", "5", "-m", "not slow", "tests/http", env=by_httpx2)


@nox.session(python="3.13")
def docs(session: nox.Session) -> None:
    """Build the documentation as Read the Docs does, with nothing but the extra `docs`."""
    session.install("--quiet", ".[docs]")
    session.run("sphinx-build", "-q", "-W", "--keep-going", "docs", session.create_tmp())


@nox.session
def build(session: nox.Session) -> None:
    """Build what is published, into dist/: the sdist, and the wheel from it. Twice, to compare."""
    session.install("--quiet", "build", "twine")
    commit = session.run("git", "log", "-1", "--format=%ct", external=True, silent=True)
    again = Path(session.create_tmp(), "dist")
    for folder in (DIST, again):
        shutil.rmtree(folder, ignore_errors=True)
        command = f"python -m build --outdir {folder} {ROOT}"
        session.run(*command.split(), env={"SOURCE_DATE_EPOCH": str(commit).strip()})
    files = [path.name for path in DIST.iterdir()]
    same, _, _ = filecmp.cmpfiles(DIST, again, files, shallow=False)
    if sorted(same) != sorted(files):
        session.error(f"two builds of one commit differ: {set(files).difference(same)}")
    session.run("twine", "check", "--strict", *(str(DIST / name) for name in files))


@nox.session(reuse_venv=False)
def wheel(session: nox.Session) -> None:
    """Test the wheel in dist/: installed, by the quick tests of the sdist, without its package."""
    wheels, sdists = list(DIST.glob("*.whl")), list(DIST.glob("*.tar.gz"))
    if not (len(wheels) == len(sdists) == 1):
        session.error("dist/ does not hold one wheel and one sdist: `nox -s build` makes them")
    session.install("--quiet", f"{wheels[0]}[test]")
    folder = Path(session.create_tmp(), "sdist")
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(sdists[0]) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    shutil.rmtree(source / "exotel_async")
    session.chdir(source)
    session.run("pytest", "-n", "5", "-m", "not slow")

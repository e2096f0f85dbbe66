"""What is delivered: the sdist, the wheel, what PyPI shows, and the demo out of the wheel."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
import tomllib
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from zipfile import ZipFile

import attrs
import pytest

from exotel_async import __version__
from exotel_async.cli.links import DOCUMENTATION
from tests.cli.support import environment, ran, started

pytestmark = pytest.mark.slow(20)

ROOT = Path(__file__).parents[1]
METADATA = f"exotel_async-{__version__}.dist-info"


@attrs.frozen
class Built:
    """What a build has written."""

    sdist: Path
    wheel: Path

    def files(self) -> tuple[set[str], set[str]]:
        """The names of the files in the sdist, below its folder, and in the wheel."""
        with tarfile.open(self.sdist) as archive:
            in_sdist = {name.partition("/")[2] for name in archive.getnames()}
        with ZipFile(self.wheel) as archive:
            return in_sdist, set(archive.namelist())

    def metadata(self) -> Message:
        """What PyPI shows."""
        with ZipFile(self.wheel) as archive:
            return BytesParser().parsebytes(archive.read(f"{METADATA}/METADATA"))


def _build(source: Path, out: Path, **variables: str) -> Built:
    """Build the sdist, and the wheel from it, as the session `build` in noxfile.py does."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    env = os.environ | {"SOURCE_DATE_EPOCH": "1800000000"} | variables
    subprocess.run(command, check=True, capture_output=True, env=env)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The build of this checkout."""
    return _build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel has been installed, without what it depends on."""
    target = tmp_path_factory.mktemp("wheel") / "installed"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run(
        [*install, "--target", str(target), str(built.wheel)], check=True, capture_output=True
    )
    return target


async def test_the_demo_runs_from_the_wheel_and_ends_on_ctrl_c(installed: Path) -> None:
    env = environment(PYTHONPATH=str(installed), PYTHONWARNINGS="error")
    where = await ran(
        command=(sys.executable, "-c", "import exotel_async; print(exotel_async.__file__)"),
        env=env,
        cwd=str(installed.parent),
    )
    assert where.out.startswith(str(installed))
    command = (sys.executable, str(installed / "bin" / "exotel-async"))

    # A file of the user's own is no library, wherever the demo's program runs.
    (installed.parent / "json.py").write_text("raise SystemExit(5)\n")
    ended = await ran("demo", "--fast", env=env, command=command, cwd=str(installed.parent))
    assert ended.code == 0, ended
    assert "No attempt was dialled twice" in ended.out
    assert ended.err == ""

    async with started("demo", env=env, command=command, cwd=str(installed.parent)) as running:
        await running.line("Killed it")
        ended = await running.end(signal.SIGINT)
    assert ended.code == 130, ended
    assert "Interrupted" in ended.out


def _listed(*options: str) -> set[str]:
    """The names that `git ls-files` lists, of files that are there."""
    command = ["git", "ls-files", "-z", *options]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {name for name in listed.split("\0") if (ROOT / name).is_file()}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a checkout knows what is in git")
def test_the_sdist_has_what_is_in_git_and_the_wheel_has_the_package(built: Built) -> None:
    in_git = _listed()
    new = _listed("--others", "--exclude-standard")
    in_sdist, in_wheel = built.files()
    assert in_git - in_sdist == set()
    assert in_sdist - in_git - new == {"PKG-INFO"}

    package = {name for name in in_sdist if name.startswith("exotel_async/")}
    described = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert in_wheel == package | {f"{METADATA}/{name}" for name in described}


def test_the_build_is_reproducible_from_its_own_sdist(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    source = tmp_path / built.sdist.name.removesuffix(".tar.gz")
    for path in source.rglob("*"):  # as on another machine
        path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    again = _build(source, tmp_path / "dist", PYTHONHASHSEED="7", TZ="Asia/Kolkata")
    assert again.sdist.read_bytes() == built.sdist.read_bytes()
    assert again.wheel.read_bytes() == built.wheel.read_bytes()


def test_pypi_takes_both_files(built: Built) -> None:
    command = [
        sys.executable,
        "-m",
        "twine",
        "check",
        "--strict",
        *map(str, (built.sdist, built.wheel)),
    ]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert built.metadata()["Metadata-Version"] == "2.4"


def test_the_newest_release_in_the_changelog_is_this_version_and_each_has_a_link(
    built: Built,
) -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", changelog, flags=re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == __version__
    assert all(date for _, date in headings[1:])

    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    links = dict(re.findall(r"^\[(.+?)\]: (\S+)$", changelog, flags=re.MULTILINE))
    assert list(links) == [version for version, _ in headings]
    assert all(link.startswith(f"{urls['Source']}/") for link in links.values())
    shown = built.metadata().get_all("Project-URL")
    assert shown == [f"{name}, {url}" for name, url in urls.items()]


def test_links_on_pypi_lead_where_those_of_the_readme_do(built: Built) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages, source = project["urls"]["Documentation"], project["urls"]["Source"]
    shown = built.metadata().get_payload()
    assert isinstance(shown, str)
    expected = []
    for link in re.findall(r"\]\(([^)\s]+)\)", readme):
        if link.startswith("https://"):
            expected.append(link)
        elif link.startswith("docs/_static/"):
            expected.append(f"{pages}/en/latest/{link.removeprefix('docs/')}")
        elif link.startswith("docs/"):
            page = link.removeprefix("docs/").rpartition(".")[0]
            expected.append(f"{pages}/en/latest/{page}.html")
        else:
            expected.append(f"{source}/blob/main/{link}")
    assert re.findall(r"\]\(([^)\s]+)\)", shown) == expected


def test_the_commands_name_where_the_documentation_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Documentation"] == DOCUMENTATION

"""What is delivered: the demo out of a built wheel."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.support import environment, ran, started

pytestmark = pytest.mark.slow(20)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel has been installed, without what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    target = folder / "installed"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*install, "--target", str(target), str(wheel)], check=True, capture_output=True)
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


def test_templates_style_and_script_of_the_page_are_in_the_wheel(installed: Path) -> None:
    page = Path("exotel_async/emulator/page")
    files = {path.relative_to(ROOT) for path in (ROOT / page).rglob("*.*") if path.is_file()}
    wanted = {path for path in files if path.suffix in {".html", ".css", ".js", ".svg"}}
    assert {path.suffix for path in wanted} == {".html", ".css", ".js", ".svg"}
    assert all((installed / path).is_file() for path in wanted)

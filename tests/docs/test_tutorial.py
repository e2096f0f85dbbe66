"""The tutorial, walked from its beginning to its end."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.cli.support import environment
from tests.docs.pages import blocks, files, put_in
from tests.docs.programs import SPEED, prelude, running
from tests.support.ports import free_port

pytestmark = pytest.mark.slow(12)

INSTALLED = Path(sys.executable).parent


async def test_it_leads_to_a_campaign(tmp_path: Path) -> None:
    install, serve, *steps = blocks("tutorial", "sh")
    assert "pip install" in install
    for name, text in files("tutorial").items():
        faster = prelude(text) if name.endswith(".py") else ""
        (tmp_path / name).write_text(faster + text, encoding="utf-8")
    port = str(free_port())
    serve = put_in(serve, "--speed 10", f"--speed {SPEED} --port {port}")
    script = "\n".join(steps).replace("8020", port)
    # Its line is for a terminal that is new; this one has the environment of the tests.
    script = put_in(script, "--poll-interval 2", "--poll-interval 0.1")
    script = put_in(script, ". venv/bin/activate\n", f"export PORT={free_port()}\n")
    env = {**environment(), "PATH": f"{INSTALLED}:/usr/bin:/bin", "PYTHONWARNINGS": "error"}
    program, *arguments = serve.split()
    async with running(
        str(INSTALLED / program), *arguments, log=tmp_path / "emulator.log", env=env
    ):
        while "Next, in another terminal" not in (tmp_path / "emulator.log").read_text():
            await asyncio.sleep(0.05)
        shell = await asyncio.create_subprocess_exec(
            "bash",
            *("-eux", "-c", script),
            cwd=tmp_path,
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        shown = (await shell.communicate())[0].decode()
    assert shell.returncode == 0, shown
    # What the page says of each step.
    assert re.search(r"^placed: \w{32} ", shown, re.MULTILINE)
    assert re.search(r"^ended: ", shown, re.MULTILINE)
    assert re.search(r"^not sent: .*98123", shown, re.MULTILINE) is None  # numbers are masked
    assert re.search(r"^not sent: from_", shown, re.MULTILINE)
    assert re.search(r"^callback: terminal ", shown, re.MULTILINE)
    assert re.search(r"^at its end: ", shown, re.MULTILINE)
    rows = (tmp_path / "results.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 4  # with its header; one was not taken
    assert (tmp_path / "campaigns.db").exists()
    rejected = (tmp_path / "people.csv.rejected.csv").read_text(encoding="utf-8")
    assert "Meena" in rejected

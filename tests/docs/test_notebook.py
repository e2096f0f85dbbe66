"""The pages on notebooks: their cells, run as a notebook runs them."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from exotel_async.emulator import Dial, Emulator
from tests.docs.pages import blocks
from tests.docs.programs import SPEED, environment

pytestmark = pytest.mark.slow

# What ipykernel does with each cell, in the event loop that runs all the time.
NOTEBOOK = """
import asyncio, json, sys
from IPython.core.interactiveshell import InteractiveShell

async def main():
    shell = InteractiveShell.instance()
    for cell in json.loads(sys.argv[1]):
        code = shell.transform_cell(cell)
        ended = await shell.run_cell_async(cell, store_history=True, transformed_cell=code)
        ended.raise_error()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("page", "heading"), [("how-to/notebook", None), ("how-to/sync", "Notebooks")]
)
async def test_its_cells_share_a_session(page: str, heading: str | None, tmp_path: Path) -> None:
    cells = blocks(page, "python", heading)
    assert cells
    past = Dial(from_="+919812300001", to="+919812300002", caller_id="08030000000")
    async with Emulator(speed=SPEED) as emulator:
        for days in range(1, 8):
            emulator.add_call(past, ago=timedelta(days=days))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            NOTEBOOK,
            json.dumps(cells),
            env=environment(emulator, HOME=str(tmp_path), PYTHONWARNINGS="default"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        shown, _ = await process.communicate()
    out = shown.decode()
    assert process.returncode == 0, out
    assert "Balance(" in out
    assert re.search(r"(\]: |^)7\n\Z", out, re.MULTILINE)  # rows
    assert len(emulator.requests) == 2

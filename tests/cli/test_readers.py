"""The reader of the output has gone, as `head` has: all commands end the same way."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from exotel_async.cli.terminal import Exit
from exotel_async.emulator import Emulator
from tests.cli.campaign_ledgers import REACHED, fill, unresolved
from tests.cli.support import COMMAND, EXOPHONE, pointing_at
from tests.cli.support import fill as fill_with_calls
from tests.conftest import SOON

DIAL = f"dial leads.csv --flow 926 --caller-id {EXOPHONE} --dry-run"


async def without_reader(folder: Path, *arguments: str, env: Mapping[str, str]) -> tuple[int, str]:
    """Run a command whose output nothing reads; its exit code, and what it says of it."""
    nothing_reads, output = os.pipe()
    os.close(nothing_reads)
    try:
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, *arguments),
            env=env,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.PIPE,
        )
    finally:
        os.close(output)
    async with asyncio.timeout(SOON):
        _, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, err.decode()


@pytest.mark.slow(12)
@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "--version",
        "campaign export --help",
        "campaign list",
        "campaign list --json",
        "campaign status diwali",
        "campaign status diwali --json",
        "campaign outcomes diwali",
        "campaign outcomes diwali --json",
        "campaign export diwali -o -",
        "campaign export diwali -o - --format jsonl",
        "campaign resolve diwali",
        "campaign resolve diwali --json",
        DIAL,
        f"{DIAL} --json",
        "doctor",
        "emulator --schema",
        "export -o -",
        "get {sid}",
        "get {sid} --json",
        "number 9812300001",
    ],
)
async def test_a_command_ends_as_by_ctrl_c_and_quietly(
    emulator: Emulator, tmp_path: Path, command: str
) -> None:
    (sid,) = fill_with_calls(emulator, 1)
    ends = [REACHED, unresolved()]
    await fill(tmp_path / "campaigns.db", ["9812300001", "9812300002"], ends)
    (tmp_path / "leads.csv").write_text("Mobile\n9812300001\n")
    words = command.format(sid=sid).split()
    code, err = await without_reader(tmp_path, *words, env=pointing_at(emulator))
    assert code == Exit.INTERRUPTED
    assert "exotel-async:" not in err

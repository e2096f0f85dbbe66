"""The page on the emulator: its file, and the commands for what it makes."""

from __future__ import annotations

import asyncio
import shutil
import tomllib

import pytest

from exotel_async.emulator import Emulator
from exotel_async.emulator.control.config import read_config
from tests.docs.pages import blocks

pytestmark = pytest.mark.slow


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_its_file_and_the_commands_for_it() -> None:
    """Those that curl is given, each answered without an error."""
    (file,) = blocks("how-to/emulator", "toml")
    (commands,) = blocks("how-to/emulator", "sh")
    async with Emulator(**read_config(tomllib.loads(file)).settings) as emulator:
        script = commands.replace("127.0.0.1:8020", emulator.base_url)
        script = script.replace("curl ", "curl --silent --show-error --fail --noproxy '*' ")
        shell = await asyncio.create_subprocess_exec("sh", "-ec", script)
        assert await shell.wait() == 0
        assert len(emulator.faults.pending) == len(emulator.calls) == 1
        assert all(call.ended for call in emulator.calls.values())

"""Runs programs of the documentation against an emulator."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from exotel_async.emulator import Emulator
from tests.support import fork_server
from tests.support.ports import free_port

SPEED = 60


def prelude(program: str) -> str:
    """What makes the minutes and pauses of a program as short as the emulator's clock is fast."""
    modules = ["exotel_async.calls.resource"]
    if "exotel_async.sync" in program:
        modules.append("exotel_async.sync.generated")
    if "exotel_async.webhooks" in program:  # a callback is to come before a poll
        modules = []
    return f"""
import asyncio, importlib
_sleep = asyncio.sleep
asyncio.sleep = lambda seconds, *result: _sleep(seconds / {SPEED}, *result)
importlib.import_module("exotel_async").RateLimit.__init__.__kwdefaults__["per"] /= {SPEED}
for _module in map(importlib.import_module, {modules}):
    for _method in ("wait", "as_completed", "connect_many", "reconcile"):
        getattr(_module.Calls, _method).__kwdefaults__["interval"] /= {SPEED}
"""


def environment(emulator: Emulator, **more: str) -> dict[str, str]:
    """What a user exports who has an account on that emulator."""
    return {
        **os.environ,
        "PYTHONWARNINGS": "error",
        "EXOTEL_SUBDOMAIN": emulator.base_url,
        "EXOTEL_ACCOUNT_SID": emulator.account_sid,
        "EXOTEL_API_KEY": emulator.api_key,
        "EXOTEL_API_TOKEN": emulator.api_token,
        "EXOTEL_RATE_LIMIT_URL": "",
        "PORT": str(free_port()),
        **more,
    }


async def started(program: str, emulator: Emulator, folder: Path) -> fork_server.Process:
    """Start a program against an emulator."""
    (folder / "example.py").write_text(prelude(program) + program, encoding="utf-8")
    return await fork_server.start("example", (), env=environment(emulator), cwd=str(folder))


async def output_of(program: str, emulator: Emulator, folder: Path) -> str:
    """What a program prints, run against an emulator."""
    process = await started(program, emulator, folder)
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def _show(log: Path) -> None:
    sys.stdout.write(f"{log.name}:\n{log.read_text(encoding='utf-8')}\n")


@asynccontextmanager
async def running(
    *words: str, log: Path, **options: Any
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a server until the block ends, and end it as Ctrl-C or a supervisor does."""
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *words, stdout=out, stderr=out, start_new_session=True, **options
        )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            await process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        _show(log)

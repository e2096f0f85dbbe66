"""Ctrl-C and SIGTERM while the command starts, quietly, at every moment from the first of our
modules on; and SIGTERM while commands work."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exotel_async.emulator import Emulator, Fault
from tests.cli.support import COMMAND, FIRST, environment, pointing_at, started

SCRIPT = (str(Path(sys.executable).with_name("exotel-async")),)
OURS = "exotel_async.cli.ctrl_c"
MOMENTS = 4

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="SIGINT reaches no one process"),
]


def start(*command: str) -> subprocess.Popen[str]:
    """Start the command, which tells of each module it has imported."""
    return subprocess.Popen(
        command,
        env=environment(PYTHONPROFILEIMPORTTIME="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    *command: str,
    interrupt_after: int | None = None,
    by: signal.Signals = signal.SIGINT,
) -> tuple[int, list[str], str]:
    """Run the command, and interrupt it when that many modules have followed the first.

    Returns:
        Its exit code; which modules it imported; and what else it wrote to stderr.
    """
    modules: list[str] = []
    told = ""
    with start(*command) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if not line.startswith("import time:"):
                told += line
                continue
            modules.append(line.rpartition("|")[2].strip())
            if interrupt_after is not None and OURS in modules[: -1 - interrupt_after]:
                process.send_signal(by)
                interrupt_after = None
        process.communicate()
    assert interrupt_after is None
    return process.returncode, modules, told


@pytest.mark.parametrize(
    "command",
    [(*SCRIPT, "--help"), (*COMMAND, "doctor")],
    ids=["script", "module"],
)
def test_while_modules_are_imported(command: tuple[str, ...]) -> None:
    _, modules, _ = run(*command)
    imports = len(modules) - modules.index(OURS) - 1
    assert imports > 200
    for moment in range(MOMENTS):
        by = (signal.SIGINT, signal.SIGTERM)[moment % 2]
        code, _, told = run(*command, interrupt_after=moment * (imports - 1) // MOMENTS, by=by)
        assert (code, told) == (130, "exotel-async: interrupted\n")


def test_it_is_looked_after_before_anything_else_is_imported() -> None:
    _, modules, _ = run(*SCRIPT, "--version")
    before = modules[: modules.index(OURS)]
    assert [name for name in before if name.startswith("exotel_async")] == [
        "exotel_async",
        "exotel_async.cli",
    ]
    assert not {"typing", "asyncio", "attr"} & set(before)


def ignoring(by: signal.Signals) -> tuple[str, ...]:
    """Return what a command is started with that ignores a signal."""
    program = (
        f"import os, signal, sys; signal.signal({by.value}, signal.SIG_IGN); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return (sys.executable, "-c", program)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_background_job_that_ignores_it_goes_on(by: signal.Signals) -> None:
    command = (*ignoring(by), *COMMAND, "--version")
    code, _, told = run(*command, interrupt_after=9, by=by)
    assert (code, told) == (0, "")


@pytest.mark.parametrize("before", [(), ignoring(signal.SIGINT)], ids=["", "in the background"])
@pytest.mark.parametrize("command", [("number", FIRST), ("doctor",)])
async def test_sigterm_while_an_answer_is_waited_for(
    emulator: Emulator, command: tuple[str, ...], before: tuple[str, ...]
) -> None:
    emulator.faults.add(Fault.act_then_stall(), times=None)
    async with started(*command, env=pointing_at(emulator), command=(*before, *COMMAND)) as running:
        while not emulator.requests:
            await asyncio.sleep(0.01)
        ended = await running.end(signal.SIGTERM)
    assert (ended.code, ended.out, ended.err) == (130, "", "exotel-async: interrupted\n")

"""Starting, killing and checking the process of the demo's program."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from attrs import define

from exotel_async.cli.demo_child import Assignment
from exotel_async.cli.terminal import one_line

# -P: a file in the current directory must not take the place of a library.
COMMAND: Final[Sequence[str]] = (sys.executable, "-P", "-m", "exotel_async.cli.demo_child")


class ProgramFailed(Exception):
    """The program could not be started, failed or ended too early. The text says how."""


@define(eq=False)
class Program:
    """The demo's program, running in a process of its own."""

    process: asyncio.subprocess.Process
    errors: asyncio.Task[bytes]

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self.process.returncode is not None

    async def kill(self) -> None:
        """Kill the process, like `kill -9`, and wait for its end."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def check(self) -> None:
        """Check the exit code.

        Raises:
            ProgramFailed: it is not 0.
        """
        code = await self.process.wait()
        if code:
            said = one_line((await self.errors).decode(errors="replace").strip().split("\n")[-1])
            raise ProgramFailed(
                f"the demo's program ended with exit code {code}: {said or 'it said nothing'}"
            )


@asynccontextmanager
async def program(assignment: Assignment) -> AsyncIterator[Program]:
    """Start the program; it is killed at the end of the block.

    Raises:
        ProgramFailed: it cannot be started.
    """
    pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=pipe, stdout=nowhere, stderr=pipe
        )
    except OSError as error:
        raise ProgramFailed(f"the demo's program cannot be started: {error.strerror}") from None
    assert process.stdin is not None and process.stderr is not None  # noqa: PT018, S101 - pipes
    started = Program(process, asyncio.create_task(process.stderr.read()))
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # `check` reports why it ended
            process.stdin.write(assignment.line().encode())
            await process.stdin.drain()
        yield started
    finally:
        await started.kill()
        started.errors.cancel()

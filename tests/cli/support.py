"""Running the real command, as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random

from attrs import define, frozen

from exotel_async.emulator import Emulator
from exotel_async.emulator.calls import Dial
from tests.conftest import SOON
from tests.support import fork_server

TOKEN = "canary-token-5e1f"
COMMAND = (sys.executable, "-m", "exotel_async")
EAGER = (*COMMAND[:-1], "tests.cli.eager")
"""The same with shorter pauses, to be run in this folder: `call --wait` polls at once, requests
that failed are tried again at once, and `dial` is certain 13 minutes sooner that a lost dial made
no call."""
QUICK = ("--rate", "60000")
"""What lets a command with many requests be quick, if the emulator does."""
ONE_CERTIFICATE = str(Path(__file__).parents[1] / "support" / "localhost.pem")
FIRST, SECOND, EXOPHONE = "+919812300001", "09812300002", "08030000000"


@frozen
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        """What it wrote to stderr, line by line."""
        return self.err.splitlines()


@define(eq=False)
class Running:
    """A command that runs."""

    process: asyncio.subprocess.Process | fork_server.Process
    seen: str = ""
    seen_errors: str = ""

    async def line(self, containing: str) -> str:
        """Wait for such a line on stdout."""
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            self.seen += line
            if containing in line:
                return line
        raise AssertionError(f"{containing!r} never came: {self.seen}")

    async def error_lines(self) -> AsyncIterator[str]:
        """Read line by line what comes on stderr."""
        assert self.process.stderr is not None
        while line := (await self.process.stderr.readline()).decode():
            self.seen_errors += line
            yield line

    async def end(self, by: signal.Signals | None = None) -> Ended:
        """Wait for its end, which a signal brings about soon."""
        if by is not None:
            self.process.send_signal(by)
        async with asyncio.timeout(None if by is None else SOON):
            out, err = await self.process.communicate()
        code = self.process.returncode
        assert code is not None
        ended = Ended(code, self.seen + out.decode(), self.seen_errors + err.decode())
        assert TOKEN not in ended.out + ended.err
        assert "Traceback" not in ended.err, ended.err
        return ended


def environment(**variables: str) -> Mapping[str, str]:
    """The environment of this process, but for what leads to an Exotel."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("EXOTEL_")}
    # To read all certificates there are takes as long as the rest of a start.
    return {**plain, "SSL_CERT_FILE": ONE_CERTIFICATE, **variables}


def pointing_at(emulator: Emulator, **changes: str) -> Mapping[str, str]:
    """An environment that leads to that emulator."""
    return environment(
        **{
            "EXOTEL_SUBDOMAIN": emulator.base_url,
            "EXOTEL_ACCOUNT_SID": emulator.account_sid,
            "EXOTEL_API_KEY": emulator.api_key,
            "EXOTEL_API_TOKEN": emulator.api_token,
            **changes,
        }
    )


@asynccontextmanager
async def started(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    command: tuple[str, ...] = COMMAND,
    cwd: str | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
) -> AsyncIterator[Running]:
    """Start the command; it is gone when the block ends."""
    env = environment() if env is None else env
    process: asyncio.subprocess.Process | fork_server.Process
    if command in {COMMAND, EAGER}:
        process = await fork_server.start(command[-1], arguments, env=env, cwd=cwd, stdin=stdin)
    else:
        process = await asyncio.create_subprocess_exec(
            *command,
            *arguments,
            env=env,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=cwd,
        )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ran(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    command: tuple[str, ...] = COMMAND,
    cwd: str | None = None,
) -> Ended:
    """Run the command to its end."""
    async with started(*arguments, env=env, command=command, cwd=cwd) as running:
        return await running.end()


def fill(emulator: Emulator, calls: int, *, days: float = 10, seed: int = 1) -> Sequence[str]:
    """Enter calls that are over and settled, spread over some days; their SIDs, oldest first."""
    random = Random(seed)
    ages = sorted((random.uniform(7_200, days * 86_400) for _ in range(calls)), reverse=True)
    return [
        emulator.add_call(
            Dial(from_=f"+9198{number:08d}", to=SECOND, caller_id=EXOPHONE),
            ago=timedelta(seconds=age),
        ).sid
        for number, age in enumerate(ages, start=12_300_000)
    ]


def left_in(folder: Path) -> list[str]:
    """The names of what is in a folder."""
    return sorted(path.name for path in folder.iterdir())

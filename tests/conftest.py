"""Fixtures shared by all tests."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings

from exotel_async import AsyncExotel, RateLimit, RetryPolicy
from exotel_async.emulator import Emulator
from exotel_async.limiter import token_bucket
from exotel_async.limiter.memory import Memories

EXOPHONE = "08030000000"
CUSTOMER = "+919812300001"
AGENT = "+919812300002"
SOON = 20.0
"""Seconds, to bound what takes no time: a busy machine takes less, and what must not be waited for
takes more."""

TLS = ssl.create_default_context()
"""Not used, but each client would take 0.1 s to make its own."""

OpenSession = Callable[..., AsyncExotel]

# No wall-clock time is held against a bound: not an example's, either.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let each worker begin with another part of the tests, and find the rest of them compiled.

    Else each of them compiles all, after a change or in a fresh clone.

    Garbage is looked for when all tests are collected: until then there is hardly any.
    """
    if session.config.getoption("numprocesses"):
        return  # its workers run the tests
    gc.disable()
    worker, workers = (os.environ.get(f"PYTEST_XDIST_WORKER{what}") for what in ("", "_COUNT"))
    if worker is None or workers is None or session.config.args != ["tests"]:
        return
    folder = Path(__file__).parent
    paths = sorted(folder.rglob("test_*.py"))
    first = len(paths) * int(worker.removeprefix("gw")) // int(workers)
    for path in (*paths[first:], *paths[:first]):
        name = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
        # It is imported again when its tests are collected, and then reported.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin first: of those side by side, the last one says when it ends."""
    functions = {
        (item.path, item.nodeid.partition("[")[0]): mark.args[0] if mark.args else 2
        for item in items
        for mark in item.iter_markers("slow")
    }
    seconds: Counter[Path] = Counter()
    for (path, _), takes in functions.items():
        seconds[path] += takes
    items.sort(key=lambda item: -seconds[item.path])


def pytest_collection_finish() -> None:
    """Leave out of garbage collection what exists by now: it cost a sixth of all time."""
    gc.enable()
    gc.freeze()


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the one loop the SDK is written for."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "API_TOKEN", "ACCOUNT_SID", "SUBDOMAIN", "RATE_LIMIT_URL", "LOG"):
        monkeypatch.delenv(f"EXOTEL_{name}", raising=False)


@pytest.fixture(autouse=True)
def _nothing_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test know what another one has spent: its account may be at the same port."""
    monkeypatch.setattr(token_bucket, "MEMORIES", Memories())


@pytest.fixture(autouse=True)
def audible_ctrl_c() -> Iterator[None]:
    """Undo `pytest &`: a shell has its background jobs ignore SIGINT, and they pass that on."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Each of the libraries that requests go out by: what sessions use for themselves."""
    name: str = request.param
    monkeypatch.setenv("EXOTEL_HTTP", name)
    return importlib.import_module(name)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """A local Exotel thirty times as fast as time: its minute has two seconds."""
    async with Emulator(speed=30) as emulator:
        yield emulator


def at_its_budget(emulator: Emulator) -> dict[str, Any]:
    """Settings of a session with an emulator, at the emulator's own budget, quick to try again."""
    return {
        "account_sid": emulator.account_sid,
        "api_key": emulator.api_key,
        "api_token": emulator.api_token,
        "base_url": emulator.base_url,
        "rate_limit": RateLimit(emulator.rate, per=emulator.per / emulator.speed),
        "retry": RetryPolicy(backoff=0.01, backoff_cap=0.05),
    }


def session(emulator: Emulator, **options: Any) -> AsyncExotel:
    """Make a session with these settings, or others."""
    return AsyncExotel(**(at_its_budget(emulator) | options))


@pytest.fixture
async def exotel(emulator: Emulator) -> AsyncIterator[AsyncExotel]:
    """A session with `emulator`."""
    async with session(emulator) as exotel:
        yield exotel


@pytest.fixture(scope="session")
def valkey_for_all() -> Iterator[str]:
    """The URL of a Valkey, a real one."""
    from tests.support import valkey  # noqa: PLC0415 - there is none on every platform

    with valkey.running() as url:
        yield url


@pytest.fixture
def valkey(valkey_for_all: str) -> str:
    """The URL of a Valkey with nothing in it."""
    with redis.Redis.from_url(valkey_for_all) as client:
        client.flushall()
    return valkey_for_all

"""One fast Exotel for all tests of a file, a dialer for each, and a ledger in each database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from exotel_async.campaigns import feeding
from exotel_async.campaigns.dialer import Dialer
from exotel_async.campaigns.ledger import Ledger
from exotel_async.emulator import Emulator
from tests.campaigns.ledgers import copy_to, make
from tests.campaigns.running import SHORT, campaign, dialling, fast_exotel
from tests.support import postgres


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run async tests on asyncio, and fixtures that a file shares in one loop with them."""
    return "asyncio"


@pytest.fixture(scope="module")
async def shared_exotel() -> AsyncIterator[Emulator]:
    """The emulator of the file."""
    async with fast_exotel() as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def _frequent_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let dialers look more often at what other processes have changed."""
    monkeypatch.setattr(feeding, "_LEDGER_POLL", 0.3)
    monkeypatch.setattr(feeding, "_HOLDER_POLL", 0.1)


@pytest.fixture
async def exotel_server(shared_exotel: Emulator) -> Emulator:
    """The emulator of the file, as if it had just been started."""
    emulator = shared_exotel
    emulator.reset()
    emulator.scenario, emulator.channels = SHORT, None
    emulator.kyc, emulator.balance_exhausted, emulator.ndnc = True, False, ()
    emulator.channels_status, emulator.latency = 402, None
    return emulator


@pytest.fixture
async def dialer(exotel_server: Emulator, tmp_path: Path) -> AsyncIterator[Dialer]:
    """A dialer with a campaign of nobody."""
    async with dialling(exotel_server, tmp_path) as dialer:
        await dialer.create(campaign())
        yield dialer


def _new_server() -> Iterator[postgres.Server]:
    try:
        with postgres.running() as server:
            yield server
    except postgres.Unfit as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A PostgreSQL of the tests' own."""
    yield from _new_server()


@pytest.fixture
def own_server() -> Iterator[postgres.Server]:
    """One that a test may stop."""
    yield from _new_server()


@pytest.fixture(scope="session")
def empty_ledger_database(postgres_server: postgres.Server) -> str:
    """A database with a ledger in which there is nothing, to be copied."""
    database = postgres_server.new_database()
    make(Ledger(database))
    return database


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a ledger may be, or is if it is asked for as well: a file, and a database."""
    is_made = "ledger" in request.fixturenames
    if request.param == "sqlite":
        file = tmp_path / "campaigns.db"
        if is_made:
            copy_to(file)
        return str(file)
    server: postgres.Server = request.getfixturevalue("postgres_server")
    if not is_made:
        return server.new_database()
    return server.new_database(like=request.getfixturevalue("empty_ledger_database"))


@pytest.fixture
async def ledger(place: str) -> AsyncIterator[Ledger]:
    """A ledger that is open."""
    async with Ledger(place) as one:
        yield one


@pytest.fixture
async def other(ledger: Ledger, place: str) -> AsyncIterator[Ledger]:
    """Another one with the same database, as in another process."""
    async with Ledger(place) as one:
        yield one

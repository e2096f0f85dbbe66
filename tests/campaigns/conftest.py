"""One fast Exotel for all tests of a file, and a dialer for each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator
from tests.campaigns.running import SHORT, campaign, dialling, fast_exotel


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run async tests on asyncio, and fixtures that a file shares in one loop with them."""
    return "asyncio"


@pytest.fixture(scope="module")
async def shared_exotel() -> AsyncIterator[Emulator]:
    """The emulator of the file."""
    async with fast_exotel() as emulator:
        yield emulator


@pytest.fixture
def exotel_server(shared_exotel: Emulator) -> Emulator:
    """The emulator of the file, as if it had just been started."""
    emulator = shared_exotel
    emulator.reset()
    emulator.scenario, emulator.channels = SHORT, None
    emulator.kyc, emulator.balance_exhausted, emulator.ndnc = True, False, ()
    return emulator


@pytest.fixture
async def dialer(exotel_server: Emulator, tmp_path: Path) -> AsyncIterator[Dialer]:
    """A dialer with a campaign of nobody."""
    async with dialling(exotel_server, tmp_path) as dialer:
        await dialer.create(campaign())
        yield dialer

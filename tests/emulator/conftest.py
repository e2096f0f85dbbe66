"""An emulator with a client beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from exotel_async.emulator import Emulator, Scenario
from tests.emulator.application import Application, running
from tests.emulator.support import client_of


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """One where everybody answers after 5 s and talks for 30 s, and the clock runs as ours does."""
    async with Emulator(rate=1000, scenario=Scenario.all_answered()) as running:
        yield running


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that emulator."""
    async with client_of(emulator) as running:
        yield running


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    """A web application that flows can ask."""
    async with running() as application:
        yield application

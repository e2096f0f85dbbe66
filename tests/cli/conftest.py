"""An emulator whose token is a canary."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from exotel_async.emulator import Emulator
from tests.cli.support import TOKEN


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """One in this process, for commands that are processes of their own."""
    async with Emulator(api_token=TOKEN) as running:
        yield running


@pytest.fixture
async def busy() -> AsyncIterator[Emulator]:
    """One that refuses nothing, for commands with many requests."""
    async with Emulator(api_token=TOKEN, rate=1_000_000) as running:
        yield running

"""An emulator whose token is a canary, and commands that hear Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from exotel_async.emulator import Emulator
from tests.cli.support import TOKEN


@pytest.fixture(autouse=True)
def audible_ctrl_c() -> Iterator[None]:
    """Undo `pytest &`: a shell has its background jobs ignore SIGINT, and they pass that on."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """One in this process, for commands that are processes of their own."""
    async with Emulator(api_token=TOKEN) as running:
        yield running

"""An emulator in a thread, for code that is not async."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

import pytest

from exotel_async.emulator import Emulator
from exotel_async.limiter import token_bucket
from exotel_async.sync import Exotel
from tests.sync.support import sync_session


@pytest.fixture(autouse=True)
def _budgets_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test have the limiter of another one: the loop stays, and ports come again."""
    monkeypatch.setattr(token_bucket, "_shared", WeakKeyDictionary())


@pytest.fixture
def served() -> Iterator[Emulator]:
    """A local Exotel thirty times as fast as time."""
    with Emulator(speed=30) as emulator:
        yield emulator


@pytest.fixture
def sync_exotel(served: Emulator) -> Iterator[Exotel]:
    """A session with it."""
    with sync_session(served) as exotel:
        yield exotel

"""Tests of the async session that look at nothing but what it does, through the synchronous one."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any, Final

import pytest

from exotel_async.emulator import Emulator
from tests import test_session
from tests.calls import test_changes, test_get, test_get_many, test_list
from tests.http import test_faults
from tests.resources import test_exophones
from tests.sync import async_face

pytestmark = pytest.mark.slow(0.3)

MODULES: Final = (
    test_session,
    test_get,
    test_get_many,
    test_list,
    test_changes,
    test_faults,
    test_exophones,
)
_OF_THE_LOOP: Final = re.compile(
    # Tasks, internals, async input, what is done in one turn of the loop, or is the same object.
    r"asyncio|\._[a-z]|monkeypatch|aclosing|http_client|generated|aiter|anext|AsyncExotel\("
    r"|\ball_of\(|\bturns\(|\bexotel is |\.limiter is |PHONES"
)
_OF_SEVEN_EXOPHONES: Final = {
    "test_page_by_page_from_our_own_host",
    "test_a_list_is_read_anew_each_time_and_no_further_than_needed",
}


def _tests(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, test in vars(module).items():
        if (
            name in _OF_SEVEN_EXOPHONES
            or not name.startswith("test_")
            or not inspect.iscoroutinefunction(test)
        ):
            continue
        marks = {mark.name for mark in getattr(test, "pytestmark", [])}
        if "slow" not in marks and not _OF_THE_LOOP.search(inspect.getsource(test)):
            yield f"{name}__{module.__name__.rpartition('.')[2]}", test


globals().update(test for module in MODULES for test in _tests(module))


@pytest.fixture(autouse=True)
def _through_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in MODULES:
        monkeypatch.setattr(module, "session", async_face.session)


@pytest.fixture
async def exotel(emulator: Emulator) -> AsyncIterator[Any]:
    """The synchronous session, with the face of an async one."""
    async with async_face.session(emulator) as exotel:
        yield exotel


def test_there_are_many() -> None:
    assert len([name for name in globals() if name.startswith("test_")]) > 80

"""A synchronous session with the face of an async one: each method runs in a thread.

So the tests of the async session can be run through the synchronous one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Self

from exotel_async import sync
from exotel_async.emulator import Emulator
from tests.sync.support import sync_session

_THREADS: Final = ThreadPoolExecutor(80)
_PARTS: Final = (sync.Calls, sync.Numbers, sync.Account, sync.ExoPhones)
_READ: Final = (
    sync.CallRecords,
    sync.CallChanges,
    sync.ExoPhoneList,
    sync.Recording,
    sync.CallResults,
    sync.EndedCalls,
    sync.Dials,
)
_NOW: Final = {"with_options", "notify", "statistics", "stop", "list", "changes", "ended", "pages"}
"""Methods that are not coroutines, besides those that make a stream."""
_END: Final = object()


async def _in_a_thread(work: Any, *arguments: Any, **keywords: Any) -> Any:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREADS, partial(work, *arguments, **keywords))


class AsyncFace:
    """Anything of a synchronous session."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        def now(work: Any, *arguments: Any, **keywords: Any) -> Any:
            # In a thread as well: here a loop runs.
            made = _THREADS.submit(partial(work, *arguments, **keywords)).result()
            return _faced(made)

        if isinstance(getattr(type(self._inner), name, None), property):
            return now(getattr, self._inner, name)
        found = getattr(self._inner, "close" if name == "aclose" else name)
        if not callable(found):
            return _faced(found)
        makes = name in {"connect_many", "get_many", "as_completed", "open_recording"}
        return partial(now, found) if makes or name in _NOW else partial(_in_a_thread, found)

    def __await__(self) -> Generator[Any, None, Any]:
        return _in_a_thread(self._inner.first_page).__await__()

    async def __aenter__(self) -> Self:
        await _in_a_thread(self._inner.__enter__)
        return self

    async def __aexit__(self, *error: object) -> None:
        await _in_a_thread(self._inner.__exit__, *error)

    def __aiter__(self) -> AsyncIterator[Any]:
        return _read(self._inner)


async def _read(inner: Any) -> AsyncGenerator[Any, None]:
    items = await _in_a_thread(iter, inner)
    while (item := await _in_a_thread(next, items, _END)) is not _END:
        yield item


def _faced(value: Any) -> Any:
    if isinstance(value, (sync.Limiter, sync.Exotel, *_PARTS, *_READ)):
        return AsyncFace(value)
    if isinstance(value, Iterator):
        return _read(value)
    return value


def session(emulator: Emulator, **options: Any) -> Any:
    """Make one, as `tests.conftest.session` does."""
    return AsyncFace(sync_session(emulator, **options))

"""Streaming a recording: `exotel.calls.open_recording`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, Self

import anyio

from exotel_async.errors import ConfigurationError
from exotel_async.http.closing import CLOSED

if TYPE_CHECKING:
    from exotel_async.http.pipeline import Pipeline
    from exotel_async.http.receive import Sink

_LEFT: Final = "the block of this recording was left"


class Recording:
    """An open recording: read it with ``async for``, in its block.

    It is requested when the block is entered, and open when the first bytes have arrived. Nothing
    is read ahead except what the connection buffers, and leaving the block ends it.
    """

    def __init__(self, pipeline: Pipeline, fetch: Callable[[Sink], Awaitable[None]]) -> None:
        self._pipeline = pipeline
        self._fetch = fetch
        self._scope = anyio.CancelScope()
        self._begun: tuple[_Handover, asyncio.Task[None]] | None = None

    @property
    def content_type(self) -> str | None:
        """The content type that the host states, such as `audio/mpeg`; None if it states none."""
        return self._opened()[0].content_type

    @property
    def size(self) -> int | None:
        """Its size in bytes; None if the host does not state it. `max_size` applies regardless."""
        return self._opened()[0].size

    async def __aenter__(self) -> Self:
        """Open it.

        Raises:
            ExotelError: as `download_recording` does.
        """
        if self._begun is not None:
            raise RuntimeError("a recording can be read once: open it again")
        task = self._pipeline.run_task(self._run)
        handover = _Handover()
        self._begun = handover, task
        try:
            first = asyncio.wait({task, handover.opened}, return_when=asyncio.FIRST_COMPLETED)
            await self._pipeline.wait(first)
            if not handover.opened.done():
                await _result(task)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Return the next bytes.

        Raises:
            RequestTimeout: the connection was lost, stalled, or was too slow.
            DecodeError: the recording is larger than `max_size`.
            ConfigurationError: the session is closed.
        """
        handover, task = self._opened()
        try:
            return await self._pipeline.wait(handover.chunks.receive())
        except anyio.ClosedResourceError:
            raise RuntimeError(_LEFT) from None
        except anyio.EndOfStream:
            await _result(task)
            if self._scope.cancel_called:  # the bytes that came are not all
                raise RuntimeError(_LEFT) from None
            raise StopAsyncIteration from None

    def _opened(self) -> tuple[_Handover, asyncio.Task[None]]:
        if self._begun is None:
            raise RuntimeError("use it in `async with`")
        return self._begun

    async def _run(self) -> None:
        handover, _ = self._opened()
        with self._scope, self._pipeline.reports.operation("calls.open_recording"):
            try:
                await self._fetch(handover)
            finally:
                handover.end()

    async def _close(self) -> None:
        handover, task = self._opened()
        self._scope.cancel()
        handover.chunks.close()
        # Retrieve an exception after the block was left, or asyncio logs it.
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Wait until the connection is given back, but not for a response that has not begun.
        if handover.opened.done():
            with anyio.CancelScope(shield=True):
                await asyncio.wait({task})


class _Handover:
    """A sink that hands each chunk to the reader, and accepts the next one only after that."""

    failure: Final = None

    def __init__(self) -> None:
        self._send, self.chunks = anyio.create_memory_object_stream[bytes](0)
        self.opened: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        self.content_type: str | None = None
        self.size: int | None = None

    @property
    def cannot_restart(self) -> bool:
        """Whether any bytes were handed on, so that the request must not be retried."""
        return self.opened.done()

    def got_headers(self, headers: Mapping[str, str]) -> None:
        """Record what the response headers say about the file."""
        length = headers.get("content-length", "")
        self.content_type = headers.get("content-type")
        self.size = int(length) if length.isascii() and length.isdigit() else None

    async def write(self, chunk: bytes) -> None:
        """Hand a chunk to the reader."""
        if not self.opened.done():
            self.opened.set_result(None)
        await self._send.send(chunk)

    async def discard(self) -> None:
        """Do nothing: chunks are not kept here."""

    def end(self) -> None:
        """Let the reader know that nothing more comes."""
        self._send.close()


async def _result(task: asyncio.Task[None]) -> None:
    """Wait for a task, and raise its exception, if any."""
    await asyncio.wait({task})
    if task.cancelled():
        raise ConfigurationError(CLOSED)
    task.result()

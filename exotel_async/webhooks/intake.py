"""What is let in of a request's body: so many bytes, in so much time, of a type that is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final

from exotel_async.webhooks.body import media_type

MOST_BODY: Final = 64 * 1024
"""Bytes. The longest callback seen has two thousand."""
BODY_SECONDS: Final = 5.0

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""
Receive = Callable[[], Awaitable[Any]]
"""As ASGI has it."""


class Refused(Exception):
    """A request is answered with a bare status, and not looked at any more.

    Attributes:
        status: the HTTP status.
        headers: what comes with it.
    """

    def __init__(self, status: int, *headers: tuple[str, str]) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


class ClientGone(Exception):
    """The client has left before its request was there."""


async def read_callback(
    headers: Headers, chunks: AsyncIterable[bytes], *, most: int, seconds: float
) -> tuple[bytes, str]:
    """Read the body of a status callback.

    Args:
        headers: those of the request.
        chunks: its body, piece by piece.
        most: bytes.
        seconds: for all of it to come.

    Returns:
        The body and its Content-Type.

    Raises:
        Refused: 415, 413 or 408; of a body that does not say its length only when it is there.
    """
    content_type, length = None, b""
    for name, value in headers:
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"content-length":
            length = value
    if content_type is None or media_type(content_type) is None:
        raise Refused(415)
    # A number of thousands of digits would take its time to read.
    if len(length) > 20 or (length.isdigit() and int(length) > most):
        raise Refused(413)
    body, limit = bytearray(), asyncio.timeout(seconds)
    try:
        async with limit:
            async for chunk in chunks:
                if len(body) + len(chunk) > most:
                    raise Refused(413)
                body += chunk
    except TimeoutError:
        if limit.expired():
            raise Refused(408) from None
        raise
    return bytes(body), content_type


async def received(receive: Receive) -> AsyncIterator[bytes]:
    """Give the body of a request as a server hands it over.

    Raises:
        ClientGone: the connection has ended before it.
    """
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        yield message.get("body", b"")
        more = message.get("more_body", False)

"""The ASGI side of the application: reads paths and size-limited bodies, and sends responses."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    MutableMapping,
)
from contextlib import suppress
from typing import Any, Final

from attrs import frozen

from exotel_async.webhooks.body import media_type
from exotel_async.webhooks.response import Response

MAX_BODY: Final = 64 * 1024
"""Bytes. The longest callback observed has two thousand."""
BODY_SECONDS: Final = 5.0

Headers = Iterable[tuple[bytes, bytes]]
"""Headers as in an ASGI scope: names in lower case."""
Receive = Callable[[], Awaitable[Any]]
"""The `receive` callable of ASGI."""


class Refused(Exception):
    """A request is rejected with an empty response, without further processing.

    Attributes:
        status: the HTTP status.
        headers: additional headers of the response.
    """

    def __init__(self, status: int, *headers: tuple[str, str]) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


class ClientGone(Exception):
    """The client disconnected before its request had arrived completely."""


async def read_callback(
    headers: Headers, chunks: AsyncIterable[bytes], *, most: int, seconds: float
) -> tuple[bytes, str]:
    """Return a request's body, at most `most` bytes read within `seconds`, and its Content-Type.

    Raises:
        Refused: 415, 413 or 408. Without a Content-Length, 413 is raised only while reading.
    """
    content_type, length = None, b""
    for name, value in headers:
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"content-length":
            length = value
    if content_type is None or media_type(content_type) is None:
        raise Refused(415)
    # Parsing a number of thousands of digits would be slow.
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


async def body_chunks(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the body of a request as the server delivers it.

    Raises:
        ClientGone: the client disconnected before the end of the body.
    """
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        yield message.get("body", b"")
        more = message.get("more_body", False)


Scope = MutableMapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_HIDDEN: Final = "/-"  # contains nothing that a log would have to escape


@frozen
class Target:
    """The target of a request, split up.

    Attributes:
        prefix: the prefix the application is mounted at, as far as the scope shows it.
        secret: the path segment in the position of the secret.
        tail: the rest of the path.
        query: the query as received.
    """

    prefix: str
    secret: str
    tail: str
    query: bytes


def take_target(scope: Scope) -> Target:
    """Remove path and query from a request's scope, to keep them out of access logs; return them.

    Servers write their access log from the scope, when a response starts or a WebSocket is refused.
    Secret and tail are relative to the prefix the application is mounted at.
    """
    path, root, raw = scope["path"], scope.get("root_path", ""), scope.get("raw_path")
    # A proxy may strip what the application was given as root_path; mounts append theirs to it.
    mount = root.removeprefix(scope.get("app_root_path", ""))
    root = next((one for one in (root, mount) if one and path.startswith(f"{one}/")), "")
    own, query = path[len(root) :], scope.get("query_string", b"")
    scope["path"] = root + _HIDDEN
    scope["raw_path"], scope["query_string"] = scope["path"].encode(), b""
    prefix = root
    if raw is not None:
        written = raw.partition(b"?")[0]
        # Litestar strips the prefix from the path, sets no root_path, and appends a slash.
        if not written.endswith(b"/"):
            own = own.removesuffix("/")
        # Nothing in our URLs needs escaping: a path that is escaped was not made by `url`.
        if not written.endswith(own.encode(errors="replace")):
            return Target("", "", "", query)
        prefix = written[: len(written) - len(own.encode())].decode("latin-1")
    secret, _, tail = own[1:].partition("/")
    return Target(prefix, secret, tail, query)


def show_tail(scope: Scope, tail: str) -> None:
    """Let the access log show which of our URLs was requested: the tail is not a secret."""
    scope["path"] += f"/{tail}"
    scope["raw_path"] = scope["path"].encode()


def refusal(refused: Refused, scope: Scope) -> Response:
    """Return the empty response to a rejected request.

    The connection is closed if the body may not have arrived yet: otherwise a server would wait for
    all of it, only to discard it.
    """
    # For a 400 the body has already been read.
    unread = refused.status != 400 and _has_body(scope["headers"])
    close = unread and scope["http_version"].startswith("1")
    more = (("connection", "close"),) if close else ()
    return Response(
        status=refused.status, headers=(("content-length", "0"), *refused.headers, *more)
    )


def _has_body(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in headers
    )


async def send_response(response: Response, send: Send) -> None:
    """Send a response. A client that has disconnected is not an error."""
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers
    ]
    with suppress(OSError):
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

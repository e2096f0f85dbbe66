"""The application's side of ASGI: reads targets and bodies within bounds, and sends replies."""

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
    """Return the body of a request and its Content-Type: `most` bytes at most, in that time.

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


Scope = MutableMapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_HIDDEN: Final = "/-"  # nothing that a log would have to escape


@frozen
class Target:
    """Where a request leads.

    Attributes:
        prefix: what the application is mounted at, as far as the server's requests show it.
        secret: what stands in the place of the secret.
        tail: the rest of the path.
        query: the query as it came.
    """

    prefix: str
    secret: str
    tail: str
    query: bytes


def take_target(scope: Scope) -> Target:
    """Take target and query of a request out of its scope, and so out of what is logged of it.

    Servers write their access log by the scope, when an answer begins or a WebSocket is refused.
    The path is relative to the prefix the application is mounted at.
    """
    path, root, raw = scope["path"], scope.get("root_path", ""), scope.get("raw_path")
    # A proxy may take off what the application was given as root_path; mounts add theirs to that.
    mount = root.removeprefix(scope.get("app_root_path", ""))
    root = next((one for one in (root, mount) if one and path.startswith(f"{one}/")), "")
    own, query = path[len(root) :], scope.get("query_string", b"")
    scope["path"] = root + _HIDDEN
    scope["raw_path"], scope["query_string"] = scope["path"].encode(), b""
    prefix = root
    if raw is not None:
        written = raw.partition(b"?")[0]
        # Litestar takes the prefix off the path without a root_path, and puts a slash at its end.
        if not written.endswith(b"/"):
            own = own.removesuffix("/")
        # There is nothing to escape in our URLs. What is written otherwise was not made by `url`.
        if not written.endswith(own.encode(errors="replace")):
            return Target("", "", "", query)
        prefix = written[: len(written) - len(own.encode())].decode("latin-1")
    secret, _, tail = own[1:].partition("/")
    return Target(prefix, secret, tail, query)


def show_tail(scope: Scope, tail: str) -> None:
    """Let the access log tell which of our URLs it is: that is no secret."""
    scope["path"] += f"/{tail}"
    scope["raw_path"] = scope["path"].encode()


def refusal(refused: Refused, scope: Scope) -> Response:
    """Make the bare answer to what is not let in.

    The connection is closed where the body may still come: a server would wait for all of it, and
    throw it away.
    """
    # What cannot be read (400) is there.
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
    """Send an answer. A client that has gone is no error."""
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers
    ]
    with suppress(OSError):
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

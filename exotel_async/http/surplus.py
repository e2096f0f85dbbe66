"""Bytes that came behind an answer: read as the answer to the next request, they would be believed.

httpcore sees those that come later, when it takes a connection out of its pool, but not those that
were received together with the answer. There is no public way to them: they are looked for where
h11, anyio and ssl hold them, and where these do it otherwise one day, they are not seen.
"""

from __future__ import annotations

import ssl
from typing import Any

_MOST = 65_536


async def drop_surplus(response: Any) -> bool:
    """Whether there is something behind an answer. The connection is then not used again.

    Nor is one that has come to its end: a request that meets that is lost. The response, httpx's,
    is read to its end and not closed yet, so that nobody else has the connection.
    """
    stream = response.extensions.get("network_stream")
    if stream is None:  # a mock has none
        return False
    unread, is_over = _unread(getattr(stream, "_stream", None))
    surplus = _parsed(response) + unread
    if surplus or is_over:
        await stream.aclose()
    # Empty lines between messages mean nothing (RFC 9112, 2.2).
    return bool(surplus.strip(b"\r\n"))


def _parsed(response: Any) -> bytes:
    """Return what httpcore has handed to its parser, h11, beyond the answer."""
    inner = response.stream
    for name in ("_stream", "_httpcore_stream", "_stream", "_connection", "_h11_state"):
        inner = getattr(inner, name, None)
    found, _ = getattr(inner, "trailing_data", (b"", False))
    return bytes(found)


def _unread(stream: Any) -> tuple[bytes, bool]:
    """Return what a stream of anyio has received and nobody has read, and whether it is over."""
    below = getattr(stream, "transport_stream", None)
    if below is None:
        queue = getattr(getattr(stream, "_protocol", None), "read_queue", None)
        if not queue:
            return b"", False
        found = b"".join(queue)
        queue.clear()
        return found, False
    incoming, tls = getattr(stream, "_read_bio", None), getattr(stream, "_ssl_object", None)
    if incoming is None or tls is None:
        return b"", False
    incoming.write(_unread(below)[0])
    try:
        found = bytes(tls.read(_MOST))
    except ssl.SSLWantReadError:
        # Of a part of a record nobody knows what it holds.
        return b"", incoming.pending > 0
    except ssl.SSLError:  # the peer has closed TLS
        return b"", True
    return found, not found

"""Surplus bytes after a response, which would be taken for the response to the next request.

httpcore detects those that arrive later, when it takes a connection out of its pool, but not those
that were received together with the response. There is no public API for this: h11, anyio and ssl
objects are inspected, and if their internals change one day, surplus bytes go undetected.
"""

from __future__ import annotations

import ssl
from typing import Any

_MOST = 65_536


async def drop_surplus(response: Any) -> bool:
    """Return whether there are bytes after a response; close the connection in that case.

    A connection that the peer has ended is closed, too: a request sent on it would be lost. The
    httpx response must be read to its end and not closed yet, so that the connection is not reused.
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
    """Return the bytes after the response that httpcore has passed to its parser, h11."""
    inner = response.stream
    for name in ("_stream", "_httpcore_stream", "_stream", "_connection", "_h11_state"):
        inner = getattr(inner, name, None)
    found, _ = getattr(inner, "trailing_data", (b"", False))
    return bytes(found)


def _unread(stream: Any) -> tuple[bytes, bool]:
    """Return the received but unread bytes of an anyio stream, and whether it has ended."""
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
        # An incomplete TLS record cannot be decrypted, so its content is unknown.
        return b"", incoming.pending > 0
    except ssl.SSLError:  # the peer has closed TLS
        return b"", True
    return found, not found

"""What the application sees of ASGI: where a request leads, and how an answer leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

from attrs import frozen

from exotel_async.webhooks.intake import Headers, Refused
from exotel_async.webhooks.response import Reply

Scope = MutableMapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_HIDDEN: Final = "/-"  # nothing that a log would have to escape


@frozen
class Target:
    """Where a request leads.

    Attributes:
        secret: what stands in the place of the secret.
        tail: the rest of the path.
        query: the query as it came.
    """

    secret: str
    tail: str
    query: bytes


def take_target(scope: Scope) -> Target:
    """Take target and query of a request out of its scope, and so out of what is logged of it.

    Servers write their access log by the scope, when an answer begins or a WebSocket is refused.
    The path is relative to the prefix the application is mounted at.
    """
    path, root, raw = scope["path"], scope.get("root_path", ""), scope.get("raw_path")
    if not (root and path.startswith(f"{root}/")):
        root = ""
    own, query = path[len(root) :], scope.get("query_string", b"")
    scope["path"] = root + _HIDDEN
    scope["raw_path"], scope["query_string"] = scope["path"].encode(), b""
    # There is nothing to escape in our URLs. What is written otherwise was not made by `url`.
    if raw is not None and not raw.partition(b"?")[0].endswith(own.encode(errors="replace")):
        return Target("", "", query)
    secret, _, tail = own[1:].partition("/")
    return Target(secret, tail, query)


def show_tail(scope: Scope, tail: str) -> None:
    """Let the access log tell which of our URLs it is: that is no secret."""
    scope["path"] += f"/{tail}"
    scope["raw_path"] = scope["path"].encode()


def refusal(refused: Refused, scope: Scope) -> Reply:
    """Make the bare answer to what is not let in.

    The connection is closed where the body may still come: a server would wait for all of it, and
    throw it away.
    """
    # What cannot be read (400) is there.
    unread = refused.status != 400 and _has_body(scope["headers"])
    close = unread and scope["http_version"].startswith("1")
    more = (("connection", "close"),) if close else ()
    return Reply(status=refused.status, headers=(("content-length", "0"), *refused.headers, *more))


def _has_body(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in headers
    )


async def send_reply(reply: Reply, send: Send) -> None:
    """Send an answer. A client that has gone is no error."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    with suppress(OSError):
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

"""A web application that flows ask, as plain as can be: it answers what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import attrs

from exotel_async.emulator.server import Listener, bind


@attrs.frozen
class Reply:
    """An answer."""

    status: int = 200
    body: bytes | str = b""
    content_type: str | None = "text/html"
    delay: float = 0.0
    """Real seconds before it."""
    headers: Mapping[str, str] = attrs.field(factory=dict)


def text(body: str, content_type: str | None = "text/plain") -> Reply:
    """Plain text, of the type prompts must have."""
    return Reply(200, body, content_type)


def json(body: str) -> Reply:
    """JSON."""
    return Reply(200, body, "application/json")


@attrs.frozen
class Asked:
    """A request that came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@attrs.define
class Application:
    """What it answers, by path, and what it was asked."""

    url: str = ""
    replies: dict[str, Reply | list[Reply]] = attrs.field(factory=dict)
    """By path; of a list the next one, and the last for ever. Other paths get an empty 200."""
    heads: dict[str, Reply] = attrs.field(factory=dict)
    """What HEAD is answered, where that is not what GET is."""
    asked: list[Asked] = attrs.field(factory=list)

    def __call__(self, path: str, *replies: Reply) -> str:
        """Answer so at that path; its URL."""
        self.replies[path] = list(replies) if len(replies) > 1 else replies[0]
        return self.url + path

    def at(self, path: str) -> list[Asked]:
        """What came for that path."""
        return [asked for asked in self.asked if asked.path == path]

    def only(self, path: str, method: str = "GET") -> Asked:
        """The one request of that method that came for that path."""
        (asked,) = (asked for asked in self.at(path) if asked.method == method)
        return asked

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        pairs = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        query = dict(pairs)
        assert len(query) == len(pairs), "no name comes twice"
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append(Asked(scope["method"], scope["path"], query, headers))
        reply = self._next(scope["method"], scope["path"])
        try:
            await asyncio.sleep(reply.delay)
        except asyncio.CancelledError:
            # The end of the listener; uvicorn would log it as a crash of the app.
            return
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        told = {**reply.headers, "content-length": str(len(body))}
        if reply.content_type is not None:
            told["content-type"] = reply.content_type
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [(name.encode(), value.encode()) for name, value in told.items()],
            }
        )
        await send({"type": "http.response.body", "body": body})

    def _next(self, method: str, path: str) -> Reply:
        if method == "HEAD" and path in self.heads:
            return self.heads[path]
        replies = self.replies.get(path, Reply())
        if isinstance(replies, Reply):
            return replies
        return replies.pop(0) if method == "GET" and len(replies) > 1 else replies[0]


@asynccontextmanager
async def running() -> AsyncIterator[Application]:
    """An application on a real socket."""
    application = Application()
    bound = bind("127.0.0.1", 0)
    application.url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    listener = Listener(application.serve, bound)
    await listener.open()
    yield application
    await listener.close()

"""The HTTP client of what the emulator sends to the user's application."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import Task
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

CONCURRENT = 64
"""Requests on their way at once: httpx slows down when more wait for its pool than it holds."""


class ApplicationClient:
    """A client that is made when it is first needed, and the turns to use it."""

    def __init__(self) -> None:
        self.turns: asyncio.Semaphore = asyncio.Semaphore(CONCURRENT)
        """A request is sent while one of them is held."""
        self._client: httpx.AsyncClient | None = None
        self._closing: set[Task[None]] = set()

    def get(self) -> httpx.AsyncClient:
        """The client, for one request."""
        if self._client is None:
            self._client = _new_client(max_connections=2 * CONCURRENT)
        return self._client

    def renew(self) -> None:
        """Have another one from now on, for requests have been cancelled.

        httpx 0.28 loses the connection of a request for good that is cancelled as it gets one.
        """
        if self._client is not None:
            task = asyncio.create_task(self._client.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self._client = None

    async def aclose(self) -> None:
        """Close its connections."""
        self.renew()
        await asyncio.gather(*self._closing)


def _new_client(*, max_connections: int) -> httpx.AsyncClient:
    """A client that keeps neither cookies nor connections, and knows no proxies.

    An idle connection that the application closes would fail the next request; and httpx looks at
    every idle one for each request, so that many calls at once would crawl.
    """
    # One jar for all calls would let one of them speak for another.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(
        trust_env=False,
        verify=_tls(),
        cookies=no_cookies,
        limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=0),
    )


@cache
def _tls() -> ssl.SSLContext:
    """Made once: each takes a tenth of a second."""
    return httpx.create_ssl_context(trust_env=False)

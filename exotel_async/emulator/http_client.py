"""The HTTP client for requests from the emulator to the user's application."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import Task
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

CONCURRENT = 64
"""Requests in flight at once: httpx slows down when more wait for its pool than it holds."""


class ApplicationClient:
    """A client that is created when first needed, and a semaphore for its requests."""

    def __init__(self) -> None:
        self.turns: asyncio.Semaphore = asyncio.Semaphore(CONCURRENT)
        """To be held while a request is sent."""
        self._client: httpx.AsyncClient | None = None
        self._closing: set[Task[None]] = set()

    def get(self) -> httpx.AsyncClient:
        """Return the client, for one request."""
        if self._client is None:
            self._client = _new_client(max_connections=2 * CONCURRENT)
        return self._client

    def renew(self) -> None:
        """Use a new client from now on, because requests have been cancelled.

        httpx 0.28 permanently loses a connection whose request is cancelled while acquiring it.
        """
        if self._client is not None:
            task = asyncio.create_task(self._client.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self._client = None

    async def aclose(self) -> None:
        """Close all its connections."""
        self.renew()
        await asyncio.gather(*self._closing)


def _new_client(*, max_connections: int) -> httpx.AsyncClient:
    """Return a client that keeps neither cookies nor connections, and uses no proxies.

    An idle connection that the application closes would fail the next request; and httpx scans all
    idle ones for each request, which would be very slow with many calls at once.
    """
    # A jar shared by all calls would let one of them act as another.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(
        trust_env=False,
        verify=_tls(),
        cookies=no_cookies,
        limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=0),
    )


@cache
def _tls() -> ssl.SSLContext:
    """Created once: each takes a tenth of a second."""
    return httpx.create_ssl_context(trust_env=False)

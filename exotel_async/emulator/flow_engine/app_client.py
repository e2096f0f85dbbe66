"""Requests to the user's application, each with a time-out on the whole of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urldefrag, urlencode

import attrs
import httpx

from exotel_async.emulator.flows.transcript import Exchange
from exotel_async.emulator.http_client import new_client

CONCURRENT = 64
"""Requests on their way at once; those of more calls wait, or httpx would slow down."""
TIMEOUT = "Timeout"
"""The error of a request that was not answered in time."""


class Fetcher:
    """Sends the requests of all flows."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(CONCURRENT)

    async def fetch(self, asked: Exchange, timeout: float) -> Exchange:
        """Send a request; the exchange with its answer. It follows no redirect."""
        if self._client is None:
            self._client = new_client(max_connections=2 * CONCURRENT)
        try:
            # Around it all: httpx counts between bytes, and a body may drip.
            async with self._slots, asyncio.timeout(timeout):
                answer = await self._client.request(
                    asked.method,
                    with_query(asked.url, asked.parameters),
                    headers=dict(asked.headers),
                    timeout=None,
                )
        except TimeoutError:
            return attrs.evolve(asked, error=TIMEOUT)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as failure:
            return attrs.evolve(asked, error=type(failure).__name__)
        return attrs.evolve(
            asked,
            status=answer.status_code,
            content_type=answer.headers.get("content-type"),
            body=answer.content,
        )

    async def aclose(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """A URL with more parameters in its query."""
    bare = urldefrag(url).url
    return f"{bare}{'&' if '?' in bare else '?'}{urlencode(parameters)}"

"""Requests to the user's application, each with a timeout for the whole exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urldefrag, urlencode

import attrs
import httpx

from exotel_async.emulator.flows.transcript import Exchange
from exotel_async.emulator.http_client import ApplicationClient

TIMEOUT = "Timeout"
"""The error of a request that was not answered in time."""


class Fetcher:
    """Sends the requests of all flows."""

    def __init__(self) -> None:
        self._client = ApplicationClient()

    async def fetch(self, asked: Exchange, timeout: float) -> Exchange:
        """Send a request, and return the exchange with its answer. It follows no redirect."""
        try:
            # Around the whole: httpx's timeouts are between bytes, and a body may come slowly.
            async with self._client.turns, asyncio.timeout(timeout):
                answer = await self._client.get().request(
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

    def renew(self) -> None:
        """Continue after requests have been cancelled."""
        self._client.renew()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """Return a URL with more parameters in its query."""
    bare = urldefrag(url).url
    return f"{bare}{'&' if '?' in bare else '?'}{urlencode(parameters)}"

"""Twilio's asynchronous client, pointed at the emulator.

Exotel's API has Twilio's shape: a call is read at the same path but for the version, so that two
attributes of the client are enough. A dial has another path and other names, which are rewritten.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from benchmarks.page.loops import SECOND_PARTY
from benchmarks.server import ACCOUNT, KEY, TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class _ExotelDials(AsyncTwilioHttpClient):  # type: ignore[misc]
    async def request(
        self, method: str, url: str, params: Any = None, data: Any = None, **more: Any
    ) -> Any:
        if method == "POST":
            url = url.replace("/Calls.json", "/Calls/connect.json")
            data = {"From": data["To"], "To": SECOND_PARTY, "CallerId": data["From"]}
        return await super().request(method, url, params, data, **more)


@asynccontextmanager
async def opened(base_url: str, max_retries: int | None = None) -> AsyncIterator[Any]:
    """Open a client; `max_retries` is Twilio's."""
    async with _ExotelDials(max_retries=max_retries) as http_client:
        client = Client(KEY, TOKEN, ACCOUNT, http_client=http_client)
        client.api.base_url = base_url
        client.api.v2010.version = "v1"
        yield client

"""The HTTP client of what the emulator sends to the user's application."""

from __future__ import annotations

import ssl
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx


def new_client(*, max_connections: int) -> httpx.AsyncClient:
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

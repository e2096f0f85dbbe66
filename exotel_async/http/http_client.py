"""The HTTP client that requests go out by: httpx's, and what the environment says of it."""

from __future__ import annotations

import functools
import os
import ssl
from typing import Any

import httpx

from exotel_async.errors import ConfigurationError
from exotel_async.http import environment

HttpClient = httpx.AsyncClient
"""The HTTP client a session can be given; httpx's own."""


def new_client(*, proxied: bool = True, **settings: Any) -> HttpClient:
    """Make an HTTP client.

    Args:
        proxied: whether it goes through the proxies that the environment names.
        **settings: as httpx takes them.

    Raises:
        ConfigurationError: the environment does not let it be made; the message names the variable.
    """
    return _made(_tls(), proxied=proxied, **settings)


def check_environment(*, proxied: bool) -> None:
    """Make sure that a client can be made, in a fraction of the time that it takes to make one.

    Raises:
        ConfigurationError: a variable is wrong; the message names it.
    """
    if any(os.environ.get(name) for name in environment.TLS_VARIABLES):
        _tls()
    if proxied and environment.names_proxies():
        _made(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), proxied=True)


def check_pool(client: HttpClient, max_in_flight: int) -> None:
    """Make sure that a client of the user's is one, and has connections to spare.

    Raises:
        ConfigurationError: it is none, or its pool is too small.
    """
    if not isinstance(client, httpx.AsyncClient):
        raise ConfigurationError("http_client: must be an httpx.AsyncClient")
    # httpx does not tell the size of a pool, and other transports have none.
    pool = getattr(getattr(client, "_transport", None), "_pool", None)
    size = getattr(pool, "_max_connections", None)
    if isinstance(size, int) and size <= max_in_flight:
        raise ConfigurationError(
            f"max_in_flight={max_in_flight}: must be below the pool of http_client, which has "
            f"{size} connections"
        )


def _made(context: ssl.SSLContext, *, proxied: bool, **settings: Any) -> HttpClient:
    problem = environment.wrong_proxy() if proxied else None
    if problem is not None:
        raise ConfigurationError(problem)
    try:
        return httpx.AsyncClient(verify=context, trust_env=proxied, **settings)
    except (ImportError, ValueError, httpx.InvalidURL):  # what it says may hold a password
        raise ConfigurationError(environment.wrong_exceptions()) from None


def _tls() -> ssl.SSLContext:
    problem = environment.missing_certificates()
    if problem is not None:
        raise ConfigurationError(problem)
    try:
        return _context(*map(os.environ.get, environment.TLS_VARIABLES))
    except OSError as error:
        raise ConfigurationError(environment.unreadable_certificates(error)) from None


@functools.cache
def _context(*_: str | None) -> ssl.SSLContext:
    # Reading the certificates takes a tenth of a second, and a session may live for one request.
    return httpx.create_ssl_context()

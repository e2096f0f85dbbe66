"""The HTTP client that requests are sent with, and its environment variables.

It is that of httpx, or of its fork httpx2. Both have the same names, but one does not accept the
other's objects: the library is chosen once per session, and passed around as its module.
"""

from __future__ import annotations

import functools
import os
import ssl
import sys
from types import ModuleType
from typing import Any, Final, Literal, Protocol

import httpx

from exotel_async.errors import ConfigurationError
from exotel_async.http import environment

HttpLibrary = Literal["httpx", "httpx2"]
"""The library with which a session makes its own client."""

_LIBRARIES: Final = ("httpx", "httpx2")
_VARIABLE: Final = "EXOTEL_HTTP"


class HttpClient(Protocol):
    """The HTTP client that can be passed to a session: an `AsyncClient` of httpx or httpx2.

    A protocol, so that type checkers do not need httpx2 where it is not used.
    """

    @property
    def is_closed(self) -> bool:
        """Whether it can no longer be used."""

    @property
    def cookies(self) -> Any:
        """The cookies that responses have set."""

    def build_request(self, *args: Any, **settings: Any) -> Any:
        """Make a request."""

    async def send(self, *args: Any, **settings: Any) -> Any:
        """Send a request."""

    async def aclose(self) -> None:
        """Close its connections."""


def find_library(given: HttpClient | HttpLibrary | None = None) -> ModuleType:
    """Return the library that requests are sent with.

    Args:
        given: the client, or the name of its library; None: the environment decides.

    Raises:
        ConfigurationError: it is not a supported library or client, or is not installed.
    """
    if given is None:
        name = os.environ.get(_VARIABLE, "").strip().lower() or "httpx"
        if name not in _LIBRARIES:
            raise ConfigurationError(f"{_VARIABLE}: must be httpx or httpx2")
        return _imported(name, f"{_VARIABLE}={name}")
    if isinstance(given, str) and given in _LIBRARIES:
        return _imported(given, f"http_client={given!r}")
    # A library that was not imported cannot have made the client.
    for library in filter(None, map(sys.modules.get, _LIBRARIES)):
        if isinstance(given, library.AsyncClient):
            return library
    raise ConfigurationError(
        "http_client: must be an httpx.AsyncClient, an httpx2.AsyncClient, 'httpx' or 'httpx2'"
    )


def new_client(library: ModuleType, *, proxied: bool = True, **settings: Any) -> httpx.AsyncClient:
    """Make an HTTP client.

    Args:
        library: see `find_library`. Its client is typed as httpx's, which has the same methods.
        proxied: whether it uses the proxies configured in the environment.
        **settings: arguments of the library's client.

    Raises:
        ConfigurationError: an environment variable prevents it; the message names the variable.
    """
    return _made(library, _tls(), proxied=proxied, **settings)


def proxy_of(library: ModuleType, client: HttpClient, url: str) -> str | None:
    """Return the variable that names the proxy for requests to a URL; None: no proxy is used.

    Only for clients made by `new_client`.
    """
    # httpx has no public API for this; it has a separate transport for each proxy.
    find = getattr(client, "_transport_for_url", None)
    address = library.URL(url)
    if find is None or find(address) is getattr(client, "_transport", None):
        return None
    return environment.variable_of_proxy(address.scheme)


def check_environment(library: ModuleType, *, proxied: bool) -> None:
    """Check that a client can be made, in a fraction of the time that making one takes.

    Raises:
        ConfigurationError: a variable is wrong; the message names it.
    """
    if any(os.environ.get(name) for name in environment.TLS_VARIABLES):
        _tls()
    if proxied and environment.names_proxies():
        _made(library, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), proxied=True)


def check_pool(client: HttpClient, max_in_flight: int) -> None:
    """Check that a user's client has more connections than requests in flight.

    Raises:
        ConfigurationError: its pool is too small.
    """
    # httpx has no public API for the size of a pool, and other transports have no pool.
    pool = getattr(getattr(client, "_transport", None), "_pool", None)
    size = getattr(pool, "_max_connections", None)
    if isinstance(size, int) and size <= max_in_flight:
        raise ConfigurationError(
            f"max_in_flight={max_in_flight}: must be below the pool of http_client, which has "
            f"{size} connections"
        )


def _imported(name: str, setting: str) -> ModuleType:
    if name == "httpx":
        return httpx
    try:
        # An optional extra, and slow to import.
        import httpx2  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            f"{setting} needs httpx2: pip install 'exotel-async[httpx2]'"
        ) from None
    return httpx2


def _made(
    library: ModuleType, context: ssl.SSLContext, *, proxied: bool, **settings: Any
) -> httpx.AsyncClient:
    problem = environment.wrong_proxy() if proxied else None
    if problem is not None:
        raise ConfigurationError(problem)
    try:
        client: httpx.AsyncClient = library.AsyncClient(
            verify=context, trust_env=proxied, **settings
        )
    except (ImportError, ValueError, library.InvalidURL):  # its text may contain a password
        raise ConfigurationError(environment.wrong_exceptions()) from None
    return client


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
    # Loading the certificates takes a tenth of a second, and a session may send only one request.
    # They are the same for both libraries: by default httpx2 would trust those of the system.
    return httpx.create_ssl_context()

"""The one room that knows httpx: a request goes out, and what is certain about it comes back.

httpx throws some thirty kinds of errors, and a few things that are not its own. What matters is the
same for all of them: whether a byte was written, whether a status came, and whether the body is
whole.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio
import httpx
from attrs import field, frozen

from exotel_async.errors import ConfigurationError
from exotel_async.links import origin
from exotel_async.masking import redact
from exotel_async.request import Category
from exotel_async.version import __version__
from exotel_async.wire import Answer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping

    from exotel_async.config import Credentials, Timeouts
    from exotel_async.request import Request

HttpClient = httpx.AsyncClient
"""The HTTP client a session can be given; httpx's own."""

_LONGEST_BODY: Final = 8 * 2**20
# A cancelled request may take its place in httpx's pool with it: the pool has some to spare.
_SPARE_CONNECTIONS: Final = 8
_DOWNLOADS: Final = 4  # at once: they take long, and are not to take the place of requests
_CLOSING: Final = 1.0  # seconds

_in_exchange: ContextVar[bool] = ContextVar("exotel_async_in_exchange", default=False)
_in_download: ContextVar[bool] = ContextVar("exotel_async_in_download", default=False)


@frozen(kw_only=True)
class Exchange:
    """What is certain about one request after it was tried.

    Attributes:
        written: whether a byte of it may have reached the service.
        answer: the answer, if a status came, with as much of the body as came.
        whole: whether all of the answer came.
        timed_out: whether it was given up, so that it may still arrive.
        problem: what went wrong, in words; "" where nothing did.
    """

    written: bool
    answer: Answer | None = None
    whole: bool = False
    timed_out: bool = False
    problem: str = field(default="", converter=redact)


@frozen(kw_only=True)
class Download:
    """What is certain about one try to fetch a file.

    Attributes:
        written: whether a byte of the request may have reached the host.
        status: the HTTP status; None where no answer came.
        headers: the answer's header fields, names in lower case, without our secrets.
        size: bytes of the file that came.
        whole: whether the status is 200 and all of the file came.
        problem: what went wrong, in words; "" where nothing did.
    """

    written: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    size: int = 0
    whole: bool = False
    problem: str = field(default="", converter=redact)


class _Seen:
    """What was seen of one exchange up to now."""

    __slots__ = ("body", "headers", "silent", "size", "status", "written")

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        self.written = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.size = 0

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of what httpx's own transport does."""
        self.silent = False
        # From here on the kernel may have sent a part, even if writing fails. What asks a proxy
        # for a tunnel is no part of the request.
        if event.endswith("send_request_headers.started"):
            tunnel = getattr(info.get("request"), "method", b"") == b"CONNECT"
            self.written = self.written or not tunnel

    def headed(self, response: httpx.Response) -> None:
        """Take note of the head of an answer."""
        self.status, self.headers = response.status_code, _lower(response.headers)


class Transport:
    """Sends requests of one account to one host."""

    def __init__(
        self,
        *,
        base_url: str,
        credentials: Credentials,
        timeouts: Timeouts,
        max_in_flight: int,
        http_client: HttpClient | None,
    ) -> None:
        _check_base_url(base_url)
        if http_client is not None:
            _check_pool(http_client, max_in_flight)
        parts = urlsplit(base_url)
        self.host: Final = (parts.hostname, None if parts.port in {80, 443} else parts.port)
        """Host and port, if it is not the usual one: what tells one Exotel from another."""
        self.origin: Final = origin(base_url)
        """Scheme, host and port of the service."""
        root, account = base_url.rstrip("/"), f"Accounts/{credentials.account_sid}"
        self._prefixes = {c: f"{root}/{c.version}/{account}/" for c in Category}
        self._auth = httpx.BasicAuth(credentials.api_key, credentials.api_token)
        # A gateway's error page may repeat the request, and an error quotes the answer.
        pair = f"{credentials.api_key}:{credentials.api_token}".encode()
        self._secrets = (credentials.api_token, base64.b64encode(pair).decode())
        self._timeouts = timeouts
        self._settings: dict[str, Any] = {
            "headers": {"User-Agent": f"exotel-async/{__version__}", "Accept": "application/json"},
            "timeout": httpx.Timeout(
                connect=timeouts.connect, read=timeouts.read, write=timeouts.write, pool=None
            ),
        }
        # A client of our own is made with the settings, which costs less than to tell it each time.
        self._each_time = {} if http_client is None else self._settings
        self._given = http_client
        self._made: HttpClient | None = None
        self._max_in_flight = max_in_flight
        # The limiter keeps to the same number; a limiter of the user's own may not.
        self._gate = asyncio.Semaphore(max_in_flight)
        self._downloads = asyncio.Semaphore(_DOWNLOADS)
        # It shows whole URLs, numbers and all; our own logger shows the same lines masked.
        logging.getLogger("httpx").addFilter(_not_ours)
        # It shows the headers of answers, and a redirect may lead to a link that opens to anybody.
        logging.getLogger("httpcore.http11").addFilter(_not_a_download)

    @property
    def late(self) -> float:
        """Seconds in which a request that was given up may still arrive at the service."""
        return self._timeouts.read

    @property
    def longest(self) -> float:
        """Seconds from leave to send until a request has arrived at the service or never will."""
        return self._timeouts.exchange + self.late

    async def exchange(self, request: Request) -> Exchange:
        """Send one request once. Raises nothing: cut off by cancellation, it says so."""
        _in_exchange.set(True)
        if self._client.is_closed:
            return Exchange(written=False, problem="the HTTP client is closed")
        # A transport that is not httpx's own may not tell what it does: silence proves nothing.
        seen = _Seen(silent=self._given is not None)
        problem, timed_out = "", False
        try:
            # Who shares a budget counts on that an exchange ends, waiting at the gate included.
            with anyio.move_on_after(self._timeouts.exchange) as scope:
                async with self._gate:
                    problem = await self._send(request, seen)
            if scope.cancelled_caught:
                problem, timed_out = "the exchange took too long", True
        except httpx.TimeoutException as error:
            problem, timed_out = _words(error), True
        except httpx.HTTPStatusError as error:  # from a hook of the user's client
            seen.headed(error.response)
            problem = _words(error)
        except asyncio.CancelledError:
            problem, timed_out = "the exchange was cut off", True
        except Exception as error:  # noqa: BLE001 - whatever it was, the facts decide
            problem = _words(error)
        answer = None
        if seen.status:
            answer = Answer(seen.status, seen.headers, bytes(seen.body), secrets=self._secrets)
        return Exchange(
            written=seen.written or seen.silent or answer is not None,
            answer=answer,
            whole=not problem,
            timed_out=timed_out,
            problem=problem,
        )

    async def _send(self, request: Request, seen: _Seen) -> str:
        """Send and read; return what went wrong, or ""."""
        response = await self._client.send(
            self._request(request, seen.trace),
            stream=True,
            auth=self._auth,
            follow_redirects=False,
        )
        try:
            seen.headed(response)
            async for chunk in response.aiter_bytes():
                seen.body += chunk
                if len(seen.body) > _LONGEST_BODY:
                    return "the answer is longer than any of Exotel's"
        finally:
            await response.aclose()
        return ""

    async def download(
        self, url: str, write: Callable[[bytes], Awaitable[object]], *, credentials: bool
    ) -> Download:
        """Fetch a file once, from whatever host. No redirect is followed, and nothing is raised.

        It has no end but that of the file: only the pieces are timed. End it by a cancel scope
        of anyio and not by cancelling its task, which may cost a connection; even then the head of
        an answer is waited for.

        Args:
            url: where the file is.
            write: takes the bytes of the file, in order. What it raises ends up in `problem`.
            credentials: whether the account's credentials go along.
        """
        _in_exchange.set(True)
        _in_download.set(True)
        if self._client.is_closed:
            return Download(problem="the HTTP client is closed")
        seen = _Seen(silent=self._given is not None)
        problem = ""
        try:
            async with self._downloads:
                response = await self._head(url, seen, self._auth if credentials else None)
                if response is None:
                    problem = "the answer took too long to begin"
                else:
                    problem = await self._hand_on(response, seen, write)
        except httpx.HTTPStatusError as error:  # from a hook of the user's client
            seen.headed(error.response)
            problem = _words(error)
        except Exception as error:  # noqa: BLE001 - whatever it was, the facts decide
            problem = _words(error)
        known = Answer(seen.status, secrets=self._secrets)
        return Download(
            written=seen.written or seen.silent or bool(seen.status),
            status=seen.status or None,
            headers={name: known.conceal(value) for name, value in seen.headers.items()},
            size=seen.size,
            whole=seen.status == 200 and not problem,
            problem=problem,
        )

    async def _head(self, url: str, seen: _Seen, auth: httpx.Auth | None) -> httpx.Response | None:
        """Ask for a file and wait for the head of the answer, whoever wants to end it."""
        with anyio.move_on_after(self._timeouts.exchange, shield=True):
            return await self._client.send(
                self._file(url, seen.trace), stream=True, auth=auth, follow_redirects=False
            )
        return None

    @staticmethod
    async def _hand_on(
        response: httpx.Response, seen: _Seen, write: Callable[[bytes], Awaitable[object]]
    ) -> str:
        """Hand on what comes; return what went wrong, or ""."""
        try:
            seen.headed(response)
            if response.status_code != 200:
                return ""
            async for chunk in response.aiter_bytes():
                seen.size += len(chunk)
                await write(chunk)
        finally:
            with anyio.move_on_after(_CLOSING, shield=True):
                await response.aclose()
        length = seen.headers.get("content-length")
        # Compressed against our wish, its size is not the length that was told.
        whole = length in {None, str(seen.size)} or "content-encoding" in seen.headers
        return "" if whole else "the file was cut off"

    async def aclose(self) -> None:
        """Close the connections. A client that was given to us is not ours to close."""
        if self._made is not None:
            await self._made.aclose()

    @property
    def _client(self) -> HttpClient:
        if self._given is not None:
            return self._given
        if self._made is None:
            most = self._max_in_flight + _DOWNLOADS + _SPARE_CONNECTIONS
            # httpx's 5 s of keep-alive stay: a connection the service has dropped by now makes
            # a dial whose outcome is not known.
            self._made = httpx.AsyncClient(
                verify=_tls(),
                limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
                **self._settings,
            )
        return self._made

    def _request(self, request: Request, trace: Any) -> httpx.Request:
        built = self._client.build_request(
            request.method,
            self._prefixes[request.category] + request.path,
            params=request.params or None,
            content=request.body,
            extensions={"trace": trace},
            **self._each_time,
        )
        if request.body is not None:
            built.headers["Content-Type"] = "application/x-www-form-urlencoded"
        return built

    def _file(self, url: str, trace: Any) -> httpx.Request:
        built = self._client.build_request(
            "GET", url, extensions={"trace": trace}, **self._each_time
        )
        # Not compressed, so that its length is known; an audio file has nothing to gain.
        built.headers.update({"Accept": "*/*", "Accept-Encoding": "identity"})
        # A client of the user's own may bring a header for the service.
        built.headers.pop("Authorization", None)
        return built


@functools.cache
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes a tenth of a second, and a session may live for one request.
    return httpx.create_ssl_context()


def _lower(headers: httpx.Headers) -> dict[str, str]:
    lower: dict[str, str] = {}
    for name, value in headers.raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        lower[key] = f"{lower[key]}, {text}" if key in lower else text
    return lower


def _words(error: Exception) -> str:
    # httpx often leaves the words to what it was raised from.
    cause: BaseException | None = error
    while cause is not None and not str(cause):
        cause = cause.__cause__ or cause.__context__
    return f"{type(error).__name__}: {cause}" if cause is not None else type(error).__name__


def _not_ours(_: logging.LogRecord) -> bool:
    return not _in_exchange.get()


def _not_a_download(_: logging.LogRecord) -> bool:
    return not _in_download.get()


def _check_base_url(base_url: str) -> None:
    if not isinstance(base_url, str):
        raise ConfigurationError(f"base_url={base_url!r}: must be text, http(s)://host[:port]")
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        raise ConfigurationError("base_url: its host or port is not valid") from None
    if "@" in parts.netloc:
        # Not shown: what stands before the @ is a secret.
        raise ConfigurationError("base_url must not hold credentials: pass api_key= and api_token=")
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ConfigurationError(f"base_url={base_url!r}: must be http(s)://host[:port]")
    if parts.query or parts.fragment or any(char.isspace() for char in base_url):
        raise ConfigurationError(f"base_url={base_url!r}: must end with the host, port or path")


def _check_pool(client: HttpClient, max_in_flight: int) -> None:
    if not isinstance(client, httpx.AsyncClient):
        raise ConfigurationError(f"http_client={client!r}: must be an httpx.AsyncClient")
    # httpx does not tell the size of a pool, and other transports have none.
    pool = getattr(getattr(client, "_transport", None), "_pool", None)
    size = getattr(pool, "_max_connections", None)
    if isinstance(size, int) and size <= max_in_flight:
        raise ConfigurationError(
            f"max_in_flight={max_in_flight}: must be below the pool of http_client, which has "
            f"{size} connections"
        )

"""Sends a request with httpx or httpx2, and returns the facts about it.

These libraries raise some thirty kinds of errors, and a few that are not their own. What matters is
the same for all: whether a byte was written, whether a status was received, and whether the body is
complete.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio

from exotel_async.http import library_logs
from exotel_async.http.attempt import Attempt, ExchangeState
from exotel_async.http.base_url import is_this_computer
from exotel_async.http.failure import describe
from exotel_async.http.http_client import (
    HttpClient,
    HttpLibrary,
    check_environment,
    check_pool,
    find_library,
    new_client,
    proxy_of,
)
from exotel_async.http.inflate import ACCEPTED, Inflater, UnreadableBody
from exotel_async.http.surplus import drop_surplus
from exotel_async.http.urls import origin
from exotel_async.version import __version__
from exotel_async.wire.request import Category
from exotel_async.wire.responses import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx  # its types stand for those of httpx2 as well

    from exotel_async.config import Timeouts
    from exotel_async.credentials import Credentials
    from exotel_async.http.receive import Bounds, Download, Sink
    from exotel_async.wire.request import Request

_LONGEST_BODY: Final = 8 * 2**20
# A cancelled request may leak its slot in httpx's pool (not in that of httpx2): the pool has some
# to spare.
_SPARE_CONNECTIONS: Final = 8
_DOWNLOADS: Final = 4  # concurrent ones: they take long, and must not use up the connections
_CLOSING: Final = 1.0  # seconds
# A service drops idle connections, and a request sent at that moment is lost: the outcome of a dial
# is then unknown. Hardly any service drops a connection that was used a second ago.
_KEPT_ALIVE: Final = 1.0


class Transport:
    """Sends requests of one account to one host."""

    def __init__(
        self,
        *,
        base_url: str,
        credentials: Credentials,
        timeouts: Timeouts,
        max_in_flight: int,
        http_client: HttpClient | HttpLibrary | None,
    ) -> None:
        self._library = library = find_library(http_client)
        # Errors that it raises before there is a connection to the service.
        self._before_connection = (
            library.ConnectError,
            library.ConnectTimeout,
            library.PoolTimeout,
            library.ProxyError,
            library.UnsupportedProtocol,
        )
        self._given = None if isinstance(http_client, str) else http_client
        self._made: HttpClient | None = None
        parts = urlsplit(base_url)
        # A proxy cannot reach services on this computer.
        self._proxied = not is_this_computer(parts.hostname or "")
        if self._given is None:
            check_environment(library, proxied=self._proxied)
        else:
            check_pool(self._given, max_in_flight)
        self.host: Final = (parts.hostname, None if parts.port in {80, 443} else parts.port)
        """Host, and port unless it is a default one: distinguishes one Exotel from another."""
        self._netloc = parts.netloc
        self.origin: Final = origin(base_url)
        """Scheme, host and port of the service."""
        self.account_sid: Final = credentials.account_sid
        """The SID of the account."""
        account = f"Accounts/{self.account_sid}"
        self._prefixes = {c: f"{base_url}/{c.version}/{account}/" for c in Category}
        self._auth: httpx.Auth = library.BasicAuth(credentials.api_key, credentials.api_token)
        # A gateway's error page may repeat the request, and an error quotes the response.
        pair = f"{credentials.api_key}:{credentials.api_token}".encode()
        self._secrets = (credentials.api_token, base64.b64encode(pair).decode())
        self._accepted = False
        self._timeouts = timeouts
        self._settings: dict[str, Any] = {
            "headers": {
                "User-Agent": f"exotel-async/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": ACCEPTED,
            },
            "timeout": library.Timeout(
                connect=timeouts.connect, read=timeouts.read, write=timeouts.write, pool=None
            ),
        }
        # A client of our own is made with the settings: cheaper than passing them each time.
        self._each_time = {} if self._given is None else self._settings
        self._max_in_flight = max_in_flight
        # The limiter has the same maximum, but a custom limiter may not enforce it.
        self._gate = asyncio.Semaphore(max_in_flight)
        self._downloads = asyncio.Semaphore(_DOWNLOADS)
        library_logs.keep_private()

    @property
    def may_arrive_for(self) -> float:
        """Seconds for which an abandoned request may still arrive at the service."""
        return self._timeouts.read

    @property
    def longest(self) -> float:
        """Maximum seconds from the permit until a request has arrived at the service, if ever."""
        return self._timeouts.exchange + self.may_arrive_for

    def prepare(self) -> None:
        """Make the HTTP client if there is none yet, before a request costs anything.

        Raises:
            ConfigurationError: environment variables prevent it.
        """
        if self._given is None and self._made is None:
            most = self._max_in_flight + _DOWNLOADS + _SPARE_CONNECTIONS
            self._made = new_client(
                self._library,
                proxied=self._proxied,
                limits=self._library.Limits(
                    max_connections=most,
                    max_keepalive_connections=most,
                    keepalive_expiry=_KEPT_ALIVE,
                ),
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                **self._settings,
            )

    async def exchange(
        self, request: Request, before_send: Callable[[], None] | None = None
    ) -> Attempt:
        """Send one request once. Raises nothing: even a cancellation is part of the result.

        `before_send` is a last check before the first byte, see `SendOptions`.
        """
        library_logs.begin(self._secrets)
        seen = ExchangeState(before_send)
        problem, timed_out, late = "", False, False
        try:
            # Processes that share a limiter rely on this timeout, which includes waiting here.
            with anyio.move_on_after(self._timeouts.exchange) as scope:
                async with self._gate:
                    # A request that passes at the last moment must not be cancelled while sending.
                    late = scope.deadline - anyio.current_time() < self._timeouts.exchange / 100
                    problem = "" if late else await self._send(request, seen)
            if late or scope.cancelled_caught:
                most = self._timeouts.exchange
                problem, timed_out = f"the exchange took longer than {most:g} s", True
        except self._library.TimeoutException as error:
            self._note_connection_error(error, seen)
            problem, timed_out = describe(error), True
        except self._library.HTTPStatusError as error:
            _note_hook_response(error, seen)
            problem = describe(error)
        except asyncio.CancelledError:
            problem, timed_out = "the exchange was cancelled", True
        except UnreadableBody as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the facts decide
            self._note_connection_error(error, seen)
            problem = describe(error)
        body, accepted = bytes(seen.body), self._accepted
        response = Response(
            seen.status, seen.headers, body, secrets=self._secrets, accepted=accepted
        )
        self._accepted = self._accepted or 200 <= seen.status < 300
        return Attempt(
            host=self._netloc,
            written=seen.written,
            response=response if seen.status else None,
            is_complete=not problem,
            timed_out=timed_out,
            problem=problem and response.conceal(problem),
            proxy=self._proxy() if problem and not seen.status else None,
            stopped_by=seen.stopped_by,
        )

    def _proxy(self) -> str | None:
        if self._made is None:
            return None
        return proxy_of(self._library, self._made, self._prefixes[Category.VOICE])

    async def _send(self, request: Request, seen: ExchangeState) -> str:
        """Send a request and read the response; return the problem, or ""."""
        client = self._client
        built = self._request(client, request, seen.trace)
        if client.is_closed:
            return "the HTTP client is closed"
        # Checked here too, as not every transport reports when it begins to write. A check that
        # fails before that also spares a kept-alive connection, which it would otherwise close.
        seen.check()
        seen.handed_over = built
        response: httpx.Response = await client.send(
            built, stream=True, auth=self._auth, follow_redirects=False
        )
        try:
            seen.got_headers(response.status_code, response.headers.raw)
            self._forget_cookies(response)
            await self._read_body(response, seen)
            # Before the connection can be reused.
            if await drop_surplus(response):
                # It is unknown which of two responses is the one to this request.
                seen.status = 0
                return "more than one answer came"
        finally:
            await response.aclose()
        return ""

    async def _read_body(self, response: httpx.Response, seen: ExchangeState) -> None:
        """Read the body into `seen.body`. Raises UnreadableBody if it is too long or malformed."""
        pieces = self._pieces(response)
        if pieces is None:
            seen.body += response.content
            return
        inflater = Inflater(seen.headers.get("content-encoding", ""), _LONGEST_BODY)
        async for chunk in pieces:
            seen.body += inflater.feed(chunk)
        inflater.end()

    def _note_connection_error(self, error: Exception, seen: ExchangeState) -> None:
        # In a user's client, a hook may raise the same errors after a response was received.
        if self._given is None and isinstance(error, self._before_connection):
            seen.not_connected()

    def _forget_cookies(self, response: httpx.Response) -> None:
        """Remove a response's cookies from the user's client, which others may use, too."""
        if self._given is None or "set-cookie" not in response.headers:
            return
        for cookie in response.cookies.jar:
            with suppress(KeyError):
                self._given.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)

    async def download(
        self,
        url: str,
        sink: Sink,
        *,
        credentials: bool,
        bounds: Bounds,
    ) -> Download:
        """Fetch a file once, from any host. No redirect is followed, and nothing is raised.

        There is no total timeout, as long as the file arrives fast enough. To abort it, use an
        anyio cancel scope instead of cancelling its task, which may leak a connection; even then it
        waits for the response headers. What the sink raises is reported in `problem`.
        """
        # Imported here, because few programs fetch files.
        from exotel_async.http.receive import Download, Refused  # noqa: PLC0415

        library_logs.begin(self._secrets, download=True)
        if self._client.is_closed:
            return Download(host=urlsplit(url).netloc, problem="the HTTP client is closed")
        seen = ExchangeState()
        idle = self._timeouts.read if bounds.idle is None else bounds.idle
        problem, refused = "", False
        try:
            async with self._downloads:
                response = await self._head(url, seen, self._auth if credentials else None, idle)
                if response is None:
                    problem = "the answer took too long to begin"
                else:
                    problem = await self._stream_to_sink(response, seen, sink, bounds.size, idle)
        except Refused as error:
            problem, refused = str(error), True
        except self._library.HTTPStatusError as error:
            _note_hook_response(error, seen)
            problem = describe(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the facts decide
            self._note_connection_error(error, seen)
            problem = describe(error)
        known = Response(seen.status, secrets=self._secrets)
        return Download(
            host=urlsplit(url).netloc,
            written=seen.written,
            status=seen.status or None,
            headers={name: known.conceal(value) for name, value in seen.headers.items()},
            size=seen.size,
            is_complete=seen.status == 200 and not problem,
            refused=refused,
            problem=known.conceal(problem),
        )

    async def _head(
        self, url: str, seen: ExchangeState, auth: httpx.Auth | None, idle: float
    ) -> httpx.Response | None:
        """Request a file and wait for the response headers, even if cancelled; None: timed out."""
        with anyio.move_on_after(self._timeouts.exchange, shield=True):
            built = self._file(url, seen.trace, idle)
            seen.handed_over = built
            response: httpx.Response = await self._client.send(
                built, stream=True, auth=auth, follow_redirects=False
            )
            self._forget_cookies(response)
            return response
        return None

    async def _stream_to_sink(
        self,
        response: httpx.Response,
        seen: ExchangeState,
        sink: Sink,
        most: int | None,
        idle: float,
    ) -> str:
        """Stream the file to the sink; return the problem, or "". Raises what `receive` raises."""
        from exotel_async.http.receive import check_head, receive  # noqa: PLC0415

        try:
            seen.got_headers(response.status_code, response.headers.raw)
            if response.status_code != 200:
                return ""
            check_head(seen.headers, most)
            sink.got_headers(seen.headers)
            pieces = self._pieces(response) or _single_chunk(response.content)
            sniff = not seen.headers.get("content-type", "").strip()
            seen.size = await receive(pieces, sink.write, most=most, idle=idle, sniff=sniff)
            await drop_surplus(response)
        finally:
            with anyio.move_on_after(_CLOSING, shield=True):
                await response.aclose()
        whole = seen.headers.get("content-length") in {None, str(seen.size)}
        return "" if whole else "the file is incomplete"

    async def aclose(self) -> None:
        """Close the connections. A client that was passed in is left open."""
        if self._made is not None:
            await self._made.aclose()

    @property
    def _client(self) -> HttpClient:
        if self._given is not None:
            return self._given
        self.prepare()
        assert self._made is not None  # noqa: S101 - it was just made
        return self._made

    def _request(self, client: HttpClient, request: Request, trace: Any) -> httpx.Request:
        built: httpx.Request = client.build_request(
            request.method,
            self._prefixes[request.category] + request.path,
            params=request.params or None,
            content=request.body,
            extensions={"trace": trace},
            **self._each_time,
        )
        if request.body is not None:
            built.headers["Content-Type"] = "application/x-www-form-urlencoded"
        built.headers.pop("Cookie", None)
        return built

    def _file(self, url: str, trace: Any, idle: float) -> httpx.Request:
        within = self._timeouts
        timeout = self._library.Timeout(
            connect=within.connect, read=idle, write=within.write, pool=None
        )
        built: httpx.Request = self._client.build_request(
            "GET", url, extensions={"trace": trace}, **{**self._each_time, "timeout": timeout}
        )
        # Not compressed, so that its length is known; audio would not get smaller anyway.
        built.headers.update({"Accept": "*/*", "Accept-Encoding": "identity"})
        # A user's client may have default headers that are meant for the service only.
        for name in ("Authorization", "Cookie"):
            built.headers.pop(name, None)
        return built

    def _pieces(self, response: httpx.Response) -> AsyncIterator[bytes] | None:
        """Return the raw body as a stream; None if a hook or a mock has already read it.

        Unlike httpx's own methods, this does not close the response at its end: the connection
        could be reused before it was checked for surplus bytes.
        """
        stream: Any = response.stream
        if response.is_stream_consumed or not isinstance(stream, self._library.AsyncByteStream):
            return None
        pieces: AsyncIterator[bytes] = aiter(stream)
        return pieces


async def _single_chunk(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _note_hook_response(error: httpx.HTTPStatusError, seen: ExchangeState) -> None:
    """Record the response for which a hook of the user's client raised, if it is to our request."""
    # A hook may send requests of its own, whose responses say nothing about this one.
    if error.request is seen.handed_over:
        seen.got_headers(error.response.status_code, error.response.headers.raw)

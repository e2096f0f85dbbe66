"""A request goes out by httpx or httpx2, and what is certain about it comes back.

They raise some thirty kinds of errors, and a few that are not their own. What matters is the same
for all of them: whether a byte was written, whether a status came, and whether the body is
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
from exotel_async.http.attempt import Attempt, Seen
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
# A request that is cancelled may take its place in httpx's pool with it (not in that of httpx2):
# the pool has some to spare.
_SPARE_CONNECTIONS: Final = 8
_DOWNLOADS: Final = 4  # at once: they take long, and are not to take the place of requests
_CLOSING: Final = 1.0  # seconds
# A service drops idle connections, and a request that meets that is lost: a dial's outcome is then
# not known. One that was used a second ago is dropped by hardly any.
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
        # What it raises while there is no connection to the service yet.
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
        # No proxy leads back to this computer.
        self._proxied = not is_this_computer(parts.hostname or "")
        if self._given is None:
            check_environment(library, proxied=self._proxied)
        else:
            check_pool(self._given, max_in_flight)
        self.host: Final = (parts.hostname, None if parts.port in {80, 443} else parts.port)
        """Host and port, if it is not the usual one: what distinguishes one Exotel from another."""
        self._netloc = parts.netloc
        self.origin: Final = origin(base_url)
        """Scheme, host and port of the service."""
        self.account_sid: Final = credentials.account_sid
        """The account."""
        account = f"Accounts/{self.account_sid}"
        self._prefixes = {c: f"{base_url}/{c.version}/{account}/" for c in Category}
        self._auth: httpx.Auth = library.BasicAuth(credentials.api_key, credentials.api_token)
        # A gateway's error page may repeat the request, and an error quotes the answer.
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
        # A client of our own is made with the settings: cheaper than to pass them each time.
        self._each_time = {} if self._given is None else self._settings
        self._max_in_flight = max_in_flight
        # The limiter keeps to the same number; a limiter of the user's own may not.
        self._gate = asyncio.Semaphore(max_in_flight)
        self._downloads = asyncio.Semaphore(_DOWNLOADS)
        library_logs.keep_private()

    @property
    def late(self) -> float:
        """Seconds in which a request that was given up may still arrive at the service."""
        return self._timeouts.read

    @property
    def longest(self) -> float:
        """Seconds from the permit until a request has arrived at the service or never will."""
        return self._timeouts.exchange + self.late

    def prepare(self) -> None:
        """Make the HTTP client, if there is none yet: before anything is spent on a request.

        Raises:
            ConfigurationError: the environment does not let it be made.
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
        """Send one request once. Raises nothing: the result says if it was cancelled.

        `before_send` is a last check before the first byte, see `SendOptions`.
        """
        library_logs.begin(self._secrets)
        seen = Seen(before_send)
        problem, timed_out, late = "", False, False
        try:
            # Processes that share a limiter rely on this limit, the wait at the gate included.
            with anyio.move_on_after(self._timeouts.exchange) as scope:
                async with self._gate:
                    # One that gets in at the last moment must not be cancelled while it is sent.
                    late = scope.deadline - anyio.current_time() < self._timeouts.exchange / 100
                    problem = "" if late else await self._send(request, seen)
            if late or scope.cancelled_caught:
                most = self._timeouts.exchange
                problem, timed_out = f"the exchange took longer than {most:g} s", True
        except self._library.TimeoutException as error:
            self._take_note(error, seen)
            problem, timed_out = describe(error), True
        except self._library.HTTPStatusError as error:
            _look_at(error, seen)
            problem = describe(error)
        except asyncio.CancelledError:
            problem, timed_out = "the exchange was cancelled", True
        except UnreadableBody as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it was, the facts decide
            self._take_note(error, seen)
            problem = describe(error)
        body, accepted = bytes(seen.body), self._accepted
        answer = Response(seen.status, seen.headers, body, secrets=self._secrets, accepted=accepted)
        self._accepted = self._accepted or 200 <= seen.status < 300
        return Attempt(
            host=self._netloc,
            written=seen.written,
            answer=answer if seen.status else None,
            whole=not problem,
            timed_out=timed_out,
            problem=problem and answer.conceal(problem),
            proxy=self._proxy() if problem and not seen.status else None,
            stopped_by=seen.stopped_by,
        )

    def _proxy(self) -> str | None:
        if self._made is None:
            return None
        return proxy_of(self._library, self._made, self._prefixes[Category.VOICE])

    async def _send(self, request: Request, seen: Seen) -> str:
        """Send and read; return what went wrong, or ""."""
        client = self._client
        built = self._request(client, request, seen.trace)
        if client.is_closed:
            return "the HTTP client is closed"
        # Not every transport tells when it begins to write. What fails already needs no connection,
        # either: one that is kept alive would be closed by it.
        seen.check()
        seen.handed_over = built
        response: httpx.Response = await client.send(
            built, stream=True, auth=self._auth, follow_redirects=False
        )
        try:
            seen.headed(response.status_code, response.headers.raw)
            self._forget_cookies(response)
            await self._read_body(response, seen)
            # Before others can have the connection.
            if await drop_surplus(response):
                # Of two answers it is not known which is the one to this request.
                seen.status = 0
                return "more than one answer came"
        finally:
            await response.aclose()
        return ""

    async def _read_body(self, response: httpx.Response, seen: Seen) -> None:
        """Read a body into what is seen. Raises UnreadableBody: it is not one that may be read."""
        pieces = self._pieces(response)
        if pieces is None:
            seen.body += response.content
            return
        inflater = Inflater(seen.headers.get("content-encoding", ""), _LONGEST_BODY)
        async for chunk in pieces:
            seen.body += inflater.feed(chunk)
        inflater.end()

    def _take_note(self, error: Exception, seen: Seen) -> None:
        # In a client of the user's, a hook may raise the same when an answer is there.
        if self._given is None and isinstance(error, self._before_connection):
            seen.not_connected()

    def _forget_cookies(self, response: httpx.Response) -> None:
        """Take out of the user's client what an answer put into it: others may use it, too."""
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
        """Fetch a file once, from whatever host. No redirect is followed, and nothing is raised.

        It has no end but that of the file, as long as it comes fast enough. End it by a cancel
        scope of anyio and not by cancelling its task, which may cost a connection; even then the
        head of an answer is waited for. What the sink raises ends up in `problem`.
        """
        # Few programs fetch files: the others do not import what that takes.
        from exotel_async.http.receive import Download, Refused  # noqa: PLC0415

        library_logs.begin(self._secrets, download=True)
        if self._client.is_closed:
            return Download(host=urlsplit(url).netloc, problem="the HTTP client is closed")
        seen = Seen()
        idle = self._timeouts.read if bounds.idle is None else bounds.idle
        problem, refused = "", False
        try:
            async with self._downloads:
                response = await self._head(url, seen, self._auth if credentials else None, idle)
                if response is None:
                    problem = "the answer took too long to begin"
                else:
                    problem = await self._hand_on(response, seen, sink, bounds.size, idle)
        except Refused as error:
            problem, refused = str(error), True
        except self._library.HTTPStatusError as error:
            _look_at(error, seen)
            problem = describe(error)
        except Exception as error:  # noqa: BLE001 - whatever it was, the facts decide
            self._take_note(error, seen)
            problem = describe(error)
        known = Response(seen.status, secrets=self._secrets)
        return Download(
            host=urlsplit(url).netloc,
            written=seen.written,
            status=seen.status or None,
            headers={name: known.conceal(value) for name, value in seen.headers.items()},
            size=seen.size,
            whole=seen.status == 200 and not problem,
            refused=refused,
            problem=known.conceal(problem),
        )

    async def _head(
        self, url: str, seen: Seen, auth: httpx.Auth | None, idle: float
    ) -> httpx.Response | None:
        """Ask for a file and wait for the head of the answer, even if that is cancelled."""
        with anyio.move_on_after(self._timeouts.exchange, shield=True):
            built = self._file(url, seen.trace, idle)
            seen.handed_over = built
            response: httpx.Response = await self._client.send(
                built, stream=True, auth=auth, follow_redirects=False
            )
            self._forget_cookies(response)
            return response
        return None

    async def _hand_on(
        self,
        response: httpx.Response,
        seen: Seen,
        sink: Sink,
        most: int | None,
        idle: float,
    ) -> str:
        """Hand on what comes; return what went wrong, or "". Raises what `receive` does."""
        from exotel_async.http.receive import check_head, receive  # noqa: PLC0415

        try:
            seen.headed(response.status_code, response.headers.raw)
            if response.status_code != 200:
                return ""
            check_head(seen.headers, most)
            sink.headed(seen.headers)
            pieces = self._pieces(response) or _whole(response.content)
            sniff = not seen.headers.get("content-type", "").strip()
            seen.size = await receive(pieces, sink.write, most=most, idle=idle, sniff=sniff)
            await drop_surplus(response)
        finally:
            with anyio.move_on_after(_CLOSING, shield=True):
                await response.aclose()
        whole = seen.headers.get("content-length") in {None, str(seen.size)}
        return "" if whole else "the file is incomplete"

    async def aclose(self) -> None:
        """Close the connections. A client that was given to us is not ours to close."""
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
        # Not compressed, so that its length is known; an audio file has nothing to gain.
        built.headers.update({"Accept": "*/*", "Accept-Encoding": "identity"})
        # A client of the user's own may bring headers for the service.
        for name in ("Authorization", "Cookie"):
            built.headers.pop(name, None)
        return built

    def _pieces(self, response: httpx.Response) -> AsyncIterator[bytes] | None:
        """Give the body as it is on the wire; None if a user's hook, or a mock, has it.

        Unlike what httpx offers for this it does not close the answer at its end: others would have
        the connection before it was looked at.
        """
        stream: Any = response.stream
        if response.is_stream_consumed or not isinstance(stream, self._library.AsyncByteStream):
            return None
        pieces: AsyncIterator[bytes] = aiter(stream)
        return pieces


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _look_at(error: httpx.HTTPStatusError, seen: Seen) -> None:
    """Take note of the answer that a hook of the user's client has raised for, if it is ours."""
    # A hook may ask others for something, and what they answer says nothing of this request.
    if error.request is seen.handed_over:
        seen.headed(error.response.status_code, error.response.headers.raw)

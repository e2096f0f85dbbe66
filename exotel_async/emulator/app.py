"""The ASGI app: one request from its arrival to its response."""

from __future__ import annotations

import asyncio
import math
from asyncio import Task
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from random import Random

import attrs

from exotel_async.emulator.api_errors import Refusal
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.credentials import is_basic
from exotel_async.emulator.documents import RECORDINGS
from exotel_async.emulator.encoding import read_form, read_query
from exotel_async.emulator.faults import Fault, Faults
from exotel_async.emulator.filters import possible_faults
from exotel_async.emulator.pages import VOICE, ApiRequest, Endpoints, Place, locate
from exotel_async.emulator.rate_limit import Window
from exotel_async.emulator.recordings import Recordings
from exotel_async.emulator.request_log import ReceivedRequest
from exotel_async.emulator.responses import (
    Receive,
    Response,
    Scope,
    Send,
    Sender,
    act,
    answer,
    refuse,
)
from exotel_async.emulator.settings import Settings

_CONTROL = "/_emulator/"


class App:
    """Authenticates, rate-limits and answers requests, and records each of them."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        windows: tuple[Window, Window],
        faults: Faults,
        endpoints: Mapping[str, Endpoints],
        recordings: Recordings,
        control: Callable[[Scope, Receive, Send], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._voice_window, self._exophones_window = windows
        self._faults = faults
        self._endpoints = endpoints
        self._recordings = recordings
        self._control = control
        self._random = Random(settings.seed)  # noqa: S311 - latencies
        self._serving: set[Task[object]] = set()
        """The requests in progress, except those under `/_emulator/`."""
        self.requests: list[ReceivedRequest] = []
        self.accepted: int = 0
        self.refused: int = 0

    def clear(self, windows: tuple[Window, Window]) -> None:
        """Forget all requests, and count in these new windows, of Voice and of ExoPhones.

        Requests in progress are cancelled: they get no response, and have no further effect.
        """
        for task in self._serving:
            task.cancel()
        self._random.seed(self._settings.seed)
        self._voice_window, self._exophones_window = windows
        self.requests.clear()
        self.accepted = self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        sender = Sender(scope, receive, send, self._clock.http_date())
        control = f"{scope['path']}/".startswith(_CONTROL)
        task = None if control else asyncio.current_task()
        if task is not None:
            self._serving.add(task)
        try:
            if control:
                await self._control(scope, receive, send)
            elif scope["path"].startswith(RECORDINGS):
                await self._recordings.serve(scope, sender)
            else:
                await self._serve(scope, receive, sender)
        except asyncio.CancelledError:
            # By `clear`, or by the listener once the connection is gone. If it were still open,
            # uvicorn would log this as a crash of the app.
            with suppress(asyncio.CancelledError):
                await sender.drop(reset=False)
        finally:
            if task is not None:
                self._serving.discard(task)

    async def _serve(self, scope: Scope, receive: Receive, sender: Sender) -> None:
        body = await _read_body(receive)
        if body is None:
            return
        before, after = 0.0, 0.0
        if self._settings.latency is not None:
            before, after = self._settings.latency(self._random)
            await asyncio.sleep(before)
        headers = dict(scope["headers"])
        form = await read_form(headers.get(b"content-type", b"").decode("latin-1"), body)
        query = read_query(scope["query_string"])
        place = locate(scope["raw_path"].decode("latin-1"), self._settings.account_sid)
        request = ReceivedRequest(
            method=scope["method"],
            path=scope["path"],
            query=dict(query),
            body=body,
            form=dict(form or ()),
            arrived=self._clock.elapsed(),
            exophones=place.api not in {VOICE, None},
        )
        self.requests.append(request)
        fault: Fault | None = None
        try:
            endpoints, page = self._authenticate(place, headers.get(b"authorization", b""))
            self._count(request)
            api_request = ApiRequest(
                method="GET" if request.method == "HEAD" else request.method,
                page=page,
                json=place.json,
                query_pairs=query,
                form=form,
            )
            listing = possible_faults(api_request.query) if api_request.is_listing else ()
            fault = self._faults.take_for_request(request.method, request.path, listing)
            request.fault = fault
            made = await self._act(endpoints, api_request, fault)
        except Refusal as refusal:
            request.reason = refusal.message
            made = refuse(refusal, json=place.json)
        if self._settings.rate_limit_headers and request.counted:
            rate_headers = self._rate_headers(self._window_of(request))
            made = attrs.evolve(made, headers={**made.headers, **rate_headers})
        if after:
            await asyncio.sleep(after)
        if not await sender.withheld(fault):
            # Before it is sent: the client may be in another thread, and look here at once.
            request.status = made.status
            self.accepted += 200 <= made.status < 300
            await sender.deliver(made, fault)

    def _authenticate(self, place: Place, authorization: bytes) -> tuple[Endpoints, str]:
        """Return the endpoints of the requested API, and the path of one below the account.

        Raises Refusal: 401 before 404, so that strangers do not learn which accounts exist.
        """
        if place.api is None:
            raise Refusal(404, "The requested resource was not found")
        if not is_basic(authorization, self._settings):
            raise Refusal(401, "Authentication is required")
        if place.page is None:
            raise Refusal(404, "The account was not found")
        return self._endpoints[place.api], place.page

    def _window_of(self, request: ReceivedRequest) -> Window:
        """Return the rate window that a request counts in."""
        return self._exophones_window if request.exophones else self._voice_window

    def _count(self, request: ReceivedRequest) -> None:
        """Count a request against the rate. Raises Refusal, 429.

        Every authenticated request counts, whatever its outcome: a rate limit is applied before
        anything else is read of a request.
        """
        request.counted = True
        window = self._window_of(request)
        if window.admit(request.arrived):
            return
        request.refused = True
        self.refused += 1
        match self._settings.retry_after:
            case None:
                retry_after = None
            case "exact":
                wait = self._clock.real(window.wait(request.arrived))
                retry_after = str(math.ceil(wait))
            case seconds:
                retry_after = f"{seconds:g}"
        message = f"Too many requests: at most {window.rate} per {window.per:g} s"
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        raise Refusal(429, message, headers=headers)

    async def _act(
        self, endpoints: Endpoints, request: ApiRequest, fault: Fault | None
    ) -> Response:
        """Carry out a request, as far as a fault allows. Raises Refusal."""
        request = request if fault is None else attrs.evolve(request, fault=fault)
        return await act(
            fault, lambda: answer(endpoints.answer(request), json=request.json), json=request.json
        )

    def _rate_headers(self, window: Window) -> Mapping[str, str]:
        now = self._clock.elapsed()
        free_at = self._clock.wall(now + window.wait(now))
        return {
            "X-RateLimit-Limit": str(window.rate),
            "X-RateLimit-Remaining": str(window.remaining(now)),
            "X-RateLimit-Reset": str(math.ceil(free_at.timestamp())),
        }


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body; None if the client disconnected before its end."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message["body"])
        if not message["more_body"]:
            return b"".join(chunks)

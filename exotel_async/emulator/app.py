"""The ASGI app: one request from its arrival to its answer."""

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
from exotel_async.emulator.pages import VOICE, Asked, Pages, Place, locate
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
    """Counts, checks and answers requests, and records each of them."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        windows: tuple[Window, Window],
        faults: Faults,
        pages: Mapping[str, Pages],
        recordings: Recordings,
        control: Callable[[Scope, Receive, Send], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._voice_window, self._exophones_window = windows
        self._faults = faults
        self._pages = pages
        self._recordings = recordings
        self._control = control
        self._random = Random(settings.seed)  # noqa: S311 - latencies
        self._serving: set[Task[object]] = set()
        """The requests in progress, but for those of the control pages."""
        self.requests: list[ReceivedRequest] = []
        self.accepted: int = 0
        self.refused: int = 0

    def clear(self, windows: tuple[Window, Window]) -> None:
        """Forget what came, and count anew in those windows, of Voice and of ExoPhones.

        Requests in progress end without an answer, and do nothing any more.
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
            # Of `clear`, or of the listener, once the connection is gone. With the connection there
            # uvicorn would log it as a crash of the app.
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
            pages, page = self._authenticate(place, headers.get(b"authorization", b""))
            self._count(request)
            asked = Asked(
                method="GET" if request.method == "HEAD" else request.method,
                page=page,
                json=place.json,
                query_pairs=query,
                form=form,
            )
            listing = possible_faults(asked.query) if asked.is_listing else ()
            fault = self._faults.take_for_request(request.method, request.path, listing)
            request.fault = fault
            made = await self._act(pages, asked, fault)
        except Refusal as refusal:
            request.reason = refusal.message
            made = refuse(refusal, json=place.json)
        if self._settings.rate_limit_headers and request.counted:
            rate_headers = self._rate_headers(self._window_of(request))
            made = attrs.evolve(made, headers={**made.headers, **rate_headers})
        if after:
            await asyncio.sleep(after)
        if not await sender.withheld(fault):
            # Before it leaves: who reads it may be in another thread, and look here at once.
            request.status = made.status
            self.accepted += 200 <= made.status < 300
            await sender.deliver(made, fault)

    def _authenticate(self, place: Place, authorization: bytes) -> tuple[Pages, str]:
        """The pages of the API asked, and which of them it is.

        Raises Refusal: 401 before 404, so that strangers do not learn which accounts exist.
        """
        if place.api is None:
            raise Refusal(404, "The requested resource was not found")
        if not is_basic(authorization, self._settings):
            raise Refusal(401, "Authentication is required")
        if place.page is None:
            raise Refusal(404, "The account was not found")
        return self._pages[place.api], place.page

    def _window_of(self, request: ReceivedRequest) -> Window:
        """The one it counts in."""
        return self._exophones_window if request.exophones else self._voice_window

    def _count(self, request: ReceivedRequest) -> None:
        """Raises Refusal, 429.

        Every request of the account counts, whatever becomes of it: a limit stands at the door,
        before anybody has read what is asked for.
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
        told = {} if retry_after is None else {"Retry-After": retry_after}
        raise Refusal(429, message, headers=told)

    async def _act(self, pages: Pages, asked: Asked, fault: Fault | None) -> Response:
        """Do what is asked, as far as a fault lets it. Raises Refusal."""
        asked = asked if fault is None else attrs.evolve(asked, fault=fault)
        return await act(
            fault, lambda: answer(pages.answer(asked), json=asked.json), json=asked.json
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
    """The whole body; None when the client left before its end."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message["body"])
        if not message["more_body"]:
            return b"".join(chunks)

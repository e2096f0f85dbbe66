"""The ASGI app: one request from its arrival to its answer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from urllib.parse import parse_qsl, quote

import attrs

from exotel_async.emulator.api import Api, Asked
from exotel_async.emulator.api_errors import Refusal
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.credentials import is_basic
from exotel_async.emulator.documents import RECORDINGS
from exotel_async.emulator.encoding import read_form
from exotel_async.emulator.exophones import ExoPhones
from exotel_async.emulator.faults import Fault, Faults
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
_VOICE, _EXOPHONES = "/v1/Accounts/", "/v2_beta/Accounts/"


class App:
    """Counts, checks and answers requests, and records each of them."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        windows: tuple[Window, Window],
        faults: Faults,
        api: Api,
        exophones: ExoPhones,
        recordings: Recordings,
        control: Callable[[Scope, Receive, Send], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._voice_window, self._exophones_window = windows
        self._faults = faults
        self._api = api
        self._exophones = exophones
        self._recordings = recordings
        self._control = control
        self._random = Random(settings.seed)  # noqa: S311 - latencies
        self.requests: list[ReceivedRequest] = []
        self.accepted: int = 0
        self.refused: int = 0

    def clear(self, windows: tuple[Window, Window]) -> None:
        """Forget what came, and count anew in those windows, of Voice and of ExoPhones."""
        self._voice_window, self._exophones_window = windows
        self.requests.clear()
        self.accepted = self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        sender = Sender(scope, receive, send, self._clock.http_date())
        try:
            if scope["path"].startswith(_CONTROL):
                await self._control(scope, receive, send)
            elif scope["path"].startswith(RECORDINGS):
                await self._recordings.serve(scope, sender)
            else:
                await self._serve(scope, receive, sender)
        except asyncio.CancelledError:
            # Only the listener cancels, once the connection is gone; uvicorn would log it as a
            # crash of the app.
            return

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
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        path = scope["raw_path"].decode("latin-1")
        exophones = path.startswith(_EXOPHONES)
        request = ReceivedRequest(
            method=scope["method"],
            path=scope["path"],
            query=dict(query),
            body=body,
            form=dict(form or ()),
            arrived=self._clock.elapsed(),
            exophones=exophones,
        )
        self.requests.append(request)
        asked = Asked(
            method=request.method,
            page=path.removeprefix(self._account(path)).removesuffix(".json"),
            # Of ExoPhones there is nothing but JSON (VOICE_V1 8).
            json=exophones or path.endswith(".json"),
            query_pairs=query,
            form=form,
        )
        fault: Fault | None = None
        try:
            self._authenticate(path, headers.get(b"authorization", b""))
            self._count(request)
            listing = () if exophones else self._api.possible_faults(asked)
            fault = self._faults.take_for_request(request.method, request.path, listing)
            made = await self._act(asked, fault, exophones=exophones)
        except Refusal as refusal:
            made = refuse(refusal, json=asked.json)
        if self._settings.rate_limit_headers and request.counted:
            rate_headers = self._rate_headers(self._window_of(request))
            made = attrs.evolve(made, headers={**made.headers, **rate_headers})
        if after:
            await asyncio.sleep(after)
        if await sender.deliver(made, fault):
            request.status = made.status
            self.accepted += 200 <= made.status < 300

    def _authenticate(self, path: str, authorization: bytes) -> None:
        """Raises Refusal: 401 before 404, so that strangers do not learn which accounts exist."""
        if not path.startswith((_VOICE, _EXOPHONES)):
            raise Refusal(404, "The requested resource was not found")
        if not is_basic(authorization, self._settings):
            raise Refusal(401, "Authentication is required")
        if not path.startswith(self._account(path)):
            raise Refusal(404, "The account was not found")

    def _account(self, path: str) -> str:
        """What the path begins with, if it is our account's."""
        root = _EXOPHONES if path.startswith(_EXOPHONES) else _VOICE
        return f"{root}{quote(self._settings.account_sid)}/"

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
        raise Refusal(429, message, retry_after=retry_after)

    async def _act(self, asked: Asked, fault: Fault | None, *, exophones: bool) -> Response:
        """Do what is asked, as far as a fault lets it. Raises Refusal."""

        def do() -> Response:
            if exophones:
                return answer(self._exophones.answer(asked), json=True)
            return answer(self._api.answer(asked, fault), json=asked.json)

        return await act(fault, do, json=asked.json)

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

"""Responses: built from documents, altered by faults, and sent over the connection."""

from __future__ import annotations

import asyncio
from asyncio import Transport
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import attrs

from exotel_async.emulator.api_errors import Refusal
from exotel_async.emulator.faults import Ending, Fault, Garbage
from exotel_async.emulator.rendering import Body, as_json, as_xml
from exotel_async.emulator.server import drop

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_BODILESS = (204, 304)
"""Statuses whose responses have no body, even if a fault has one."""


@attrs.frozen(kw_only=True)
class Response:
    """A response before it is sent."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict)
    document: Body = attrs.field(factory=dict)
    """The content of the body; empty for a recording."""


def answer(document: Body, *, json: bool, status: int = 200) -> Response:
    """Return a document as a response, in JSON or XML."""
    content_type, body = as_json(document) if json else as_xml(document)
    return Response(status=status, content_type=content_type, body=body, document=document)


def refuse(refusal: Refusal, *, json: bool) -> Response:
    """Return a RestException as a response, in JSON or XML."""
    made = answer(refusal.document(), json=json, status=refusal.status)
    headers = dict(refusal.headers)
    if refusal.status == 401:
        # RFC 9110 requires it, and many clients send credentials only once challenged.
        headers["WWW-Authenticate"] = 'Basic realm="Exotel"'
    return attrs.evolve(made, headers=headers)


async def act(fault: Fault | None, do: Callable[[], Response], *, json: bool) -> Response:
    """Carry out a request and return its response, as far as a fault allows. Raises Refusal."""
    if fault is None:
        return do()
    await asyncio.sleep(fault.delay)
    return _apply_fault(do() if fault.acts else answer({}, json=json), fault, json=json)


def _apply_fault(correct: Response, fault: Fault, *, json: bool) -> Response:
    """Return what a fault makes of the correct response."""
    made = correct
    if fault.status is not None:
        retry_after = fault.retry_after_header()
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        made = refuse(Refusal(fault.status, fault.message, headers=headers), json=json)
    if fault.garbage is not None:
        made = _garbage(made, fault.garbage, json=json)
    if fault.body is not None:
        made = attrs.evolve(made, body=fault.body)
    if fault.content_type is not None:
        made = attrs.evolve(made, content_type=fault.content_type)
    return made


def _garbage(correct: Response, kind: Garbage, *, json: bool) -> Response:
    match kind:
        case Garbage.TRUNCATED:
            return attrs.evolve(correct, body=correct.body[: len(correct.body) // 2])
        case Garbage.HTML:
            page = b"<html><head><title>502 Bad Gateway</title></head><body></body></html>"
            return attrs.evolve(correct, content_type="text/html", body=page)
        case Garbage.XML:
            return attrs.evolve(answer(correct.document, json=not json), status=correct.status)
        case Garbage.EMPTY:
            return attrs.evolve(correct, body=b"")
        case Garbage.NOT_UTF8:
            return attrs.evolve(correct, body=b'{"Call":{"Sid":"\xff\xfe\xc3"}}')
        case Garbage.LIST:
            return attrs.evolve(correct, body=b"[1,2,3]")


class Sender:
    """Sends responses on one request's connection."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, date: bytes) -> None:
        self._transport: Transport = scope["state"]["transport"]
        self._receive = receive
        self._send = send
        self._date = date

    async def drop(self, *, reset: bool) -> None:
        """Close the connection."""
        drop(self._transport, reset=reset)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until either side has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def withheld(self, fault: Fault | None) -> bool:
        """Apply a fault that acts before the response. Return whether nothing is to be sent."""
        match None if fault is None else fault.ending:
            case Ending.DROPPED:
                await self.drop(reset=fault is not None and fault.reset)
                return True
            case Ending.STALLED:
                return not await self._stall(None if fault is None else fault.seconds)
            case _:
                return False

    async def deliver(self, made: Response, fault: Fault | None) -> None:
        """Send a response that is not withheld, in the way the fault says."""
        if made.status in _BODILESS:
            made = attrs.evolve(made, body=b"")
        await self._start(made)
        match None if fault is None else fault.ending:
            case Ending.CUT:
                await self._body(made.body[: len(made.body) // 2], more=True)
                await self.drop(reset=fault is not None and fault.reset)
            case Ending.DRIPPED:
                for byte in made.body:
                    await asyncio.sleep((fault and fault.seconds) or 0.0)
                    await self._body(bytes([byte]), more=True)
                await self._body(b"")
            case _:
                await self._body(made.body)

    async def _stall(self, seconds: float | None) -> bool:
        """Wait that many seconds. Return whether the client is still connected."""
        try:
            async with asyncio.timeout(seconds):
                await self.wait_closed()
        except TimeoutError:
            return True
        return False

    async def _start(self, made: Response) -> None:
        headers = [
            (b"date", self._date),
            (b"content-type", made.content_type.encode()),
        ]
        if made.status not in _BODILESS:
            headers.append((b"content-length", b"%d" % len(made.body)))
        headers += [(name.encode(), value.encode()) for name, value in made.headers.items()]
        await self._send({"type": "http.response.start", "status": made.status, "headers": headers})

    async def _body(self, body: bytes, *, more: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

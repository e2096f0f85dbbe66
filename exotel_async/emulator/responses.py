"""Responses: made from documents, spoilt by faults, and sent over the connection."""

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
"""Statuses whose answers end with their headers, whatever a fault would have them say."""


@attrs.frozen(kw_only=True)
class Response:
    """A response before it leaves."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict)
    document: Body = attrs.field(factory=dict)
    """What the body says; nothing for a recording."""


def answer(document: Body, *, json: bool, status: int = 200) -> Response:
    """A document in the representation asked for."""
    content_type, body = as_json(document) if json else as_xml(document)
    return Response(status=status, content_type=content_type, body=body, document=document)


def refuse(refusal: Refusal, *, json: bool) -> Response:
    """A RestException in the representation asked for."""
    made = answer(refusal.document(), json=json, status=refusal.status)
    headers = dict(refusal.headers)
    if refusal.status == 401:
        # RFC 9110 demands it, and many clients send credentials only once they are asked for them.
        headers["WWW-Authenticate"] = 'Basic realm="Exotel"'
    return attrs.evolve(made, headers=headers)


async def act(fault: Fault | None, do: Callable[[], Response], *, json: bool) -> Response:
    """Do what is asked and answer, both as far as a fault lets it. Raises Refusal."""
    if fault is None:
        return do()
    await asyncio.sleep(fault.delay)
    return _spoil(do() if fault.acts else answer({}, json=json), fault, json=json)


def _spoil(right: Response, fault: Fault, *, json: bool) -> Response:
    """What a fault makes of the right answer."""
    made = right
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


def _garbage(right: Response, kind: Garbage, *, json: bool) -> Response:
    match kind:
        case Garbage.TRUNCATED:
            return attrs.evolve(right, body=right.body[: len(right.body) // 2])
        case Garbage.HTML:
            page = b"<html><head><title>502 Bad Gateway</title></head><body></body></html>"
            return attrs.evolve(right, content_type="text/html", body=page)
        case Garbage.XML:
            return attrs.evolve(answer(right.document, json=not json), status=right.status)
        case Garbage.EMPTY:
            return attrs.evolve(right, body=b"")
        case Garbage.NOT_UTF8:
            return attrs.evolve(right, body=b'{"Call":{"Sid":"\xff\xfe\xc3"}}')
        case Garbage.LIST:
            return attrs.evolve(right, body=b"[1,2,3]")


class Sender:
    """Sends answers on one request's connection."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, date: bytes) -> None:
        self._transport: Transport = scope["state"]["transport"]
        self._receive = receive
        self._send = send
        self._date = date

    async def drop(self, *, reset: bool) -> None:
        """Close the connection."""
        drop(self._transport, reset=reset)
        await self.gone()

    async def gone(self) -> None:
        """Wait until the connection is closed, by whichever side."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def withheld(self, fault: Fault | None) -> bool:
        """Do what a fault wants before an answer. Whether none of it is to be sent."""
        match None if fault is None else fault.ending:
            case Ending.DROPPED:
                await self.drop(reset=fault is not None and fault.reset)
                return True
            case Ending.STALLED:
                return not await self._stall(None if fault is None else fault.seconds)
            case _:
                return False

    async def deliver(self, made: Response, fault: Fault | None) -> None:
        """Send an answer that is not withheld, the way a fault wants it."""
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
        """Wait that long. Whether the client has waited as well."""
        try:
            async with asyncio.timeout(seconds):
                await self.gone()
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

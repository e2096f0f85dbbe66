"""FastAPI dependencies for use in your own routes::

    @app.post("/exotel/ended")
    async def ended(event: Annotated[StatusCallback, Depends(status_callback)]) -> None: ...

    @app.get("/exotel/check")
    async def check(request: Annotated[PassthruRequest, Depends(passthru_request)]) -> Response: ...

They only parse requests; they neither check a secret nor drop duplicates (use `event.key` for
that): `ExotelWebhooks` does both. The response to a request that cannot be read is 400, to a body
of another type 415, to one that is too long 413, and to one that does not arrive in time 408.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from exotel_async.errors import ConfigurationError, InvalidWebhook
from exotel_async.webhooks.asgi import BODY_SECONDS, MAX_BODY, Refused, read_callback
from exotel_async.webhooks.body import HEARTBEAT_FACTOR
from exotel_async.webhooks.events import DialEvent, StatusCallback
from exotel_async.webhooks.heartbeat import Heartbeat
from exotel_async.webhooks.requests import (
    ConnectRequest,
    GatherRequest,
    GreetingRequest,
    PassthruRequest,
    SmsRequest,
    VoicebotRequest,
    WhisperRequest,
)

try:
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
except ModuleNotFoundError as _missing:
    _HINT: Final = "these need Starlette: pip install 'exotel-async[webhooks]'"
    raise ConfigurationError(_HINT) from _missing

_Read = TypeVar("_Read")
_Request = TypeVar("_Request")


async def status_callback(request: Request) -> StatusCallback:
    """Read a status callback."""
    body, content_type = await _body(request)
    query = _query(request)
    return _read(lambda: StatusCallback.from_request(body, content_type, query=query))


async def heartbeat(request: Request) -> Heartbeat:
    """Read a heartbeat of ExoPhones."""
    body, content_type = await _body(request, MAX_BODY * HEARTBEAT_FACTOR)
    return _read(lambda: Heartbeat.from_request(body, content_type))


async def dial_event(request: Request) -> DialEvent:
    """Read a dial event of a Connect applet."""
    return _read(lambda: DialEvent.from_query(_query(request)))


async def _body(request: Request, most: int = MAX_BODY) -> tuple[bytes, str | None]:
    try:
        return await read_callback(
            request.headers.raw, request.stream(), most=most, seconds=BODY_SECONDS
        )
    except Refused as refused:
        raise HTTPException(refused.status) from None
    except ClientDisconnect:
        raise HTTPException(400) from None


def _query(request: Request) -> bytes:
    query: bytes = request.scope["query_string"]
    if len(query) > MAX_BODY:
        raise HTTPException(414)
    return query


def _read(read: Callable[[], _Read]) -> _Read:
    try:
        return read()
    except InvalidWebhook as error:
        # Its text shows nothing of the payload.
        raise HTTPException(400, str(error)) from None


def _reader(read: Callable[[bytes], _Request]) -> Callable[[Request], Awaitable[_Request]]:
    async def of(request: Request) -> _Request:
        return _read(lambda: read(_query(request)))

    return of


passthru_request: Final = _reader(PassthruRequest.from_query)
"""Reads the request of a Passthru applet."""
connect_request: Final = _reader(ConnectRequest.from_query)
"""Reads the request of a Connect applet, for a plan or for one number."""
gather_request: Final = _reader(GatherRequest.from_query)
"""Reads the request of a Gather applet."""
greeting_request: Final = _reader(GreetingRequest.from_query)
"""Reads the request of a Greeting or Menu applet."""
whisper_request: Final = _reader(WhisperRequest.from_query)
"""Reads the request of a Connect applet for the audio a dialled party hears."""
sms_request: Final = _reader(SmsRequest.from_query)
"""Reads the request of an SMS applet."""
voicebot_request: Final = _reader(VoicebotRequest.from_query)
"""Reads the request of a Voicebot applet for the URL of the bot."""

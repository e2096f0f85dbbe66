"""The requests that Exotel sends to you during calls, and the responses you send back.

`ExotelWebhooks` is an ASGI application with a handler for each URL. The values it reads and writes
can also be used on their own, without I/O::

    event = StatusCallback.from_request(body, content_type)
    request = PassthruRequest.from_query(query)
    response = Passthru.divert().render()  # status, headers, body

FastAPI dependencies for your own routes are in `exotel_async.webhooks.fastapi`. Exotel does not
sign its requests: put a secret into the URL you give it.
"""

from exotel_async.webhooks.answers import (
    DialWhom,
    GatherPlan,
    Passthru,
    SmsText,
    VoicebotStream,
)
from exotel_async.webhooks.app import ExotelWebhooks
from exotel_async.webhooks.connect_plan import ConnectPlan
from exotel_async.webhooks.deduplication import Claim, ClaimStore, MemoryClaims
from exotel_async.webhooks.enums import (
    AgentState,
    DialEventType,
    FlowCallType,
    HeartbeatStatus,
    HoldMusic,
)
from exotel_async.webhooks.events import DialEvent, StatusCallback
from exotel_async.webhooks.fields import DialledLeg, Insights, StreamReport
from exotel_async.webhooks.heartbeat import Heartbeat
from exotel_async.webhooks.prompts import Play, Playback, Prompt, Speak
from exotel_async.webhooks.requests import (
    AppletRequest,
    ConnectRequest,
    FlowRequest,
    GatherRequest,
    GreetingRequest,
    PassthruRequest,
    SmsRequest,
    VoicebotRequest,
    WhisperRequest,
)
from exotel_async.webhooks.response import Reply, Response
from exotel_async.webhooks.routes import WebhookKind

__all__ = [
    "AgentState",
    "AppletRequest",
    "Claim",
    "ClaimStore",
    "ConnectPlan",
    "ConnectRequest",
    "DialEvent",
    "DialEventType",
    "DialWhom",
    "DialledLeg",
    "ExotelWebhooks",
    "FlowCallType",
    "FlowRequest",
    "GatherPlan",
    "GatherRequest",
    "GreetingRequest",
    "Heartbeat",
    "HeartbeatStatus",
    "HoldMusic",
    "Insights",
    "MemoryClaims",
    "Passthru",
    "PassthruRequest",
    "Play",
    "Playback",
    "Prompt",
    "Reply",
    "Response",
    "SmsRequest",
    "SmsText",
    "Speak",
    "StatusCallback",
    "StreamReport",
    "VoicebotRequest",
    "VoicebotStream",
    "WebhookKind",
    "WhisperRequest",
]

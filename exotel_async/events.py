"""Events that a session or a webhook application reports, for logs and monitoring.

`on_event=` of `AsyncExotel` and of `ExotelWebhooks` is called with each of them. No event contains
the API token or a phone number. The extra `otel` turns them into traces and metrics.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from exotel_async.models.value import Value

__all__ = [
    "OnEvent",
    "OnWebhook",
    "OperationEnded",
    "OperationEvent",
    "OperationStarted",
    "RequestAnswered",
    "RequestEnded",
    "RequestEvent",
    "RequestGranted",
    "RequestLost",
    "RequestQueued",
    "RequestRetried",
    "RequestSent",
    "RequestsPaused",
    "SessionEvent",
    "WebhookAnswered",
]


@frozen(kw_only=True)
class OperationEvent(Value):
    """An event of an operation: one call of an awaited method, such as `calls.connect`.

    Streams, such as `calls.list`, are not operations: only their requests are reported. Opening a
    recording is an operation.

    Attributes:
        operation: the method, such as `calls.connect`.
        operation_id: identifies this operation within the process.
    """

    operation: str
    operation_id: int


@frozen(kw_only=True)
class OperationStarted(OperationEvent):
    """A method was called. Reported in the task that called it, or in one that continues it."""


@frozen(kw_only=True)
class OperationEnded(OperationEvent):
    """The method has returned or raised. Reported in the same task as its start.

    Attributes:
        seconds: how long it took in all.
        error: the class name of the exception, such as `NotFound`, or `CancelledError` if its task
            was cancelled; None: it returned.
        sid: the SID of the call it returned; None: it did not return a call.
    """

    seconds: float
    error: str | None
    sid: str | None = None


@frozen(kw_only=True)
class RequestEvent(Value):
    """An event of one request to the API, which may be sent several times.

    If several gets share a request, the wait of each is reported with a `request_id` of its own.
    The shared request, and the polls of `calls.wait`, belong to no operation.

    Attributes:
        request_id: identifies this request within the process.
        method: the HTTP method; None until there is a permit, if it is decided only then.
        route: the path below the account, in which `{id}` replaces each part that has a digit:
            `Calls/connect`, `Numbers/{id}`; for `AsyncExotel.request` only the first part of the
            path, such as `Apps/{path}`; None in the same cases as `method`.
        attempt: the number of the attempt, from 1.
        operation: the operation it belongs to; None: it is of a stream, or shared by several.
        operation_id: the id of that operation.
    """

    request_id: int
    method: str | None
    route: str | None
    attempt: int
    operation: str | None
    operation_id: int | None


@frozen(kw_only=True)
class RequestQueued(RequestEvent):
    """A request begins to wait for the budget, perhaps only for a moment.

    Attributes:
        priority: its place in the queue: `interactive` or `bulk`.
    """

    priority: str


@frozen(kw_only=True)
class RequestGranted(RequestEvent):
    """The wait for the budget is over, and the request may be sent.

    Attributes:
        waited: seconds it has waited for the budget.
    """

    waited: float


@frozen(kw_only=True)
class RequestSent(RequestEvent):
    """The request is handed to the HTTP client."""


@frozen(kw_only=True)
class RequestAnswered(RequestEvent):
    """A response was received, whatever its status.

    Attributes:
        status: the HTTP status.
        seconds: from sending to the end of the response.
    """

    status: int
    seconds: float


@frozen(kw_only=True)
class RequestLost(RequestEvent):
    """No response was received: no connection, a lost one, or a timeout.

    Attributes:
        may_have_arrived: whether part of the request was written, so that Exotel may have acted on
            it.
        reason: what went wrong, in words.
        seconds: from sending to that failure.
    """

    may_have_arrived: bool
    reason: str
    seconds: float


@frozen(kw_only=True)
class RequestsPaused(RequestEvent):
    """Exotel asked to wait: all requests of the account are paused.

    Attributes:
        status: the HTTP status of its response: 429, or 503.
        seconds: how long they are paused; 0 if the limiter does not say.
    """

    status: int
    seconds: float


@frozen(kw_only=True)
class RequestRetried(RequestEvent):
    """The request will be sent again: `attempt` is the one that failed.

    Attributes:
        delay: seconds until it queues for the budget again.
        reason: the class name of the error that it would otherwise end with, such as `ServerError`.
    """

    delay: float
    reason: str


@frozen(kw_only=True)
class RequestEnded(RequestEvent):
    """The request is over: nothing more is sent for it.

    If its task was cancelled or timed out, its last response may still come after this event.

    Attributes:
        seconds: from its beginning, including waits and all attempts.
        times_sent: how often it was sent; 0 if it was refused before, or if it was no longer needed
            when it got its permit.
        error: the class name of the error it ended with, such as `NotFound` or
            `CallOutcomeUnknown`, or `CancelledError` if its task was cancelled; None: it succeeded.
    """

    seconds: float
    times_sent: int
    error: str | None


SessionEvent = (
    OperationStarted
    | OperationEnded
    | RequestQueued
    | RequestGranted
    | RequestSent
    | RequestAnswered
    | RequestLost
    | RequestsPaused
    | RequestRetried
    | RequestEnded
)
"""The events of a session."""
OnEvent = Callable[[SessionEvent], object]
"""Called with each event of a session, in its event loop: it must not block. What it raises is
logged."""


@frozen(kw_only=True)
class WebhookAnswered(Value):
    """A request to a webhook application was answered. Not reported if the client disconnected.

    Attributes:
        kind: what the handler is registered for, such as `passthru`; None: there is no such
            handler, or the request was not admitted.
        name: the name it is registered with, if it has one.
        status: the HTTP status of the response.
        failed: whether the handler, or the store of handled events, failed or took too long, so
            that the response was the handler's fall-back, or a 500.
        seconds: from the request to the response, including the handler's time.
    """

    kind: str | None
    name: str | None
    status: int
    failed: bool
    seconds: float


OnWebhook = Callable[[WebhookAnswered], object]
"""Called with each event of a webhook application, in its event loop: it must not block. What it
raises is logged."""

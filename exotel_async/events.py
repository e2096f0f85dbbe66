"""What a session, or an application of webhooks, reports while it works, for logs and monitoring.

`on_event=` of `AsyncExotel` and of `ExotelWebhooks` is called with one of these values each time.
None holds the API token or a phone number. The extra `otel` makes traces and metrics of them.
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
    """An event of an operation: of one call of a method that is awaited, as `calls.connect`.

    What is read as a stream, such as `calls.list`, is no operation: its requests are reported. A
    recording that is opened is one.

    Attributes:
        operation: the method: `calls.connect`.
        operation_id: what distinguishes this operation from all others of the process.
    """

    operation: str
    operation_id: int


@frozen(kw_only=True)
class OperationStarted(OperationEvent):
    """A method was called. Reported in the task that has called it, or one that continues it."""


@frozen(kw_only=True)
class OperationEnded(OperationEvent):
    """The method has returned or raised. Reported in the same task as its start.

    Attributes:
        seconds: how long it took, with everything.
        error: the class of what it raised, as `NotFound`, or `CancelledError` where its task was
            cancelled; None: it returned.
        sid: the SID of the call it returned; None: it returned none.
    """

    seconds: float
    error: str | None
    sid: str | None = None


@frozen(kw_only=True)
class RequestEvent(Value):
    """An event of one request to the API, which may be sent several times.

    Gets that share a request wait for it each: each is reported with a `request_id` of its own. The
    request they share, and the polls of `calls.wait`, belong to no operation.

    Attributes:
        request_id: what distinguishes this request from all others of the process.
        method: the HTTP method; None until there is a permit, if it is decided only then.
        route: the path below the account, in which `{id}` replaces each part that has a digit:
            `Calls/connect`, `Numbers/{id}`; for `AsyncExotel.request` only the first part of the
            path, as `Apps/{path}`; None as for `method`.
        attempt: which time it is sent, or to be sent; from 1.
        operation: the operation it is a part of; None: it is a stream's, or shared by several.
        operation_id: that operation's.
    """

    request_id: int
    method: str | None
    route: str | None
    attempt: int
    operation: str | None
    operation_id: int | None


@frozen(kw_only=True)
class RequestQueued(RequestEvent):
    """A request begins to wait for the budget, if only for a moment.

    Attributes:
        priority: its place in the queue: `interactive` or `bulk`.
    """

    priority: str


@frozen(kw_only=True)
class RequestGranted(RequestEvent):
    """The wait for the budget is over: the request may be sent.

    Attributes:
        waited: seconds it has waited for the budget.
    """

    waited: float


@frozen(kw_only=True)
class RequestSent(RequestEvent):
    """The request is handed to the HTTP client."""


@frozen(kw_only=True)
class RequestAnswered(RequestEvent):
    """A response has come, whatever it says.

    Attributes:
        status: the HTTP status.
        seconds: from sending to the end of the response.
    """

    status: int
    seconds: float


@frozen(kw_only=True)
class RequestLost(RequestEvent):
    """No response has come: no connection, a lost one, a timeout.

    Attributes:
        may_have_arrived: whether a part of it was written, so that Exotel may have acted on it.
        reason: what went wrong, in words.
        seconds: from sending until then.
    """

    may_have_arrived: bool
    reason: str
    seconds: float


@frozen(kw_only=True)
class RequestsPaused(RequestEvent):
    """Exotel asked to wait: all requests of the account pause.

    Attributes:
        status: the HTTP status that said so: 429, or 503.
        seconds: how long they pause; 0 if the limiter does not say.
    """

    status: int
    seconds: float


@frozen(kw_only=True)
class RequestRetried(RequestEvent):
    """The request is going to be sent again: `attempt` is the one that has failed.

    Attributes:
        delay: seconds until it queues for the budget again.
        reason: the class of the error it would otherwise have ended with: `ServerError`.
    """

    delay: float
    reason: str


@frozen(kw_only=True)
class RequestEnded(RequestEvent):
    """The request is over: nothing more is sent for it.

    Where its task was cancelled or timed out, its last response may still come after this.

    Attributes:
        seconds: from its beginning, with waiting and all attempts.
        times_sent: how often it was sent; 0 if it was refused before that, or if nothing was left
            to ask when it had its permit.
        error: the class of what it ended with, as `NotFound` or `CallOutcomeUnknown`, or
            `CancelledError` where its task was cancelled; None: with what was asked for.
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
"""What a session reports."""
OnEvent = Callable[[SessionEvent], object]
"""Called with each event of a session, in its event loop: it must not block. What it raises is
logged."""


@frozen(kw_only=True)
class WebhookAnswered(Value):
    """A request to an application of webhooks was answered. None is reported if the client left.

    Attributes:
        kind: what the handler is registered for, as `passthru`; None: there is no such handler, or
            the request is not admitted.
        name: the name it is registered with, if it has one.
        status: the HTTP status of the response.
        failed: whether the handler, or the store of handled events, has failed or took too long,
            so that its fall-back was answered, or 500.
        seconds: from the request to the response, the handler's time included.
    """

    kind: str | None
    name: str | None
    status: int
    failed: bool
    seconds: float


OnWebhook = Callable[[WebhookAnswered], object]
"""Called with each event of an application of webhooks, in its event loop: it must not block. What
it raises is logged."""

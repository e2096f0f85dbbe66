"""Traces and metrics of sessions and webhooks, through OpenTelemetry (extra: `otel`).

They contain neither the API token nor phone numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import singledispatchmethod
from typing import TYPE_CHECKING, Final, Protocol

from attrs import define

from exotel_async import events
from exotel_async.errors import ConfigurationError
from exotel_async.limiter.protocol import LimiterStatistics
from exotel_async.version import __version__

try:
    from opentelemetry import context as contexts
    from opentelemetry import metrics, trace
except ImportError:
    raise ConfigurationError(
        "exotel_async.otel needs the extra otel: pip install 'exotel-async[otel]'"
    ) from None

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["Telemetry"]

Attributes = dict[str, str | int | float | bool]

# Instrumentations of httpx check this key. Their spans would show full URLs, with phone numbers.
_SUPPRESSES_HTTP: Final[str] = getattr(
    contexts, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_instrumentation"
)


class HasStatistics(Protocol):
    """A limiter with statistics."""

    def statistics(self) -> LimiterStatistics:
        """Return its current state."""
        ...


@define(eq=False)
class _AttachedContext:
    """A context that is attached to a task until it is detached."""

    context: Context
    token: Token[Context]

    @classmethod
    def attach(cls, context: Context) -> _AttachedContext:
        return cls(context, contexts.attach(context))

    def detach(self) -> None:
        # In another task, or if a later context was never detached, another one is current.
        if contexts.get_current() is self.context:
            contexts.detach(self.token)


@define(eq=False)
class _Request:
    """A request in progress.

    Attributes:
        parent: the context of the parent of its spans.
        current: the context that is attached during the request.
        span: its own span; None: it belongs to an operation.
        priority: its priority in the queue.
        wait: the span of its wait for the budget.
    """

    parent: Context
    current: _AttachedContext
    span: Span | None
    priority: str
    wait: Span


class Telemetry:
    """Makes traces and metrics from the events of sessions and webhook applications::

        telemetry = Telemetry()
        async with AsyncExotel(on_event=telemetry) as exotel:
            telemetry.watch(exotel.limiter)
        hooks = ExotelWebhooks(secret, on_event=telemetry)

    Use one instance for the whole program. Each operation is a span, such as `calls.connect`, a
    child of the current span of its caller; its waits for the budget and its HTTP exchanges are
    child spans of it. Each request of a stream has a span of its own. An instrumentation of httpx
    adds no spans for these requests.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Create it.

        Args:
            tracer_provider: the provider for spans; None: the global one.
            meter_provider: the provider for metrics; None: the global one.
        """
        self._tracer = trace.get_tracer("exotel_async", __version__, tracer_provider)
        meter = metrics.get_meter("exotel_async", __version__, meter_provider)
        self._operations: dict[int, tuple[Span, _AttachedContext]] = {}
        self._requests: dict[int, _Request] = {}
        self._exchanges: dict[tuple[int, int], Span] = {}
        self._limiters: dict[str, HasStatistics] = {}
        self._operation_seconds = _durations(meter, "exotel.operation", "operations of a session")
        self._wait_seconds = _durations(meter, "exotel.rate_limit.wait", "waits for the budget")
        self._request_seconds = _durations(meter, "exotel.request", "HTTP exchanges")
        self._webhook_seconds = _durations(meter, "exotel.webhook", "requests to webhooks")
        self._retries = meter.create_counter(
            "exotel.request.retries", "{retry}", "Requests that are sent again."
        )
        self._pauses = meter.create_counter(
            "exotel.rate_limit.pauses", "{pause}", "Responses that ask all requests to pause."
        )
        for name, unit, text, values in _GAUGES:
            meter.create_observable_gauge(
                f"exotel.rate_limit.{name}", [self._observe(values)], unit, text
            )

    def __call__(self, event: events.SessionEvent | events.WebhookAnswered) -> None:
        """Handle an event. Pass the instance itself as `on_event=`."""
        self._take(event)

    def watch(self, limiter: HasStatistics, name: str = "voice") -> None:
        """Report metrics of a limiter, until another one of the same name is watched.

        Args:
            limiter: `exotel.limiter` or `exotel.exophones.limiter`, also of a synchronous session.
            name: the attribute `exotel.limiter` of its metrics.
        """
        if not callable(getattr(limiter, "statistics", None)):
            raise ConfigurationError(
                "limiter: must have a method statistics(), as exotel.limiter has"
            )
        self._limiters[name] = limiter

    @singledispatchmethod
    def _take(self, event: object) -> None:
        """Handle an event; kinds that are not registered below are ignored."""

    # Operations.

    @_take.register(events.OperationStarted)
    def _operation_started(self, event: events.OperationStarted) -> None:
        attributes: Attributes = {"exotel.operation": event.operation}
        span = self._tracer.start_span(event.operation, attributes=attributes)
        self._operations[event.operation_id] = span, _AttachedContext.attach(_context_of(span))

    @_take.register(events.OperationEnded)
    def _operation_ended(self, event: events.OperationEnded) -> None:
        attributes: Attributes = {"exotel.operation": event.operation}
        if event.error is not None:
            attributes["error.type"] = event.error
        self._operation_seconds.record(event.seconds, attributes)
        if event.operation_id not in self._operations:
            return
        span, current = self._operations.pop(event.operation_id)
        current.detach()
        if event.sid is not None:
            span.set_attribute("exotel.call.sid", event.sid)
        _end(span, event.error)

    # Requests.

    @_take.register(events.RequestQueued)
    def _queued(self, event: events.RequestQueued) -> None:
        request = self._requests.get(event.request_id)
        if request is None:
            request = self._requests[event.request_id] = self._begin(event)
        else:
            request.wait = self._wait_span(event, request.parent)

    def _begin(self, event: events.RequestQueued) -> _Request:
        span = None
        parent = contexts.get_current()
        if event.operation is None:
            span = self._tracer.start_span(_name_of(event), attributes=_attributes_of(event))
            parent = _context_of(span)
        return _Request(
            parent=parent,
            current=_AttachedContext.attach(parent),
            span=span,
            priority=event.priority,
            wait=self._wait_span(event, parent),
        )

    def _wait_span(self, event: events.RequestQueued, parent: Context) -> Span:
        attributes: Attributes = {"exotel.priority": event.priority}
        return self._tracer.start_span("wait for the rate limit", parent, attributes=attributes)

    @_take.register(events.RequestGranted)
    def _granted(self, event: events.RequestGranted) -> None:
        request = self._requests.get(event.request_id)
        priority: Attributes = {} if request is None else {"exotel.priority": request.priority}
        self._wait_seconds.record(event.waited, priority)
        if request is not None:
            request.wait.end()

    @_take.register(events.RequestSent)
    def _sent(self, event: events.RequestSent) -> None:
        request = self._requests.get(event.request_id)
        parent = None if request is None else request.parent
        attributes = _attributes_of(event)
        if event.attempt > 1:
            attributes["http.request.resend_count"] = event.attempt - 1
        if request is not None and request.span is not None:
            # If the request was decided on only after its wait, these are known only now.
            request.span.update_name(_name_of(event))
            request.span.set_attributes(attributes)
        self._exchanges[event.request_id, event.attempt] = self._tracer.start_span(
            f"HTTP {event.method}", parent, kind=trace.SpanKind.CLIENT, attributes=attributes
        )

    @_take.register(events.RequestAnswered)
    def _answered(self, event: events.RequestAnswered) -> None:
        status: Attributes = {"http.response.status_code": event.status}
        if event.status >= 400:
            status["error.type"] = str(event.status)
        self._request_seconds.record(event.seconds, {**_attributes_of(event), **status})
        span = self._exchanges.pop((event.request_id, event.attempt), None)
        if span is not None:
            span.set_attributes(status)
            _end(span, str(event.status) if event.status >= 400 else None)

    @_take.register(events.RequestLost)
    def _lost(self, event: events.RequestLost) -> None:
        error: Attributes = {
            "error.type": "lost",
            "exotel.may_have_arrived": event.may_have_arrived,
        }
        self._request_seconds.record(event.seconds, {**_attributes_of(event), **error})
        span = self._exchanges.pop((event.request_id, event.attempt), None)
        if span is not None:
            span.set_attributes(error)
            _end(span, "lost", event.reason)

    @_take.register(events.RequestRetried)
    def _retried(self, event: events.RequestRetried) -> None:
        reason: Attributes = {"exotel.reason": event.reason}
        self._retries.add(1, reason)
        self._note(event, "retried", {**reason, "exotel.delay": event.delay})

    @_take.register(events.RequestsPaused)
    def _paused(self, event: events.RequestsPaused) -> None:
        status: Attributes = {"http.response.status_code": event.status}
        self._pauses.add(1, status)
        self._note(event, "paused", {**status, "exotel.seconds": event.seconds})

    @_take.register(events.RequestEnded)
    def _request_ended(self, event: events.RequestEnded) -> None:
        request = self._requests.pop(event.request_id, None)
        if request is None:
            return
        request.current.detach()
        if request.wait.is_recording():  # the request ended while waiting
            _end(request.wait, event.error)
        if request.span is not None:
            _end(request.span, event.error)

    def _note(self, event: events.RequestEvent, name: str, attributes: Attributes) -> None:
        request = self._requests.get(event.request_id)
        if request is not None:
            trace.get_current_span(request.parent).add_event(name, attributes)

    # Webhooks.

    @_take.register(events.WebhookAnswered)
    def _webhook(self, event: events.WebhookAnswered) -> None:
        attributes: Attributes = {"http.response.status_code": event.status}
        if event.failed:
            attributes["error.type"] = "handler"
        for name, value in (("kind", event.kind), ("name", event.name)):
            if value is not None:
                attributes[f"exotel.webhook.{name}"] = value
        self._webhook_seconds.record(event.seconds, attributes)

    # Limiters.

    def _observe(
        self, values: Callable[[LimiterStatistics], Mapping[str, float]]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            for name, limiter in tuple(self._limiters.items()):
                try:
                    now = limiter.statistics()
                except ConfigurationError:  # its session is closed
                    continue
                for priority, value in values(now).items():
                    attributes: Attributes = {"exotel.limiter": name}
                    if priority:
                        attributes["exotel.priority"] = priority
                    yield metrics.Observation(value, attributes)

        return observe


_GAUGES: Final[
    tuple[tuple[str, str, str, Callable[[LimiterStatistics], Mapping[str, float]]], ...]
] = (
    (
        "waiting",
        "{request}",
        "Requests that wait for the budget.",
        lambda now: {"interactive": now.waiting_interactive, "bulk": now.waiting_bulk},
    ),
    ("in_flight", "{request}", "Requests in flight.", lambda now: {"": now.in_flight}),
    ("window.used", "{request}", "Permits in use.", lambda now: {"": now.window_used}),
    ("window.size", "{request}", "Permits there are.", lambda now: {"": now.window_size}),
    ("pace", "{request}/s", "Requests in the long run.", lambda now: {"": now.pace}),
    ("paused", "s", "Time until a pause ends.", lambda now: {"": now.paused_for}),
)
"""Name, unit, description and values of the gauges; the values by priority, if there is one."""


def _durations(meter: Meter, name: str, what: str) -> metrics.Histogram:
    return meter.create_histogram(f"{name}.duration", "s", f"Duration of {what}.")


def _context_of(span: Span) -> Context:
    """Return the current context with `span` as its span, and without instrumentation of httpx."""
    return contexts.set_value(_SUPPRESSES_HTTP, True, trace.set_span_in_context(span))


def _name_of(event: events.RequestEvent) -> str:
    return "unsent request" if event.method is None else f"{event.method} {event.route}"


def _attributes_of(event: events.RequestEvent) -> Attributes:
    known = {"http.request.method": event.method, "url.template": event.route}
    return {name: value for name, value in known.items() if value is not None}


def _end(span: Span, error: str | None, reason: str | None = None) -> None:
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(trace.StatusCode.ERROR, error if reason is None else reason)
    span.end()

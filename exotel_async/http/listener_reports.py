"""Events about a session's operations and requests, for its `on_event`."""

from __future__ import annotations

import itertools
import time
from contextlib import suppress
from contextvars import ContextVar, Token, copy_context
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from exotel_async import events
from exotel_async.http.reports import Operation, Reports, RequestReport
from exotel_async.listeners import call_listener
from exotel_async.models import Call

if TYPE_CHECKING:
    from exotel_async.config import Priority
    from exotel_async.http.attempt import Attempt
    from exotel_async.limiter.protocol import Permit, RequestOutcome
    from exotel_async.wire.request import Request

T = TypeVar("T")

# Unique in the process: several sessions may share a listener.
_numbers: Final = itertools.count(1)
_operation: Final[ContextVar[_ReportedOperation | None]] = ContextVar(
    "exotel_async_operation", default=None
)


class ListenerReports(Reports):
    """Reports to a session's listener."""

    def __init__(self, listener: events.OnEvent) -> None:
        self._listener = listener

    def operation(self, name: str) -> Operation:
        return _ReportedOperation(self._listener, name)

    def request(self, request: Request | None, permit: Permit | None = None) -> RequestReport:
        known = permit.report if isinstance(permit, _ReportedPermit) else None
        if known is not None and not known.is_over:
            known.request = request
            known.is_handed_over = False
            return known
        return _ListenerReport(self._listener, request)


class _ReportedOperation(Operation):
    __slots__ = ("_began", "_listener", "_sid", "_token", "context", "id", "name")

    _token: Token[_ReportedOperation | None]

    def __init__(self, listener: events.OnEvent, name: str) -> None:
        self._listener = listener
        self.name: Final = name
        self.id: Final = next(_numbers)
        self.context: Final = copy_context()
        self._began = time.perf_counter()
        self._sid: str | None = None

    def __enter__(self) -> Self:
        self._token = _operation.set(self)
        started = events.OperationStarted(operation=self.name, operation_id=self.id)
        call_listener(self._listener, started)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(ValueError):  # garbage-collected after its loop was closed
            _operation.reset(self._token)
        ended = events.OperationEnded(
            operation=self.name,
            operation_id=self.id,
            seconds=time.perf_counter() - self._began,
            error=None if kind is None else kind.__name__,
            sid=self._sid,
        )
        call_listener(self._listener, ended)

    def returns(self, result: T) -> T:
        if isinstance(result, Call):
            self._sid = result.sid
        return result


class _ListenerReport(RequestReport):
    __slots__ = (
        "_attempt",
        "_began",
        "_id",
        "_listener",
        "_operation",
        "_queued",
        "_sent",
        "context",
        "is_handed_over",
        "is_over",
        "request",
    )

    def __init__(self, listener: events.OnEvent, request: Request | None) -> None:
        self._listener = listener
        self._operation = _operation.get()
        self.context = copy_context() if self._operation is None else self._operation.context
        self._id = next(_numbers)
        self._attempt = self._sent = 0
        self._began = self._queued = time.perf_counter()
        self.request = request
        self.is_handed_over = False
        self.is_over = False

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self.is_handed_over:
            self.end(None if kind is None else kind.__name__)

    def end(self, error: str | None) -> None:
        """Report that the request has ended."""
        self.is_over = True
        seconds = time.perf_counter() - self._began
        self._tell(events.RequestEnded, seconds=seconds, error=error, times_sent=self._sent)

    def queued(self, priority: Priority) -> None:
        self._attempt += 1
        self._queued = time.perf_counter()
        self._tell(events.RequestQueued, priority=priority.name.lower())

    def granted(self) -> None:
        self._tell(events.RequestGranted, waited=time.perf_counter() - self._queued)

    def sent(self) -> None:
        self._attempt = max(self._attempt, 1)  # with a permit from before, it was never queued
        self._sent += 1
        self._tell(events.RequestSent)

    def ended(self, attempt: Attempt, seconds: float) -> None:
        if attempt.status is None:
            self._lost(attempt.written, attempt.problem, seconds)
        else:
            self._tell(events.RequestAnswered, status=attempt.status, seconds=seconds)

    def never_sent(self) -> None:
        self._lost(False, "it was cancelled before it was sent", 0.0)

    def paused(self, status: int, seconds: float) -> None:
        self._tell(events.RequestsPaused, status=status, seconds=seconds)

    def retried(self, delay: float, failure: object) -> None:
        self._tell(events.RequestRetried, delay=delay, reason=type(failure).__name__)

    def hand_over(self, permit: Permit) -> Permit:
        self.is_handed_over = True
        return _ReportedPermit(permit, self)

    def _lost(self, written: bool, reason: str, seconds: float) -> None:
        self._tell(events.RequestLost, may_have_arrived=written, reason=reason, seconds=seconds)

    def _tell(self, kind: type[Any], **more: object) -> None:
        operation, request = self._operation, self.request
        event = kind(
            request_id=self._id,
            method=None if request is None else request.method,
            route=None if request is None else request.route,
            attempt=self._attempt,
            operation=None if operation is None else operation.name,
            operation_id=None if operation is None else operation.id,
            **more,
        )
        call_listener(self._listener, event)


class _ReportedPermit:
    """A permit with the report of the request that waited for it."""

    __slots__ = ("_permit", "report")

    def __init__(self, permit: Permit, report: _ListenerReport) -> None:
        self._permit = permit
        self.report: Final = report

    def finish(self, outcome: RequestOutcome) -> None:
        self._permit.finish(outcome)

    def release(self) -> None:
        self._permit.release()
        # No request was sent with it after all.
        if self.report.is_handed_over and not self.report.is_over:
            self.report.end(None)

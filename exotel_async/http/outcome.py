"""The result of an exchange: the requested value, an error, or an unknown outcome."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, NamedTuple, TypeVar

from attrs import define, evolve, field

from exotel_async.config import RetryPolicy
from exotel_async.errors import (
    CallOutcomeUnknown,
    ConnectionFailed,
    DecodeError,
    ExotelError,
    RequestOutcomeUnknown,
    RequestTimeout,
)
from exotel_async.http.attempt import Attempt
from exotel_async.http.retry import Facts, Retry, Unknown, verdict
from exotel_async.http.server_clock import ServerClock
from exotel_async.models import Call
from exotel_async.wire.party import Party
from exotel_async.wire.request import Request
from exotel_async.wire.responses import Response, parties_of, read_error, sid_of

T = TypeVar("T")
_CLOCK_SET: Final = timedelta(seconds=1)
"""A larger difference means that the clock was set, and did not merely drift."""
_Error = TypeVar("_Error", bound=ExotelError)


def with_request(error: _Error, request: Request) -> _Error:
    """Add the request, and the tag of its target, to the error it led to; return the error."""
    error.method, error.path = request.method, request.path
    if error.sid is None:
        error.sid = request.sid
    if request.tag is not None:
        error.tag = request.tag
    return error


@define(eq=False)
class Sending(Generic[T]):
    """The state of one request that is being sent, including its attempts so far.

    Attributes:
        request: the request.
        read: the parser of its response.
        sent_at: when it was first sent; aware, UTC, corrected if our clock was set back meanwhile.
        account_sid: the account it is sent for.
        clock: what is known about the service's clock.
        attempts: how often it was sent.
        refusals: how often the response was a 429.
        failure: the error of the last attempt.
    """

    request: Request
    read: Callable[[Response], T]
    sent_at: datetime
    account_sid: str
    clock: ServerClock
    attempts: int = 0
    refusals: int = 0
    failure: ExotelError | None = None
    _began: float = field(factory=time.monotonic, init=False)

    def judge(
        self,
        attempt: Attempt,
        policy: RetryPolicy,
        *,
        elapsed: float = 0.0,
        remaining: float | None = None,
    ) -> T | Retry:
        """Return the requested value, or a `Retry`; for the times see `Facts`.

        Raises:
            CallOutcomeUnknown: it is a dial that may have been placed.
            RequestOutcomeUnknown: it is another request that must not be repeated, and may have
                been acted on.
            ExotelError: the error of the attempt.
            Exception: what the last check before the first byte raised.
        """
        stopped_by = attempt.stopped_by
        if stopped_by is not None:
            if isinstance(stopped_by, ExotelError):
                with_request(stopped_by, self.request)
            raise stopped_by
        try:
            return self._result(attempt)
        except ExotelError as error:
            self.failure = failure = with_request(error, self.request)
        status = attempt.status
        self.refusals += status == 429
        facts = Facts(
            must_not_repeat=self.request.must_not_repeat,
            written=attempt.written,
            status=status,
            # The limiter pauses all requests for a 503, as for a 429.
            retry_after=None if status == 503 else attempt.retry_after(),
            tries=self.attempts - self.refusals,
            refusals=self.refusals,
            elapsed=elapsed,
            remaining=remaining,
        )
        judged = verdict(facts, policy, jitter=random.random())  # noqa: S311 - no secret
        if isinstance(judged, Retry):
            return judged
        if isinstance(judged, Unknown):
            raise self.unknown(attempt) from failure
        raise failure

    def _result(self, attempt: Attempt) -> T:
        """Return the requested value, or raise the error of the attempt."""
        response, attempts = attempt.response, self.attempts
        if response is None:
            if attempt.written:
                raise RequestTimeout(_no_response(attempt), attempts=attempts)
            # The unreachable host may be the proxy.
            through = f" through the proxy in {attempt.proxy}" if attempt.proxy else ""
            raise ConnectionFailed(
                f"{attempt.host} cannot be reached{through}: {attempt.problem}; nothing was sent",
                host=attempt.host,
                proxy=attempt.proxy,
                attempts=attempts,
            )
        if 200 <= response.status < 300 and not attempt.is_complete:
            raise _unreadable(response, f"the answer broke off: {attempt.problem}")
        if 200 <= response.status < 300 and _is_of_another_call(self.request, response):
            raise _unreadable(response, "the answer belongs to another call", excerpt="")
        try:
            return self._read(response if attempts == 1 else evolve(response, attempts=attempts))
        except ExotelError:
            raise
        except Exception as error:  # a bug of ours must not lose a call that was placed
            said = f"reading the answer failed: {type(error).__name__}"
            raise _unreadable(response, said) from error

    def _read(self, response: Response) -> T:
        result = self.read(response)
        if self.request.dials and isinstance(result, Call):
            result = evolve(result, target=self.request.target)
        return result

    def unknown(self, found: Attempt | str) -> CallOutcomeUnknown | RequestOutcomeUnknown:
        """Return the error for a request that must not be repeated and may have been acted on."""
        if self.request.dials:
            return self.lost(found)
        lost_at = self._lost_at()
        trouble = self._trouble(found)
        error = RequestOutcomeUnknown(
            trouble.reason,
            method=self.request.method,
            path=self.request.path,
            sent_at=self.sent_at,
            lost_at=lost_at,
            status=trouble.status,
            message=trouble.message,
        )
        return with_request(error, self.request)

    def lost(self, found: Attempt | str) -> CallOutcomeUnknown:
        """Return the error for a dial that may have been placed."""
        form = dict(self.request.form)
        is_retried = form.get("MaxRetries", "0") != "0"
        lost_at = self._lost_at()
        trouble = self._trouble(found)
        error = CallOutcomeUnknown(
            trouble.reason,
            from_=form["From"],
            to=form.get("To"),
            caller_id=form["CallerId"],
            custom_field=form.get("CustomField"),
            # If Exotel itself redials, the call may end later.
            time_limit=None if is_retried else _seconds(form.get("TimeLimit", "")),
            sent_at=self.sent_at,
            lost_at=lost_at,
            clock_offset=self.clock.offset(),
            account_sid=self.account_sid,
            sid=trouble.sid,
            status=trouble.status,
            message=trouble.message,
        )
        return with_request(error, self.request)

    def _lost_at(self) -> datetime:
        """Return the current time, and correct `sent_at` if our clock was set back."""
        lost_at = datetime.now(UTC)
        # The offset to Exotel's clock is that of our clock as set now. If our clock was set forward
        # instead, `sent_at` is too early, which does no harm: no call is missed.
        began = lost_at - timedelta(seconds=time.monotonic() - self._began)
        if began < self.sent_at - _CLOCK_SET:
            self.sent_at = began
        return lost_at

    def _trouble(self, found: Attempt | str) -> _Trouble:
        """Return what is known about a request whose outcome is unknown."""
        if isinstance(found, str):
            return _Trouble(found)
        response = found.response
        if response is None:
            return _Trouble(_no_response(found))
        is_ours = not _is_of_another_call(self.request, response)
        problem = found.problem if is_ours else "the answer belongs to another call"
        sid = sid_of(response) if is_ours else None
        if 200 <= response.status < 300:
            problem = problem or "the answer cannot be read"
            return _Trouble(f"HTTP {response.status}, {problem}", response.status, sid)
        refusal = read_error(response)
        reason = str(refusal) + (f", {problem}" if problem else "")
        return _Trouble(reason, response.status, sid, refusal.message)


class _Trouble(NamedTuple):
    """What is known about a request whose outcome is unknown."""

    reason: str
    status: int | None = None
    sid: str | None = None
    message: str | None = None


def _no_response(attempt: Attempt) -> str:
    return f"no usable answer from {attempt.host}: {attempt.problem}"


def _unreadable(response: Response, said: str, excerpt: str | None = None) -> DecodeError:
    return DecodeError(
        said,
        status=response.status,
        content_type=response.content_type,
        excerpt=response.excerpt() if excerpt is None else excerpt,
    )


def _seconds(text: str) -> timedelta | None:
    # It may come from `extra`, which is not validated.
    return timedelta(seconds=int(text)) if re.fullmatch("[0-9]{1,6}", text) else None


def _is_of_another_call(request: Request, response: Response) -> bool:
    """Return whether a response to a dial names parties that are certainly not those of the dial.

    On a reused connection, surplus bytes from a broken peer or proxy are read as the next response.
    A party that is missing or cannot be compared proves nothing.
    """
    if not request.dials:
        return False
    form = dict(request.form)
    from_, to = parties_of(response)
    if Party(form["From"]).is_shown_as(from_) is False:
        return True
    # For a call to a flow, `To` in the response is the ExoPhone or empty.
    return "To" in form and Party(form["To"]).is_shown_as(to) is False

"""Everything this package raises.

    ExotelError
    ├── ConfigurationError          before any request
    ├── InvalidRequest (ValueError) an argument Exotel would refuse
    ├── RateLimitTimeout            the limiter's queue is longer than max_wait
    ├── LimiterUnavailable          the shared limiter's server cannot be reached
    ├── InvalidWebhook              what came to a webhook is not what Exotel sends
    ├── ConnectionFailed            nothing reached Exotel
    ├── RequestTimeout              a request that is no dial got no answer in time
    ├── CallOutcomeUnknown          a dial that may or may not have happened
    ├── DecodeError                 an answer that is not what was asked for
    ├── RecordingUnavailable        a call whose recording is not available
    │   ├── RecordingNotReady       not now: it may still come
    │   └── NoRecording             not ever: there is none
    └── APIError                    Exotel's answer, by HTTP status
        ├── BadRequest 400 ├── AuthenticationError 401 ├── PaymentRequired 402
        ├── PermissionDenied 403    ├── NotFound 404
        ├── Conflict 409   ├── RateLimited 429          └── ServerError 5xx

No text of an error shows the API token or a full phone number. All of them pickle; what a pickle
holds of a phone number is its masked form.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from exotel_async.masking import mask_number, redact

_SHOWN_VALUE: Final = 80
_SHOWN_EXCERPT: Final = 200
_PLAIN_HEADERS: Final = frozenset({"content-length", "date", "etag", "retry-after"})


class ExotelError(Exception):
    """The root of the tree: catch it to catch whatever this package raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own way calls __init__ with `args`, which are not its arguments here.
        return _restore, (type(self), self.args), self._pickled()

    def _pickled(self) -> dict[str, Any]:
        return dict(self.__dict__)


def _restore(kind: type[ExotelError], args: tuple[Any, ...]) -> ExotelError:
    return kind.__new__(kind, *args)


class ConfigurationError(ExotelError):
    """The session cannot work as it was set up. Raised before any request."""


class InvalidRequest(ExotelError, ValueError):
    """An argument that Exotel would refuse or misinterpret. Nothing was sent.

    Attributes:
        argument: the name of the argument.
        value: the value as the message shows it, numbers masked.
        rule: the rule it breaks.
    """

    def __init__(self, argument: str, value: object, rule: str) -> None:
        try:
            shown = redact(repr(value))
        except ValueError:  # an integer of thousands of digits
            shown = type(value).__name__
        if len(shown) > _SHOWN_VALUE:
            shown = shown[:_SHOWN_VALUE] + "..."
        super().__init__(f"{argument}={shown}: {rule}")
        self.argument = argument
        self.value = shown
        self.rule = rule


class RateLimitTimeout(ExotelError):
    """The rate limit has no permit for the request within `max_wait`. Nothing was sent.

    Attributes:
        wait: seconds the request would have waited, by the limiter's estimate.
        max_wait: seconds it was allowed to wait.
    """

    def __init__(self, *, wait: float, max_wait: float) -> None:
        super().__init__(
            f"no rate-limit slot within max_wait={max_wait:g} s (estimated wait {wait:.1f} s)"
        )
        self.wait = wait
        self.max_wait = max_wait


class LimiterUnavailable(ExotelError):
    """The server of the shared limiter cannot be reached. Nothing was sent."""


class InvalidWebhook(ExotelError):
    """What came to a webhook is not what Exotel sends."""


class ConnectionFailed(ExotelError):
    """Not a byte of the request reached Exotel, however often it was tried.

    Attributes:
        attempts: how often.
    """

    def __init__(self, message: str, *, attempts: int = 1) -> None:
        super().__init__(message)
        self.attempts = attempts


class RequestTimeout(ExotelError):
    """A request that is no dial got no answer in time, or lost its connection.

    Attributes:
        attempts: how often it was sent.
    """

    def __init__(self, message: str, *, attempts: int = 1) -> None:
        super().__init__(message)
        self.attempts = attempts


class CallOutcomeUnknown(ExotelError):
    """A dial that may or may not have happened. It was not, and will not be, sent again.

    Look for the call in the call records before you dial the number again.

    Attributes:
        reason: what happened to the request.
        from_: the party dialled first. In a pickle, this and the next two are masked.
        to: the second party; None for a call to a flow.
        caller_id: the ExoPhone.
        custom_field: what was passed as `custom_field`; in a pickle as it is.
        time_limit: the longest the call may last; None: Exotel's own limit of four hours.
        sent_at: when the request left, aware, UTC. The call was not created before it.
        lost_at: when its outcome was given up, aware, UTC.
        sid: the call's SID, where a damaged answer still showed one. The dial then did happen.
        status: the HTTP status, where one came.
    """

    def __init__(
        self,
        reason: str,
        *,
        from_: str,
        to: str | None,
        caller_id: str,
        sent_at: datetime,
        lost_at: datetime,
        custom_field: str | None = None,
        time_limit: timedelta | None = None,
        sid: str | None = None,
        status: int | None = None,
    ) -> None:
        parties = mask_number(from_) + (f" -> {mask_number(to)}" if to else "")
        super().__init__(
            f"it is not known whether the call {parties} was placed: {reason}. It was not dialled "
            "again: look for it in the call records before you dial the number again"
            + (f" (call SID {sid})" if sid else "")
        )
        self.reason = reason
        self.from_ = from_
        self.to = to
        self.caller_id = caller_id
        self.custom_field = custom_field
        self.time_limit = time_limit
        self.sent_at = sent_at
        self.lost_at = lost_at
        self.sid = sid
        self.status = status

    def _pickled(self) -> dict[str, Any]:
        state = super()._pickled()
        for party in ("from_", "to", "caller_id"):
            if state[party] is not None:
                state[party] = mask_number(state[party])
        return state


class DecodeError(ExotelError):
    """An answer that is not what was asked for.

    Attributes:
        status: the HTTP status it came with.
        content_type: what it called itself, if it did.
        excerpt: the beginning of its body, numbers masked.
    """

    def __init__(
        self, message: str, *, status: int, content_type: str | None, excerpt: str
    ) -> None:
        self.status = status
        self.content_type = content_type
        self.excerpt: str = redact(excerpt)[:_SHOWN_EXCERPT]
        super().__init__(
            f"{message} (HTTP {status}, {content_type or 'no content type'}): {self.excerpt!r}"
        )


class RecordingUnavailable(ExotelError):
    """A call whose recording is not available.

    Attributes:
        sid: the call's SID.
    """

    def __init__(self, message: str, *, sid: str) -> None:
        super().__init__(message)
        self.sid = sid


class RecordingNotReady(RecordingUnavailable):
    """There is no recording yet: the call is in progress, or ended less than 15 minutes ago.

    Most recordings are there after 1 to 5 minutes. Read the call again before the next try.

    Attributes:
        available_by: when it should be there at the latest, aware, UTC; None: not known, for the
            call is not over.
    """

    def __init__(self, reason: str, *, sid: str, available_by: datetime | None = None) -> None:
        super().__init__(f"the recording of call {sid} is not ready yet: {reason}", sid=sid)
        self.available_by = available_by


class NoRecording(RecordingUnavailable):
    """There is no recording, and none will come: it was not requested, or nobody spoke."""

    def __init__(self, *, sid: str) -> None:
        super().__init__(f"call {sid} has no recording", sid=sid)


class APIError(ExotelError):
    """Exotel answered with an error.

    Exotel lists its statuses at developer.exotel.com/api/http-status-codes.

    Attributes:
        message: what Exotel said, numbers masked.
        status: the HTTP status.
        code: Exotel's own code; most answers have none.
        headers: the answer's headers, names in lower case.
        attempts: how often the request was sent.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: int | str | None = None,
        headers: Mapping[str, str] | None = None,
        attempts: int = 1,
    ) -> None:
        self.message: str = redact(message)
        self.status = status
        self.code = code
        self.headers: dict[str, str] = {
            name: value if _is_plain(name) else redact(value)
            for name, value in (headers or {}).items()
        }
        self.attempts = attempts
        super().__init__(f"HTTP {status}{f' (code {code})' if code else ''}: {self.message}")


class BadRequest(APIError):
    """400: the request is malformed, or a value in it is out of range."""


class AuthenticationError(APIError):
    """401: the key or token is wrong, or the account lives in the other region."""


class PaymentRequired(APIError):
    """402: the account's plan or balance does not cover the request."""


class PermissionDenied(APIError):
    """403: in practice compliance (KYC, NDNC) or a trial account's limits. Never sent again."""


class NotFound(APIError):
    """404: no such resource or account, or the account lives in the other region."""


class Conflict(APIError):
    """409: the resource is being changed by another request."""


class RateLimited(APIError):
    """429: past the account's budget, even after waiting as often as the policy allows."""


class ServerError(APIError):
    """5xx: Exotel could not answer."""


_BY_STATUS: Final[Mapping[int, type[APIError]]] = {
    400: BadRequest,
    401: AuthenticationError,
    402: PaymentRequired,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def _is_plain(header: str) -> bool:
    """Whether the digits in a header are times, counts or identifiers, and no phone number."""
    return header in _PLAIN_HEADERS or header.startswith("x-ratelimit-") or "request-id" in header


def api_error(status: int) -> type[APIError]:
    """Return the class of `APIError` for an HTTP status."""
    return _BY_STATUS.get(status, ServerError if status >= 500 else APIError)

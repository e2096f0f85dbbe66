"""All errors this package raises::

    ExotelError
    ├── ConfigurationError          before any request
    ├── InvalidRequest (ValueError) an argument Exotel would refuse
    ├── RateLimitTimeout            no permit of the rate limit within the time given
    ├── LimiterUnavailable          the shared limiter's server cannot be reached
    ├── ClaimsUnavailable           the claim store's server cannot be reached
    ├── InvalidWebhook              a request to a webhook that is not what Exotel sends
    ├── ConnectionFailed            nothing reached Exotel
    ├── RequestTimeout              a request that reads, or sets a value, got no response in time
    ├── CallOutcomeUnknown          a dial that may or may not have happened
    ├── RequestOutcomeUnknown       another request that may or may not have been acted on
    ├── NotDialled                  a dial given up before its request was sent
    ├── DecodeError                 a response that is not what was requested
    ├── RecordingUnavailable        a call whose recording is not available
    │   ├── RecordingNotReady       not now: it may still come
    │   └── NoRecording             never: there is none
    └── APIError                    Exotel's error response, by HTTP status
        ├── BadRequest 400 ├── AuthenticationError 401 ├── PaymentRequired 402
        ├── PermissionDenied 403    ├── NotFound 404
        ├── Conflict 409   ├── RateLimited 429          └── ServerError 5xx

Campaigns raise further errors: see `exotel_async.campaigns.errors`.

The attributes of an error have the details, with full phone numbers. Its texts show no more of a
number than its last digits: neither `str`, `repr` and tracebacks, nor `args` where they are stored
or logged. No error contains the API token.

Errors keep all their attributes when they are pickled, and also when something stores an error as
its class and its `args` and restores it with `class(*args)`, as the result back-ends of Celery and
taskiq do. The process that restores it must have imported this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import copy, deepcopy
from datetime import datetime, timedelta
from typing import Any, Final, Self, cast

from exotel_async.masking import has_credentials, mask_number, mask_path, outline, redact

_SHOWN_EXCERPT: Final = 200
# The prefix of the second of an error's `args`, with the version of the format that follows.
_PACKED: Final = "exotel_async:1:"
_SID: Final = "[A-Za-z0-9]{16,64}"


class _Restorable(type):
    """Makes a class restore an error when it is called with the `args` of one."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        packed = args[1] if len(args) == 2 and not kwargs else None
        if not isinstance(packed, str) or not packed.startswith(_PACKED):
            return super().__call__(*args, **kwargs)
        from exotel_async.packing import unpack  # noqa: PLC0415 - imports json; rarely needed

        error = cast("Any", cls).__new__(cls, args[0])
        vars(error).update(unpack(packed.removeprefix(_PACKED)))
        return error


class ExotelError(Exception, metaclass=_Restorable):
    """The base class of all errors of this package.

    Attributes:
        sid: the SID of the call concerned: that of a `get`, a `wait` or a download, or the one that
            a dial placed. None: it concerned no call, or several.
        method: the HTTP method of the request; None: there was none.
        path: the request's path below `/v1/Accounts/{account_sid}/`, without its query; None: there
            was no request.
        tag: the `tag` of the `DialTarget`; None if there is none. When the error is stored, a tag
            that is not a plain value is replaced by its masked `repr`.
    """

    sid: str | None = None
    method: str | None = None
    path: str | None = None
    tag: Any = None

    @property
    def args(self) -> tuple[Any, ...]:
        """What restores the error: its text, and all of its attributes in one packed line."""
        from exotel_async.packing import pack  # noqa: PLC0415

        return str(self), _PACKED + pack(vars(self))

    @args.setter
    def args(self, args: tuple[Any, ...]) -> None:
        # Programs assign `args` to prefix the text. The packed line is not part of the text.
        Exception.__init__(self, *args[:1])

    def __str__(self) -> str:
        text, sid = super().__str__(), str(self.sid or "")
        if not sid or sid in text:
            return text
        # A phone number may have been passed as a SID.
        named = f" (call SID {sid if re.fullmatch(_SID, sid) else redact(sid)})"
        return text if text.endswith(named) else text + named  # a restored error has it already

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args

    def __copy__(self) -> Self:
        # Keep the values themselves, of whatever type they are.
        twin = type(self).__new__(type(self), super().__str__())
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = copy(self)
        vars(twin).update(deepcopy(vars(self), memo))
        return twin


class ConfigurationError(ExotelError):
    """The session cannot work as it was configured. Raised before any request."""


class InvalidRequest(ExotelError, ValueError):
    """An argument that Exotel would refuse or misinterpret. Nothing was sent.

    Attributes:
        argument: the name of the argument.
        value: the value as it was passed; for a URL, or anything that may have a password in it,
            the same as `shown`.
        shown: the value as the text shows it: with numbers masked, and truncated.
        rule: the rule it breaks.
    """

    def __init__(self, argument: str, value: object, rule: str, *, shown: object = None) -> None:
        self.argument = argument
        self.shown: str = outline(value if shown is None else shown)
        # In URLs of the API, the password is the token.
        self.value: Any = self.shown if has_credentials(value) else value
        self.rule = rule
        super().__init__(f"{argument}={self.shown}: {rule}")


class RateLimitTimeout(ExotelError):
    """The rate limiter had no permit for the request in the time it may wait. Nothing was sent.

    Attributes:
        wait: seconds the request would have had to wait, by the limiter's estimate.
        max_wait: seconds it was allowed to wait: the less of `max_wait` and `timeout`.
    """

    def __init__(self, argument: str = "max_wait", *, wait: float, max_wait: float) -> None:
        super().__init__(
            f"no rate-limit permit within {argument}={max_wait:g} s (estimated wait {wait:.1f} s)"
        )
        self.wait = wait
        self.max_wait = max_wait


class LimiterUnavailable(ExotelError):
    """The server of the shared limiter cannot be reached. Nothing was sent."""


class ClaimsUnavailable(ExotelError):
    """The server of the claim store cannot be reached. The webhook request was not handled."""


class InvalidWebhook(ExotelError):
    """A request to a webhook that is not what Exotel sends."""


class ConnectionFailed(ExotelError):
    """In no attempt did a byte of the request reach Exotel.

    Attributes:
        host: the host that was not reached, with the port if one was given.
        proxy: the environment variable of the proxy that was used; None: none was used, or that of
            your own `http_client=`.
        attempts: the number of attempts.
    """

    def __init__(
        self,
        message: str,
        *,
        host: str | None = None,
        proxy: str | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.host = host
        self.proxy = proxy
        self.attempts = attempts


class RequestTimeout(ExotelError):
    """A request that reads, or sets a value, got no response in time, or lost its connection.

    Attributes:
        attempts: how often it was sent.
    """

    def __init__(self, message: str, *, attempts: int = 1) -> None:
        super().__init__(message)
        self.attempts = attempts


class CallOutcomeUnknown(ExotelError):
    """A dial that may or may not have placed a call. It was not, and will not be, sent again.

    Search the call records, with `calls.reconcile`, before you dial the number again. A pickled
    error has all that is needed for this.

    Attributes:
        reason: what happened to the request, in words, with numbers masked.
        from_: the party dialled first.
        to: the second party; None for a call to a flow or a stream.
        caller_id: the ExoPhone.
        custom_field: what was passed as `custom_field`.
        time_limit: the longest the call may last; None: Exotel's own limit of four hours. With
            `max_retries` it is None, because its effect on the limit is not known.
        sent_at: when the request was sent, aware, UTC. The call was not created before that.
        lost_at: when waiting for its outcome ended, aware, UTC.
        clock_offset: how far Exotel's clock was ahead of this machine's then, to within a second or
            so; negative: behind; None: not known. `sent_at` and `lost_at` are by this machine's
            clock.
        account_sid: the account that dialled; None: not known.
        sid: the call's SID, if a damaged response still showed one. The call was placed then.
        status: the HTTP status, if a response came.
        message: Exotel's message in it, as `APIError.message`, if there was one.
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
        clock_offset: timedelta | None = None,
        account_sid: str | None = None,
        sid: str | None = None,
        status: int | None = None,
        message: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.from_ = from_
        self.to = to
        self.caller_id = caller_id
        self.custom_field = custom_field
        self.time_limit = time_limit
        self.sent_at = sent_at
        self.lost_at = lost_at
        self.clock_offset = clock_offset
        self.account_sid = account_sid
        self.sid = sid
        self.status = status
        self.message = message

    def __str__(self) -> str:
        # The SID may become known later, from a late response.
        parties = mask_number(self.from_) + (f" -> {mask_number(self.to)}" if self.to else "")
        if self.sid:
            return (
                f"the call {parties} was placed, but without a usable answer: {self.reason}. It "
                "was not dialled again: read the call by its SID before you dial the number again "
                f"(call SID {self.sid})"
            )
        return (
            f"it is not known whether the call {parties} was placed: {self.reason}. It was not "
            "dialled again: look for it in the call records before you dial the number again"
        )


class RequestOutcomeUnknown(ExotelError):
    """A request that may or may not have been acted on. It was not, and will not be, sent again.

    Raised for a POST, PUT or DELETE of `AsyncExotel.request`, and by `numbers.whitelist`. Read what
    it was to change before you send it again. A dial raises `CallOutcomeUnknown` instead.

    Attributes:
        reason: what happened to the request, in words, with numbers masked.
        sent_at: when the request was sent, aware, UTC, by this machine's clock.
        lost_at: when waiting for its outcome ended, aware, UTC.
        status: the HTTP status, if a response came. If it is 2xx, the response was damaged, or was
            that to another request.
        message: Exotel's message in it, as `APIError.message`, if there was one.
    """

    def __init__(
        self,
        reason: str,
        *,
        method: str,
        path: str,
        sent_at: datetime,
        lost_at: datetime,
        status: int | None = None,
        message: str | None = None,
    ) -> None:
        super().__init__(
            f"it is not known whether {method} {mask_path(path)} was acted on: {reason}. "
            "It was not sent again: read what it was to change before you send it again"
        )
        self.reason = reason
        self.method: str | None = method
        self.path: str | None = path
        self.sent_at = sent_at
        self.lost_at = lost_at
        self.status = status
        self.message = message


class NotDialled(ExotelError):
    """A dial that was given up before it was sent, for example when `connect_many` was stopped."""


class DecodeError(ExotelError):
    """A response that is not what was requested.

    Attributes:
        status: its HTTP status.
        content_type: its content type, if it has one.
        excerpt: the beginning of its body.
    """

    def __init__(
        self, message: str, *, status: int, content_type: str | None, excerpt: str
    ) -> None:
        self.status = status
        self.content_type = content_type
        self.excerpt = excerpt
        super().__init__(
            f"{message} (HTTP {status}, {content_type or 'no content type'}): "
            f"{redact(excerpt)[:_SHOWN_EXCERPT]!r}"
        )


class RecordingUnavailable(ExotelError):
    """A call whose recording is not available.

    Attributes:
        sid: the call's SID.
    """

    sid: str

    def __init__(self, message: str, *, sid: str) -> None:
        super().__init__(message)
        self.sid = sid


class RecordingNotReady(RecordingUnavailable):
    """There is no recording yet: the call is in progress, or ended less than 15 minutes ago.

    Most recordings are available after 1 to 5 minutes. Read the call again before you retry.

    Attributes:
        available_by: when it should be available at the latest, aware, UTC; None: not known, for
            example because the call is not over.
    """

    def __init__(self, reason: str, *, sid: str, available_by: datetime | None = None) -> None:
        super().__init__(f"the recording of call {sid} is not ready yet: {reason}", sid=sid)
        self.available_by = available_by


class NoRecording(RecordingUnavailable):
    """There is no recording, and none will come: it was not requested, or no one spoke."""

    def __init__(self, *, sid: str) -> None:
        super().__init__(f"call {sid} has no recording", sid=sid)


class APIError(ExotelError):
    """Exotel answered with an error.

    Exotel lists its statuses at developer.exotel.com/api/http-status-codes.

    Attributes:
        message: Exotel's message.
        hint: a known cause of such a response, or where a redirect leads; None: no hint.
        status: the HTTP status.
        code: Exotel's own code; most responses have none.
        headers: the response's headers, names in lower case.
        attempts: how often the request was sent.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        hint: str | None = None,
        code: int | str | None = None,
        headers: Mapping[str, str] | None = None,
        attempts: int = 1,
    ) -> None:
        self.message = message
        self.hint = hint
        self.status = status
        self.code = code
        self.headers: dict[str, str] = dict(headers or {})
        self.attempts = attempts
        by = f" (code {code})" if code else ""
        known = f" ({hint})" if hint else ""
        super().__init__(f"HTTP {status}" + redact(f"{by}: {message}{known}"))


class BadRequest(APIError):
    """400: the request is malformed, or a value in it is out of range."""


class AuthenticationError(APIError):
    """401: the key or token is wrong, or the account is in the other region."""


class PaymentRequired(APIError):
    """402: the account's plan or balance does not cover the request."""


class PermissionDenied(APIError):
    """403: in practice compliance (KYC, NDNC) or a trial account's limits. Never sent again."""


class NotFound(APIError):
    """404: no such resource or account, or the account is in the other region.

    Also raised, with the status received, for a link to a recording that leads to nothing.
    """


class Conflict(APIError):
    """409: the resource is being changed by another request."""


class RateLimited(APIError):
    """429: over the account's budget, even after as many retries as the policy allows."""


class ServerError(APIError):
    """5xx: Exotel failed to handle the request."""


_BY_STATUS: Final[Mapping[int, type[APIError]]] = {
    400: BadRequest,
    401: AuthenticationError,
    402: PaymentRequired,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def api_error(status: int) -> type[APIError]:
    """Return the class of `APIError` for an HTTP status."""
    return _BY_STATUS.get(status, ServerError if status >= 500 else APIError)

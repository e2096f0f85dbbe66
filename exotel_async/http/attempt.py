"""The facts about one attempt to send a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen

from exotel_async.masking import redact
from exotel_async.wire.responses import Response, retry_after

_LONGEST_GAP: Final = 1.0
"""Maximum seconds between the headers and the body of a request that has a last check."""


def _redacted(problem: str) -> str:
    return redact(problem) if problem else ""  # fast path: mostly empty


@frozen(kw_only=True)
class Attempt:
    """The facts about one attempt to send a request.

    Attributes:
        host: the host it was sent to, and its port if one was given.
        written: whether a byte of it may have reached the service.
        response: the response, if a status was received, with as much of the body as was received.
        is_complete: whether the response is complete.
        timed_out: whether it was abandoned, so that it may still arrive.
        problem: what went wrong, in words; "" if nothing did.
        proxy: the variable that names the proxy it was to go through, if there was no response.
        stopped_by: the exception of the last check before the first byte, if nothing was written
            because of it.
    """

    host: str
    written: bool
    response: Response | None = None
    is_complete: bool = False
    timed_out: bool = False
    problem: str = field(default="", converter=_redacted)
    proxy: str | None = None
    stopped_by: Exception | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status; None if there was no response."""
        return None if self.response is None else self.response.status

    def retry_after(self) -> float | None:
        """Return the seconds the service asked to wait, counted from now."""
        return (
            None if self.response is None else retry_after(self.response.headers, now=time.time())
        )


class Stopped(Exception):
    """The last check failed, or was too long ago when the body was about to be sent."""


class ExchangeState:
    """What was observed of one exchange so far."""

    __slots__ = (
        "_before_send",
        "_begun",
        "_begun_at",
        "_stopped_by",
        "_untraced",
        "body",
        "handed_over",
        "headers",
        "size",
        "status",
    )

    def __init__(self, before_send: Callable[[], None] | None = None) -> None:
        self._untraced = True
        self._begun = False
        self._begun_at = 0.0
        self._before_send = before_send
        self._stopped_by: Exception | None = None
        self.handed_over: object = None
        """The request that was passed to httpx; None: not yet."""
        self.status: int = 0
        self.headers: dict[str, str] = {}
        self.body: bytearray = bytearray()
        self.size: int = 0

    @property
    def written(self) -> bool:
        """Whether a byte of the request may have reached the service."""
        # Not every transport emits trace events (mocks do not), so their absence proves nothing.
        return self._begun or (self.handed_over is not None and self._untraced) or bool(self.status)

    @property
    def stopped_by(self) -> Exception | None:
        """The exception of the last check if nothing was written; else None."""
        # A custom transport may have retried after it.
        return None if self.written else self._stopped_by

    def check(self) -> None:
        """Run the last check.

        Raises:
            Stopped: the request must not be sent.
        """
        if self._before_send is None:
            return
        try:
            self._before_send()
        except Exception as error:  # noqa: BLE001 - it is kept, for `send` to raise
            # Not raised as it is: httpcore would take some errors for its own, and read on.
            self._stopped_by = error
            raise Stopped from None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Process a trace event of httpx's own transport."""
        self._untraced = False
        # A CONNECT to a proxy is not part of the request.
        if getattr(info.get("request"), "method", b"") == b"CONNECT":
            return
        if event.endswith("send_request_headers.started"):
            self.check()
            # From here on the kernel may have sent a part, even if writing fails.
            self._begun, self._begun_at = True, time.monotonic()
        # Other tasks have run since, or the process was suspended: the check is too old.
        elif (
            event.endswith("send_request_body.started")
            and self._before_send is not None
            and time.monotonic() - self._begun_at > _LONGEST_GAP
        ):
            raise Stopped("the process was suspended between the headers and the body")

    def not_connected(self) -> None:
        """Record that there was no connection to write to."""
        self._untraced = False

    def got_headers(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Record the status and the headers of a response."""
        self.status = status
        self.headers = _lower(headers)


def _lower(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    lower: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        lower[key] = f"{lower[key]}, {text}" if key in lower else text
    return lower

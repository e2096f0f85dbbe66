"""What is certain about a request after it was tried."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen

from exotel_async.masking import redact
from exotel_async.wire.responses import Response, retry_after

_LONGEST_GAP: Final = 1.0
"""Seconds between the headers and the body of a request that has a last check, at most."""


def _redacted(problem: str) -> str:
    return redact(problem) if problem else ""  # as almost always


@frozen(kw_only=True)
class Attempt:
    """What is certain about one request after it was tried.

    Attributes:
        host: where it was sent to: the host, and its port if one was given.
        written: whether a byte of it may have reached the service.
        answer: the answer, if a status came, with as much of the body as came.
        whole: whether all of the answer came.
        timed_out: whether it was given up, so that it may still arrive.
        problem: what went wrong, in words; "" where nothing did.
        proxy: the variable that names the proxy it was to go through, where no answer came.
        stopped_by: what the last check before the first byte raised, if that is why nothing of it
            was written.
    """

    host: str
    written: bool
    answer: Response | None = None
    whole: bool = False
    timed_out: bool = False
    problem: str = field(default="", converter=_redacted)
    proxy: str | None = None
    stopped_by: Exception | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status; None where no answer came."""
        return None if self.answer is None else self.answer.status

    def retry_after(self) -> float | None:
        """Return the seconds the service asked to wait, counted from now."""
        return None if self.answer is None else retry_after(self.answer.headers, now=time.time())


class Stopped(Exception):
    """The last check has failed, or was too long ago when the body was to be sent."""


class Seen:
    """What was seen of one exchange up to now."""

    __slots__ = (
        "_before_send",
        "_begun",
        "_begun_at",
        "_silent",
        "_stopped_by",
        "body",
        "handed_over",
        "headers",
        "size",
        "status",
    )

    def __init__(self, before_send: Callable[[], None] | None = None) -> None:
        self._silent = True
        self._begun = False
        self._begun_at = 0.0
        self._before_send = before_send
        self._stopped_by: Exception | None = None
        self.handed_over: object = None
        """The request that httpx was asked to send; None: it was not asked yet."""
        self.status: int = 0
        self.headers: dict[str, str] = {}
        self.body: bytearray = bytearray()
        self.size: int = 0

    @property
    def written(self) -> bool:
        """Whether a byte of the request may have reached the service."""
        # Not every transport tells what it does. Mocks do not, and silence proves nothing.
        return self._begun or (self.handed_over is not None and self._silent) or bool(self.status)

    @property
    def stopped_by(self) -> Exception | None:
        """What the last check raised, if nothing was written; else None."""
        # A transport of the user's own may have tried again after it.
        return None if self.written else self._stopped_by

    def check(self) -> None:
        """Ask a last time whether the request may be sent.

        Raises:
            Stopped: it may not.
        """
        if self._before_send is None:
            return
        try:
            self._before_send()
        except Exception as error:  # noqa: BLE001 - it is kept, for `send` to raise
            # httpcore takes some errors for its own, and goes on to read the answer.
            self._stopped_by = error
            raise Stopped from None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of what httpx's own transport does."""
        self._silent = False
        # What asks a proxy for a tunnel is no part of the request.
        if getattr(info.get("request"), "method", b"") == b"CONNECT":
            return
        if event.endswith("send_request_headers.started"):
            self.check()
            # From here on the kernel may have sent a part, even if writing fails.
            self._begun, self._begun_at = True, time.monotonic()
        # Others have run since, and the process may have been stopped: the check is too old.
        elif (
            event.endswith("send_request_body.started")
            and self._before_send is not None
            and time.monotonic() - self._begun_at > _LONGEST_GAP
        ):
            raise Stopped("the process was suspended between the headers and the body")

    def not_connected(self) -> None:
        """Take note that there was no connection to write to."""
        self._silent = False

    def headed(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Take note of the head of an answer: its fields as they came."""
        self.status = status
        self.headers = _lower(headers)


def _lower(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    lower: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        lower[key] = f"{lower[key]}, {text}" if key in lower else text
    return lower

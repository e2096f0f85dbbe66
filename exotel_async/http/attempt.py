"""What is certain about a request after it was tried."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from exotel_async.masking import redact
from exotel_async.wire.responses import Response, retry_after


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
    """

    host: str
    written: bool
    answer: Response | None = None
    whole: bool = False
    timed_out: bool = False
    problem: str = field(default="", converter=redact)

    @property
    def status(self) -> int | None:
        """The HTTP status; None where no answer came."""
        return None if self.answer is None else self.answer.status

    def retry_after(self) -> float | None:
        """Return the seconds the service asked to wait, counted from now."""
        return None if self.answer is None else retry_after(self.answer.headers, now=time.time())


class Seen:
    """What was seen of one exchange up to now."""

    __slots__ = ("_begun", "_silent", "body", "handed_over", "headers", "size", "status")

    def __init__(self) -> None:
        self._silent = True
        self._begun = False
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

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of what httpx's own transport does."""
        self._silent = False
        # From here on the kernel may have sent a part, even if writing fails. What asks a proxy
        # for a tunnel is no part of the request.
        if event.endswith("send_request_headers.started"):
            tunnel = getattr(info.get("request"), "method", b"") == b"CONNECT"
            self._begun = self._begun or not tunnel

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

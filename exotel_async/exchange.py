"""What is certain about a request after it was tried."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from exotel_async.masking import redact
from exotel_async.wire import Answer


@frozen(kw_only=True)
class Exchange:
    """What is certain about one request after it was tried.

    Attributes:
        written: whether a byte of it may have reached the service.
        answer: the answer, if a status came, with as much of the body as came.
        whole: whether all of the answer came.
        timed_out: whether it was given up, so that it may still arrive.
        problem: what went wrong, in words; "" where nothing did.
    """

    written: bool
    answer: Answer | None = None
    whole: bool = False
    timed_out: bool = False
    problem: str = field(default="", converter=redact)


@frozen(kw_only=True)
class Download:
    """What is certain about one try to fetch a file.

    Attributes:
        written: whether a byte of the request may have reached the host.
        status: the HTTP status; None where no answer came.
        headers: the answer's header fields, names in lower case, without our secrets.
        size: bytes of the file that came.
        whole: whether the status is 200 and all of the file came.
        problem: what went wrong, in words; "" where nothing did.
    """

    written: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    size: int = 0
    whole: bool = False
    problem: str = field(default="", converter=redact)

"""What is certain about a request after it was tried."""

from __future__ import annotations

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

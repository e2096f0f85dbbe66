"""What an exchange comes to: the value asked for, the error there is, or a dial nobody knows of."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from attrs import evolve

from exotel_async.config import RetryPolicy
from exotel_async.errors import (
    CallOutcomeUnknown,
    ConnectionFailed,
    DecodeError,
    ExotelError,
    RequestTimeout,
)
from exotel_async.http.attempt import Attempt
from exotel_async.http.retry import Facts, Unknown, verdict
from exotel_async.wire.party import Party
from exotel_async.wire.request import Request
from exotel_async.wire.responses import Response, parties_of, retry_after, sid_of

T = TypeVar("T")


def result_of(request: Request, result: Attempt, read: Callable[[Response], T], attempts: int) -> T:
    """Return what was asked for, or raise what came instead."""
    answer = result.answer
    if answer is None:
        if result.written:
            raise RequestTimeout(f"no answer: {result.problem}", attempts=attempts)
        raise ConnectionFailed(f"nothing reached Exotel: {result.problem}", attempts=attempts)
    if 200 <= answer.status < 300 and not result.whole:
        raise DecodeError(
            f"the answer broke off: {result.problem}",
            status=answer.status,
            content_type=answer.content_type,
            excerpt=answer.excerpt(),
        )
    if 200 <= answer.status < 300 and _is_of_another_call(request, answer):
        raise DecodeError(
            "the answer is that of another call",
            status=answer.status,
            content_type=answer.content_type,
            excerpt="",
        )
    try:
        return read(answer if attempts == 1 else evolve(answer, attempts=attempts))
    except ExotelError:
        raise
    except Exception as error:  # a defect of ours must not lose a call that was made
        raise DecodeError(
            f"reading the answer failed: {type(error).__name__}",
            status=answer.status,
            content_type=answer.content_type,
            excerpt=answer.excerpt(),
        ) from error


def facts_of(request: Request, result: Attempt) -> Facts:
    """Return what is to be judged of one try."""
    answer = result.answer
    return Facts(
        dial=request.dials,
        written=result.written,
        status=None if answer is None else answer.status,
        retry_after=None if answer is None else retry_after(answer.headers, now=time.time()),
    )


def orphan_of(
    request: Request, result: Attempt, read: Callable[[Response], T], sent_at: datetime
) -> T | ExotelError:
    """Return what an exchange came to whose caller has left."""
    try:
        return result_of(request, result, read, 1)
    except ExotelError as failure:
        judged = verdict(facts_of(request, result), RetryPolicy.never(), jitter=0.0)
        return unknown_dial(request, result, sent_at) if isinstance(judged, Unknown) else failure


def _seconds(text: str) -> timedelta | None:
    # It may come from `extra`, where anything goes.
    return timedelta(seconds=int(text)) if re.fullmatch("[0-9]{1,6}", text) else None


def unknown_dial(request: Request, found: Attempt | str, sent_at: datetime) -> CallOutcomeUnknown:
    """Return the error for a dial that may have happened."""
    form = dict(request.form)
    is_ours = True
    if isinstance(found, str):
        reason, answer = found, None
    else:
        answer = found.answer
        reason = found.problem or "the answer cannot be read"
        if answer is not None:
            is_ours = not _is_of_another_call(request, answer)
            problem = found.problem if is_ours else "the answer is that of another call"
            reason = f"HTTP {answer.status}" + (f", {problem}" if problem else "")
    return CallOutcomeUnknown(
        reason,
        from_=form["From"],
        to=form.get("To"),
        caller_id=form["CallerId"],
        custom_field=form.get("CustomField"),
        time_limit=_seconds(form.get("TimeLimit", "")),
        sent_at=sent_at,
        lost_at=datetime.now(UTC),
        sid=sid_of(answer) if answer is not None and is_ours else None,
        status=None if answer is None else answer.status,
    )


def _is_of_another_call(request: Request, answer: Response) -> bool:
    """Whether an answer to a dial names parties that are certainly not those of the dial.

    On a connection that is used again, what a broken peer or proxy has sent too much of comes as
    the next answer. What is not shown, or cannot be compared, says nothing.
    """
    if not request.dials:
        return False
    form = dict(request.form)
    from_, to = parties_of(answer)
    if Party(form["From"]).is_shown_as(from_) is False:
        return True
    # A call to a flow shows the ExoPhone there, or nothing.
    return "To" in form and Party(form["To"]).is_shown_as(to) is False

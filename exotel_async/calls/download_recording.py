"""Downloading recordings: which link to use, and what it means if none of them works.

A call may have two links: one that is pre-signed and valid for minutes, and one that needs the
account's credentials. Neither is there immediately, and either may lead nowhere for a while.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from exotel_async.calls.wait_state import SETTLED_AFTER, call_is_settled
from exotel_async.errors import (
    APIError,
    ConnectionFailed,
    DecodeError,
    ExotelError,
    InvalidRequest,
    NoRecording,
    NotFound,
    RecordingNotReady,
    RecordingUnavailable,
    RequestTimeout,
    api_error,
)
from exotel_async.http.download import PartialFile, fetch
from exotel_async.http.receive import Bounds
from exotel_async.http.urls import is_link
from exotel_async.models import AnsweredBy, Call, CallStatus, Direction
from exotel_async.phone import same_number
from exotel_async.wire.validation import positive_seconds, segment, whole

if TYPE_CHECKING:
    from exotel_async.http.pipeline import Pipeline
    from exotel_async.http.receive import Download, Sink

_UNANSWERED: Final = frozenset(
    {CallStatus.BUSY, CallStatus.FAILED, CallStatus.NO_ANSWER, CallStatus.CANCELED}
)
_REFUSED: Final = frozenset({400, 401, 403, 404})


class RecordingFetcher:
    """Fetches one recording, trying its links one after the other."""

    def __init__(
        self,
        pipeline: Pipeline,
        call: object,
        get: Callable[[str], Awaitable[Call]],
        *,
        max_size: object,
        idle_timeout: object,
    ) -> None:
        """Prepare; nothing is sent. `get` reads a call that is given by its SID.

        Raises:
            InvalidRequest: `call` does not name a recording, or a limit is not above 0.
        """
        self._pipeline = pipeline
        self._get = get
        self._source = _source_of(call)
        idle = None if idle_timeout is None else positive_seconds("idle_timeout", idle_timeout)
        self._bounds = Bounds(size=whole("max_size", max_size, 1), idle=idle)

    async def download(self, path: object) -> Path:
        """Fetch it into a file, and return its path: see `Calls.download_recording`."""
        target = _target(path)
        part, scope = PartialFile(target), anyio.CancelScope()

        async def run() -> Path:
            with scope:
                try:
                    await part.check()
                    await self.fetch(part)
                    await part.keep()
                    return target
                finally:
                    with anyio.CancelScope(shield=True):
                        await part.discard()
            raise asyncio.CancelledError

        task = self._pipeline.run_task(run)
        # If the caller is cancelled, nobody retrieves the exception, and asyncio would log it.
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            return await self._pipeline.wait(asyncio.shield(task))
        finally:
            scope.cancel()
            # Do not wait for a response, but for the clean-up of what was begun.
            if part.begun:
                with anyio.CancelScope(shield=True):
                    await asyncio.wait({task})

    async def fetch(self, sink: Sink) -> None:
        """Fetch it into a sink.

        Raises:
            ExotelError: none of the links worked.
            OSError: it could not be written.
        """
        source, call = self._source, None
        if isinstance(source, Call):
            call, links = source, _links(source)
        elif _is_meant_as_link(source):
            links = [(source, True)]
        else:
            call = await self._get(source)
            links = _links(call)
        failure: ExotelError | None = None
        for link, credentials in links:
            result, tries = await fetch(
                self._pipeline.transport,
                link,
                sink,
                credentials=credentials,
                bounds=self._bounds,
                policy=self._pipeline.retry,
            )
            if result.is_complete and result.size:
                return
            await sink.discard()
            failure = self._failure(call, result, tries)
            refused = result.refused and result.status in {None, 200}
            if sink.cannot_restart or not (
                result.is_complete or result.status in _REFUSED or refused
            ):
                break
        if failure is None:
            assert call is not None  # noqa: S101 - a link is there
            failure = self._missing(call)
        if call is not None:
            failure.sid = call.sid
        raise failure

    def _failure(self, call: Call | None, result: Download, tries: int) -> ExotelError:
        status = result.status
        if result.refused and status is None:
            return _bad_link(call, result.problem)
        named = "the recording" if call is None else f"the recording of call {call.sid}"
        if status == 200 and result.refused:
            return DecodeError(
                f"the file that came for {named} was rejected: {result.problem}",
                status=200,
                content_type=result.headers.get("content-type"),
                excerpt="",
            )
        if status is None or (status == 200 and not result.is_complete):
            said = f"{named} could not be downloaded from {result.host}: {result.problem}"
            if result.written:
                return RequestTimeout(said, attempts=tries)
            return ConnectionFailed(said, host=result.host, attempts=tries)
        if call is not None:
            missing = self._missing(call)
            early = isinstance(missing, RecordingNotReady)
            if status < 300 or status in {404, 410} or (status == 403 and early):
                return missing
        return _refusal(result, tries)

    def _missing(self, call: Call) -> RecordingUnavailable:
        """Return the error for a call without a recording: it may still come, or will not."""
        if not call.is_final:
            return RecordingNotReady("the call was not over when it was read", sid=call.sid)
        ended = call.ended_at or call.updated_at or call.created_at
        due = None if ended is None else ended.astimezone(UTC) + SETTLED_AFTER
        now = self._pipeline.server_clock.now() or datetime.now(UTC)
        if (due is not None and due <= now) or _nobody_answered(call):
            return NoRecording(sid=call.sid)
        reason = f"it may take {SETTLED_AFTER // timedelta(minutes=1)} minutes from the call's end"
        return RecordingNotReady(reason, sid=call.sid, available_by=due)


def _nobody_answered(call: Call) -> bool:
    """Return whether it is certain that no party of a call that is over has answered.

    Between two numbers the status may be the second party's, with the first one on the line
    (VOICE_V1 1.3): then the first leg decides, or that the price is known and zero.
    """
    details, answered_by = call.details, call.answered_by
    if call.status not in _UNANSWERED or answered_by not in {None, AnsweredBy.NOT_APPLICABLE}:
        return False
    if details is not None and details.leg1_status is not None:
        return details.leg1_status in _UNANSWERED
    if call.direction in {Direction.OUTBOUND_API, Direction.OUTBOUND_DIAL}:
        exophone, to = call.exophone, call.to
        if exophone is not None and (to is None or same_number(to, exophone)):
            return True  # a call to a flow has only one party
    return call_is_settled(call) and not call.price


def _target(path: object) -> Path:
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not name or not isinstance(name, str) or "\0" in name or not _can_be_encoded(name):
        rule = "must be the path of a file, without null characters and lone surrogates"
        raise InvalidRequest("path", path, rule)
    return Path(name)


def _can_be_encoded(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _source_of(call: object) -> Call | str:
    """Return the source of a recording: a call, its SID, or a link.

    Raises:
        InvalidRequest: it is none of these. An invalid link is not shown: it may have a secret.
    """
    if isinstance(call, Call):
        return call
    if not isinstance(call, str):
        raise InvalidRequest("call", call, "must be a Call, its SID, or the link to a recording")
    if _is_meant_as_link(call):
        if not is_link(call):
            raise InvalidRequest("call", "<link>", "must be a whole link of http(s), without user")
        return call
    segment("call", call)
    return call


def _is_meant_as_link(text: str) -> bool:
    return "/" in text or ":" in text


def _links(call: Call) -> list[tuple[str, bool]]:
    """Return the links, each with whether the account's credentials may be sent to its host."""
    # The pre-signed link first: it needs no credentials.
    given = ((call.presigned_recording_url, False), (call.recording_url, True))
    links = [(link, credentials) for link, credentials in given if link is not None]
    usable = [pair for pair in links if is_link(pair[0])]
    if links and not usable:
        error = InvalidRequest("call", f"<call {call.sid}>", "must have a recording_url of http(s)")
        error.sid = call.sid
        raise error
    return usable


def _bad_link(call: Call | None, problem: str) -> InvalidRequest:
    if call is None:
        return InvalidRequest("call", "<link>", f"must be another link: {problem}")
    shown = f"<call {call.sid}>"
    return InvalidRequest("call", shown, f"must have another recording_url: {problem}")


def _refusal(result: Download, tries: int) -> APIError:
    status = result.status or 0
    # Without the call, nothing more is known: a link that leads to nothing is "not found".
    kind = NotFound if status < 300 or status == 410 else api_error(status)
    try:
        said = HTTPStatus(status).phrase if status >= 300 else "there is nothing, or not yet"
    except ValueError:
        said = "no success"
    return kind(
        f"the recording link does not open: {result.problem or said}",
        status=status,
        # The target of a redirect may be a pre-signed link, and then is a secret.
        headers={name: text for name, text in result.headers.items() if name != "location"},
        attempts=tries,
    )

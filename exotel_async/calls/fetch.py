"""Reading calls by SID: up to a hundred with one list query, or one with a request of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from attrs import frozen

from exotel_async.calls.list_pages import PageFetcher
from exotel_async.calls.seen import SeenCalls
from exotel_async.config import SendOptions
from exotel_async.errors import (
    APIError,
    ConfigurationError,
    DecodeError,
    ExotelError,
    NotFound,
    RequestTimeout,
)
from exotel_async.http.pipeline import Pipeline
from exotel_async.limiter.protocol import Permit
from exotel_async.models import Call
from exotel_async.wire import call_query, requests, responses
from exotel_async.wire.time_range import TimeRange

_SPLITTING: Final = frozenset({400, 413, 414})
_PATIENCE: Final = 7  # failures in a row: a query, its halves and its quarters
_MAX_FAILED: Final = 3  # batches in a row that returned nothing
_MAX_PAGES: Final = 5  # of one batch: the service may return smaller pages than requested


@frozen
class FetchOptions:
    """Which data of a call to read.

    Attributes:
        details: whether to read legs and talk time as well.
        recording_url_validity: how long recording links stay valid; None: Exotel's default.
    """

    details: bool = False
    recording_url_validity: timedelta | None = None


class CallFetcher:
    """Reads calls by SID for a session."""

    def __init__(self, pipeline: Pipeline, pages: PageFetcher, known: SeenCalls) -> None:
        self.pipeline: Final = pipeline
        self._pages = pages
        self._seen = known
        self._read_call = partial(responses.read_call, time_zone=pages.time_zone)
        self._failed = 0
        # Whether list queries return details: documented for one call only, but seen to work in
        # the list. None: not known yet.
        self._list_has_details: bool | None = None

    def can_batch(self, wanted: FetchOptions) -> bool:
        """Return whether list queries may return what is wanted, as far as is known by now."""
        return not wanted.details or self._list_has_details is not False

    async def single(
        self,
        sid: str,
        wanted: FetchOptions,
        options: SendOptions,
        *,
        extra: Mapping[str, str] | None = None,
        permit: Permit | None = None,
    ) -> Call:
        """Read one call with a request of its own.

        Raises:
            InvalidRequest: `sid` is not a SID.
            NotFound: no such call.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        request = requests.get_call(
            sid,
            details=wanted.details,
            recording_url_validity=wanted.recording_url_validity,
            extra=extra,
        )
        call = await self.pipeline.send(request, self._read_call, options, permit=permit)
        self._seen.record(call)
        return call

    async def batch(
        self,
        sids: Sequence[str],
        wanted: FetchOptions,
        options: SendOptions,
        *,
        time_range: TimeRange | None = None,
        permit: Permit | None = None,
    ) -> dict[str, Call | ExotelError]:
        """Read up to a hundred calls with one list query.

        If the query fails and its size may be the cause, it is split in halves, down to a limit.

        Args:
            sids: distinct SIDs, each of which is `call_query.is_listable`.
            wanted: what to read of them.
            options: how the query is sent.
            time_range: when they were created, a month at most; None: in the last 31 days.
            permit: a permit to send the query once, if there is one already.

        Returns:
            The call, or the error that prevented reading it, by SID. SIDs that the response leaves
            out have no entry: calls in progress, older ones, and those that do not exist. A call
            without details that were wanted counts as left out.

        Raises:
            ConfigurationError: the session is closed.
        """
        answers: dict[str, Call | ExotelError] = {}
        waiting = deque([sids])
        in_a_row, any_good = 0, False
        while waiting:
            part = waiting.popleft()
            try:
                await self._ask(part, wanted, options, time_range, permit=permit, answers=answers)
                in_a_row, any_good = 0, True
            except ConfigurationError:
                raise
            except ExotelError as error:
                rest = [sid for sid in part if sid not in answers]
                any_good = any_good or len(rest) < len(part)
                in_a_row += _may_be_too_large(error)
                if not _may_be_too_large(error):
                    answers |= dict.fromkeys(rest, _error_for_one(error))
                elif in_a_row >= _PATIENCE or self._failed >= _MAX_FAILED:
                    answers |= {sid: error for each in (rest, *waiting) for sid in each}
                    break
                else:
                    middle = len(rest) // 2
                    # A single SID is left out here: the caller reads it with its own request.
                    waiting += [half for half in (rest[:middle], rest[middle:]) if len(half) > 1]
            permit = None
        if any_good:
            self._failed = 0
        elif in_a_row:
            self._failed += 1
        return answers

    async def _ask(
        self,
        sids: Sequence[str],
        wanted: FetchOptions,
        options: SendOptions,
        time_range: TimeRange | None,
        *,
        permit: Permit | None,
        answers: dict[str, Call | ExotelError],
    ) -> None:
        """Query some of the SIDs, and add the results to `answers`."""
        query = call_query.build_query(
            time_zone=self._pages.time_zone,
            sids=sids,
            details=wanted.details,
            recording_url_validity=wanted.recording_url_validity,
        )
        missing = set(sids)
        lacking: list[str] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            request = query.request(time_range, after=cursor)
            page = await self._pages.fetch(request, options, permit=permit)
            permit, cursor = None, page.after
            new = [call for call in page.calls if call.sid in missing]
            for call in new:
                missing.discard(call.sid)
                self._seen.record(call)
                if wanted.details and self._lacks_details(call):
                    lacking.append(call.sid)
                else:
                    answers[call.sid] = call
            # The last page may have a cursor, too.
            if cursor is None or not missing or not new:
                break
        if lacking and self._list_has_details is None:
            await self._check(lacking[0], wanted, options, answers)

    def _lacks_details(self, call: Call) -> bool:
        if call.details is not None:
            self._list_has_details = True
            return False
        # If other calls in lists have details, an explicit null means that this one has none.
        return self._list_has_details is not True or "Details" not in call.raw

    async def _check(
        self,
        sid: str,
        wanted: FetchOptions,
        options: SendOptions,
        answers: dict[str, Call | ExotelError],
    ) -> None:
        """Read a call that lacked details singly, to learn whether lists have no details at all."""
        try:
            # Ahead of others of its priority, whose list queries may be useless as well.
            permit = await self.pipeline.acquire(options, first=True)
            call = await self.single(sid, wanted, options, permit=permit)
        except ConfigurationError:
            raise
        except ExotelError as error:
            answers[sid] = error
            return
        answers[sid] = call
        if call.details is not None and self._list_has_details is None:
            self._list_has_details = False


def _may_be_too_large(error: ExotelError) -> bool:
    """Return whether a list query may have failed because of its size."""
    if isinstance(error, APIError):
        return error.status in _SPLITTING
    return isinstance(error, DecodeError | RequestTimeout)


def _error_for_one(error: ExotelError) -> ExotelError:
    """Return the error of a list query as the error of one of its SIDs."""
    if not isinstance(error, NotFound):
        return error
    # The list was not found, which says nothing about single calls.
    many = APIError(
        f"the list of calls was not found: {error.message}",
        status=error.status,
        hint=error.hint,
        code=error.code,
        headers=error.headers,
        attempts=error.attempts,
    )
    many.method, many.path = error.method, error.path
    return many

"""Calls by their SIDs: one query for up to a hundred, or one request for one."""

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
_PATIENCE: Final = 7  # a query, its halves and its quarters: all of them failed
_MOST_FAILED: Final = 3  # batches in a row of which nothing came
_MOST_PAGES: Final = 5  # of one batch: the service may give out smaller pages than asked for


@frozen
class FetchOptions:
    """What is wanted to know of calls.

    Attributes:
        details: legs and talk time as well.
        recording_url_validity: how long recording links are to open; None: Exotel's default.
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
        # Documented for one call only; in the list it is merely known to have worked.
        self._gives_details: bool | None = None

    def serves(self, wanted: FetchOptions) -> bool:
        """Whether a query for many is any good for that, by what it has brought up to now."""
        return not wanted.details or self._gives_details is not False

    async def single(
        self,
        sid: str,
        wanted: FetchOptions,
        options: SendOptions,
        *,
        extra: Mapping[str, str] | None = None,
        permit: Permit | None = None,
    ) -> Call:
        """Read one call by a request of its own.

        Raises:
            InvalidRequest: it is no SID.
            NotFound: no such call.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        request = requests.get_call(
            sid,
            details=wanted.details,
            recording_url_validity=wanted.recording_url_validity,
            extra=extra,
        )
        call = await self.pipeline.send(request, self._read_call, options, permit=permit)
        self._seen.saw(call)
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
        """Read up to a hundred calls by one query.

        The query is cut in halves where it may be its size that fails it, but not for ever.

        Args:
            sids: different SIDs, each of which is `call_query.is_listable`.
            wanted: what to know of them.
            options: how the query is sent.
            time_range: when they were created, a month at most; None: in the last 31 days.
            permit: permission to send it once, if there is one already.

        Returns:
            The call, or why it could not be had, for each SID; none for what the answer has left
            out: calls in progress, older ones, and those that do not exist. What lacks details that
            are wanted counts as left out.

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
                in_a_row += _may_be_its_size(error)
                if not _may_be_its_size(error):
                    answers |= dict.fromkeys(rest, _of_many(error))
                elif in_a_row >= _PATIENCE or self._failed >= _MOST_FAILED:
                    answers |= {sid: error for each in (rest, *waiting) for sid in each}
                    break
                else:
                    middle = len(rest) // 2
                    # One alone is asked for by its own request.
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
        """Ask for some of them, and enter what comes."""
        query = call_query.build_query(
            time_zone=self._pages.time_zone,
            sids=sids,
            details=wanted.details,
            recording_url_validity=wanted.recording_url_validity,
        )
        missing = set(sids)
        lacking: list[str] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            request = query.request(time_range, after=cursor)
            page = await self._pages.fetch(request, options, permit=permit)
            permit, cursor = None, page.after
            new = [call for call in page.calls if call.sid in missing]
            for call in new:
                missing.discard(call.sid)
                self._seen.saw(call)
                if wanted.details and self._lacks_details(call):
                    lacking.append(call.sid)
                else:
                    answers[call.sid] = call
            # There may be a cursor behind the last of them.
            if cursor is None or not missing or not new:
                break
        if lacking and self._gives_details is None:
            await self._check(lacking[0], wanted, options, answers)

    def _lacks_details(self, call: Call) -> bool:
        if call.details is not None:
            self._gives_details = True
            return False
        # A service that gives them otherwise means null where it says so.
        return self._gives_details is not True or "Details" not in call.raw

    async def _check(
        self,
        sid: str,
        wanted: FetchOptions,
        options: SendOptions,
        answers: dict[str, Call | ExotelError],
    ) -> None:
        """Find out by a call that lacks details whether the list gives none at all."""
        try:
            # Before the others of its priority: their requests may be about to fail as well.
            permit = await self.pipeline.acquire(options, first=True)
            call = await self.single(sid, wanted, options, permit=permit)
        except ConfigurationError:
            raise
        except ExotelError as error:
            answers[sid] = error
            return
        answers[sid] = call
        if call.details is not None and self._gives_details is None:
            self._gives_details = False


def _may_be_its_size(error: ExotelError) -> bool:
    """Whether a query for many may have failed for its size, so that a smaller one need not."""
    if isinstance(error, APIError):
        return error.status in _SPLITTING
    return isinstance(error, DecodeError | RequestTimeout)


def _of_many(error: ExotelError) -> ExotelError:
    """Return what the failure of a query for many says of one of them."""
    if not isinstance(error, NotFound):
        return error
    # It is the list that was not found. Of single calls that says nothing.
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

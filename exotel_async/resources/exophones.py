"""The ExoPhones resource: the account's numbers, and the flows of their incoming calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Unpack

from attrs import evolve

from exotel_async.config import RateLimit, RequestOptions
from exotel_async.errors import DecodeError, InvalidRequest
from exotel_async.keywords import check_options
from exotel_async.steps import Steps
from exotel_async.wire import requests, responses
from exotel_async.wire.request import Category, Fields, get_request, put_request
from exotel_async.wire.validation import segment, short_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exotel_async.config import SendOptions
    from exotel_async.http.pipeline import Pipeline
    from exotel_async.limiter.protocol import RateLimiter
    from exotel_async.models import ExoPhone, ExoPhonePage
    from exotel_async.wire.request import Request

EXOPHONE_RATE: Final = RateLimit(50)
"""Requests a minute about ExoPhones, counted separately, which only one page of Exotel's says."""

# Exotel's limit is not known; this one refuses whole documents.
_LONGEST_NAME: Final = 255
_LIST: Final = "IncomingPhoneNumbers"


class _Reading:
    """The progress of one reader."""

    def __init__(self) -> None:
        self.page_number: int | None = None  # the first
        self.seen: set[str] = set()
        self.asked = {0}


class ExoPhoneList:
    """The account's ExoPhones: `exotel.exophones.list()`. Nothing is sent until it is read.

    ``async for exophone in exophones`` reads them all, `pages` does so page by page. Each of them
    starts from the beginning.
    """

    def __init__(
        self, pipeline: Pipeline, options: SendOptions, extra: Mapping[str, str] | None
    ) -> None:
        self._pipeline = pipeline
        self._options = options
        self._extra = extra

    def __aiter__(self) -> AsyncIterator[ExoPhone]:
        reading = _Reading()
        return Steps(lambda: self._exophones(reading))

    def pages(self) -> AsyncGenerator[ExoPhonePage, None]:
        """Read page by page. An ExoPhone that was on an earlier page is left out.

        Raises:
            ExotelError: a page could not be read. The next step tries again.
        """
        reading = _Reading()
        return Steps(lambda: self._pages(reading))

    async def _pages(self, reading: _Reading) -> AsyncGenerator[ExoPhonePage, None]:
        seen, asked = reading.seen, reading.asked
        while True:
            page = await self._pipeline.send(
                _list(reading.page_number, self._extra),
                responses.read_exophone_page,
                self._options,
            )
            fresh = {found.sid: found for found in page.exophones if found.sid not in seen}
            seen.update(fresh)
            yield evolve(page, exophones=tuple(fresh.values()))
            page_number = reading.page_number = page.next_page
            if page_number is None or not page.exophones:
                return
            if page_number in asked:
                raise DecodeError(
                    "the pages of ExoPhones repeat and never reach the end",
                    status=200,
                    content_type=None,
                    excerpt="",
                )
            asked.add(page_number)

    async def _exophones(self, reading: _Reading) -> AsyncGenerator[ExoPhone, None]:
        async with aclosing(self._pages(reading)) as pages:
            async for page in pages:
                for exophone in page.exophones:
                    yield exophone


class ExoPhones:
    """The account's own numbers: `exotel.exophones`. They have a budget of their own."""

    def __init__(self, pipeline: Pipeline, defaults: SendOptions, account_sid: str) -> None:
        self._pipeline = pipeline
        self._defaults = defaults
        self._account_sid = account_sid

    @property
    def limiter(self) -> RateLimiter:
        """The rate limiter of these requests, which is not that of calls.

        Raises:
            ConfigurationError: outside the session's event loop, or when it is closed.
        """
        return self._pipeline.limiter_of(Category.EXOPHONES)

    def list(
        self,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> ExoPhoneList:
        """List the account's ExoPhones.

        Uses `GET IncomingPhoneNumbers`. Read the result with ``async for``; see `ExoPhoneList`.
        Nothing is sent before that.

        Args:
            extra: parameters this SDK does not know, sent with each page.
            **options: see `RequestOptions`; they apply to each request.

        Raises:
            InvalidRequest: an argument Exotel would refuse.
        """
        check_options("exophones.list", self.list, options, RequestOptions)
        # Check the arguments now, not when the first page is requested.
        _list(1, extra)
        chosen = self._defaults.with_changes(**options)
        return ExoPhoneList(self._pipeline, chosen, extra)

    async def get(
        self,
        sid: str,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> ExoPhone:
        """Read one ExoPhone. Uses `GET IncomingPhoneNumbers/{sid}`.

        Args:
            sid: its SID, as `list` gives it.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: it cannot be a SID; nothing was sent.
            NotFound: there is no such ExoPhone, or the account is in the other region.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        check_options("exophones.get", self.get, options, RequestOptions)
        request = get_request(_one(sid), {}, extra, Category.EXOPHONES)
        chosen = self._defaults.with_changes(**options)
        with self._pipeline.reports.operation("exophones.get"):
            return await self._pipeline.send(request, responses.read_exophone, chosen)

    async def assign_flow(
        self,
        sid: str,
        flow: int | str,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> ExoPhone:
        """Connect the incoming calls of an ExoPhone to a flow.

        Uses `PUT IncomingPhoneNumbers/{sid}`, which is retried: setting a flow is idempotent.

        Args:
            sid: the ExoPhone's SID, as `list` gives it.
            flow: the flow's id (its app id in the dashboard), or its full URL.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: an argument Exotel would refuse; nothing was sent.
            NotFound: there is no such ExoPhone, or the account is in the other region.
            RequestTimeout: no response came: the flow may have been assigned, or may still be.
            DecodeError: the flow was assigned, but the response cannot be read.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        check_options("exophones.assign_flow", self.assign_flow, options, RequestOptions)
        form: Fields = {"VoiceUrl": requests.flow_url(self._account_sid, flow)}
        chosen = self._defaults.with_changes(**options)
        with self._pipeline.reports.operation("exophones.assign_flow"):
            return await self._set(sid, form, extra, chosen)

    async def rename(
        self,
        sid: str,
        name: str,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> ExoPhone:
        """Rename an ExoPhone. Uses `PUT IncomingPhoneNumbers/{sid}`.

        Args:
            sid: the ExoPhone's SID, as `list` gives it.
            name: its new friendly name.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            As `assign_flow`.
        """
        check_options("exophones.rename", self.rename, options, RequestOptions)
        form: Fields = {"FriendlyName": short_text("name", name, _LONGEST_NAME)}
        if not name or name.isspace():
            raise InvalidRequest("name", name, "must not be empty")
        chosen = self._defaults.with_changes(**options)
        with self._pipeline.reports.operation("exophones.rename"):
            return await self._set(sid, form, extra, chosen)

    async def _set(
        self, sid: str, form: Fields, extra: Mapping[str, str] | None, options: SendOptions
    ) -> ExoPhone:
        request = put_request(_one(sid), form, extra, Category.EXOPHONES)
        return await self._pipeline.send(request, responses.read_exophone, options)


def _list(page: int | None, extra: Mapping[str, str] | None) -> Request:
    # By number: the URI of the next page, as Exotel gives it, is on a host that is not for us.
    query: Fields = {"Page": None if page is None else str(page)}
    return get_request(_LIST, query, extra, Category.EXOPHONES)


def _one(sid: str) -> str:
    return f"{_LIST}/{segment('sid', sid)}"

"""The Numbers resource: what Exotel knows about a phone number, and whether it may be called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from exotel_async.config import RequestOptions
from exotel_async.keywords import check_options
from exotel_async.wire import requests, responses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exotel_async.config import SendOptions
    from exotel_async.http.pipeline import Pipeline
    from exotel_async.models import NumberMetadata, WhitelistEntry


class Numbers:
    """Phone numbers: `exotel.numbers`."""

    def __init__(self, pipeline: Pipeline, defaults: SendOptions) -> None:
        self._pipeline = pipeline
        self._defaults = defaults

    async def lookup(
        self,
        number: str,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> NumberMetadata:
        """Look up circle, operator, type and DND state of an Indian phone number.

        Uses `GET Numbers/{number}`. Its response for other countries is not documented.

        Args:
            number: the number; separators are removed.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: it is not a phone number; nothing was sent.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        check_options("numbers.lookup", self.lookup, options, RequestOptions)
        request = requests.lookup_number(number, extra=extra)
        chosen = self._defaults.with_changes(**options)
        with self._pipeline.reports.operation("numbers.lookup"):
            return await self._pipeline.send(request, responses.read_number, chosen)

    async def whitelist(
        self,
        numbers: str | Iterable[str],
        *,
        exophone: str,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Add numbers to the whitelist: numbers on the DND register that the account may call.

        Uses `POST CustomerWhitelist`. Exotel sends an SMS to each of the numbers, which says
        how to unsubscribe. So, like a dial, the request is sent again only if Exotel certainly did
        not act on it. An entry is valid for six months. The account needs an agreement with Exotel
        for this.

        Args:
            numbers: a number, or several, which are sent in one request, without duplicates. How
                many Exotel accepts at a time is not documented; programs were seen to send a
                thousand.
            exophone: the ExoPhone that the SMS come from.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: no number was given, or one is not a phone number; nothing was sent.
            RequestOutcomeUnknown: it is not known whether they were added: read `whitelist_status`.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        check_options("numbers.whitelist", self.whitelist, options, RequestOptions)
        request = requests.whitelist(numbers, exophone=exophone, extra=extra)
        chosen = self._defaults.with_changes(**options)
        with self._pipeline.reports.operation("numbers.whitelist"):
            await self._pipeline.send(request, responses.read_done, chosen)

    async def whitelist_status(
        self,
        number: str,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> WhitelistEntry:
        """Read the status of a number on the account's whitelist.

        Uses `GET CustomerWhitelist/{number}`. Numbers that have called in are on it without
        being added, and so are those of the account's users.

        Args:
            number: the number; separators are removed.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: it is not a phone number; nothing was sent.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        check_options("numbers.whitelist_status", self.whitelist_status, options, RequestOptions)
        request = requests.whitelist_status(number, extra=extra)
        chosen = self._defaults.with_changes(**options)
        with self._pipeline.reports.operation("numbers.whitelist_status"):
            return await self._pipeline.send(request, responses.read_whitelist, chosen)

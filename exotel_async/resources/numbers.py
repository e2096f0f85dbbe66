"""The Numbers resource: what Exotel knows about a phone number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from exotel_async.config import RequestOptions
from exotel_async.keywords import check_options
from exotel_async.wire import requests, responses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exotel_async.config import SendOptions
    from exotel_async.http.pipeline import Pipeline
    from exotel_async.models import NumberMetadata


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

        Rests on `GET Numbers/{number}`. What it answers for other countries is not documented.

        Args:
            number: the number; separators are taken out.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: it is no phone number; nothing was sent.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        check_options("numbers.lookup", self.lookup, options, RequestOptions.__optional_keys__)
        request = requests.lookup_number(number, extra=extra)
        chosen = self._defaults.with_changes(**options)
        with self._pipeline.reports.operation("numbers.lookup"):
            return await self._pipeline.send(request, responses.read_number, chosen)

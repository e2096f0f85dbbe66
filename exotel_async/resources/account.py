"""The Account resource."""

from __future__ import annotations

from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING, Unpack

from exotel_async.config import RequestOptions
from exotel_async.keywords import check_options
from exotel_async.wire import requests, responses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exotel_async.config import SendOptions
    from exotel_async.http.pipeline import Pipeline
    from exotel_async.models import Balance


class Account:
    """The account itself: `exotel.account`."""

    def __init__(self, pipeline: Pipeline, defaults: SendOptions, time_zone: tzinfo) -> None:
        self._pipeline = pipeline
        self._defaults = defaults
        self._read = partial(responses.read_balance, time_zone=time_zone)

    async def balance(
        self,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> Balance:
        """Read the account's balance. Uses `GET Balance`.

        Args:
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            ExotelError: any error of this package except `CallOutcomeUnknown`.
        """
        check_options("account.balance", self.balance, options, RequestOptions)
        request = requests.balance(extra=extra)
        chosen = self._defaults.with_changes(**options)
        with self._pipeline.reports.operation("account.balance"):
            return await self._pipeline.send(request, self._read, chosen)

"""The Account resource."""

from __future__ import annotations

from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING

from exotel_async.wire import requests, responses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exotel_async.config import Priority, SendOptions
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
        priority: Priority | None = None,
        max_wait: float | None = None,
        timeout: float | None = None,
    ) -> Balance:
        """Read what is left in the account. Rests on `GET Balance`.

        Args:
            extra: parameters this SDK does not know.
            priority: who goes first when the budget is short.
            max_wait: seconds the request may wait for the budget.
            timeout: seconds it may take with everything.

        Raises:
            ExotelError: any of the tree but `CallOutcomeUnknown`.
        """
        request = requests.balance(extra=extra)
        chosen = self._defaults.with_changes(priority, max_wait, timeout)
        return await self._pipeline.send(request, self._read, chosen)

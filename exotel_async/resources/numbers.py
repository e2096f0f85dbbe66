"""The Numbers resource: what Exotel knows about a phone number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exotel_async.wire import requests, responses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exotel_async.config import Priority, SendOptions
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
        priority: Priority | None = None,
        max_wait: float | None = None,
        timeout: float | None = None,
    ) -> NumberMetadata:
        """Look up circle, operator, type and DND state of an Indian phone number.

        Rests on `GET Numbers/{number}`. What it answers for other countries is not documented.

        Args:
            number: the number; separators are taken out.
            extra: parameters this SDK does not know.
            priority: who goes first when the budget is short.
            max_wait: seconds the request may wait for the budget.
            timeout: seconds it may take with everything.

        Raises:
            InvalidRequest: it is no phone number; nothing was sent.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        request = requests.lookup_number(number, extra=extra)
        chosen = self._defaults.with_changes(priority, max_wait, timeout)
        return await self._pipeline.send(request, responses.read_number, chosen)

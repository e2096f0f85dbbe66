"""The Calls resource: dial, and read back."""

from __future__ import annotations

from datetime import timedelta, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from exotel_async import parameters, wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exotel_async.config import Priority, SendOptions
    from exotel_async.models import Call, PlaybackTo
    from exotel_async.parameters import DialOptions
    from exotel_async.pipeline import Pipeline


class Calls:
    """Calls of the account: `exotel.calls`."""

    def __init__(
        self, pipeline: Pipeline, defaults: SendOptions, account_sid: str, time_zone: tzinfo
    ) -> None:
        self._pipeline = pipeline
        self._defaults = defaults
        self._account_sid = account_sid
        self._read: Any = partial(wire.read_call, time_zone=time_zone)

    async def connect(
        self,
        from_: str,
        to: str,
        *,
        caller_id: str,
        wait_url: str | None = None,
        start_playback_to: PlaybackTo | str | None = None,
        start_playback_url: str | None = None,
        priority: Priority | None = None,
        max_wait: float | None = None,
        timeout: float | None = None,
        **options: Unpack[DialOptions],
    ) -> Call:
        """Connect two parties: ring `from_` first, and `to` when it has answered.

        The answer means that Exotel took the order; how the call goes is read back with `get`.
        Rests on `POST Calls/connect`, mode "connect two numbers".

        Args:
            from_: the party rung first: a phone number, best with its country code, or a SIP URI.
            to: the number rung second.
            caller_id: the ExoPhone both of them see.
            wait_url: a WAV file the first party hears while the second is rung; cached by its URL.
            start_playback_to: who hears `start_playback_url`.
            start_playback_url: audio played when the second party answers.
            priority: who goes first when the budget is short.
            max_wait: seconds the dial may wait for the budget.
            timeout: seconds it may take with everything.
            **options: see `DialOptions`.

        Raises:
            InvalidRequest: an argument Exotel would refuse; nothing was sent.
            RateLimitTimeout: the budget had no place in time; nothing was sent.
            ConnectionFailed: Exotel was not reached.
            APIError: Exotel refused; no call was made.
            CallOutcomeUnknown: it is not known whether the call was made. It is never dialled
                again by itself.
        """
        request = parameters.connect(
            from_=from_,
            to=to,
            caller_id=caller_id,
            wait_url=wait_url,
            start_playback_to=start_playback_to,
            start_playback_url=start_playback_url,
            **options,
        )
        chosen = self._defaults.with_changes(priority, max_wait, timeout)
        return await self._pipeline.send(request, self._read, chosen)

    async def connect_to_flow(
        self,
        from_: str,
        *,
        flow: int | str,
        caller_id: str,
        priority: Priority | None = None,
        max_wait: float | None = None,
        timeout: float | None = None,
        **options: Unpack[DialOptions],
    ) -> Call:
        """Ring a party and connect it to a call flow: an outgoing call to a flow.

        Rests on `POST Calls/connect`, mode "connect to flow".

        Args:
            from_: the party rung: a phone number, best with its country code, or a SIP URI.
            flow: the flow's id (its app id in the dashboard), or the whole URL of one.
            caller_id: the ExoPhone it sees.
            priority: who goes first when the budget is short.
            max_wait: seconds the dial may wait for the budget.
            timeout: seconds it may take with everything.
            **options: see `DialOptions`.

        Raises:
            ExotelError: as `connect` does.
        """
        request = parameters.connect_to_flow(
            account_sid=self._account_sid, flow=flow, from_=from_, caller_id=caller_id, **options
        )
        chosen = self._defaults.with_changes(priority, max_wait, timeout)
        return await self._pipeline.send(request, self._read, chosen)

    async def get(
        self,
        sid: str,
        *,
        details: bool = False,
        recording_url_validity: timedelta | None = None,
        extra: Mapping[str, str] | None = None,
        priority: Priority | None = None,
        max_wait: float | None = None,
        timeout: float | None = None,
    ) -> Call:
        """Read one call.

        `ended_at`, `duration` and `price` are filled about two minutes after the call is over.

        Args:
            sid: the call's SID.
            details: whether to tell its legs and talk time as well.
            recording_url_validity: how long the pre-signed recording link is to open: 5 to 60
                whole minutes.
            extra: parameters this SDK does not know.
            priority: who goes first when the budget is short.
            max_wait: seconds the request may wait for the budget.
            timeout: seconds it may take with everything.

        Raises:
            InvalidRequest: an argument Exotel would refuse; nothing was sent.
            NotFound: there is no such call, or the account lives in the other region.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        request = parameters.get_call(
            sid, details=details, recording_url_validity=recording_url_validity, extra=extra
        )
        chosen = self._defaults.with_changes(priority, max_wait, timeout)
        return await self._pipeline.send(request, self._read, chosen)

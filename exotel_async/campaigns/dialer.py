"""Dials many people durably: no call is placed twice and no contact is lost, even after a crash."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Unpack

from exotel_async.calls.resource import call_of
from exotel_async.campaigns.admin import CampaignAdmin
from exotel_async.campaigns.clock import ExotelClock
from exotel_async.campaigns.engine import Engine
from exotel_async.campaigns.ledger import Ledger
from exotel_async.campaigns.order import ATTEMPT
from exotel_async.campaigns.resolving import resolve
from exotel_async.campaigns.run import CampaignRun
from exotel_async.campaigns.shared_engine import SharedEngine
from exotel_async.campaigns.single_calls import CallSettings, make_call
from exotel_async.campaigns.words import AttemptState
from exotel_async.errors import InvalidRequest
from exotel_async.keywords import check_options
from exotel_async.listeners import check_progress_listener
from exotel_async.wire.validation import positive_seconds, whole

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from exotel_async.campaigns.contact import Contact
    from exotel_async.campaigns.outcome import CampaignStatistics, ContactOutcome
    from exotel_async.campaigns.state import DialerState
    from exotel_async.client import AsyncExotel

_POLL: Final = 15.0
"""Seconds until the first poll of a call. By then most are over, or a callback has reported it."""


class Dialer(CampaignAdmin):
    """Dials the contacts of campaigns, and keeps the state of each in a ledger.

    Use it as ``async with AsyncExotel() as exotel, Dialer(exotel, "campaigns.db") as dialer``. The
    ledger makes it durable: a program that is killed at any moment continues when it is started
    again, places no call twice and loses no contact. Only one dialer at a time runs the campaigns
    of a ledger. Any number of others may add contacts, pause campaigns and read results; they can
    do so without a session, with `CampaignAdmin`.

    Args:
        exotel: the session that dials. Campaigns share its budget with its other requests, and
            single requests go first.
        ledger: the path of a SQLite file, which is created if missing; the URL of a PostgreSQL
            database; or a `Ledger`.
        channels: the account's channels: how many call legs may be in progress at once, for all
            campaigns of the ledger together. None: no limit.
        poll_interval: seconds until the shared poll first asks whether a call has ended; later
            polls are further apart. With status callbacks it hardly matters.

    Raises:
        ConfigurationError: the extra `campaigns` is not installed.
        InvalidRequest: an argument is invalid.
    """

    def __init__(
        self,
        exotel: AsyncExotel,
        ledger: Ledger | str | os.PathLike[str] = "campaigns.db",
        *,
        channels: int | None = None,
        poll_interval: float = _POLL,
    ) -> None:
        super().__init__(ledger)
        self._exotel = exotel
        parts = exotel.calls.parts()
        self._clock = ExotelClock(parts)
        self._engines = SharedEngine(
            partial(
                Engine,
                parts,
                self._ledger,
                channels=whole("channels", channels, 1),
                interval=positive_seconds("poll_interval", poll_interval),
            )
        )

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._engines.aclose()
        finally:
            await super().__aexit__(exc_type, exc, traceback)

    @property
    def _state(self) -> DialerState | None:
        return self._engines.state

    def now(self) -> datetime:
        """Return the time by Exotel's clock (aware, UTC), which calling hours and retries go by.

        Until the first response from Exotel, it is the time of the machine's clock.
        """
        return self._clock.now()

    @property
    def channels_in_use(self) -> int:
        """The number of legs that are, or may be, in progress: also of dials not known yet."""
        return 0 if self._state is None else self._state.channels.held

    def run(
        self, *names: str, on_progress: Callable[[CampaignStatistics], object] | None = None
    ) -> CampaignRun:
        """Dial the contacts of campaigns, and stream their outcomes.

        Several campaigns share the budget and the channels by their weights.

        Args:
            *names: the campaigns, at least one.
            on_progress: called with the statistics of each campaign, about once a second and at
                the end of the stream.

        Raises:
            InvalidRequest: no campaign is named, or `on_progress` is not a function of one
                argument.
        """
        check_progress_listener(on_progress)
        if not names:
            raise InvalidRequest("names", (), "must name at least one campaign")
        return CampaignRun(self._engines, names, on_progress)

    async def call(
        self, contact: Contact, *, caller_id: str, **settings: Unpack[CallSettings]
    ) -> ContactOutcome:
        """Dial one person durably, at interactive priority, and wait until the call is over.

        The contact's `key`, such as an order number, identifies the call. Using the same key again,
        in this process or after a crash, does not place another call: it waits for the outcome of
        the first one, or returns it. A call that is not placed yet is only placed while a task
        waits for it, so `asyncio.timeout` can limit the wait.

        Only one process at a time dials from a ledger, until its dialer is closed. In another one,
        this method logs a warning and waits for that. If your web application has several workers,
        let a process of its own make these calls.

        Args:
            contact: the person to dial, with a `key`.
            caller_id: the ExoPhone that the person sees.
            **settings: see `CallSettings`.

        Raises:
            InvalidRequest: there is no key, or Exotel would refuse an argument.
            CampaignStopped: Exotel refuses the account's calls.
            DialerStopped: `stop` was called before the outcome. Calling again with the same key
                continues it.
            ExotelError: Exotel does not respond at all, or the ledger cannot be used.
        """
        check_options("Dialer.call", self.call, settings, CallSettings)
        return await make_call(self._ledger, self._engines, contact, caller_id, settings)

    async def resolve(self, name: str, key: str, *, sid: str | None) -> ContactOutcome:
        """Settle an unresolved contact manually, once you know what its last dial led to.

        The calls that may be the contact's are in `ContactOutcome.attempts`, as
        `Attempt.candidates`.

        Args:
            name: the campaign.
            key: the key of the contact.
            sid: the call that the dial placed. It decides the contact's outcome or retry. If it is
                the attempt's own SID, and nothing shows how that call ended, the contact counts as
                reached. None: the dial certainly placed no call, and the contact is dialled again.

        Returns:
            The contact's state after that.

        Raises:
            InvalidRequest: the campaign has no such contact, or the contact is not unresolved; or
                `sid` is None although Exotel accepted the call, as the attempt has a SID; or the
                call is not over, is an incoming one, is to another number, was made before the
                dial or too long after it, or belongs to another attempt.
            ExotelError: the call cannot be read.
        """
        entry = await self._entry(name)
        calls = self._exotel.calls
        outcome = await resolve(self._ledger, calls, self._clock, entry, key=key, sid=sid)
        if self._state is not None:
            self._state.check_requested.set()
        return outcome

    def stop(self) -> None:
        """Stop dialling. Runs end when the calls in progress are over.

        Call it in the event loop, for instance from a handler of `loop.add_signal_handler`.
        """
        self._engines.stop()

    def notify(self, event: Any) -> bool:
        """Report the status of a call from a callback: ``hooks.forward_to(dialer)``.

        The event is used even if it arrives before the response to the dial. It is also passed to
        the session's `calls.notify`.

        Args:
            event: a `StatusCallback`, or anything that `calls.notify` takes.

        Returns:
            Whether it was news: it ended a wait, or showed the call of a dial that was in flight
            or in doubt.

        Raises:
            InvalidRequest: it has no SID or no status.
        """
        state, news = self._state, False
        if state is not None:
            query = getattr(event, "query", None) or {}
            marks = (query.get(ATTEMPT), getattr(event, "custom_field", None))
            attempt = next((one for one in map(state.attempts.get, marks) if one is not None), None)
            if attempt is not None and attempt.state in {
                AttemptState.INTENDED,
                AttemptState.IN_DOUBT,
            }:
                state.in_doubt.found(attempt, call_of(event))
                news = True
        return self._exotel.calls.notify(event) or news

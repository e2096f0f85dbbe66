"""Dials many people durably: each once, whatever breaks."""

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
"""Seconds until a call is asked for first. Most calls are over by then, or a callback has told."""


class Dialer(CampaignAdmin):
    """Dials the contacts of campaigns, and keeps in a ledger what has become of each.

    Use it as ``async with AsyncExotel() as exotel, Dialer(exotel, "campaigns.db") as dialer``. The
    ledger makes it durable: a program that is killed at any moment is started again and continues;
    that places no call twice and loses no contact. One dialer at a time runs campaigns of a
    ledger; any number may add contacts to them, pause them and read their results, or do that
    without a session, by `CampaignAdmin`.

    Args:
        exotel: the session that dials. Its budget is shared with whatever else it sends, and goes
            to its single requests first.
        ledger: the path of a SQLite file, which is made if it is not there; the URL of a PostgreSQL
            database; or a `Ledger`.
        channels: the legs that may be in progress at once, of all campaigns of the ledger
            together: the account's channels. None: any number.
        poll_interval: seconds until the shared poll asks for a call's end first; it grows from
            there. With status callbacks it hardly matters.

    Raises:
        ConfigurationError: the extra `campaigns` is not installed.
        InvalidRequest: an argument that makes no sense.
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
        """Return the time by Exotel's clock, aware, UTC: calling hours and retries go by it.

        Until Exotel has answered, it is the machine's.
        """
        return self._clock.now()

    @property
    def channels_in_use(self) -> int:
        """Legs that are in progress, or may be: those of dials in flight and in doubt as well."""
        return 0 if self._state is None else self._state.channels.held

    def run(
        self, *names: str, on_progress: Callable[[CampaignStatistics], object] | None = None
    ) -> CampaignRun:
        """Dial the contacts of campaigns, and stream what becomes of them.

        Several campaigns share the budget and the channels by their weights.

        Args:
            *names: the campaigns, one at least.
            on_progress: called about once a second with the statistics of each, and at the end of
                the stream.

        Raises:
            InvalidRequest: none is named, or `on_progress` is no function of one argument.
        """
        check_progress_listener(on_progress)
        if not names:
            raise InvalidRequest("names", (), "must name a campaign at least")
        return CampaignRun(self._engines, names, on_progress)

    async def call(
        self, contact: Contact, *, caller_id: str, **settings: Unpack[CallSettings]
    ) -> ContactOutcome:
        """Dial one person durably, at interactive priority, and wait until the call is over.

        The contact's `key`, such as the number of an order, names the call. The same key again, in
        this process or after a crash, makes no other call: it waits for that one's outcome, or
        returns it. While nobody waits for it, a call that was not placed yet is not made.

        Args:
            contact: who is dialled, with a `key`.
            caller_id: the ExoPhone they see.
            **settings: see `CallSettings`.

        Raises:
            InvalidRequest: there is no key, or an argument that Exotel would refuse.
            CampaignStopped: Exotel refuses the account's calls.
            DialerStopped: `stop` was called before its outcome. The same key again continues it.
            ExotelError: Exotel does not answer at all, or the ledger cannot be used.
        """
        check_options("Dialer.call", self.call, settings, CallSettings)
        return await make_call(self._ledger, self._engines, contact, caller_id, settings)

    async def resolve(self, name: str, key: str, *, sid: str | None) -> ContactOutcome:
        """Settle an unresolved contact, by what a person has found out about its last dial.

        `ContactOutcome.attempts` has the calls that may be the contact's: `Attempt.candidates`.

        Args:
            name: the campaign.
            key: the contact's.
            sid: the call that the dial has made: the contact gets its outcome by that, or waits for
                its retry; if it is the attempt's own SID, and nothing shows how the call ended, the
                contact counts as reached. None: it certainly made none: the contact is dialled
                again.

        Returns:
            How the contact stands now.

        Raises:
            InvalidRequest: the campaign has no such contact, or it is not unresolved; or `sid` is
                None, and Exotel has accepted the call: the attempt has a SID; or the call
                is not over, is an incoming one, is to another number, was made before the dial or
                too long after it, or is that of another attempt.
            ExotelError: the call cannot be read.
        """
        entry = await self._entry(name)
        calls = self._exotel.calls
        outcome = await resolve(self._ledger, calls, self._clock, entry, key=key, sid=sid)
        if self._state is not None:
            self._state.check_requested.set()
        return outcome

    def stop(self) -> None:
        """Dial nobody any more. Runs end when the calls in progress are over.

        To be called in the event loop, as by a handler that was given to `loop.add_signal_handler`.
        """
        self._engines.stop()

    def notify(self, event: Any) -> bool:
        """Report the status of a call, as a callback shows it: ``hooks.forward_to(dialer)``.

        It counts even if it comes before the answer to the dial. The session's `calls.notify` is
        told as well.

        Args:
            event: a `StatusCallback`, or anything that `calls.notify` takes.

        Returns:
            Whether it was news.

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

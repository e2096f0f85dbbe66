"""Finds out what became of dials whose response was lost, or whose process died.

A contact in doubt is dialled again only once it is certain that the dial placed no call. A call
appears in the records only when it is over, so it is certain only once the call cannot be in
progress any more. That is, from when the response was lost or the dialer was known to be dead:
the longest exchange, the call's `time_limit` and 15 minutes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from exotel_async.calls.reconcile import CallAmbiguous, CallFound
from exotel_async.calls.seen import account_state
from exotel_async.calls.wait_state import LONGEST_CALL, SETTLED_AFTER
from exotel_async.campaigns.clock import ExotelClock, from_ms
from exotel_async.campaigns.words import ContactState
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import CallOutcomeUnknown, ConfigurationError, ExotelError
from exotel_async.models import Call
from exotel_async.phone import identity_of

if TYPE_CHECKING:
    from exotel_async.calls.parts import CallParts
    from exotel_async.campaigns.attempts import Attempts, LiveAttempt
    from exotel_async.campaigns.following import Following
    from exotel_async.campaigns.ledger import Ledger

SEND_WITHIN: Final = 10.0
"""Seconds from the intent within which the first byte is sent, or never is."""

_AROUND: Final = 6 * 3_600_000
"""Milliseconds around an attempt in which other calls may be mistaken for its own."""
_SHOWN: Final = 2.5
"""Seconds until a call that was just placed is among the records, if it is over."""
_LOOKS: Final = 6.0
"""Poll intervals between the first two searches of the records."""

logger: Final = logging.getLogger("exotel_async")


class InDoubt:
    """Searches for the calls of attempts in doubt, in one task for each."""

    def __init__(
        self,
        parts: CallParts,
        ledger: Ledger,
        clock: ExotelClock,
        attempts: Attempts,
        following: Following,
        *,
        interval: float,
    ) -> None:
        self._parts = parts
        self._ledger = ledger
        self._clock = clock
        self._attempts = attempts
        self._following = following
        self._interval = interval * _LOOKS
        self._searches: dict[str, asyncio.Task[None]] = {}

    @cached_property
    def _errors(self) -> dict[str, CallOutcomeUnknown]:
        """The errors of the dials of attempts in doubt, by attempt id."""
        return account_state(self._parts.pipeline.account, "errors of attempts", dict)

    def search(self, attempt: LiveAttempt, error: CallOutcomeUnknown | None = None) -> None:
        """Search for the call of an attempt in doubt, until it is found or certainly absent.

        `error` is what its dial raised; None: its dialer is dead. Then `mark_other_calls_seen` must
        have run.
        """
        others_seen = error is None
        if error is not None:
            self._errors[attempt.id] = error
        # Reuse the dial's first error: with another one, there would seem to be two dials.
        error = self._errors.get(attempt.id) or self._error_of(attempt)
        task = asyncio.get_running_loop().create_task(
            self._search(attempt, error, others_seen=others_seen)
        )
        self._searches[attempt.id] = task
        task.add_done_callback(lambda _: self._searches.pop(attempt.id, None))

    def found(self, attempt: LiveAttempt, call: Call) -> None:
        """Accept a call as that of an attempt, and stop searching for it."""
        self._errors.pop(attempt.id, None)
        search = self._searches.pop(attempt.id, None)
        if search is not None and search is not asyncio.current_task():
            search.cancel()
        self._following.placed(attempt, call)

    async def mark_other_calls_seen(self, attempts: Sequence[LiveAttempt]) -> None:
        """Mark the calls of other attempts to the same parties as seen: they do not match.

        Raises:
            LedgerUnavailable: the ledger cannot be read.
        """
        since = min(one.intended_at for one in attempts) - _AROUND
        until = max(one.intended_at for one in attempts) + _AROUND
        parties = {identity_of(one.number) or one.number for one in attempts}
        for sid in await self._ledger.sids_near(sorted(parties), since, until):
            self._parts.seen.dialled(Call(sid=sid))

    async def aclose(self) -> None:
        """Stop all searches."""
        searches = list(self._searches.values())
        for search in searches:
            search.cancel()
        await asyncio.gather(*searches, return_exceptions=True)

    async def _search(
        self, attempt: LiveAttempt, error: CallOutcomeUnknown, *, others_seen: bool
    ) -> None:
        """Search until the outcome is known, or the session is closed."""
        try:
            await self._look_for(attempt, error, others_seen=others_seen)
        except ConfigurationError as closed:
            self._following.on_session_closed(closed)

    async def _look_for(
        self, attempt: LiveAttempt, error: CallOutcomeUnknown, *, others_seen: bool
    ) -> None:
        options = SendOptions(priority=Priority.BULK)
        if not others_seen:
            # Exotel does not list a call at once. A similar one of a moment before is not it.
            await self._parts.pipeline.sleep(min(_SHOWN, self._interval))
        while True:
            try:
                if not others_seen:
                    await self.mark_other_calls_seen([attempt])
                    others_seen = True
                result = await self._parts.reconciler.reconcile(
                    error, options, timeout=None, interval=self._interval
                )
            except ConfigurationError:
                raise
            except ExotelError as failure:
                logger.warning(
                    "Searching for a call of a campaign has failed. Trying again: %s", failure
                )
                await self._parts.pipeline.sleep(self._interval)
                continue
            if isinstance(result, CallFound):
                self.found(attempt, result.call)
                return
            if isinstance(result, CallAmbiguous):
                sids = [call.sid for call in result.candidates]
                reason = "calls were made that may be the contact's, and nothing distinguishes them"
                self._attempts.unresolved(attempt, reason, sids)
                break
            left = (self._certain_at(attempt) - self._clock.now()).total_seconds()
            if left <= 0 and result.certain:
                reason = "the call records show no call of it"
                self._attempts.not_placed(attempt, reason, ContactState.READY)
                break
            if left <= 0:
                reason = "the call records are incomplete, and may lack a call of it"
                self._attempts.unresolved(attempt, reason, [])
                break
            await self._parts.pipeline.sleep(min(left, self._interval) + 1e-3)
        self._errors.pop(attempt.id, None)

    @staticmethod
    def _certain_at(attempt: LiveAttempt) -> datetime:
        after = from_ms(attempt.certain_after or attempt.intended_at)
        return after + (_limit(attempt) or LONGEST_CALL) + SETTLED_AFTER

    def _error_of(self, attempt: LiveAttempt) -> CallOutcomeUnknown:
        """Return an error for a dial whose process died, its times by Exotel's clock."""
        sent_at = from_ms(attempt.intended_at)
        longest = self._parts.pipeline.transport.longest
        return CallOutcomeUnknown(
            "its process ended before the answer came",
            from_=attempt.number,
            to=attempt.agent,
            caller_id=attempt.caller_id,
            custom_field=attempt.custom_field,
            time_limit=_limit(attempt),
            sent_at=sent_at,
            lost_at=sent_at + timedelta(seconds=SEND_WITHIN + longest),
            clock_offset=timedelta(),
            account_sid=self._parts.account_sid,
        )


def _limit(attempt: LiveAttempt) -> timedelta | None:
    return None if attempt.time_limit is None else timedelta(seconds=attempt.time_limit)

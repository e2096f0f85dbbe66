"""Finds out what came of dials whose answer was lost, or whose process was.

Nobody in doubt is dialled again before it is certain that the dial made no call. A call is among
the records only when it is over, so that certainty begins when the call cannot be in progress any
more: at the moment its dialer was known to be dead, and then the longest exchange, the call's
`time_limit` and a quarter of an hour.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from exotel_async.calls.reconcile import CallAmbiguous, CallFound
from exotel_async.calls.seen import of_account
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
"""Seconds from the intent in which the first byte leaves, or never does."""

_AROUND: Final = 6 * 3_600_000
"""Milliseconds around an attempt in which other calls may be taken for its own."""
_SHOWN: Final = 2.5
"""Seconds until a call that was just made is among the records, if it is over."""
_LOOKS: Final = 6.0
"""Times the interval of the poll between two looks at the records, at first."""

logger: Final = logging.getLogger("exotel_async")


class InDoubt:
    """Searches for the calls of attempts in doubt, one task for each."""

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
        """What the dials of attempts have raised, as long as they are in doubt."""
        return of_account(self._parts.pipeline.account, "errors of attempts", dict)

    def search(self, attempt: LiveAttempt, error: CallOutcomeUnknown | None = None) -> None:
        """Search for the call of an attempt in doubt, until that is settled.

        `error` is what its dial has raised; None: its dialer is dead, and `mark_other_calls_seen`
        has run.
        """
        others_seen = error is None
        if error is not None:
            self._errors[attempt.id] = error
        # By another error of the same dial there would seem to be two, for one call.
        error = self._errors.get(attempt.id) or self._error_of(attempt)
        task = asyncio.get_running_loop().create_task(
            self._search(attempt, error, others_seen=others_seen)
        )
        self._searches[attempt.id] = task
        task.add_done_callback(lambda _: self._searches.pop(attempt.id, None))

    def found(self, attempt: LiveAttempt, call: Call) -> None:
        """Take a call that is an attempt's for certain."""
        self._errors.pop(attempt.id, None)
        search = self._searches.pop(attempt.id, None)
        if search is not None and search is not asyncio.current_task():
            search.cancel()
        self._following.placed(attempt, call)

    async def mark_other_calls_seen(self, attempts: Sequence[LiveAttempt]) -> None:
        """Know the calls of other attempts to reach the same parties: they are not those sought.

        Raises:
            LedgerUnavailable: the ledger does not tell.
        """
        since = min(one.intended_at for one in attempts) - _AROUND
        until = max(one.intended_at for one in attempts) + _AROUND
        parties = {identity_of(one.number) or one.number for one in attempts}
        for sid in await self._ledger.sids_near(sorted(parties), since, until):
            self._parts.seen.dialled(Call(sid=sid))

    async def aclose(self) -> None:
        """Search for none any more."""
        searches = list(self._searches.values())
        for search in searches:
            search.cancel()
        await asyncio.gather(*searches, return_exceptions=True)

    async def _search(
        self, attempt: LiveAttempt, error: CallOutcomeUnknown, *, others_seen: bool
    ) -> None:
        """Search until it is known, or the session is closed."""
        try:
            await self._look_for(attempt, error, others_seen=others_seen)
        except ConfigurationError as closed:
            self._following.on_session_closed(closed)

    async def _look_for(
        self, attempt: LiveAttempt, error: CallOutcomeUnknown, *, others_seen: bool
    ) -> None:
        options = SendOptions(priority=Priority.BULK)
        if not others_seen:
            # Exotel shows no call of this very second. One alike of a moment before is not it.
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
                    "Searching for a call of a campaign failed, and is repeated: %s", failure
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
        """Return the error of a dial whose process is dead, its times by Exotel's clock."""
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

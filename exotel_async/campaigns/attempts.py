"""The attempts that are not settled yet, and what their results mean for the contacts.

Each change of an attempt is passed to the writer together with that of its contact, so that the
ledger never has one without the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import define, field

from exotel_async.campaigns.after_call import after_call, final
from exotel_async.campaigns.call_columns import columns_of
from exotel_async.campaigns.clock import ExotelClock, from_ms
from exotel_async.campaigns.entries import Change, ClaimedContact
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState
from exotel_async.phone import identity_of

if TYPE_CHECKING:
    from exotel_async.calls.wait_state import Waiter
    from exotel_async.campaigns.changes_writer import ChangesWriter
    from exotel_async.campaigns.channels import Channels
    from exotel_async.campaigns.running import RunningCampaign
    from exotel_async.models import Call

_DIALLED = (ContactState.IN_PROGRESS, ContactState.IN_DOUBT)
_DIALLED_AGAIN = (ContactState.WAITING, ContactState.READY, ContactState.CLAIMED)
_OPEN = (AttemptState.INTENDED, AttemptState.IN_DOUBT)


@define(eq=False)
class LiveAttempt:
    """An attempt that is about to be sent, is in doubt, or whose call is not settled yet."""

    id: str
    running: RunningCampaign
    contact: ClaimedContact = field(repr=False)
    number: str = field(repr=False)
    agent: str | None = field(repr=False)
    caller_id: str
    custom_field: str | None = field(repr=False)
    intended_at: int
    time_limit: int | None
    legs: int
    state: AttemptState = AttemptState.INTENDED
    sid: str | None = None
    certain_after: int | None = None
    holds_channels: bool = True
    """Whether it holds channels."""
    is_probe: bool = False
    """Whether it is the dial that tests whether Exotel responds again: see `Circuit`."""
    error_stops_when_dialled: int = 0
    is_over: bool = False
    """Whether the call is over. Its details may still be needed to know the result."""
    is_decided: bool = False
    """Whether the contact has got its outcome or another attempt."""
    is_settling: bool = False
    """Whether only details are awaited, which do not matter for the contact."""
    waiter: Waiter | None = None
    """The waiter for the end of the call, or for its details."""

    @property
    def identities(self) -> tuple[str, ...]:
        """The identities of all numbers of the contact, and of its own agent.

        None of them may be on the do-not-call list, as it is a person who asked not to be called.
        """
        # The campaign's agent is not among them: it belongs to the user.
        parties = (self.contact.number, *self.contact.alternatives, self.contact.agent)
        return tuple(identity_of(party) or party for party in parties if party is not None)

    @property
    def was_dialled_before_an_error_stop(self) -> bool:
        """Whether errors have stopped the campaign since it was dialled."""
        return self.error_stops_when_dialled < self.running.error_stops


class Attempts:
    """Keeps the live attempts, and writes their changes."""

    def __init__(
        self,
        clock: ExotelClock,
        channels: Channels,
        writer: ChangesWriter,
        changed: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._channels = channels
        self._writer = writer
        self._changed = changed
        self._by_id: dict[str, LiveAttempt] = {}

    def get(self, attempt_id: object) -> LiveAttempt | None:
        """Return the live attempt with an id, if there is one."""
        return self._by_id.get(attempt_id) if isinstance(attempt_id, str) else None

    def all(self) -> list[LiveAttempt]:
        """Return all live attempts."""
        return list(self._by_id.values())

    def has_calls(self, running: RunningCampaign) -> bool:
        """Return whether a dial of a campaign is in flight, or a call of it in progress."""
        return any(
            one.running is running and not one.is_over and one.state is not AttemptState.IN_DOUBT
            for one in self._by_id.values()
        )

    def keep(self, attempt: LiveAttempt) -> None:
        """Add an attempt that is about to be sent, or that an earlier dialer left open."""
        self._by_id[attempt.id] = attempt
        running = attempt.running
        if attempt.state is AttemptState.ENDED:
            attempt.holds_channels, attempt.is_over, attempt.is_decided = False, True, True
            attempt.is_settling = True
            running.unsettled += 1
        else:
            running.open += 1
        if attempt.holds_channels:
            self._channels.take(attempt.legs)
            running.channels.take(attempt.legs)

    def placed(self, attempt: LiveAttempt, call: Call) -> None:
        """Write that Exotel accepted the dial."""
        attempt.sid = call.sid
        was_in_doubt = attempt.state is AttemptState.IN_DOUBT
        self._write(
            attempt,
            AttemptState.PLACED,
            columns_of(call) | ({"error": None} if was_in_doubt else {}),
            contact={"state": ContactState.IN_PROGRESS} if was_in_doubt else {},
        )

    def not_placed(
        self, attempt: LiveAttempt, reason: str, state: ContactState, due_at: int | None = None
    ) -> None:
        """Write that no call was placed, and the contact's next state."""
        self._write(
            attempt,
            AttemptState.NOT_PLACED,
            {"error": reason},
            contact={"state": state, "due_at": due_at},
        )
        self.drop(attempt)

    def refused(
        self, attempt: LiveAttempt, reason: str, status: int | None, state: ContactState
    ) -> None:
        """Write that Exotel refused to dial, and the contact's next state."""
        self._write(
            attempt,
            AttemptState.REFUSED,
            {"error": reason, "http_status": status},
            contact=self.final(state, reason) if state.is_final else {"state": state},
        )
        self.drop(attempt)

    def lost(self, attempt: LiveAttempt, reason: str, certain_after: int) -> None:
        """Write that the attempt is in doubt: it is not known whether there is a call."""
        attempt.certain_after = certain_after
        columns = {"error": reason, "lost_at": self._clock.now_ms()}
        self._write(
            attempt,
            AttemptState.IN_DOUBT,
            columns | {"certain_after": certain_after},
            contact={"state": ContactState.IN_DOUBT},
        )

    def unresolved(self, attempt: LiveAttempt, reason: str, candidates: list[str]) -> None:
        """Write that it cannot be known which call is the attempt's, or how its call ended."""
        self._write(
            attempt,
            AttemptState.UNRESOLVED,
            {"error": reason, "candidates": candidates},
            contact=self.final(ContactState.UNRESOLVED, reason),
        )
        self.drop(attempt)

    def ended(self, attempt: LiveAttempt, call: Call) -> None:
        """Record that the call is over, and write the result, if it is known without details."""
        attempt.is_over = True
        word = attempt.running.campaign.reached.word_of(call, two=attempt.legs > 1)
        self._free(attempt)
        if word is None:
            return
        self._write(
            attempt,
            AttemptState.ENDED,
            columns_of(call),
            contact=self._after(attempt, word, call.ended_at),
        )
        attempt.is_settling = True
        attempt.running.open -= 1
        attempt.running.unsettled += 1

    def settled(self, attempt: LiveAttempt, call: Call | None) -> None:
        """Write the details of a call that is over; None: no details will come."""
        contact: dict[str, Any] = {}
        if not attempt.is_decided:
            # A contact is dialled again only if it is known that it was not reached.
            word, at = "reached", None
            if call is not None:
                at = call.ended_at
                reached = attempt.running.campaign.reached
                word = reached.word_of(call, two=attempt.legs > 1, settled=True) or word
            contact = self._after(attempt, word, at)
        self._write(
            attempt,
            AttemptState.SETTLED,
            {} if call is None else columns_of(call),
            contact=contact,
        )
        self.drop(attempt)

    def final(self, state: ContactState, reason: str | None = None) -> dict[str, Any]:
        """Return the columns of a contact that has its outcome."""
        return final(state, reason, self._clock.now_ms())

    def _after(
        self, attempt: LiveAttempt, word: str | None, ended_at: datetime | None
    ) -> dict[str, Any]:
        """Return the new columns of a contact whose call ended so; {}: not known yet."""
        if word is None:
            return {}
        attempt.is_decided = True
        contact, campaign = attempt.contact, attempt.running.campaign
        # The later of the two, so that a clock that drifts between responses never dials early.
        last = max(self._clock.now(), ended_at or from_ms(attempt.intended_at))
        columns, due = after_call(contact, campaign, word, last, self._clock.now_ms())
        if due is not None:
            attempt.running.record_due(due)
        return columns

    def _write(
        self,
        attempt: LiveAttempt,
        state: AttemptState,
        columns: Mapping[str, Any],
        *,
        contact: dict[str, Any],
    ) -> None:
        is_dialled_again = contact.get("state") in _DIALLED_AGAIN
        if is_dialled_again and attempt.running.state is CampaignState.CANCELED:
            contact = {**contact, **self.final(ContactState.CANCELED), "due_at": None}
        was = (attempt.state,) if attempt.state not in _OPEN else _OPEN
        attempt.state = state
        self._writer.add(
            Change(
                attempt_id=attempt.id,
                attempt_was=was,
                attempt={"state": state, **columns},
                contact_id=attempt.contact.id if contact else None,
                contact_was=_DIALLED,
                contact=contact,
            )
        )

    def _free(self, attempt: LiveAttempt) -> None:
        if attempt.holds_channels:
            attempt.holds_channels = False
            self._channels.free(attempt.legs)
            attempt.running.channels.free(attempt.legs)
            self._changed()

    def drop(self, attempt: LiveAttempt) -> None:
        """Remove an attempt: everything is known of it, or its intent was not written."""
        self._free(attempt)
        del self._by_id[attempt.id]
        if attempt.is_settling:
            attempt.running.unsettled -= 1
        else:
            attempt.running.open -= 1
        self._changed()

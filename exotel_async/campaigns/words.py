"""The states of campaigns, contacts and attempts."""

from __future__ import annotations

import enum
from typing import Final


class CampaignState(enum.StrEnum):
    """The state of a campaign."""

    CREATED = "created"
    """It has never been run."""
    IN_PROGRESS = "in-progress"
    PAUSED = "paused"
    """By `pause`, or because of errors: then `CampaignStatistics.reason` has the cause."""
    COMPLETED = "completed"
    """All of its contacts have an outcome. Adding contacts continues it."""
    FAILED = "failed"
    """Exotel refuses the account's calls, for lack of balance or KYC. `resume` continues it."""
    CANCELED = "canceled"


class ContactState(enum.StrEnum):
    """The state of a contact of a campaign."""

    WAITING = "waiting"
    """Not to be dialled before its `due_at`."""
    READY = "ready"
    """To be dialled as soon as budget and channels allow."""
    CLAIMED = "claimed"
    """A dialer has claimed it, and will dial it soon."""
    IN_PROGRESS = "in-progress"
    """It is being dialled, or its call is in progress."""
    IN_DOUBT = "in-doubt"
    """It is not known yet whether its last dial placed a call."""

    REACHED = "reached"
    NOT_REACHED = "not-reached"
    """All attempts were made, and none of them reached it."""
    REFUSED = "refused"
    """Exotel refuses to dial it, or it cannot be dialled."""
    UNRESOLVED = "unresolved"
    """It cannot be known whether its last dial placed a call: `Attempt.candidates` may be the
    contact's calls. Or the call `Attempt.sid` was placed, and its end is not known."""
    DO_NOT_CALL = "do-not-call"
    """It is on the do-not-call list, or on the DND register."""
    EXPIRED = "expired"
    """The campaign's schedule ended before it was reached."""
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        """Whether the contact has its outcome."""
        return self in FINAL


FINAL: Final = frozenset(
    {
        ContactState.REACHED,
        ContactState.NOT_REACHED,
        ContactState.REFUSED,
        ContactState.UNRESOLVED,
        ContactState.DO_NOT_CALL,
        ContactState.EXPIRED,
        ContactState.CANCELED,
    }
)


class AttemptState(enum.StrEnum):
    """The state of one dial of a contact."""

    INTENDED = "intended"
    """Its intent is durable, and its request may have been sent."""
    NOT_PLACED = "not-placed"
    """Certainly no call was placed: the request was not sent, or was refused for lack of capacity,
    or the call records show none. It does not count as an attempt."""
    REFUSED = "refused"
    """Exotel refused to dial: `error` has the reason."""
    IN_DOUBT = "in-doubt"
    """The response was lost, or the process died: there may be a call."""
    UNRESOLVED = "unresolved"
    """Nothing shows which call, if any, is the contact's: `candidates` are those that may be. Or
    nothing shows how the call `sid` ended."""
    PLACED = "placed"
    """Exotel accepted the dial: there is a call, with an SID."""
    ENDED = "ended"
    """The call is over. Its price, duration and recording may still be missing."""
    SETTLED = "settled"
    """Everything that Exotel reports about the call is here."""

"""The states of campaigns, of contacts and of attempts to reach them."""

from __future__ import annotations

import enum
from typing import Final


class CampaignState(enum.StrEnum):
    """How a campaign stands."""

    CREATED = "created"
    """It was never run."""
    IN_PROGRESS = "in-progress"
    PAUSED = "paused"
    """By `pause`, or by errors: `CampaignStatistics.reason` says which."""
    COMPLETED = "completed"
    """Each of its contacts has its outcome. Contacts that are added begin it again."""
    FAILED = "failed"
    """Exotel refuses the account's calls, for want of balance or of KYC. `resume` continues it."""
    CANCELED = "canceled"


class ContactState(enum.StrEnum):
    """How a contact of a campaign stands."""

    WAITING = "waiting"
    """Not to be dialled before its `due_at`."""
    READY = "ready"
    """To be dialled as soon as there is room."""
    CLAIMED = "claimed"
    """A dialer has taken it, and will dial it next."""
    IN_PROGRESS = "in-progress"
    """It is being dialled, or its call is in progress."""
    IN_DOUBT = "in-doubt"
    """It is not known yet whether its last dial has rung it."""

    REACHED = "reached"
    NOT_REACHED = "not-reached"
    """All attempts were made, and none has reached it."""
    REFUSED = "refused"
    """Exotel refuses to dial it, or it cannot be dialled."""
    UNRESOLVED = "unresolved"
    """Whether it was rung cannot be known, and `Attempt.candidates` are calls that may be the
    contact's; or its call was placed, as `Attempt.sid`, and how that ended is not known."""
    DO_NOT_CALL = "do-not-call"
    """It is on the do-not-call list, or on the registry."""
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
    """How one dial of a contact stands."""

    INTENDED = "intended"
    """Its record is durable, and its request may have left."""
    NOT_PLACED = "not-placed"
    """Certainly no call was made: the request did not leave, or was refused for want of room, or
    the call records show none. It does not count as an attempt."""
    REFUSED = "refused"
    """Exotel refused to dial: `error` says why."""
    IN_DOUBT = "in-doubt"
    """The answer was lost, or the process was: there may be a call."""
    UNRESOLVED = "unresolved"
    """There are calls that may be the contact's, and nothing tells which: `candidates`. Or there is
    the call `sid`, and nothing tells how it ended."""
    PLACED = "placed"
    """Exotel took the order: there is a call, with an SID."""
    ENDED = "ended"
    """The call is over. Price, length and recording may still come."""
    SETTLED = "settled"
    """All that Exotel tells of the call is here."""

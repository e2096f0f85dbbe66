"""What a dialer and its ledger tell each other.

All moments are whole milliseconds since the epoch, by Exotel's clock.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field, frozen

from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState

LEASE: Final = 60.0
"""Seconds a dialer keeps the ledger without a sign of life."""
NEVER: Final = 2**53
"""The moment of a contact that is not dialled before it is recalled."""
SINGLE_CALLS: Final = "call:"
"""Begins the names of the campaigns of single calls: there identities have keys behind a space."""


@frozen(kw_only=True)
class CampaignEntry:
    """A campaign in the ledger.

    Attributes:
        settings: the `Campaign`, as JSON.
        reason: why, if it is paused or has failed.
        zones: the time zones that its contacts have of their own, and "" if some have none.
    """

    id: int
    name: str
    settings: str = field(repr=False)
    state: CampaignState
    reason: str | None = None
    zones: tuple[str, ...] = ()


@define(kw_only=True)  # a frozen one takes three times as long to make, and lists have millions
class NewContact:
    """A contact to be added.

    Attributes:
        key: what identifies it in its campaign.
        number: the number as it is sent.
        identity: the same for all spellings of the number.
        others: the identities of its alternatives.
        fields: its fields, as JSON; None: it has none.
        alternatives: its other numbers, as they are sent.
        zone: its own time zone; "": it has none.
        due_at: the moment before which it is not dialled; None: there is none.
        priority, agent, custom_field: as in `Contact`.
    """

    key: str
    number: str
    identity: str
    others: tuple[str, ...] = ()
    fields: str | None = None
    alternatives: tuple[str, ...] = ()
    zone: str = ""
    due_at: int | None = None
    priority: int = 0
    agent: str | None = None
    custom_field: str | None = None


@frozen(kw_only=True)
class ClaimedContact:
    """A contact that a dialer has taken.

    Attributes:
        number, alternatives, agent, custom_field, priority, zone: as they were added.
        caller_id: the ExoPhone it is dialled with; None: it was not dialled yet.
        attempts: how many calls were placed so far.
        tries: how many of them ended in each way, by the word of `Retries`.
    """

    id: int
    campaign_id: int
    key: str = field(repr=False)
    number: str = field(repr=False)
    alternatives: tuple[str, ...] = field(default=(), repr=False)
    agent: str | None = field(default=None, repr=False)
    custom_field: str | None = field(default=None, repr=False)
    priority: int = 0
    zone: str = ""
    caller_id: str | None = None
    attempts: int = 0
    tries: Mapping[str, int] = field(factory=dict)


@frozen(kw_only=True)
class Intent:
    """A dial that is about to leave.

    Attributes:
        id: what identifies the attempt.
        number, agent, caller_id, custom_field: what is sent.
        identities: of the numbers that must not be on the do-not-call list.
        time_limit: seconds the call may last; None: four hours.
    """

    id: str
    contact_id: int
    campaign_id: int
    number: str = field(repr=False)
    agent: str | None = field(default=None, repr=False)
    caller_id: str
    custom_field: str | None = field(default=None, repr=False)
    identities: tuple[str, ...] = field(repr=False)
    intended_at: int
    time_limit: int | None = None


class IntentResult(enum.Enum):
    """What the ledger says of an intent."""

    TAKEN = "taken"
    """It is durable: the request may leave."""
    DO_NOT_CALL = "do-not-call"
    """A number is on the do-not-call list. Nothing was written."""
    NOT_IN_PROGRESS = "not in progress"
    """The campaign was paused or cancelled. Nothing was written."""
    NOT_OURS = "not ours"
    """The contact was deleted, or is not claimed by this dialer any more. Nothing was written."""


@frozen(kw_only=True)
class Change:
    """What has become of an attempt, and of its contact: both are written, or neither is.

    Attributes:
        attempt_id: the attempt; None: only the contact changes.
        attempt_was: the states it is changed from; in another one nothing is written, for it was
            written before.
        attempt: columns of `attempts` and their new values: words, `legs` and `candidates` as in
            `Attempt`, moments and lengths in milliseconds.
        contact_id: the contact; None: only the attempt changes.
        contact_was: the states it is changed from; in another one the contact stays as it is.
        contact: columns and their new values. `state` is among them, and `ended_at` if it is final.

    The statistics follow from that by themselves, and so does who has claimed the contact.
    """

    attempt_id: str | None = None
    attempt_was: tuple[AttemptState, ...] = ()
    attempt: Mapping[str, Any] = field(factory=dict, repr=False)
    contact_id: int | None = None
    contact_was: tuple[ContactState, ...] = ()
    contact: Mapping[str, Any] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class OpenAttempt:
    """An attempt of which not everything is known yet, and its contact.

    Attributes:
        id, number, agent, caller_id, custom_field, intended_at, time_limit: as in `Intent`.
        state: intended, in doubt, placed or ended.
        lost_at: when its outcome was given up; None: it was not lost.
        certain_after: of one in doubt: the moment its dialer was known to be dead, or its answer to
            be lost, with the longest exchange. From then on `time_limit` and 15 minutes count.
        sid: the call's SID, if one is known.
    """

    id: str
    number: str = field(repr=False)
    agent: str | None = field(default=None, repr=False)
    caller_id: str
    custom_field: str | None = field(default=None, repr=False)
    intended_at: int
    time_limit: int | None = None
    state: AttemptState
    lost_at: int | None = None
    certain_after: int | None = None
    sid: str | None = None
    contact: ClaimedContact
    contact_state: ContactState


@frozen(kw_only=True)
class Holder:
    """The dialer that has a ledger, and since when."""

    host: str
    pid: int
    since: int

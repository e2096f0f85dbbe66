"""The values that a dialer and its ledger exchange.

All moments are integer milliseconds since the epoch, by Exotel's clock.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field, frozen

from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState

LEASE: Final = 60.0
"""Seconds for which a dialer keeps the ledger without renewing its lease."""
NEVER: Final = 2**53
"""The `due_at` of a contact that is not dialled until it is recalled."""
SINGLE_CALLS: Final = "call:"
"""The prefix of the names of single calls' campaigns. There an identity has the key appended."""


@frozen(kw_only=True)
class CampaignEntry:
    """A campaign in the ledger.

    Attributes:
        settings: the `Campaign`, as JSON.
        reason: why it is paused or has failed, if it is because of errors.
        zones: the time zones of its contacts; "" stands for those without one of their own.
    """

    id: int
    name: str
    settings: str = field(repr=False)
    state: CampaignState
    reason: str | None = None
    zones: tuple[str, ...] = ()


@define(kw_only=True)  # creating a frozen one takes three times as long, and lists have millions
class NewContact:
    """A contact to be added.

    Attributes:
        key: the key that identifies it in its campaign.
        number: the number as it is sent.
        identity: the canonical form, which is the same however the number is written.
        others: the identities of its alternatives.
        fields: its fields, as JSON; None: it has none.
        alternatives: its other numbers, as they are sent.
        zone: its own time zone; "": it has none.
        due_at: the moment before which it is not dialled; None: at any time.
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
    """A contact that a dialer has claimed.

    Attributes:
        number, alternatives, agent, custom_field, priority, zone: as they were added.
        caller_id: the ExoPhone it is dialled with; None: it has not been dialled yet.
        attempts: the number of calls that were placed so far.
        tries: the number of them by result, as `Reached.word_of` returns it.
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
    """A dial that is about to be sent.

    Attributes:
        id: the id of the attempt.
        number, agent, caller_id, custom_field: the values that are sent.
        identities: the identities of numbers that must not be on the do-not-call list.
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
    """The ledger's decision on an intent."""

    TAKEN = "taken"
    """The intent is durable: the request may be sent."""
    DO_NOT_CALL = "do-not-call"
    """A number is on the do-not-call list. Nothing was written."""
    NOT_IN_PROGRESS = "not in progress"
    """The campaign was paused or cancelled. Nothing was written."""
    NOT_OURS = "not ours"
    """The contact was deleted, or is not claimed by this dialer any more. Nothing was written."""


@frozen(kw_only=True)
class Change:
    """A change of an attempt and its contact: both are written, or neither is.

    Attributes:
        attempt_id: the attempt; None: only the contact changes.
        attempt_was: the states from which it may change. In any other state nothing is written, as
            the change was written before.
        attempt: new values by column of `attempts`: enums, `legs` and `candidates` as in `Attempt`,
            moments and durations in milliseconds.
        contact_id: the contact; None: only the attempt changes.
        contact_was: the states from which it may change. In any other state it is left as it is.
        contact: new values by column, with `state`, and with `ended_at` if that is final.

    The statistics, and which dialer has claimed the contact, are updated accordingly.
    """

    attempt_id: str | None = None
    attempt_was: tuple[AttemptState, ...] = ()
    attempt: Mapping[str, Any] = field(factory=dict, repr=False)
    contact_id: int | None = None
    contact_was: tuple[ContactState, ...] = ()
    contact: Mapping[str, Any] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class OpenAttempt:
    """An attempt that is not settled yet, and its contact.

    Attributes:
        id, number, agent, caller_id, custom_field, intended_at, time_limit: as in `Intent`.
        state: intended, in doubt, placed or ended; from `Ledger.find_attempt`, any state.
        lost_at: when its response was given up as lost; None: it was not.
        certain_after: for an attempt in doubt: when its dialer was known to be dead, or its
            response to be lost, plus the longest exchange. The wait of `time_limit` and 15 minutes
            starts then.
        sid: the SID of the call, if known.
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
    """The process whose dialer has the ledger, and since when."""

    host: str
    pid: int
    since: int

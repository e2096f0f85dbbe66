"""The campaigns that a dialer runs, the contacts it has claimed, and which campaign dials next."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from attrs import define, field

from exotel_async.campaigns.channels import Channels
from exotel_async.campaigns.entries import ClaimedContact
from exotel_async.campaigns.ledger_contacts import rank
from exotel_async.campaigns.words import CampaignState
from exotel_async.config import Priority

if TYPE_CHECKING:
    from exotel_async.campaigns.campaign import Campaign
    from exotel_async.campaigns.refusals import Refusal

_MINUTE: Final = 60.0
_ENDED: Final = (CampaignState.COMPLETED, CampaignState.CANCELED, CampaignState.FAILED)


@define(eq=False)
class RunningCampaign:
    """A campaign in the memory of the dialer.

    Attributes:
        zones: the time zones of its contacts.
        state, reason: its state in the ledger, and the reason for it.
        runs: the number of runs that include it. With none, only its calls in progress are
            followed.
        priority: the priority of its dials.
        channels: its own channels, within those of the account.
        is_stopping: whether its state was changed in memory and is not in the ledger yet; or it was
            cancelled, and contacts in the ledger may still lack an outcome.
        reserved: the number of dials that wait for a permit.
        dialling: the number of contacts that are being dialled.
        next_due: when the next waiting contact comes due, as far as known; None: there is none.
        is_drained: whether the last claim returned fewer contacts than requested.
        awaited: for single calls, the number of waiters by key; None: it is an ordinary campaign.
        listed: whether claimed contacts are on the DND register, by their id in the ledger.
        open: the number of attempts whose end is not known.
        unsettled: the number of calls that are over, but lack details.
        refused: contacts refused in a row in the same way, and the refusals.
        error_stops: how often errors have stopped it.
    """

    id: int
    campaign: Campaign
    zones: tuple[str, ...]
    state: CampaignState
    reason: str | None = None
    runs: int = 0
    priority: Priority = Priority.BULK
    channels: Channels = field(factory=Channels)
    is_stopping: bool = False
    reserved: int = 0
    dialling: int = 0
    next_due: int | None = None
    is_drained: bool = False
    awaited: Counter[str] | None = None
    listed: dict[int, bool] = field(factory=dict)
    open: int = 0
    unsettled: int = 0
    refused: list[tuple[ClaimedContact, Refusal]] = field(factory=list)
    error_stops: int = 0
    share: float = 0.0
    """The number of its dials so far, divided by its weight."""
    _claimed: list[tuple[int, int, ClaimedContact]] = field(factory=list)
    _next_at: float = 0.0

    @property
    def name(self) -> str:
        """The name of the campaign."""
        return self.campaign.name

    @property
    def is_dialled(self) -> bool:
        """Whether its contacts may be dialled."""
        return self.runs > 0 and self.state is CampaignState.IN_PROGRESS

    @property
    def has_ended(self) -> bool:
        """Whether nothing will be dialled any more in its current state."""
        return self.state in _ENDED or self.is_stopped_by_errors

    @property
    def is_stopped_by_errors(self) -> bool:
        """Whether it was paused, or has failed, because of errors."""
        return self.state is CampaignState.FAILED or (
            self.state is CampaignState.PAUSED and self.reason is not None
        )

    @property
    def is_idle(self) -> bool:
        """Whether it has no claimed contact, no dial under way and no open attempt."""
        return not (self._claimed or self.reserved or self.dialling or self.open)

    def is_due(self, now: int) -> bool:
        """Return whether a waiting contact has come due."""
        return self.is_dialled and self.next_due is not None and self.next_due <= now

    def record_due(self, due_at: int) -> None:
        """Record when a waiting contact comes due."""
        self.next_due = due_at if self.next_due is None else min(self.next_due, due_at)

    def is_abandoned(self, contact: ClaimedContact) -> bool:
        """Return whether it is a single call without a waiter, which is not placed for now."""
        return self.awaited is not None and not self.awaited[contact.key]

    @property
    def is_removable(self) -> bool:
        """Whether it is in no run, and nothing of it is pending in memory."""
        return (
            self.is_idle
            and not self.runs
            and not self.unsettled
            and not self.refused
            and not self.is_stopping
        )

    @property
    def claimed(self) -> int:
        """The number of contacts that are claimed and not being dialled."""
        return len(self._claimed)

    @property
    def candidates(self) -> int:
        """The number of claimed contacts for which no dial waits for a permit yet."""
        return len(self._claimed) - self.reserved

    def add(self, contacts: Iterable[ClaimedContact]) -> None:
        """Add claimed contacts, or put them back."""
        for contact in contacts:
            place = rank(contact.priority, is_retry=contact.attempts > 0)
            heapq.heappush(self._claimed, (place, contact.id, contact))

    def first(self) -> ClaimedContact:
        """Return the contact to be dialled next, without removing it."""
        return self._claimed[0][2]

    def take(self) -> ClaimedContact | None:
        """Remove and return the contact to be dialled next; None: there is none."""
        return heapq.heappop(self._claimed)[2] if self._claimed else None

    def drop(
        self, which: Callable[[ClaimedContact], bool] = lambda _: True
    ) -> list[ClaimedContact]:
        """Remove and return the claimed contacts for which `which` holds: by default all."""
        dropped = [contact for _, _, contact in self._claimed if which(contact)]
        if dropped:
            self._claimed = [one for one in self._claimed if not which(one[2])]
            heapq.heapify(self._claimed)
        return dropped

    def forget_listed(self) -> None:
        """Discard the DND results of contacts that are not claimed any more."""
        claimed = {contact_id for _, contact_id, _ in self._claimed}
        self.listed = {one: listed for one, listed in self.listed.items() if one in claimed}

    def wait(self, now: float) -> float:
        """Return the seconds until it may dial again, by its throttle and after `hold_up`."""
        return max(0.0, self._next_at - now)

    def hold_up(self, until: float) -> None:
        """Do not dial before a moment, by the clock of the event loop."""
        self._next_at = max(self._next_at, until)

    def reserve(self, now: float) -> None:
        """Count a dial that is about to wait for a permit."""
        self.reserved += 1
        self.share += 1 / self.campaign.weight
        if self.campaign.throttle is not None:
            self._next_at = max(self._next_at, now) + _MINUTE / self.campaign.throttle


def whose_turn(
    campaigns: Iterable[RunningCampaign],
    channels: Channels,
    now: float,
    is_open: Callable[[RunningCampaign, ClaimedContact], bool],
) -> RunningCampaign | None:
    """Return the campaign that dials next, by priority and weight; None: none may dial now.

    If its call needs more of the account's `channels` than are free, the other campaigns wait as
    well, or it would never get them. `now` is by the clock of the event loop.
    """
    able = [
        one
        for one in campaigns
        if one.is_dialled
        and one.candidates > 0
        and one.wait(now) == 0
        and not one.is_abandoned(one.first())
        and is_open(one, one.first())
        and one.channels.has_room(one.campaign.legs)
    ]
    first = min(able, key=lambda one: (one.priority, one.share), default=None)
    return first if first is not None and channels.has_room(first.campaign.legs) else None

"""The campaigns that a dialer knows of, the contacts it has claimed, and whose turn it is."""

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
    """A campaign as the dialer sees it.

    Attributes:
        zones: the time zones of its contacts.
        state, reason: how it stands in the ledger.
        runs: blocks that run it. Without one only its calls in progress are followed.
        priority: which dials go first when several wait.
        channels: its own channels, within those of the account.
        is_stopping: whether its state was changed here, and the ledger does not have it yet; or it
            was cancelled, and contacts may be left in the ledger without their outcome.
        reserved: dials that wait for a permit.
        dialling: contacts that were taken and are being dialled.
        next_due: when the next contact comes due, as far as is known; None: none does.
        is_drained: whether the ledger had fewer to be dialled than were asked for, the last time.
        awaited: of single calls, how many wait for each key; None: it is a campaign.
        listed: whether claimed contacts are on the DND register, by their number in the ledger.
        open: attempts whose end is not known.
        unsettled: calls that are over, whose details have not come.
        refused: contacts that were refused alike, one after the other, and why.
        error_stops: how many times errors have stopped it.
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
    """Dials so far, divided by its weight."""
    _claimed: list[tuple[int, int, ClaimedContact]] = field(factory=list)
    _next_at: float = 0.0

    @property
    def name(self) -> str:
        """Its name."""
        return self.campaign.name

    @property
    def is_dialled(self) -> bool:
        """Whether its contacts may be dialled."""
        return self.runs > 0 and self.state is CampaignState.IN_PROGRESS

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it will be dialled any more, as it stands."""
        return self.state in _ENDED or self.is_stopped_by_errors

    @property
    def is_stopped_by_errors(self) -> bool:
        """Whether it was paused or ended because of errors."""
        return self.state is CampaignState.FAILED or (
            self.state is CampaignState.PAUSED and self.reason is not None
        )

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it is being dialled or in progress."""
        return not (self._claimed or self.reserved or self.dialling or self.open)

    def is_due(self, now: int) -> bool:
        """Whether somebody who waits has come due."""
        return self.is_dialled and self.next_due is not None and self.next_due <= now

    def record_due(self, due_at: int) -> None:
        """Take note of somebody who waits."""
        self.next_due = due_at if self.next_due is None else min(self.next_due, due_at)

    def is_abandoned(self, contact: ClaimedContact) -> bool:
        """Whether nobody waits for a single call: it is not made before somebody does again."""
        return self.awaited is not None and not self.awaited[contact.key]

    @property
    def is_removable(self) -> bool:
        """Whether it is not run any more, and nothing of it is awaited."""
        return (
            self.is_idle
            and not self.runs
            and not self.unsettled
            and not self.refused
            and not self.is_stopping
        )

    @property
    def claimed(self) -> int:
        """Contacts that are claimed and not being dialled."""
        return len(self._claimed)

    @property
    def candidates(self) -> int:
        """Claimed contacts for which no dial waits for a permit yet."""
        return len(self._claimed) - self.reserved

    def add(self, contacts: Iterable[ClaimedContact]) -> None:
        """Take contacts that were claimed."""
        for contact in contacts:
            place = rank(contact.priority, is_retry=contact.attempts > 0)
            heapq.heappush(self._claimed, (place, contact.id, contact))

    def first(self) -> ClaimedContact:
        """Return the contact to be dialled first."""
        return self._claimed[0][2]

    def take(self) -> ClaimedContact | None:
        """Take the contact to be dialled first; None: there is none."""
        return heapq.heappop(self._claimed)[2] if self._claimed else None

    def drop(
        self, which: Callable[[ClaimedContact], bool] = lambda _: True
    ) -> list[ClaimedContact]:
        """Take those that are not to be dialled now."""
        dropped = [contact for _, _, contact in self._claimed if which(contact)]
        if dropped:
            self._claimed = [one for one in self._claimed if not which(one[2])]
            heapq.heapify(self._claimed)
        return dropped

    def forget_listed(self) -> None:
        """Forget what the DND register says of contacts that are not claimed any more."""
        claimed = {contact_id for _, contact_id, _ in self._claimed}
        self.listed = {one: listed for one, listed in self.listed.items() if one in claimed}

    def wait(self, now: float) -> float:
        """Return the seconds until it may dial again, by its throttle or after `hold_up`."""
        return max(0.0, self._next_at - now)

    def hold_up(self, until: float) -> None:
        """Have nobody dialled before a moment."""
        self._next_at = max(self._next_at, until)

    def reserve(self, now: float) -> None:
        """Count a dial that will wait for a permit."""
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
    """Return the campaign that dials next, by priority and weight; None: none may.

    For a call that takes more of the account's `channels` than are free, others wait until they
    are, or it would never be dialled. `now` is by the clock of the event loop.
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

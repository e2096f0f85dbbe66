"""How calls are assumed to go, and how many of them a contact takes by that."""

from __future__ import annotations

from datetime import timedelta
from math import ceil, comb, log
from typing import Final, Self

from attrs import evolve, frozen

from exotel_async.campaigns import Campaign, CampaignStatistics, Retries, Retry

_ENOUGH: Final = 20
"""Calls that must be over before their shares say more than what is usually assumed."""
_NEGLIGIBLE: Final = 1e-9
_MINUTE: Final = timedelta(minutes=1)


@frozen(kw_only=True)
class Assumed:
    """How calls are assumed to go. Those not answered are busy, without an answer, or failed.

    Attributes:
        busy, no_answer, failed: which share of the calls ends so, 0 to 1.
        not_reached: which share is answered, but reaches nobody as the campaign's rule has it.
        ringing: how long a call rings, answered or not.
        talk: how long one is that was answered.
        calls: how many calls it was learned from; 0: none.
    """

    busy: float = 0.1
    no_answer: float = 0.3
    failed: float = 0.05
    not_reached: float = 0.0
    ringing: timedelta = timedelta(seconds=20)
    talk: timedelta = _MINUTE
    calls: int = 0

    @classmethod
    def learned(cls, statistics: CampaignStatistics) -> Self:
        """Return what the calls of a campaign have shown so far, once there are some."""
        ended = statistics.statuses
        over = sum(ended.values())
        if over < _ENOUGH:
            return cls()
        answered = ended.get("completed", 0)
        not_reached = max(0, answered - statistics.reached)
        busy, no_answer = ended.get("busy", 0), ended.get("no-answer", 0)
        talk = statistics.talk_time / answered if answered else timedelta()
        return cls(
            busy=busy / over,
            no_answer=no_answer / over,
            failed=(over - answered - busy - no_answer) / over,
            not_reached=not_reached / over,
            talk=talk or _MINUTE,
            calls=over,
        )

    @property
    def answered(self) -> float:
        """Which share of the calls is answered."""
        return max(0.0, 1 - self.busy - self.no_answer - self.failed)

    @property
    def held(self) -> timedelta:
        """How long a call holds its channels in the mean."""
        return self.ringing + self.talk * self.answered

    def within(self, campaign: Campaign) -> Assumed:
        """Return the same with no call longer than the campaign's time limit."""
        if campaign.time_limit is None or self.talk <= campaign.time_limit:
            return self
        return evolve(self, talk=campaign.time_limit)


def shares_dialled(retries: Retries, assumed: Assumed) -> list[float]:
    """Return which share of the contacts is dialled once, twice, and so on.

    Somebody is dialled again as long as none of the ways in which attempts end has come more often
    than its `Retry` has times.
    """
    shares = [1.0]
    ways = [(retry.times, share) for retry, share in retried(retries, assumed) if retry is not None]
    again = sum(share for _, share in ways)
    # No share of those who are dialled k times more is greater than `again` to the power of k.
    most = ceil(log(_NEGLIGIBLE) / log(again)) if 0 < again < 1 else sum(times for times, _ in ways)
    for times, share in ways:
        # In how many orders attempts may have ended in the ways that were joined so far.
        shares = [
            sum(
                comb(k, j) * shares[k - j] * share**j
                for j in range(max(0, k - len(shares) + 1), min(k, times) + 1)
            )
            for k in range(min(most, len(shares) - 1 + times) + 1)
        ]
    return shares


def retried(retries: Retries, assumed: Assumed) -> list[tuple[Retry | None, float]]:
    """Return the retries of each way in which attempts end, and its share of them."""
    return [
        (retries.busy, assumed.busy),
        (retries.no_answer, assumed.no_answer),
        (retries.failed, assumed.failed),
        (retries.not_reached, assumed.not_reached),
    ]

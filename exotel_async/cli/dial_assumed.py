"""How calls are assumed to go, and how many calls a contact takes on that assumption."""

from __future__ import annotations

from datetime import timedelta
from math import ceil, comb, log
from typing import Final, Self

from attrs import evolve, frozen

from exotel_async.campaigns import Campaign, CampaignStatistics, Retries, Retry

_ENOUGH: Final = 20
"""Calls that must have ended before their shares replace the default assumptions."""
_NEGLIGIBLE: Final = 1e-9
_MINUTE: Final = timedelta(minutes=1)


@frozen(kw_only=True)
class Assumed:
    """How calls are assumed to go. Those not answered are busy, without an answer, or failed.

    Attributes:
        busy, no_answer, failed: the share of the calls that ends so, 0 to 1.
        not_reached: the share that is answered, but not reached by the campaign's rule.
        ringing: how long a call rings, answered or not.
        talk: how long an answered call lasts.
        calls: the number of calls that this was learned from; 0: these are the defaults.
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
        """Return what a campaign's calls have shown so far; the defaults while they are few."""
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
        """The share of the calls that is answered."""
        return max(0.0, 1 - self.busy - self.no_answer - self.failed)

    @property
    def held(self) -> timedelta:
        """How long a call holds its channels on average."""
        return self.ringing + self.talk * self.answered

    def within(self, campaign: Campaign) -> Assumed:
        """Return the same with no call longer than the campaign's time limit."""
        if campaign.time_limit is None or self.talk <= campaign.time_limit:
            return self
        return evolve(self, talk=campaign.time_limit)


def shares_dialled(retries: Retries, assumed: Assumed) -> list[float]:
    """Return the shares of the contacts that are dialled at least once, twice, and so on.

    A contact is dialled again as long as none of the ways in which attempts end has occurred more
    often than its `Retry.times`.
    """
    shares = [1.0]
    ways = [(retry.times, share) for retry, share in retried(retries, assumed) if retry is not None]
    again = sum(share for _, share in ways)
    # The share that is dialled k more times is at most `again` to the power of k.
    most = ceil(log(_NEGLIGIBLE) / log(again)) if 0 < again < 1 else sum(times for times, _ in ways)
    for times, share in ways:
        # The binomials count the orders in which attempts may have ended in the ways so far.
        shares = [
            sum(
                comb(k, j) * shares[k - j] * share**j
                for j in range(max(0, k - len(shares) + 1), min(k, times) + 1)
            )
            for k in range(min(most, len(shares) - 1 + times) + 1)
        ]
    return shares


def retried(retries: Retries, assumed: Assumed) -> list[tuple[Retry | None, float]]:
    """Return for each way in which attempts end its retries, and its share of the attempts."""
    return [
        (retries.busy, assumed.busy),
        (retries.no_answer, assumed.no_answer),
        (retries.failed, assumed.failed),
        (retries.not_reached, assumed.not_reached),
    ]

"""Forecasts how long a campaign takes, and who is dialled when."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Final

from attrs import field, frozen

from exotel_async.campaigns import Campaign, CampaignStatistics
from exotel_async.cli.dial_assumed import Assumed, retried, shares_dialled
from exotel_async.cli.dial_windows import HORIZON, Window, dial_times

REQUESTS_PER_CALL: Final = Fraction(11, 10)
"""Requests of the budget that a call takes on average, with or without callbacks: one for the dial,
and a tenth for polling. A call is polled some seven times until its end, duration and price
are known. One request polls up to 100 calls; 70 are assumed, as not all are due at once."""
_FEWEST_EXPECTED: Final = 0.5
"""If fewer contacts than this are expected, it is assumed that there is none."""
_MINUTE: Final = timedelta(minutes=1)


class Limit(enum.StrEnum):
    """What makes a campaign take as long as it does."""

    BUDGET = "budget"
    """The requests a minute."""
    CHANNELS = "channels"
    """The calls that may be in progress at once."""
    THROTTLE = "throttle"
    """The calls a minute that the campaign may place."""
    HOURS = "hours"
    """The calling hours, which are closed for most of the time."""


@frozen(kw_only=True)
class Pace:
    """How fast a campaign dials while its hours are open.

    Attributes:
        per_minute: calls placed in a minute.
        limit: what keeps it from being more.
    """

    per_minute: Fraction
    limit: Limit


@frozen(kw_only=True)
class Forecast:
    """How long a campaign takes. Times are aware, UTC.

    Attributes:
        now: the moment it was made for.
        contacts: contacts by time zone; None: the schedule's own.
        windows: who is dialled first when, in the order of time.
        first_end: when the calls of all first attempts are over; None: nobody is dialled.
        end: when the calls of all retries are over, at the latest; None: nobody is dialled.
        left: contacts that are not dialled, by time zone: the last ones of each. The schedule has
            ended by then, or it takes more than a year.
        attempts: the average number of calls for a contact, if the hours allow them.
        calls: calls in all, retries included.
        talk: the total duration of all answered calls.
        billed: minutes of all answered calls, each begun minute of each leg counted in full.
        price: the price of a minute, in the account's currency; None: not known.
        budget: requests a minute.
        channels: the channels that the campaign may use; None: any number.
        pace: how fast it dials.
        limit: what makes it take that long.
        assumed: how calls are assumed to go.
    """

    now: datetime
    contacts: Mapping[str | None, int]
    windows: Sequence[Window] = ()
    first_end: datetime | None = None
    end: datetime | None = None
    left: Mapping[str | None, int] = field(factory=dict)
    attempts: float
    calls: int
    talk: timedelta
    billed: int
    price: Decimal | None = None
    budget: int
    channels: int | None = None
    pace: Pace
    limit: Limit
    assumed: Assumed

    @property
    def total(self) -> int:
        """Contacts in all."""
        return sum(self.contacts.values())

    @property
    def is_beyond(self) -> bool:
        """Whether it takes more than a year, which is the horizon of the forecast."""
        return self.end is not None and self.end >= self.now + HORIZON

    @property
    def cost(self) -> Decimal | None:
        """What the minutes cost, in the account's currency; None: no price is known."""
        return None if self.price is None else self.price * self.billed


def pace_of(
    campaign: Campaign, *, budget: int, channels: int | None, assumed: Assumed | None = None
) -> Pace:
    """Return how fast a campaign dials.

    A call takes `REQUESTS_PER_CALL` of the budget; with `check_dnd` the first call of each contact
    takes one more.

    Args:
        campaign: the campaign.
        budget: requests a minute.
        channels: the account's channels; None: any number.
        assumed: how calls are assumed to go.
    """
    assumed = assumed or Assumed()
    requests = REQUESTS_PER_CALL
    if campaign.check_dnd:
        requests += 1 / Fraction(sum(shares_dialled(campaign.retries, assumed)))
    paces = [(Fraction(budget) / requests, Limit.BUDGET)]
    if campaign.throttle is not None:
        paces.append((Fraction(campaign.throttle), Limit.THROTTLE))
    most = _channels(campaign, channels)
    if most is not None:
        at_once = max(1, most // campaign.legs)
        held = assumed.within(campaign).held
        paces.append((at_once / Fraction(held / _MINUTE), Limit.CHANNELS))
    per_minute, limit = min(paces, key=lambda one: one[0])
    return Pace(per_minute=per_minute, limit=limit)


def forecast(
    contacts: Mapping[str | None, int],
    campaign: Campaign,
    *,
    budget: int,
    now: datetime,
    channels: int | None = None,
    assumed: Assumed | None = None,
    price: Decimal | None = None,
) -> Forecast:
    """Return how long a campaign takes, and who is dialled when.

    If contacts have time zones of their own, those of the zone that comes first are assumed to be
    dialled first while its hours are open, and retries to follow the first attempts. In reality
    contacts of zones that are open together are dialled in the order of the file, with retries as
    they become due, which takes the same time in total. A contact's `not_before` is ignored.

    Args:
        contacts: how many there are in each time zone, zones in the order of the file; None: those
            without one, for whom the schedule's time zone counts.
        campaign: the campaign.
        budget: requests a minute.
        now: an aware time.
        channels: the account's channels; None: any number.
        assumed: how calls are assumed to go.
        price: the price of a minute of one leg, in the account's currency.
    """
    assumed = (assumed or Assumed()).within(campaign)
    pace = pace_of(campaign, budget=budget, channels=channels, assumed=assumed)
    shares = shares_dialled(campaign.retries, assumed)
    each = {zone: Fraction(number) for zone, number in contacts.items()}
    first = dial_times(each, pace.per_minute, campaign.schedule, now)
    attempts = Fraction(sum(shares))
    dials = {zone: number * attempts for zone, number in each.items()}
    everything = dial_times(dials, pace.per_minute, campaign.schedule, now)
    calls = round(sum(dials.values()) - everything.not_made)
    answered = round(calls * assumed.answered)
    first_end = end = None
    limit = pace.limit
    if first.end is not None and everything.end is not None:
        first_end = first.end + assumed.held
        last_retry = _last_retry(campaign, assumed, shares, contacts, first_end=first_end, now=now)
        end = max(everything.end + assumed.held, last_retry)
        busy = _MINUTE * float((sum(each.values()) - first.not_made) / pace.per_minute)
        limit = Limit.HOURS if first.end - now > 2 * busy else limit
    return Forecast(
        now=now,
        contacts=dict(contacts),
        windows=first.windows,
        first_end=first_end,
        end=end,
        left={zone: int(number) for zone, number in first.left.items() if number >= 1},
        attempts=float(attempts),
        calls=calls,
        talk=answered * assumed.talk,
        billed=answered * ceil(assumed.talk / _MINUTE) * campaign.legs,
        price=price,
        budget=budget,
        channels=_channels(campaign, channels),
        pace=pace,
        limit=limit,
        assumed=assumed,
    )


def time_left(
    statistics: CampaignStatistics,
    campaign: Campaign,
    *,
    budget: int,
    now: datetime,
    channels: int | None = None,
    next_retry_at: datetime | None = None,
) -> timedelta | None:
    """Return how long the rest of a campaign takes, by how its calls have gone so far.

    All contacts are assumed to be in the schedule's time zone. None: it is not known, or the
    schedule ends before.

    Args:
        statistics: the campaign's contacts and calls.
        campaign: the campaign.
        budget: requests a minute.
        now: an aware time.
        channels: the account's channels; None: any number.
        next_retry_at: when the first of the contacts that wait for a retry is due.
    """
    assumed = Assumed.learned(statistics).within(campaign)
    if not statistics.pending:
        return assumed.held if statistics.in_progress else timedelta()
    ended = statistics.refused + statistics.do_not_call + statistics.canceled + statistics.expired
    expected = (statistics.created - ended) * sum(shares_dialled(campaign.retries, assumed))
    dials = Fraction(max(statistics.pending, round(expected) - statistics.attempts))
    pace = pace_of(campaign, budget=budget, channels=channels, assumed=assumed)
    times = dial_times({None: dials}, pace.per_minute, campaign.schedule, now)
    if times.end is None or times.left:
        return None
    end = times.end if next_retry_at is None else max(times.end, next_retry_at)
    return end - now + assumed.held


def _channels(campaign: Campaign, of_account: int | None) -> int | None:
    given = [one for one in (of_account, campaign.channels) if one is not None]
    return min(given, default=None)


def _last_retry(
    campaign: Campaign,
    assumed: Assumed,
    shares: Sequence[float],
    contacts: Mapping[str | None, int],
    *,
    first_end: datetime,
    now: datetime,
) -> datetime:
    """Return when the last call is over of a contact that is dialled last, with all its retries."""
    gaps = sorted(
        (
            retry.gap_after(tries) or timedelta()
            for retry, share in retried(campaign.retries, assumed)
            if retry is not None and share > 0
            for tries in range(1, retry.times + 1)
        ),
        reverse=True,
    )
    number = sum(contacts.values())
    at, horizon = first_end, now + HORIZON
    for gap, share in zip(gaps, shares[1:], strict=False):
        if number * share < _FEWEST_EXPECTED:
            break
        due = [campaign.schedule.next_open(at + gap, zone) for zone in contacts]
        found = [one for one in due if one is not None]
        if len(found) < len(due):  # the retry would be after the schedule's end, or never
            return (campaign.schedule.end or at) + assumed.held
        at = max(found) + assumed.held
        if at >= horizon:
            return horizon
    return at

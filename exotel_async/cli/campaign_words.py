"""How commands word what they show of a campaign: states, counts, amounts and times."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from exotel_async import IST
from exotel_async.campaigns import CampaignStatistics, ContactState
from exotel_async.cli.time_arguments import shown_length
from exotel_async.masking import mask_number
from exotel_async.phone import identity_of

OUTCOMES: Final = (
    ContactState.REACHED,
    ContactState.NOT_REACHED,
    ContactState.REFUSED,
    ContactState.DO_NOT_CALL,
    ContactState.EXPIRED,
    ContactState.CANCELED,
    ContactState.UNRESOLVED,
)
"""The outcomes of contacts, in the order in which they are listed."""

STYLES: Final = {
    ContactState.REACHED: "green",
    ContactState.REFUSED: "red",
    ContactState.UNRESOLVED: "bold red",
}
"""Styles of outcomes where there are colours. They add nothing that the words do not say."""

_TWO_DAYS: Final = timedelta(days=2)
_OWN_DIGITS: Final = 10
"""Digits of a number of India without its country code."""
_TO_THE_SECOND: Final = 600  # seconds; longer times are rounded to minutes


def plain(word: str) -> str:
    """Return a state, or the status of a call, as texts spell it."""
    return "cancelled" if word == "canceled" else word.replace("-", " ")


def outcomes_of(statistics: CampaignStatistics) -> dict[ContactState, int]:
    """Return how many contacts have each outcome, in the order of `OUTCOMES`."""
    return {state: getattr(statistics, state.value.replace("-", "_")) for state in OUTCOMES}


def finished(statistics: CampaignStatistics) -> int:
    """Return how many contacts have their outcome."""
    return sum(outcomes_of(statistics).values())


def why_unresolved(statistics: CampaignStatistics) -> str:
    """Return why contacts are unresolved, with counts where both reasons occur."""
    placed = statistics.end_unknown
    reasons = {
        "not known whether the phone rang": statistics.unresolved - placed,
        "call placed, end not known": placed,
    }
    there = [(words, number) for words, number in reasons.items() if number]
    if len(there) == 1:
        return there[0][0]
    return "; ".join(f"{words} ({number:,})" for words, number in there)


def percent(part: float, whole: float) -> str:
    """Return a share as a percentage: only all is 100%, and only none is 0%."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 1:
        return "<1%"
    return f"{int(share)}%" if share > 99 else f"{share:.0f}%"


def counts(words: Iterable[tuple[str, int]]) -> list[str]:
    """Return the counts that are not 0, as "310 completed" and "90 no answer"."""
    return [f"{number:,} {plain(word)}" for word, number in words if number]


def by_frequency(statistics: CampaignStatistics) -> list[tuple[str, int]]:
    """Return how many calls ended with each status, the most frequent first."""
    return sorted(statistics.statuses.items(), key=lambda one: (-one[1], one[0]))


def money(amount: Decimal) -> str:
    """Return an amount, without the account's currency, which no record names."""
    return f"{amount:,.2f}"


def clock(moment: datetime, now: datetime) -> str:
    """Return the time of a moment in Indian time, with the day if it is not the same."""
    local = moment.astimezone(IST)
    same = local.date() == now.astimezone(IST).date()
    return f"{local:%H:%M} IST" if same else f"{local:%Y-%m-%d %H:%M} IST"


def in_seconds(time: timedelta) -> float:
    """Return a duration in seconds for JSON: an int if whole, else to the millisecond."""
    seconds = time.total_seconds()
    return int(seconds) if seconds.is_integer() else round(seconds, 3)


def masked_key(key: str, *numbers: str) -> str:
    """Return a contact's key, masked if it contains one of the contact's numbers."""
    digits = _digits(key)
    ends = [_digits(number)[-_OWN_DIGITS:] for number in numbers]
    is_in = any(len(end) == _OWN_DIGITS and end in digits for end in ends)
    own = {identity_of(number) or number for number in numbers}
    return mask_number(key) if is_in or (identity_of(key) or key) in own else key


def _digits(text: str) -> str:
    """Return the digits in a text as 0 to 9, those of other scripts included."""
    return "".join(str(unicodedata.decimal(char)) for char in text if char.isdecimal())


def length(time: timedelta) -> str:
    """Return a duration for display: from two days on, the number of days."""
    return f"{time.days} days" if time >= _TWO_DAYS else shown_length(time)


def duration_in_words(time: timedelta) -> str:
    """Return a duration with units, not to be mistaken for a time of day: "3 h"."""
    if time >= _TWO_DAYS:
        return f"{time.days} days"
    seconds = round(time.total_seconds())
    if seconds >= _TO_THE_SECOND:
        seconds = 60 * round(seconds / 60)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def command(action: str, campaign: str, ledger: str | None = None) -> str:
    """Return the shell command for an action on a campaign.

    Args:
        action: the subcommand: "resume", "resolve".
        campaign: the campaign's name.
        ledger: its ledger, as it was given; None: the default one.
    """
    words = ["exotel-async", "campaign", action, campaign]
    return shlex.join(words if ledger is None else [*words, "--ledger", ledger])

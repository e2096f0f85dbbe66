"""Options of `exotel-async dial`: what to connect calls to, when, how often and how fast."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Final

from attrs import field, frozen
from cyclopts import Group, Parameter, Token, validators

from exotel_async.cli.options import typed
from exotel_async.cli.time_arguments import read_length
from exotel_async.masking import masked

_WORDS: Final = ("busy", "no-answer", "failed", "not-reached")
_ONE_OR_MORE: Final = validators.Number(gte=1)
_QUIET: Final = Parameter(show_default=False)
_SWITCH: Final = Parameter(negative="", show_default=False)


@frozen
class RetryRule:
    """After which outcome a contact is dialled again, how often, and after how long."""

    word: str
    times: int
    gap: timedelta
    exponential: bool = False


def read_retry(text: str) -> RetryRule:
    """Parse a rule as it is typed, like busy:2:15m or busy:3:10m:exponential.

    Raises:
        ValueError: it is not such a rule.
    """
    word, *rest = text.strip().split(":")
    try:
        times, gap, *exponential = rest
        if word in _WORDS and times.isdecimal() and exponential in ([], ["exponential"]):
            return RetryRule(word, int(times), read_length(gap), exponential=bool(exponential))
    except ValueError:
        pass
    raise ValueError(
        f"{text!r} is not a rule like busy:2:15m, which is OUTCOME:TIMES:GAP, OUTCOME one of"
        f" {', '.join(_WORDS)}; with :exponential after it the gap doubles each time"
    )


def _retry(_: object, tokens: tuple[Token, ...]) -> tuple[RetryRule, ...]:
    return tuple(read_retry(part) for token in tokens for part in token.value.split(","))


def _length(_: object, tokens: tuple[Token, ...]) -> timedelta:
    return read_length(tokens[0].value)


def _price(_: object, tokens: tuple[Token, ...]) -> Decimal:
    text = tokens[0].value
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal("NaN")
    if not (price.is_finite() and 0 <= price <= 10_000):
        raise ValueError(f"{text!r} is not a price like 0.60")
    return price


@Parameter(name="*", group=Group.create_ordered("What calls are connected to: exactly one"))
@frozen(kw_only=True)
class Target:
    """Whom those who answer are connected to."""

    flow: Annotated[str | None, _QUIET] = None
    """A flow's id or URL."""
    agent: Annotated[str | None, _QUIET] = field(default=None, repr=masked)
    """A number or a SIP id, rung when the contact has answered: such a call takes two channels."""
    stream_url: Annotated[str | None, _QUIET] = field(default=None, repr=False)
    """A voice bot's wss:// URL."""


@Parameter(name="*", group=Group.create_ordered("When and how often"))
@frozen(kw_only=True)
class Timing:
    """When the campaign dials, and how often."""

    hours: Annotated[str | None, _QUIET] = None
    """Calling hours in Indian time, like 10-19 or 10:00-13:00,14:00-18:30. Default: 9-21, because
    India allows no commercial calls from 21:00 to 9:00."""
    days: Annotated[str | None, _QUIET] = None
    """Days, like mon-sat or mon,wed,fri. Default: every day."""
    holidays: Annotated[Path | None, _QUIET] = None
    """A file with dates on which nobody is dialled, like 2026-11-08, one per line. Text
    after a # is ignored."""
    retry: Annotated[tuple[RetryRule, ...], typed("--retry", _retry)] = ()
    """Which outcomes to dial again, how often and how long after: busy:2:15m, no-answer:1:3h,
    failed:1:1m, not-reached:1:1d (answered, but not connected to the agent). Repeat the option
    for more."""
    wait_for_hours: Annotated[bool, _SWITCH] = False
    """Outside calling hours, wait for the next ones, instead of ending with exit code 5."""


@Parameter(name="*", group=Group.create_ordered("How fast, and how the calls are made"))
@frozen(kw_only=True)
class CallOptions:
    """How fast the campaign dials, and how its calls are made."""

    channels: Annotated[int | None, Parameter(validator=_ONE_OR_MORE, show_default=False)] = None
    """Most channels to use: a call takes one, a call with an agent two. Default: no limit."""
    throttle: Annotated[int | None, Parameter(validator=_ONE_OR_MORE, show_default=False)] = None
    """Most calls to place per minute; --rate limits all requests together."""
    time_limit: Annotated[int | None, _QUIET] = None
    """The longest time a call may last, in seconds."""
    ring_timeout: Annotated[int | None, _QUIET] = None
    """Seconds each party is rung."""
    record: Annotated[bool, _SWITCH] = False
    """Record the calls."""
    poll_interval: Annotated[float, Parameter(validator=validators.Number(gte=0.1, lte=300))] = 15
    """Seconds from a dial to the first poll of its call; later polls come at growing intervals. One
    request polls up to a hundred calls."""
    check_dnd: Annotated[bool, _SWITCH] = False
    """Look each number up first, which takes a request, and dial nobody on the DND register."""


@Parameter(name="*", group=Group.create_ordered("What --dry-run assumes"))
@frozen(kw_only=True)
class DryRunOptions:
    """What a dry run assumes."""

    price: Annotated[Decimal | None, typed("--price", _price)] = None
    """What a minute of a call costs, in your currency, like 0.60."""
    call_length: Annotated[timedelta | None, typed("--call-length", _length)] = None
    """The average duration of an answered call: seconds, or with a unit, like 90s. Default: the
    average of this campaign's calls so far, or a minute."""

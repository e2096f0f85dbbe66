"""What becomes of calls: a seeded script of who answers, how long it rings, how long they talk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import attrs

from exotel_async.emulator.numbers import checked_number, national

if TYPE_CHECKING:
    from random import Random


_not_negative = attrs.validators.ge(0)
_length = attrs.validators.optional(_not_negative)


class Outcome(StrEnum):
    """What one dialled party does, in the wire's words for the end of a leg."""

    COMPLETED = "completed"
    """Answers."""
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"
    CANCELED = "canceled"
    """The other party hung up while this one's phone rang: a second leg only."""


UNREACHED = (Outcome.FAILED, Outcome.NO_ANSWER)
"""What has a first party dialled again, where `MaxRetries` is followed (VOICE_V1 1.1)."""


@attrs.frozen
class Behaviour:
    """How one number behaves. Lengths in emulator seconds; None is drawn from the scenario."""

    outcome: Outcome = attrs.field(default=Outcome.COMPLETED, converter=Outcome)
    ring: int | None = attrs.field(default=None, validator=_length)
    talk: int | None = attrs.field(default=None, validator=_length)


def _by_national(numbers: Mapping[str, Behaviour]) -> dict[str, Behaviour]:
    return {checked_number(number): behaviour for number, behaviour in numbers.items()}


@attrs.frozen(kw_only=True)
class Scenario:
    """Shares of outcomes and ranges of lengths, in emulator seconds, whole and inclusive.

    What is left of the shares answers. `numbers` overrides the draw for single numbers, whichever
    way they are written and whichever leg they are.
    """

    busy: float = 0.08
    no_answer: float = 0.15
    failed: float = 0.04
    second_busy: float = 0.03
    """Shares of the second party, once the first has answered."""
    second_no_answer: float = 0.05
    second_failed: float = 0.01
    second_canceled: float = 0.02
    ring: tuple[int, int] = (3, 20)
    talk: tuple[int, int] = (15, 120)
    ring_timeout: int = attrs.field(default=30, validator=_not_negative)  # VOICE_V1 1.1
    """How long a phone rings without `TimeOut`: 30 by Exotel's portal alone."""
    retry_pause: int = attrs.field(default=60, validator=_not_negative)
    """From an attempt to reach the first party to the next, where `MaxRetries` is followed. No
    page tells."""
    settle: tuple[int, int] = (100, 140)  # VOICE_V1 2
    """From the end until Duration, Price and EndTime show: about two minutes."""
    price_per_minute: Decimal = Decimal("0.750")
    """For each started minute of a call whose first party has answered."""
    numbers: Mapping[str, Behaviour] = attrs.field(factory=dict, converter=_by_national)

    @cached_property
    def first_shares(self) -> dict[Outcome, float]:
        """What the party dialled first does, other than to answer."""
        return {
            Outcome.BUSY: self.busy,
            Outcome.NO_ANSWER: self.no_answer,
            Outcome.FAILED: self.failed,
        }

    @cached_property
    def second_shares(self) -> dict[Outcome, float]:
        """What the second party does, other than to answer."""
        return {
            Outcome.BUSY: self.second_busy,
            Outcome.NO_ANSWER: self.second_no_answer,
            Outcome.FAILED: self.second_failed,
            Outcome.CANCELED: self.second_canceled,
        }

    def __attrs_post_init__(self) -> None:
        for shares in (self.first_shares.values(), self.second_shares.values()):
            if min(shares) < 0 or sum(shares) > 1:
                raise ValueError(f"shares sum up to 1 at most, none below 0, not {list(shares)}")
        for name in ("ring", "talk", "settle"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ValueError(f"{name} is a range from low to high, not {(low, high)}")

    @classmethod
    def all_answered(cls, *, ring: int = 5, talk: int = 30, settle: int = 120) -> Scenario:
        """Everybody answers, after and for just these emulator seconds."""
        return cls(
            busy=0,
            no_answer=0,
            failed=0,
            second_busy=0,
            second_no_answer=0,
            second_failed=0,
            second_canceled=0,
            ring=(ring, ring),
            talk=(talk, talk),
            settle=(settle, settle),
        )


@attrs.frozen
class Attempt:
    """One time the first party was dialled."""

    at: float
    """Emulator seconds since the dial."""
    outcome: Outcome


@attrs.frozen(kw_only=True)
class Timeline:
    """A call's life. Moments are emulator seconds since the dial.

    It is decided when the call is dialled, but for a call in a flow, which is decided as it goes.
    """

    first: Outcome
    answered: float | None
    """When the first party answered."""
    second: Outcome | None
    """None: no second leg was dialled."""
    bridged: float | None
    """When the second party answered."""
    ended: float
    """Infinite while a flow is in progress."""
    settle: int
    """From the end until EndTime, Duration and Price show."""
    price_per_minute: Decimal
    parted: float | None = None
    """When the second party was gone again, if the call went on."""
    earlier: int = 0
    """Seconds talked with other second parties before."""
    second_decides: bool = False
    """Whether the status is the second leg's, where a second party was dialled."""
    attempts: tuple[Attempt, ...] = ()
    """To reach the first party of a dial: one, and more where `MaxRetries` is followed."""

    @property
    def settled(self) -> float:
        """When EndTime, Duration and Price show."""
        return self.ended + self.settle

    @property
    def price(self) -> Decimal:
        """What it costs, in rupees: each started minute of a call that was answered."""
        minutes = 0 if self.answered is None else math.ceil(self.ended / 60)
        return self.price_per_minute * minutes

    @property
    def status(self) -> Outcome:
        """The call's final word: the first leg's, or the second's if that decides (VOICE_V1 1.3).

        A call whose second leg is `canceled` has `failed`.
        """
        if self.second is None or not self.second_decides:
            return self.first
        return Outcome.FAILED if self.second is Outcome.CANCELED else self.second

    @property
    def talked(self) -> int:
        """Seconds both parties were connected."""
        if self.bridged is None:
            return self.earlier
        return self.earlier + round((self.parted or self.ended) - self.bridged)

    @property
    def duration(self) -> int:
        """Seconds from dial to end, all ringing included."""
        return round(self.ended)


@attrs.frozen
class Party:
    """What one party does when its phone rings. Lengths in emulator seconds."""

    outcome: Outcome
    ring: float
    """How long the phone rings; infinite when nobody ever answers it."""
    talk: float
    """How long they talk; infinite when it is not they who end it."""

    def within(self, patience: float) -> Party:
        """The same when the phone rings that long at most."""
        if self.ring <= patience:
            return self
        return Party(Outcome.NO_ANSWER, patience, self.talk)


def plan(
    scenario: Scenario,
    random: Random,
    *,
    first: str,
    second: str | None,
    ring_timeout: int | None,
    time_limit: int | None,
    max_retries: int = 0,
    first_does: Behaviour | None = None,
    second_decides: bool = True,
) -> Timeline:
    """Draw a call's life. `second` is None for a call that leads to a flow or a stream.

    `first_does` counts more than what the scenario says of the first party's number. The time limit
    holds from the last attempt on to reach the first party.
    """
    patience = scenario.ring_timeout if ring_timeout is None else ring_timeout
    limit = math.inf if time_limit is None else time_limit

    def attempt() -> Party:
        one = draw(scenario, random, first, scenario.first_shares, first_does).within(patience)
        return one if one.ring < limit else Party(Outcome.NO_ANSWER, limit, one.talk)

    # Both are drawn, needed or not, so that an override moves nothing else.
    one = attempt()
    other = draw(scenario, random, second, scenario.second_shares).within(patience)
    settle = random.randint(*scenario.settle)

    began = 0.0
    attempts = [Attempt(began, one.outcome)]
    while one.outcome in UNREACHED and len(attempts) <= max_retries:
        began += one.ring + scenario.retry_pause
        one = attempt()
        attempts.append(Attempt(began, one.outcome))

    second_outcome = answered = bridged = None
    rung, limit = began + one.ring, began + limit
    if one.outcome is not Outcome.COMPLETED:
        ended = rung
    elif second is None:
        answered, ended = rung, min(limit, rung + one.talk)
    else:
        answered, ended = rung, rung + other.ring
        second_outcome = other.outcome
        if ended >= limit:
            second_outcome, ended = Outcome.CANCELED, limit
        elif other.outcome is Outcome.COMPLETED:
            bridged, ended = ended, min(limit, ended + other.talk)
    return Timeline(
        attempts=tuple(attempts),
        first=one.outcome,
        answered=answered,
        second=second_outcome,
        bridged=bridged,
        ended=ended,
        settle=settle,
        price_per_minute=scenario.price_per_minute,
        second_decides=second is not None and second_decides,
    )


def plan_manual(scenario: Scenario, random: Random, *, second_decides: bool) -> Timeline:
    """The life of a call that a person plays, as it begins: not answered, and going on."""
    return Timeline(
        first=Outcome.NO_ANSWER,
        answered=None,
        second=None,
        bridged=None,
        ended=math.inf,
        settle=random.randint(*scenario.settle),
        price_per_minute=scenario.price_per_minute,
        second_decides=second_decides,
    )


def plan_incoming(scenario: Scenario, random: Random, *, busy: bool) -> Timeline:
    """The life of a call that comes in: it is answered at once, or finds the line busy."""
    return Timeline(
        first=Outcome.BUSY if busy else Outcome.COMPLETED,
        answered=None if busy else 0.0,
        second=None,
        bridged=None,
        ended=0.0,
        settle=random.randint(*scenario.settle),
        price_per_minute=scenario.price_per_minute,
    )


def draw(
    scenario: Scenario,
    random: Random,
    number: str | None,
    shares: Mapping[Outcome, float],
    does: Behaviour | None = None,
) -> Party:
    """A party by its behaviour, the given one or its number's, or else by the shares."""
    point, outcome = random.random(), Outcome.COMPLETED
    for candidate, share in shares.items():
        if point < share:
            outcome = candidate
            break
        point -= share
    ring: float = random.randint(*scenario.ring)
    talk = random.randint(*scenario.talk)
    if does is None and number is not None:
        does = scenario.numbers.get(national(number))
    if does is not None:
        outcome = does.outcome
        ring = ring if does.ring is None else does.ring
        talk = talk if does.talk is None else does.talk
    if outcome is Outcome.NO_ANSWER:
        ring = math.inf
    return Party(outcome, ring, talk)

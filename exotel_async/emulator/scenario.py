"""How calls turn out: a seeded script of who answers, how long it rings, how long they talk."""

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
    """What one dialled party does, in the words of the wire for the final status of a leg."""

    COMPLETED = "completed"
    """Answers."""
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"
    CANCELED = "canceled"
    """The other party hung up while this one's phone rang: second legs only."""


UNREACHED = (Outcome.FAILED, Outcome.NO_ANSWER)
"""The outcomes after which a first party is dialled again, by `MaxRetries` (VOICE_V1 1.1)."""


@attrs.frozen
class Behaviour:
    """How one number behaves. Durations in emulator seconds; None: drawn by the scenario."""

    outcome: Outcome = attrs.field(default=Outcome.COMPLETED, converter=Outcome)
    ring: int | None = attrs.field(default=None, validator=_length)
    talk: int | None = attrs.field(default=None, validator=_length)


def _by_national(numbers: Mapping[str, Behaviour]) -> dict[str, Behaviour]:
    return {checked_number(number): behaviour for number, behaviour in numbers.items()}


@attrs.frozen(kw_only=True)
class Scenario:
    """Shares of outcomes, and inclusive ranges of durations in whole emulator seconds.

    The remaining share answers. `numbers` overrides the draw for single numbers, however they are
    written and whichever leg they are.
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
    """How long a phone rings without `TimeOut`: 30 according to Exotel's portal only."""
    retry_pause: int = attrs.field(default=60, validator=_not_negative)
    """From the end of an attempt to reach the first party to the next one, where `MaxRetries` is
    followed. No page documents it."""
    settle: tuple[int, int] = (100, 140)  # VOICE_V1 2
    """From the end until Duration, Price and EndTime show: about two minutes."""
    price_per_minute: Decimal = Decimal("0.750")
    """For each started minute of a call whose first party has answered."""
    numbers: Mapping[str, Behaviour] = attrs.field(factory=dict, converter=_by_national)

    @cached_property
    def first_shares(self) -> dict[Outcome, float]:
        """The shares of what the first party does, other than answering."""
        return {
            Outcome.BUSY: self.busy,
            Outcome.NO_ANSWER: self.no_answer,
            Outcome.FAILED: self.failed,
        }

    @cached_property
    def second_shares(self) -> dict[Outcome, float]:
        """The shares of what the second party does, other than answering."""
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
        """Return a scenario where everybody answers, with exactly these emulator seconds."""
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
    """A call's lifecycle. Times are emulator seconds since the dial.

    It is decided when the call is dialled, except for calls in a flow or played by hand, which are
    decided while they run.
    """

    first: Outcome
    answered: float | None
    """When the first party answered."""
    second: Outcome | None
    """None: no second leg was dialled."""
    bridged: float | None
    """When the second party answered."""
    ended: float
    """Infinite while a call in a flow, or one played by hand, is in progress."""
    settle: int
    """From the end until EndTime, Duration and Price show."""
    price_per_minute: Decimal
    parted: float | None = None
    """When the second party left, if the call continued after that."""
    earlier: int = 0
    """Seconds talked with earlier second parties."""
    second_decides: bool = False
    """Whether the status is the second leg's, if a second party was dialled."""
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
        """The final status: that of the first leg, or of the second if it decides (VOICE_V1 1.3).

        A call whose second leg is `canceled` has `failed`.
        """
        if self.second is None or not self.second_decides:
            return self.first
        return Outcome.FAILED if self.second is Outcome.CANCELED else self.second

    @property
    def talked(self) -> int:
        """Seconds for which both parties were connected."""
        if self.bridged is None:
            return self.earlier
        return self.earlier + round((self.parted or self.ended) - self.bridged)

    @property
    def duration(self) -> int:
        """Seconds from dial to end, all ringing included."""
        return round(self.ended)


@attrs.frozen
class Party:
    """What one party does when its phone rings. Durations in emulator seconds."""

    outcome: Outcome
    ring: float
    """How long the phone rings; infinite if it is never answered."""
    talk: float
    """How long they talk; infinite if it is not they who hang up."""

    def within(self, patience: float) -> Party:
        """Return what the party does if the phone rings for at most that long."""
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
    first_behaviour: Behaviour | None = None,
    second_decides: bool = True,
) -> Timeline:
    """Draw a call's lifecycle. `second` is None for a call that leads to a flow or a stream.

    `first_behaviour` overrides what the scenario says of the first party's number. The time limit
    counts from the beginning of the last attempt to reach the first party.
    """
    patience = scenario.ring_timeout if ring_timeout is None else ring_timeout
    limit = math.inf if time_limit is None else time_limit

    def attempt() -> Party:
        one = draw(scenario, random, first, scenario.first_shares, first_behaviour).within(patience)
        return one if one.ring < limit else Party(Outcome.NO_ANSWER, limit, one.talk)

    # Both are drawn, needed or not, so that an override changes no other draw.
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
    """Return the initial timeline of a call played by hand: not answered, and in progress."""
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
    """Return the initial timeline of an incoming call: answered at once, or with a busy line."""
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
    behaviour: Behaviour | None = None,
) -> Party:
    """Draw a party by a behaviour, the given one or its number's, or else by the shares."""
    point, outcome = random.random(), Outcome.COMPLETED
    for candidate, share in shares.items():
        if point < share:
            outcome = candidate
            break
        point -= share
    ring: float = random.randint(*scenario.ring)
    talk = random.randint(*scenario.talk)
    if behaviour is None and number is not None:
        behaviour = scenario.numbers.get(national(number))
    if behaviour is not None:
        outcome = behaviour.outcome
        ring = ring if behaviour.ring is None else behaviour.ring
        talk = talk if behaviour.talk is None else behaviour.talk
    if outcome is Outcome.NO_ANSWER:
        ring = math.inf
    return Party(outcome, ring, talk)

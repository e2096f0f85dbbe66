"""What becomes of calls: a seeded script of who answers, how long it rings, how long they talk."""

from __future__ import annotations

import math
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import attrs

from exotel_async.emulator.phones import national

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random


class Outcome(StrEnum):
    """What one dialled party does, in the wire's words for the end of a leg."""

    COMPLETED = "completed"
    """Answers."""
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"
    CANCELED = "canceled"
    """The other party hung up while this one's phone rang: a second leg only."""


@attrs.frozen
class Behaviour:
    """How one number behaves. Lengths in emulator seconds; None is drawn from the scenario."""

    outcome: Outcome = attrs.field(default=Outcome.COMPLETED, converter=Outcome)
    ring: int | None = None
    talk: int | None = None


def _by_national(numbers: Mapping[str, Behaviour]) -> dict[str, Behaviour]:
    return {national(number): behaviour for number, behaviour in numbers.items()}


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
    ring_timeout: int = 30
    """How long a phone rings without `TimeOut`: the notes' portal page says 30 (1.1)."""
    settle: tuple[int, int] = (100, 140)
    """From the end until Duration, Price and EndTime show: about two minutes (2)."""
    price_per_minute: Decimal = Decimal("0.750")
    """For each started minute of a completed call."""
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


@attrs.frozen(kw_only=True)
class Timeline:
    """A call's life, decided when it is dialled. Moments are emulator seconds since the dial."""

    first: Outcome
    answered: float | None
    """When the first party answered."""
    second: Outcome | None
    """None: no second leg was dialled."""
    bridged: float | None
    """When the second party answered."""
    ended: float
    settled: float
    """When EndTime, Duration and Price show."""
    minutes: int
    """How many are charged."""
    price_per_minute: Decimal

    @property
    def price(self) -> Decimal:
        """What it costs, in rupees."""
        return self.price_per_minute * self.minutes

    @property
    def status(self) -> Outcome:
        """The call's final word.

        It is the first party's: a call whose second party did not answer is `completed` all the
        same, and its legs tell (wire notes 9, point 8).
        """
        return self.first

    @property
    def talked(self) -> int:
        """Seconds both parties were connected."""
        return 0 if self.bridged is None else round(self.ended - self.bridged)

    @property
    def duration(self) -> int:
        """Seconds from dial to end, all ringing included."""
        return round(self.ended)


@attrs.frozen
class _Party:
    """What one party does when its phone rings. Lengths in emulator seconds."""

    outcome: Outcome
    ring: float
    """How long the phone rings."""
    talk: int


def plan(
    scenario: Scenario,
    random: Random,
    *,
    first: str,
    second: str | None,
    ring_timeout: int | None,
    time_limit: int | None,
) -> Timeline:
    """Draw a call's life. `second` is None for a call that leads to a flow."""
    patience = scenario.ring_timeout if ring_timeout is None else ring_timeout
    limit = math.inf if time_limit is None else time_limit
    # Both are drawn, needed or not, so that an override moves nothing else.
    one = _draw(scenario, random, first, scenario.first_shares, patience)
    other = _draw(scenario, random, second, scenario.second_shares, patience)
    settle = random.randint(*scenario.settle)

    first_outcome, second_outcome = one.outcome, None
    answered = bridged = None
    if one.ring >= limit:
        first_outcome, ended = Outcome.NO_ANSWER, limit
    elif one.outcome is not Outcome.COMPLETED:
        ended = one.ring
    elif second is None:
        answered, ended = one.ring, min(limit, one.ring + one.talk)
    else:
        answered, ended = one.ring, one.ring + other.ring
        second_outcome = other.outcome
        if ended >= limit:
            second_outcome, ended = Outcome.CANCELED, limit
        elif other.outcome is Outcome.COMPLETED:
            bridged, ended = ended, min(limit, ended + other.talk)
    return Timeline(
        first=first_outcome,
        answered=answered,
        second=second_outcome,
        bridged=bridged,
        ended=ended,
        settled=ended + settle,
        minutes=math.ceil(ended / 60) if answered is not None else 0,
        price_per_minute=scenario.price_per_minute,
    )


def _draw(
    scenario: Scenario,
    random: Random,
    number: str | None,
    shares: Mapping[Outcome, float],
    patience: int,
) -> _Party:
    """A party by its number's behaviour or by the shares, with no more patience than is left."""
    point, outcome = random.random(), Outcome.COMPLETED
    for candidate, share in shares.items():
        if point < share:
            outcome = candidate
            break
        point -= share
    ring, talk = random.randint(*scenario.ring), random.randint(*scenario.talk)
    behaviour = None if number is None else scenario.numbers.get(national(number))
    if behaviour is not None:
        outcome = behaviour.outcome
        ring = ring if behaviour.ring is None else behaviour.ring
        talk = talk if behaviour.talk is None else behaviour.talk
    if outcome is Outcome.NO_ANSWER or ring > patience:
        return _Party(Outcome.NO_ANSWER, patience, talk)
    return _Party(outcome, ring, talk)

"""What is known of a batch of dials at any moment, and what it adds up to."""

from __future__ import annotations

import enum
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal

from attrs import Factory, define, field, frozen

from exotel_async import Call, CallOutcomeUnknown, DialTarget, ExotelError


class Stage(enum.StrEnum):
    """How far a dial has come."""

    WAITING = "not dialled"
    GOING_ON = "in progress"
    """Dialled; how it ended was not read so far."""
    ENDED = "ended"
    """Its length and price may still be missing."""
    SETTLED = "settled"
    REFUSED = "not accepted"
    UNKNOWN = "unknown"


@define(eq=False)
class Dial:
    """One number of the batch."""

    number: str = field(repr=False)
    stage: Stage = Stage.WAITING
    call: Call | None = None
    error: ExotelError | None = None
    taken_at: float | None = None

    def taken(self, call: Call) -> None:
        """It was dialled, and this is how the call stands now."""
        if self.call is None:
            self.taken_at = time.monotonic()
        self.call = call
        if not call.is_final:
            self.stage = Stage.GOING_ON
        else:
            self.stage = Stage.ENDED if call.duration is None else Stage.SETTLED

    def failed(self, error: ExotelError) -> None:
        """An error came instead of an answer. What was dialled stays dialled."""
        self.error = error
        if self.call is None:
            unknown = isinstance(error, CallOutcomeUnknown)
            self.stage = Stage.UNKNOWN if unknown else Stage.REFUSED

    @property
    def outcome(self) -> str:
        """The call's own word for its end, once it is final; else how far it has come."""
        if self.call is not None and self.call.is_final:
            return str(self.call.status)
        return self.stage.value


@frozen(kw_only=True)
class Row:
    """The calls of one outcome."""

    outcome: str
    calls: int
    share: float
    mean_duration: timedelta | None
    mean_talk_time: timedelta | None
    cost: Decimal | None


@define(eq=False)
class Board:
    """The whole batch."""

    dials: Sequence[Dial]
    started: float = Factory(time.monotonic)

    def start(self) -> None:
        """Take the time from now on."""
        self.started = time.monotonic()

    def adopt(self, ended: Call | CallOutcomeUnknown, target: DialTarget) -> None:
        """Enter how a dial went whose task was cancelled."""
        for dial in self.dials:
            if dial.number == target.from_:
                if isinstance(ended, Call):
                    dial.taken(ended)
                else:
                    dial.failed(ended)

    def dialling_took(self) -> float | None:
        """Seconds until the last call was made; None before."""
        taken = [dial.taken_at for dial in self.dials if dial.taken_at is not None]
        return max(taken) - self.started if len(taken) == len(self.dials) else None

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def count(self, *stages: Stage) -> int:
        """How many dials have come that far."""
        return sum(dial.stage in stages for dial in self.dials)

    def outcomes(self) -> Counter[str]:
        """How many final calls have each status."""
        return Counter(dial.outcome for dial in self.dials if dial.call and dial.call.is_final)

    def rows(self) -> list[Row]:
        """The batch by outcome: final ones first, the most frequent on top."""
        groups: dict[str, list[Dial]] = {}
        for dial in self.dials:
            groups.setdefault(dial.outcome, []).append(dial)
        stages = [stage.value for stage in Stage]

        def order(outcome: str) -> tuple[bool, int]:
            return outcome in stages, -len(groups[outcome])

        return [self._row(outcome, groups[outcome]) for outcome in sorted(groups, key=order)]

    def samples(self, most: int) -> list[Dial]:
        """A few settled calls, one of each outcome before a second of any."""
        seen: Counter[str] = Counter()
        ranked = []
        for dial in self.dials:
            if dial.stage is Stage.SETTLED:
                ranked.append((seen[dial.outcome], dial))
                seen[dial.outcome] += 1
        ranked.sort(key=lambda pair: pair[0])
        return [dial for _, dial in ranked[:most]]

    def _row(self, outcome: str, dials: Sequence[Dial]) -> Row:
        calls = [dial.call for dial in dials if dial.call is not None]
        prices = [call.price for call in calls if call.price is not None]
        return Row(
            outcome=outcome,
            calls=len(dials),
            share=len(dials) / len(self.dials),
            mean_duration=_mean(call.duration for call in calls),
            mean_talk_time=_mean(call.talk_time for call in calls if call.duration is not None),
            cost=sum(prices, Decimal()) if prices else None,
        )


def _mean(lengths: Iterable[timedelta | None]) -> timedelta | None:
    known = [length for length in lengths if length is not None]
    return sum(known, timedelta()) / len(known) if known else None

"""Random dials of ours and of others, held against what really became of each."""

from __future__ import annotations

import copy
import pickle
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from exotel_async import Call, CallOutcomeUnknown, Direction
from exotel_async.calls.reconcile_claims import LostDials
from exotel_async.calls.reconcile_evidence import Evidence, Records
from exotel_async.calls.seen import SeenCalls
from exotel_async.http.server_clock import ServerClock
from tests.conftest import AGENT, CUSTOMER, EXOPHONE

BEGAN = datetime(2026, 3, 2, 12, tzinfo=UTC)


@frozen
class Dial:
    """A dial, and what really became of it."""

    who: str
    """Of whom the account's records tell: we lost its outcome, we were answered, or another
    process has dialled."""
    at: int
    """Seconds, by Exotel's clock."""
    customer: str
    custom_field: str | None
    made: bool
    shown: dict[str, Any]
    """What its record shows otherwise."""


def some_dial(rng: random.Random) -> Dial:
    return Dial(
        who=rng.choice(["lost", "lost", "answered", "other"]),
        at=rng.randint(0, 300),
        customer=rng.choice([CUSTOMER, CUSTOMER, "+919812300003"]),
        custom_field=rng.choice([None, "order-7", "order-8"]),
        made=rng.random() < 0.5,
        shown=rng.choice(
            [{}, {}, {}, {"to": None}, {"direction": Direction.INBOUND}, {"created_at": None}]
        ),
    )


@frozen
class World:
    """What Exotel shows of the dials, and what we know of them."""

    dials: list[Dial]
    shows_fields: bool
    hours: int
    """How wrong our clock is."""

    def moment(self, seconds: float) -> datetime:
        """A time by Exotel's clock, a day ago."""
        return BEGAN + timedelta(hours=self.hours - 24, seconds=seconds)

    def error(self, dial: Dial) -> CallOutcomeUnknown:
        sent_at = self.moment(dial.at) - timedelta(hours=self.hours)
        return CallOutcomeUnknown(
            "lost",
            from_=AGENT,
            to=dial.customer,
            caller_id=EXOPHONE,
            custom_field=dial.custom_field,
            # Dials of one second are told apart by less than that.
            sent_at=sent_at + timedelta(microseconds=self.dials.index(dial)),
            lost_at=sent_at + timedelta(seconds=2),
        )

    def record(self, dial: Dial) -> Call:
        shown: dict[str, Any] = {
            "sid": f"{self.dials.index(dial)}",
            "direction": Direction.OUTBOUND_API,
            "from_": AGENT,
            "to": dial.customer,
            "exophone": EXOPHONE,
            "created_at": self.moment(dial.at + 1),
            "custom_field": dial.custom_field if self.shows_fields else None,
            "raw": {"CustomField": dial.custom_field or "N/A"} if self.shows_fields else {},
        }
        return Call(**(shown | dial.shown))

    def is_quite_like(self, call: Dial, dial: Dial) -> bool:
        """Whether another process's call shows nothing that makes it less likely than our own."""
        if "direction" in call.shown:
            return False
        if self.shows_fields and call.custom_field != dial.custom_field:
            return False
        if "to" in call.shown:
            # What carries the custom field need not show its parties.
            return self.shows_fields and dial.custom_field is not None
        return call.customer == dial.customer


class KnownClock(ServerClock):
    """Exotel's clock, and by how much ours is wrong."""

    def __init__(self, ahead: timedelta) -> None:
        super().__init__()
        self._ahead = ahead

    def now(self) -> datetime:
        return BEGAN + self._ahead

    def offset(self) -> timedelta:
        return self._ahead


# The seed decides everything: drawing each part by itself takes longer than what is tried.
@settings(max_examples=150)
@example(79502)
@given(st.integers(0, 2**32))
def test_no_call_is_found_for_another_dial_and_none_is_overlooked(seed: int) -> None:
    rng = random.Random(seed)
    dials = [some_dial(rng) for _ in range(rng.randint(1, 6))]
    hours = rng.choice([-1, 0, 1])
    world = World(dials, shows_fields=rng.random() < 0.5, hours=hours)
    known = SeenCalls()
    evidence = Evidence(KnownClock(timedelta(hours=hours)), LostDials(known), tuple)
    listed: list[Dial] = []
    lost: list[Dial] = []

    def look(dial: Dial, *, at_end: bool) -> None:
        error = world.error(dial)
        error = rng.choice([copy.copy(error), _pickled(error)])
        searched, records = evidence.dials.of(error), Records()
        minutes = evidence.minutes_of(searched)
        for one in listed:
            if minutes.may_contain(world.record(one)):
                evidence.note(searched, records, world.record(one))
        call = evidence.found(searched, records)
        mine = f"{dials.index(dial)}"
        others = [
            world.record(one).sid
            for one in listed
            if one.who == "other" and world.is_quite_like(one, dial)
        ]
        if call is not None:
            event("found")
            # Nobody can tell a call of our dial that is alone from one that another process made.
            assert call.sid == mine or [sid for sid in others if sid in records.calls] == [call.sid]
            return
        candidates = [one.sid for one in evidence.candidates(searched, records)]
        if candidates:
            event("ambiguous")
        if at_end and dial.made:
            assert mine in candidates
        if at_end and not candidates and evidence.is_absent(searched, records):
            event("absent")
            assert not dial.made

    for dial in sorted(dials, key=lambda one: one.at):
        if dial.who == "lost":
            evidence.note_lost(world.error(dial))
            lost.append(dial)
        elif dial.who == "answered" and dial.made:
            known.dialled(world.record(dial))
        if dial.made:
            listed.append(dial)
        if lost and rng.random() < 0.5:
            look(rng.choice(lost), at_end=False)
    for dial in rng.sample(lost, len(lost)):
        look(dial, at_end=True)


def _pickled(error: CallOutcomeUnknown) -> Any:
    return pickle.loads(pickle.dumps(error))  # noqa: S301

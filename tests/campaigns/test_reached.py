"""How a call counts that is over, of one party and of two."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

import pytest
from attrs import evolve

from exotel_async import AsyncExotel, Call, CallDetails, CallStatus, InvalidRequest, Leg
from exotel_async.campaigns import Reached
from exotel_async.emulator import Behaviour, Emulator, Scenario
from tests.conftest import AGENT, CUSTOMER, EXOPHONE

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def seconds(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(seconds=number)


def record(
    status: str | None, first: str | None, second: str | None, talked: int | None = None
) -> Call:
    """A call as its record has it some minutes after its end, with details."""
    statuses = [None if word is None else CallStatus(word) for word in (first, second)]
    return Call(
        sid="s",
        status=None if status is None else CallStatus(status),
        ended_at=NOON,
        duration=timedelta(seconds=90),
        price=Decimal("0.750"),
        details=CallDetails(
            talk_time=seconds(talked), leg1_status=statuses[0], leg2_status=statuses[1]
        ),
    )


ONE = [
    ("completed", "reached"),
    ("busy", "busy"),
    ("no-answer", "no-answer"),
    ("failed", "failed"),
    ("canceled", "failed"),
    ("in-progress", None),
    ("a new word", None),
    (None, None),
]


@pytest.mark.parametrize(("status", "word"), ONE)
def test_a_call_to_a_flow_counts_by_its_status_at_once(status: str | None, word: str) -> None:
    call = Call(sid="s", status=None if status is None else CallStatus(status))
    assert Reached().word_of(call, two=False) == word


@pytest.mark.parametrize("status", ["a new word", None])
@pytest.mark.parametrize("two", [False, True])
def test_a_call_that_ended_with_a_word_not_known_is_no_reason_to_dial_again(
    status: str | None, two: bool
) -> None:
    call = Call(sid="s", status=None if status is None else CallStatus(status), ended_at=NOON)
    assert Reached().word_of(call, two=two) is None
    assert Reached().word_of(call, two=two, settled=True) == "reached"
    assert Reached().word_of(record(status, "busy", None), two=two) == "busy"
    assert Reached().word_of(record(status, status, None), two=two, settled=True) != "failed"


TWO = [
    # Both spoke.
    ("completed", "completed", "completed", 44, "reached"),
    ("completed", "completed", None, 44, "reached"),
    ("completed", "completed", "completed", 0, "reached"),
    # The first one answered, the agent was not reached, whatever the status makes of it.
    ("completed", "completed", "no-answer", 0, "not-reached"),
    ("no-answer", "completed", "no-answer", None, "not-reached"),
    ("busy", "completed", "busy", 0, "not-reached"),
    ("failed", "completed", "canceled", 0, "not-reached"),
    ("busy", None, "busy", None, "not-reached"),
    ("completed", "completed", None, None, "not-reached"),
    ("completed", None, None, None, "not-reached"),
    # The first one did not.
    ("busy", "busy", None, None, "busy"),
    ("no-answer", "no-answer", None, 0, "no-answer"),
    ("completed", "no-answer", None, 0, "no-answer"),
    ("failed", "failed", None, None, "failed"),
    ("failed", "canceled", None, None, "failed"),
    ("no-answer", None, None, None, "no-answer"),
    ("no-answer", "in-progress", None, None, "no-answer"),
]


@pytest.mark.parametrize(("status", "first", "second", "talked", "word"), TWO)
def test_a_call_between_two_counts_by_its_legs(
    status: str, first: str | None, second: str | None, talked: int | None, word: str
) -> None:
    assert Reached().word_of(record(status, first, second, talked), two=True) == word


@pytest.mark.parametrize("status", ["completed", "busy", "no-answer", "failed"])
def test_without_its_details_a_call_between_two_does_not_count_yet(status: str) -> None:
    call = Call(sid="s", status=CallStatus(status), ended_at=NOON)
    assert Reached().word_of(call, two=True) is None
    # Before the end has come, the record tells nothing of the second party.
    early = evolve(record(status, "completed", None), ended_at=None)
    assert Reached().word_of(early, two=True) is None


def test_who_was_not_reached_first_counts_before_the_end_has_come() -> None:
    call = evolve(record("busy", "busy", None), ended_at=None)
    assert Reached().word_of(call, two=True) == "busy"


@pytest.mark.parametrize(
    ("status", "word"),
    [("completed", "not-reached"), ("busy", "busy"), ("canceled", "failed")],
)
def test_details_that_never_come_are_taken_for_no(status: str, word: str) -> None:
    call = Call(sid="s", status=CallStatus(status))
    assert Reached().word_of(call, two=True, settled=True) == word
    assert Reached(10).word_of(call, two=False, settled=True) == word
    assert Reached().word_of(Call(sid="s"), two=True, settled=True) is None  # it is not over


@pytest.mark.parametrize(("talked", "word"), [(29, "not-reached"), (30, "reached")])
def test_who_talked_too_short_was_not_reached(talked: int, word: str) -> None:
    reached = Reached(talk_time=30)
    assert reached.word_of(record("completed", "completed", "completed", talked), two=True) == word
    assert reached.word_of(record("busy", "busy", None), two=True) == "busy"


@pytest.mark.parametrize(("on_line", "word"), [(29, "not-reached"), (30, "reached")])
def test_in_a_flow_it_counts_how_long_the_person_was_on_the_line(on_line: int, word: str) -> None:
    reached = Reached(timedelta(seconds=30))
    call = record("completed", "completed", None, 0)
    details = CallDetails(legs=(Leg(id=1, duration=seconds(on_line)),), talk_time=timedelta())
    assert reached.word_of(evolve(call, details=details), two=False) == word
    bot = CallDetails(talk_time=seconds(on_line))
    assert reached.word_of(evolve(call, details=bot), two=False) == word
    assert reached.word_of(evolve(call, details=None), two=False) is None
    assert reached.word_of(Call(sid="s", status=CallStatus.BUSY), two=False) == "busy"


def test_a_talk_time_of_zero_in_a_callback_is_not_known_yet() -> None:
    """Callbacks may be sent with lengths of zero; nobody is to be rung again for that."""
    reached = Reached(talk_time=30)
    whole = record("completed", "completed", "completed", 0)
    callback = evolve(whole, duration=None, price=None)
    assert reached.word_of(callback, two=True) is None
    assert reached.word_of(whole, two=True) == "not-reached"
    assert reached.word_of(callback, two=True, settled=True) == "not-reached"
    unreached = evolve(record("busy", "completed", "busy", 0), duration=None, price=None)
    assert reached.word_of(unreached, two=True) == "not-reached"


@pytest.mark.parametrize("status", ["second-leg", "completed"])
async def test_who_spoke_is_seen_whatever_the_status_says(
    emulator: Emulator, exotel: AsyncExotel, status: Literal["second-leg", "completed"]
) -> None:
    """Exotel's sources disagree on the status of a call whose second party was not reached."""
    emulator.unreached_second = status
    words = []
    for who, does in ((AGENT, "no-answer"), (CUSTOMER, "no-answer"), (AGENT, "completed")):
        emulator.scenario = evolve(Scenario.all_answered(), numbers={who: Behaviour(does)})
        made = await exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE)
        await emulator.finish_calls()
        call = await exotel.calls.get(made.sid, details=True)
        words.append(Reached().word_of(call, two=True))
    assert words == ["not-reached", "no-answer", "reached"]


@pytest.mark.parametrize("talk_time", [0, -1, 14_401, 1.5, "30"])
def test_a_talk_time_is_the_length_of_a_call(talk_time: float) -> None:
    with pytest.raises(InvalidRequest, match=r"talk_time=.*: must be 1 to 14400 whole seconds"):
        Reached(talk_time)


@pytest.mark.parametrize("reached", [Reached(), Reached(timedelta(minutes=1))])
def test_what_counts_comes_back_from_json(reached: Reached) -> None:
    assert Reached.from_dict(json.loads(json.dumps(reached.to_dict()))) == reached

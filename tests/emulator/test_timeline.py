"""The life of a call as it is planned, for any scenario: what holds of all of them."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.emulator import Behaviour, Outcome, Scenario
from exotel_async.emulator.calls import FINAL_STATUSES
from exotel_async.emulator.scenario import plan
from tests.emulator.support import AGENT, CUSTOMER, UNREACHED

FIRST = st.sampled_from([o for o in Outcome if o is not Outcome.CANCELED])
SECOND = st.none() | st.sampled_from(list(Outcome))
SECONDS = st.integers(0, 90)
RETRIED = {Outcome.FAILED, Outcome.NO_ANSWER}


@given(
    first=FIRST,
    second=SECOND,
    rings=st.tuples(SECONDS, SECONDS),
    talk=SECONDS,
    ring_timeout=st.none() | st.integers(1, 60),
    time_limit=st.none() | st.integers(1, 200),
    max_retries=st.integers(0, 3),
    second_decides=st.booleans(),
)
def test_what_holds_of_every_call(
    first: Outcome,
    second: Outcome | None,
    rings: tuple[int, int],
    talk: int,
    ring_timeout: int | None,
    time_limit: int | None,
    max_retries: int,
    second_decides: bool,
) -> None:
    numbers = {AGENT: Behaviour(first, ring=rings[0], talk=talk)}
    if second is not None:
        numbers[CUSTOMER] = Behaviour(second, ring=rings[1], talk=talk)
    line = plan(
        Scenario(numbers=numbers),
        Random(1),
        first=AGENT,
        second=None if second is None else CUSTOMER,
        ring_timeout=ring_timeout,
        time_limit=time_limit,
        max_retries=max_retries,
        second_decides=second_decides,
    )
    reached = line.first is Outcome.COMPLETED
    assert line.status in FINAL_STATUSES
    assert (line.answered is not None) is reached
    assert reached or line.price == 0
    assert (line.second is not None) is (reached and second is not None)
    assert (line.bridged is not None) is (line.second is Outcome.COMPLETED)
    assert line.talked == (0 if line.bridged is None else line.ended - line.bridged)
    if line.second in {None, Outcome.COMPLETED} or not second_decides:
        assert line.status is line.first
    else:
        assert line.status == dict(UNREACHED)[line.second]
    *before, last = line.attempts
    assert last.outcome is line.first
    assert {attempt.outcome for attempt in before} <= RETRIED
    again = line.first in RETRIED
    assert len(before) == max_retries if again else len(before) <= max_retries
    if time_limit is not None:
        assert line.ended - last.at <= time_limit


@pytest.mark.parametrize("outcome", ["failed", "no-answer"])
def test_a_first_party_who_is_not_reached_is_dialled_again_before_the_second_is(
    outcome: str,
) -> None:
    """Rung for 30 s or failed at once, and a minute later again; who is busy is left alone."""
    drawn = {outcome.replace("-", "_"): 0.5, "busy": 0}
    scenario = Scenario(
        **drawn,  # type: ignore[arg-type]
        **{"failed" if outcome == "no-answer" else "no_answer": 0},  # type: ignore[arg-type]
        numbers={CUSTOMER: Behaviour(ring=5, talk=30)},
        ring=(10, 10),
    )
    lines = [
        plan(
            scenario,
            Random(seed),
            first=AGENT,
            second=CUSTOMER,
            ring_timeout=None,
            time_limit=None,
            max_retries=2,
        )
        for seed in range(40)
    ]
    rung = 30 if outcome == "no-answer" else 10
    for line in lines:
        times = [attempt.at for attempt in line.attempts]
        assert times == [n * (rung + 60) for n in range(len(times))]
        if line.first is Outcome.COMPLETED:
            assert line.answered == times[-1] + 10
            assert (line.bridged, line.ended) == (line.answered + 5, line.answered + 35)
        else:
            assert (len(times), line.ended, line.second) == (3, times[-1] + rung, None)
    assert {len(line.attempts) for line in lines} == {1, 2, 3}
    assert {line.first for line in lines} == {Outcome.COMPLETED, Outcome(outcome)}

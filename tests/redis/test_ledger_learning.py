"""What the ledger learns of what the account takes, and how fast it has all go."""

from __future__ import annotations

import pytest

from tests.redis.scripted_processes import LIMIT, PER, SECOND, Learning, Ledger, refusal


@pytest.mark.parametrize(
    ("count", "learned"), [(0, 1), (1, 1), (2, 2), (20, 20), (56, 56), (57, 0)]
)
def test_what_it_takes_is_learned_unless_that_is_nearly_all(
    learning: Learning, count: int, learned: int
) -> None:
    assert learning.learn(count) == learned


def test_of_what_was_learned_a_stray_refusal_takes_little(learning: Learning) -> None:
    assert learning.learn(20) == 20
    learning.take(20)
    assert learning.refuse(20) == 19
    learning.take(19)
    assert learning.refuse(10) == 14, "three quarters at least"


@pytest.mark.parametrize(("count", "less"), [(56, 54), (21, 20), (2, 1)])
def test_the_next_refusal_takes_a_twentieth(learning: Learning, count: int, less: int) -> None:
    assert learning.learn(count) == count
    learning.take(count)
    assert learning.refuse(count) == less


def test_a_probe_that_is_refused_says_what_it_takes_if_that_is_close(learning: Learning) -> None:
    assert learning.learn(20) == 20
    for count, learned in ((20, 20), (16, 16), (5, 16), (12, 12)):
        assert learning.refuse(count) == learned


def test_a_trial_doubles_its_steps_and_ends_with_the_first_refusal(learning: Learning) -> None:
    learned = learning.learn(20)
    learning.take(19, 590)
    seen = []
    for _ in range(4):
        learned = learning.take(learned)
        seen.append(learned)
    assert seen == [22, 26, 34, 50]
    assert learning.refuse(30) == 30, "as far as it took it"
    learning.take(27)
    assert learning.refuse(28) == 20, "and then as before the trial"
    learning.take(19)
    assert learning.refuse(19) == 19
    assert learning.take(18, 590) == 19, "the next one is ten windows later"
    assert learning.take(18, 60) == 21


def test_all_of_it_has_to_be_taken_for_a_whole_window_to_prove_anything(
    learning: Learning,
) -> None:
    for number in (60, 40, 60):
        learning.take(number, 50)
    assert learning.learn(20) == 20, "it was never proven"


def test_what_was_proven_is_doubted_for_three_windows(learning: Learning) -> None:
    learning.take(60, 70)
    for _ in range(3):
        assert learning.refuse(20) == 0
        learning.take(20, 60)
    learning.take(20, 10)
    assert learning.refuse(20) == 20


def test_when_it_takes_all_again_the_trial_is_over(learning: Learning) -> None:
    learned = learning.learn(20)
    learning.take(19, 600)
    for _ in range(12):
        learned = learning.take(learned or LIMIT, 60)
    assert learned == 0
    # It is proven, and so doubted for three windows.
    for _ in range(4):
        assert learned == 0
        learning.take(20)
        learned = learning.refuse(20)
    assert learned == 20
    learning.take(16)
    assert learning.refuse(16) == 16, "that is no trial that has failed"


# How fast


RATE = LIMIT / (PER * SECOND)


def pace(ledger: Ledger, **words: object) -> float:
    """What part of the full pace a process is given that has all of the work."""
    answer = ledger.one.say(bulk=1000, **words)
    return float(answer["pace"]) / RATE


def test_a_refusal_that_nobody_can_explain_slows_all_down_for_a_while(ledger: Ledger) -> None:
    ledger.one.say(bulk=1000)
    ledger.simulation.run(60)
    strict = (LIMIT - 2) / LIMIT
    refused = [refusal(ledger, pressed=False, after=0)]
    assert pace(ledger, refusals=refused, taken=5) == pytest.approx(strict * 0.7)
    assert ledger.one.answer["strict"]
    epoch = ledger.one.answer["gate"]["epoch"]
    assert pace(ledger, answered=epoch) == pytest.approx(strict * 0.7)
    ledger.simulation.run(20)
    refused = [refusal(ledger, pressed=False, after=0)]
    assert pace(ledger, refusals=refused) == pytest.approx(strict * 0.8 * 0.7)
    # The same again of a probe is no news.
    refused = [refusal(ledger, pressed=False, after=0)]
    assert pace(ledger, refusals=refused) == pytest.approx(strict * 0.56)
    ledger.simulation.run(20)
    assert pace(ledger) == pytest.approx(strict * 0.66)
    for _ in range(4):
        ledger.simulation.run(29)
        ledger.one.say(bulk=1000)
    assert pace(ledger) == pytest.approx(strict)
    for _ in range(12):
        answered = ledger.one.answer["gate"]["epoch"]
        ledger.one.say(bulk=1000, answered=answered)
        ledger.one.say(bulk=1000, refusals=[refusal(ledger, pressed=False, after=0)])
    assert pace(ledger) == pytest.approx(strict * 0.05), "and never slower than that"


@pytest.mark.parametrize(("taken", "part"), [(0, 1.0), (3, 0.7)])
def test_in_the_first_window_somebody_else_may_have_used_it(
    ledger: Ledger, taken: int, part: float
) -> None:
    ledger.one.say(bulk=1000)
    refused = [refusal(ledger, pressed=False, after=0)]
    assert pace(ledger, refusals=refused, taken=taken) == pytest.approx(part)
    assert not ledger.one.answer["strict"]


def test_pace_and_burst_are_divided_by_what_is_held_and_by_those_at_work(ledger: Ledger) -> None:
    whole = LIMIT - 1
    for _ in range(3):
        ledger.one.say(bulk=2)
        ledger.one.say(used=2)
    one, other = ledger.one, ledger.other
    assert (one.held, one.answer["burst"]) == (3, 10 - 3)
    assert one.answer["pace"] / RATE == pytest.approx(1)
    # All of it is given away: there is what goes with what it holds, and the least burst.
    other.say(bulk=1)
    assert (other.held, other.answer["burst"]) == (2, 1.1)
    assert other.answer["pace"] / RATE == pytest.approx(2 / whole)
    # The other one lacks what is loose, and then has as much of it as this one.
    one.say(used=2)
    assert one.answer["pace"] / RATE == pytest.approx(3 / whole)
    assert one.answer["burst"] == 7 / 2
    other.say(used=1)
    assert other.answer["pace"] / RATE == pytest.approx((2 + 54 / 2) / whole)
    assert other.answer["burst"] == 7 / 2
    # The smallest burst is that of all, and who has nothing to do has none.
    other.say(used=1, burst=5)
    assert one.say(used=2)["burst"] == (5 - 1) / 2
    other.say(back=[0] * other.held, held=0)
    assert (other.answer["pace"], other.answer["burst"]) == (0, 0)


def test_who_goes_ahead_is_paid_for_by_those_who_can_wait(ledger: Ledger) -> None:
    one, other = ledger.one, ledger.other
    first = one.say(interactive=6)
    assert (first["ahead"], first["waiting"], first["charge"]) == (3, 3, 0)
    assert first["again"] == 8 * SECOND
    # Nobody else waits at bulk priority, and so it pays itself, one by one.
    second = one.say(interactive=6, used=3)
    assert (second["ahead"], second["charge"]) == (1, 1)
    # What is still owed is not asked for again.
    assert one.say(used=4, owed=1)["charge"] == 0
    assert [other.say(bulk=2)["charge"] for _ in range(2)] == [3, 0]


def test_strictly_counted_bursts_are_small(ledger: Ledger) -> None:
    ledger.one.say(bulk=1000)
    ledger.simulation.run(60)
    ledger.one.say(bulk=1000, refusals=[refusal(ledger, pressed=False, after=0)])
    assert ledger.one.answer["burst"] == 1.1
    assert ledger.one.say(interactive=5, bulk=10)["ahead"] == 1

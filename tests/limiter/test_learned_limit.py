"""What refusals teach of an account of 100 in a minute: moment by moment, without a loop."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async import RateLimit
from exotel_async.limiter.learned_limit import LearnedLimit, Tally

PER = 60.0


def learned(limit: int | None = None, *, rate: int = 100, at: float = 0.0) -> LearnedLimit:
    """One that has learned a limit, its last refusal at a moment; or nothing."""
    one = LearnedLimit(RateLimit(rate, per=PER))
    if limit is not None:
        refuse(one, limit, at - PER / 2)
        assert refuse(one, limit, at)
        assert one.limit == limit
    return one


def refuse(
    one: LearnedLimit, count: int, now: float, *, early: bool = False, again: bool = False
) -> bool:
    return one.refused(count, now, early=early, again=again)


def test_a_tally_counts_the_last_window() -> None:
    tally = Tally(PER)
    for moment in (0.0, 10.0, 20.0):
        tally.add(moment)
    assert [tally.count(now) for now in (20.0, 59.9, 60.0, 70.1, 80.0)] == [3, 3, 2, 1, 0]


_ANSWERS = st.tuples(
    st.sampled_from(["took", "refused", "early", "again"]),
    st.sampled_from([1, 20, 50, 60, 80, 94, 95, 100]),
    st.sampled_from([1.0, 29.0, 30.0, 59.0, 60.0, 61.0, 180.0, 600.0]),
)


@given(st.lists(_ANSWERS, max_size=12), st.integers(0, 12), st.sampled_from([-4096.0, 0.5, 8192.0]))
def test_another_clock_changes_nothing_of_what_is_learned(
    answers: list[tuple[str, int, float]], place: int, seconds: float
) -> None:
    def learn(moved: float) -> list[tuple[bool, int | None]]:
        one, now, news = learned(), 1024.0, []
        for number, (what, count, later) in enumerate(answers):
            if number == place:
                one.move(moved)
                now += moved
            now += later
            kind: dict[str, Any] = {"early": what == "early", "again": what == "again"}
            changes = (
                one.accepted(count, now) if what == "took" else one.refused(count, now, **kind)
            )
            news.append((changes, one.limit))
        return news

    assert learn(seconds) == learn(0.0)


@pytest.mark.parametrize("seconds", [512.0, -512.0])
@pytest.mark.parametrize(("later", "changes"), [(PER / 2 - 1, False), (PER / 2, True)])
def test_how_long_ago_a_refusal_was_is_known_by_another_clock(
    seconds: float, later: float, changes: bool
) -> None:
    one = learned()
    refuse(one, 50, 1000.0)
    one.move(seconds)
    assert refuse(one, 50, 1000.0 + seconds + later) is changes


@pytest.mark.parametrize("seconds", [512.0, -512.0])
@pytest.mark.parametrize(("later", "proven"), [(PER - 1, False), (PER, True)])
def test_how_long_an_account_has_given_all_of_it_is_known_by_another_clock(
    seconds: float, later: float, proven: bool
) -> None:
    one = learned()
    one.accepted(95, 1000.0)
    one.move(seconds)
    one.accepted(95, 1000.0 + seconds + later)
    refuse(one, 50, 1200.0 + seconds)
    assert refuse(one, 50, 1290.0 + seconds) is not proven


def test_a_limit_takes_two_refusals_half_a_window_apart() -> None:
    one = learned()
    assert [refuse(one, 50, now) for now in (1000.0, 1001.0, 1029.0)] == [False] * 3
    assert one.limit is None
    assert refuse(one, 50, 1030.0)
    assert one.limit == 50


@pytest.mark.parametrize(("pause", "limit"), [(3 * PER, 50), (3 * PER + 1, None)])
def test_a_refusal_is_forgotten_after_three_windows(pause: float, limit: int | None) -> None:
    one = learned()
    refuse(one, 50, 0.0)
    refuse(one, 50, pause)
    assert one.limit == limit
    refuse(one, 50, pause + 30)
    assert one.limit is not None


@pytest.mark.parametrize(("count", "limit"), [(50, 50), (51, None)])
def test_refusals_at_different_counts_are_for_different_reasons(
    count: int, limit: int | None
) -> None:
    one = learned()
    refuse(one, 40, 0.0)
    refuse(one, 45, 10.0)  # it is the lowest of them that counts
    refuse(one, count, 40.0)
    assert one.limit == limit


def test_a_refusal_for_another_reason_may_be_the_first_of_a_limit() -> None:
    one = learned()
    refuse(one, 20, 0.0)
    assert not refuse(one, 60, 40.0)
    assert not refuse(one, 60, 69.0)
    assert refuse(one, 60, 70.0)
    assert one.limit == 60


def test_the_spending_of_somebody_before_teaches_nothing_yet() -> None:
    one = learned()
    assert not refuse(one, 50, 0.0, early=True)
    assert not refuse(one, 50, 50.0, early=True)
    assert refuse(one, 50, 61.0)


@pytest.mark.parametrize(("count", "limit"), [(94, 94), (95, None)])
def test_who_is_given_nearly_all_has_no_smaller_limit(count: int, limit: int | None) -> None:
    one = learned()
    refuse(one, count, 0.0)
    assert refuse(one, count, 40.0) is (limit is not None)
    assert one.limit == limit


@pytest.mark.parametrize(
    ("took", "proven"),
    [
        ([(95, 0.0), (95, 60.0)], True),
        ([(100, 0.0), (95, 30.0), (97, 60.0)], True),
        ([(95, 0.0), (95, 59.0)], False),
        ([(95, 0.0), (94, 30.0), (95, 60.0)], False),
        ([(94, 0.0), (94, 60.0), (94, 120.0)], False),
    ],
)
def test_an_account_that_gave_all_of_it_for_a_window_takes_longer_to_doubt(
    took: list[tuple[int, float]], proven: bool
) -> None:
    one = learned()
    assert not any(one.accepted(count, 1000 + now) for count, now in took)
    refuse(one, 50, 1200.0)
    assert refuse(one, 50, 1290.0) is not proven
    if proven:
        assert not refuse(one, 50, 1379.0)
        assert refuse(one, 50, 1380.0)


def test_a_refusal_ends_the_window_in_which_it_gives_all_of_it() -> None:
    one = learned()
    one.accepted(95, 0.0)
    refuse(one, 50, 30.0)
    one.accepted(95, 60.0)
    assert refuse(one, 50, 61.0), "nothing is proven"


def test_what_was_proven_counts_once() -> None:
    one = learned()
    one.accepted(95, 0.0)
    one.accepted(95, 60.0)
    for now in (100.0, 190.0, 280.0):
        refuse(one, 90, now)
    limits = [one.limit]
    assert one.accepted(90, 280.0 + 10 * PER)
    assert one.accepted(90, 280.0 + 11 * PER)
    assert [*limits, one.limit] == [90, None]
    refuse(one, 50, 2000.0)
    assert refuse(one, 50, 2030.0)


@pytest.mark.parametrize(
    ("high_at", "limit"), [(-60.0, 60), (-61.0, 20)], ids=["remembered", "forgotten"]
)
def test_what_was_taken_in_the_last_window_is_no_less_than_three_quarters_of_the_limit(
    high_at: float, limit: int
) -> None:
    one = learned()
    refuse(one, 80, high_at)
    refuse(one, 20, 0.0)
    assert one.limit == limit


def test_what_was_taken_again_in_the_last_window_is_remembered_from_then() -> None:
    one = learned()
    refuse(one, 80, -70.0, early=True)
    refuse(one, 80, -20.0, early=True)
    refuse(one, 20, 0.0)
    assert one.limit == 60


def test_a_refusal_without_a_good_answer_counts_as_one() -> None:
    one = learned()
    refuse(one, 0, 0.0)
    assert refuse(one, 0, 30.0)
    assert one.limit == 1


@pytest.mark.parametrize(
    ("before", "count", "after"),
    [(80, 80, 76), (80, 90, 76), (80, 77, 76), (80, 70, 70), (80, 10, 60), (10, 10, 9), (1, 1, 1)],
)
def test_a_limit_that_is_refused_as_well_is_lowered_by_a_twentieth_to_a_quarter(
    before: int, count: int, after: int
) -> None:
    one = learned(before)
    assert refuse(one, count, 100.0)
    assert one.limit == after


@pytest.mark.parametrize(("count", "limit"), [(59, 80), (60, 60), (79, 79), (80, 80)], ids=str)
def test_a_probe_that_is_refused_again_lowers_the_limit_if_it_came_near_it(
    count: int, limit: int
) -> None:
    one = learned(80)
    assert refuse(one, count, 10.0, again=True) is (limit != 80)
    assert one.limit == limit


def test_a_probe_that_is_refused_again_teaches_no_limit() -> None:
    one = learned()
    refuse(one, 50, 0.0)
    assert not refuse(one, 50, 40.0, again=True)
    assert one.limit is None


@pytest.mark.parametrize(
    ("count", "now", "limit"),
    [(44, 599.9, 50), (43, 600.0, 50), (44, 600.0, 55)],
    ids=["too soon", "with room left", "trial"],
)
def test_ten_windows_after_a_refusal_a_limit_that_is_used_is_tried_for_more(
    count: int, now: float, limit: int
) -> None:
    one = learned(50)
    assert one.accepted(count, now) is (limit != 50)
    assert one.limit == limit


def test_a_trial_takes_bigger_steps_until_the_whole_budget_is_back() -> None:
    one, limits = learned(50), []
    for window in range(10, 14):
        assert not one.accepted(100, window * PER - 0.1)
        assert one.accepted(100, window * PER)
        limits.append(one.limit)
    assert limits == [55, 65, 85, None]
    assert not one.accepted(100, 14 * PER), "there is nothing to try for"
    assert not refuse(one, 50, 14 * PER + 40), "what was learned before is forgotten"
    assert refuse(one, 50, 14 * PER + 70)
    assert refuse(one, 50, 14 * PER + 100)
    assert one.limit == 48, "and so is the trial"


def test_a_trial_for_all_of_it_ends_what_was_learned() -> None:
    one = learned(91)
    assert one.accepted(91, 600.0)
    assert one.limit is None


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_smallest_limits_are_tried_for_more_as_well(limit: int) -> None:
    one = learned(limit, rate=10)
    assert one.accepted(1, 600.0)
    assert one.limit == limit + 1
    assert not one.accepted(0, 660.0)


@pytest.mark.parametrize(("count", "limit"), [(60, 55), (53, 53), (20, 50)])
def test_a_refusal_ends_a_trial_at_what_held(count: int, limit: int) -> None:
    one = learned(50)
    one.accepted(50, 600.0)
    one.accepted(55, 660.0)
    assert one.limit == 65
    assert refuse(one, count, 700.0)
    assert one.limit == limit
    assert not one.accepted(65, 700.0 + 10 * PER - 1), "the next begins ten windows later"


def test_a_trial_that_fell_and_is_refused_again_ends_where_it_began() -> None:
    one = learned(50)
    one.accepted(50, 600.0)
    one.accepted(55, 660.0)
    refuse(one, 60, 700.0)
    assert one.limit == 55
    assert not refuse(one, 54, 710.0, again=True), "it is the same refusal"
    assert refuse(one, 54, 730.0)
    assert one.limit == 50
    assert refuse(one, 50, 760.0)
    assert one.limit == 48, "and from there on it is lowered"


def test_each_trial_begins_with_a_small_step_from_the_limit_there_is() -> None:
    one = learned(50)
    one.accepted(50, 600.0)
    one.accepted(55, 660.0)
    refuse(one, 60, 700.0)
    assert one.limit == 55
    assert one.accepted(55, 1300.0)
    assert one.limit == 55 + 6
    assert refuse(one, 58, 1350.0)
    assert one.limit == 55


def test_a_trial_after_one_that_was_refused_twice_falls_in_its_own_right() -> None:
    one = learned(50)
    one.accepted(50, 600.0)
    refuse(one, 50, 610.0)
    assert one.limit == 50
    one.accepted(50, 1210.0)
    assert one.limit == 55
    assert not refuse(one, 20, 1215.0, again=True)
    assert refuse(one, 53, 1220.0, again=True), "near it, a probe counts again"

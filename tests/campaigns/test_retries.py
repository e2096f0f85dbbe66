"""How often, and when, somebody is dialled again, against a model written apart from the code."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exotel_async import IST, InvalidRequest
from exotel_async.campaigns import Retries, Retry, Schedule
from tests.campaigns.schedule_model import Model
from tests.campaigns.strategies import schedules

WORDS = ("busy", "no-answer", "failed", "not-reached")
NOON = datetime(2026, 11, 27, 12, tzinfo=IST)
ALWAYS = Schedule(hours="00:00-24:00")

gaps = st.integers(1, 6 * 3600).map(lambda seconds: timedelta(seconds=seconds))
rules = st.builds(Retry, st.integers(1, 5), gaps, exponential=st.booleans())
retries = st.builds(Retries, **{word.replace("-", "_"): st.none() | rules for word in WORDS})


@settings(max_examples=60, deadline=None)
@given(retries, schedules(), st.lists(st.sampled_from(WORDS), max_size=12))
def test_a_contact_is_dialled_again_as_the_model_says(
    rules: Retries, case: tuple[Schedule, Model, datetime], story: list[str]
) -> None:
    """One attempt after another, each a minute long, until none is made any more."""
    schedule, model, ended_at = case
    tries: dict[str, int] = {}
    expected_gaps: dict[str, timedelta] = {}
    for word in story:
        tries[word] = tries.get(word, 0) + 1
        rule = getattr(rules, word.replace("-", "_"))
        due = None
        if rule is not None and tries[word] <= rule.times:
            gap = expected_gaps.get(word, rule.gap)
            expected_gaps[word] = gap + gap if rule.exponential else gap
            due = model.next_open(ended_at + gap)
        assert rules.due_at(word, tries, ended_at, schedule, None) == due
        if due is None:
            break
        ended_at = due + timedelta(minutes=1)


@settings(max_examples=30, deadline=None)
@given(retries)
def test_retries_come_back_from_json(rules: Retries) -> None:
    assert Retries.from_dict(json.loads(json.dumps(rules.to_dict()))) == rules


def test_without_rules_nobody_is_dialled_again() -> None:
    assert [Retries().due_at(word, {word: 1}, NOON, ALWAYS) for word in WORDS] == [None] * 4
    assert Retries(busy=Retry(1, 60)).due_at("reached", {"reached": 1}, NOON, ALWAYS) is None


def test_each_outcome_is_counted_for_itself() -> None:
    rules = Retries(busy=Retry(1, 60), no_answer=Retry(2, timedelta(hours=3)))
    tries = {"busy": 1, "no-answer": 2}
    assert rules.due_at("no-answer", tries, NOON, ALWAYS) == NOON + timedelta(hours=3)
    assert rules.due_at("busy", {**tries, "busy": 2}, NOON, ALWAYS) is None


def test_an_exponential_gap_doubles_up_to_a_year() -> None:
    rule = Retry(100, timedelta(minutes=10), exponential=True)
    assert [rule.gap_after(tries) for tries in (1, 2, 3)] == [
        timedelta(minutes=10),
        timedelta(minutes=20),
        timedelta(minutes=40),
    ]
    assert rule.gap_after(100) == timedelta(days=366)
    assert Retry(3, timedelta(days=200), exponential=True).gap_after(3) == timedelta(days=200)
    assert Retry(3, 600).gap_after(3) == timedelta(minutes=10)


def test_a_retry_that_comes_due_at_night_is_made_in_the_morning() -> None:
    rules = Retries(busy=Retry(3, timedelta(minutes=10)))
    evening = datetime(2026, 12, 31, 20, 55, tzinfo=IST)
    due = rules.due_at("busy", {"busy": 1}, evening, Schedule())
    assert due == datetime(2027, 1, 1, 9, tzinfo=IST)
    assert due.tzinfo is UTC
    # In Dubai it is an hour and a half earlier.
    assert rules.due_at("busy", {"busy": 1}, evening, Schedule(), "Asia/Dubai") == (
        evening + timedelta(minutes=10)
    )


def test_no_retry_is_made_after_the_end() -> None:
    rules = Retries(busy=Retry(3, timedelta(minutes=10)))
    for end in (NOON + timedelta(minutes=10), datetime(2026, 11, 28, 8, tzinfo=IST)):
        schedule = Schedule(end=end)
        evening = min(NOON, end) if end.day == 27 else NOON + timedelta(hours=8, minutes=55)
        assert rules.due_at("busy", {"busy": 1}, evening, schedule) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Retry(0, 60), "times=0: must be a whole number from 1 to 100"),
        (lambda: Retry(101, 60), "times=101: must be a whole number from 1 to 100"),
        (lambda: Retry(1.5, 60), "times=1.5: must be a whole number from 1 to 100"),  # type: ignore[arg-type]
        (lambda: Retry(1, 0), "gap=0: must be seconds, more than 0 and at most a year"),
        (lambda: Retry(1, 0.5), "gap=0.5: must be from one second to 366 days"),
        (
            lambda: Retry(1, timedelta(days=367)),
            "gap=31708800 s: must be from one",
        ),
        (lambda: Retry(1, -timedelta(1)), "gap=-86400 s: must be from one"),
        (lambda: Retry(1, "10m"), "gap='10m': must be seconds"),  # type: ignore[arg-type]
        (lambda: Retry(1, 60, exponential=None), "exponential=None: must be True or False"),  # type: ignore[arg-type]
        (lambda: Retries(no_answer=3), "no_answer=3: must be a Retry, such as Retry(3, "),  # type: ignore[arg-type]
    ],
)
def test_nonsense_is_refused_in_words(make: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        make()
    assert message in str(caught.value)

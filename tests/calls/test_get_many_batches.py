"""What of many SIDs is asked for next."""

from __future__ import annotations

import pytest

from exotel_async.calls.get_many_batches import BatchPlanner

SIDS = [f"sid{number}" for number in range(250)]


def test_a_query_takes_a_whole_batch_while_more_may_come() -> None:
    stages = BatchPlanner(1, 100)
    stages.enter(SIDS[:250])
    assert stages.take(ended=False, dry=False) == (0, SIDS[:100])
    assert stages.take(ended=False, dry=False) == (0, SIDS[100:200])
    assert stages.take(ended=False, dry=False) is None
    assert stages.take(ended=True, dry=False) == (0, SIDS[200:])


def test_what_waits_at_the_end_is_asked_for_before_more_is_begun() -> None:
    stages = BatchPlanner(2, 100)
    stages.enter(SIDS[:200])
    stages.take(ended=False, dry=False)
    stages.done(0, SIDS[:100])
    assert stages.take(ended=False, dry=False) == (1, SIDS[:100])
    stages.done(1, SIDS[:1])
    assert stages.take(ended=False, dry=False) == (stages.last, SIDS[:1])


def test_at_the_end_a_stage_waits_for_what_the_one_before_leaves_out() -> None:
    stages = BatchPlanner(2, 100)
    stages.enter(SIDS[:150])
    stages.take(ended=True, dry=False)
    stages.done(0, SIDS[:10])
    assert stages.take(ended=True, dry=False) == (0, SIDS[100:150])
    assert stages.take(ended=True, dry=False) is None, "10 wait for what the 50 leave out"
    stages.done(0, SIDS[100:105])
    assert stages.take(ended=True, dry=False) == (1, [*SIDS[:10], *SIDS[100:105]])


@pytest.mark.parametrize("stage", [0, 1])
def test_nothing_waits_for_a_source_that_has_run_dry(stage: int) -> None:
    stages = BatchPlanner(2, 100)
    stages.enter(SIDS[:100])
    stages.take(ended=False, dry=False)
    if stage:
        stages.done(0, SIDS[:3])
    else:
        stages.enter(SIDS[:3])
    assert stages.take(ended=False, dry=False) is None
    assert stages.take(ended=False, dry=True) == (stage, SIDS[:3])


def test_it_is_empty_when_nothing_waits_and_nothing_is_asked_for() -> None:
    stages = BatchPlanner(1, 100)
    empty = [stages.is_empty]
    stages.enter(SIDS[:1], singly=True)
    empty.append(stages.is_empty)
    assert stages.take(ended=False, dry=False) == (stages.last, SIDS[:1])
    empty.append(stages.is_empty)
    stages.done(stages.last, ())
    empty.append(stages.is_empty)
    assert empty == [True, False, False, True]

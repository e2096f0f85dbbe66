"""How often the reader of one call changes folders, as `python -m benchmarks walks` counts it."""

from __future__ import annotations

from benchmarks.walks import MOST, measure


async def test_one_call_changes_folders_at_most_half_as_often_as_before() -> None:
    changes = {walk.name: walk.changes for walk in await measure()}

    assert changes.keys() == MOST.keys()
    assert all(changes[name] <= MOST[name] for name in MOST), changes

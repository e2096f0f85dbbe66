"""How often the reader of one call changes folders, as `python -m benchmarks walks` counts it."""

from __future__ import annotations

from benchmarks.walks import MOST, measure


async def test_a_call_changes_folders_no_more_often_than_half_of_what_it_did() -> None:
    changes = {walk.name: walk.changes for walk in await measure()}

    assert changes.keys() == MOST.keys()
    assert all(changes[name] <= MOST[name] for name in MOST), changes

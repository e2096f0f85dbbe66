"""The gate of a process that shares its pauses with others."""

from __future__ import annotations

from typing import Any

import pytest

from exotel_async.config import RateLimit
from exotel_async.redis.pause import SharedGate


def said(**word: Any) -> dict[str, Any]:
    return {"epoch": 2, "row": 0, "left": 0, "paused": False} | word


@pytest.mark.parametrize("sent", [False, True])
async def test_old_news_of_a_cleared_pause_sends_no_second_probe(*, sent: bool) -> None:
    """What is published may come after the answer to what was asked later."""
    asked: list[str] = []
    gate = SharedGate(RateLimit(100, per=60), lambda: None, lambda: asked.append("leave"))
    gate.follow(said(epoch=1, state="shut", left=60_000_000, paused=True), now=0.0)
    gate.follow(said(state="probe"), now=1.0)
    assert gate.wants_leave
    gate.probe_sent = sent
    gate.hear(said(), now=1.0)
    assert asked == []
    assert gate.half_open
    assert gate.probe_sent is sent
    # A pause of that epoch shuts it as before.
    gate.hear(said(left=5_000_000), now=1.0)
    assert gate.shut_for(1.0) == pytest.approx(5.0)

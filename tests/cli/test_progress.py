"""How long runs show how far they have come."""

from __future__ import annotations

import io
from datetime import timedelta

from attrs import evolve
from rich.console import Console

from exotel_async import LimiterStatistics
from exotel_async.cli.progress import Requests, progress

STANDING = Requests(
    done="1,600 of 5,004 calls",
    share=0.32,
    elapsed=65.0,
    left=timedelta(seconds=138),
    requests=17,
    budget=200,
    limiter=LimiterStatistics(
        granted=17,
        waiting_interactive=0,
        waiting_bulk=1,
        in_flight=1,
        window_used=42,
        window_size=199,
        paused_for=0.0,
        refused=0,
        strict=False,
        pace=3.3,
        longest_wait=0.3,
        reported={},
    ),
)


def test_on_a_terminal_bars_move_and_leave_nothing_behind() -> None:
    file = io.StringIO()
    with progress(Console(file=file, force_terminal=True, width=100, height=30)) as show:
        show(STANDING)
        show(evolve(STANDING, share=None, left=None))
    shown = file.getvalue()
    for words in ("1,600 of 5,004 calls", "42 of 200 a minute", "1:05, about 2:18 left", "17 req"):
        assert words in shown
    assert "\x1b[?25h" in shown  # the cursor is back


def test_elsewhere_there_is_a_line_now_and_then() -> None:
    file = io.StringIO()
    with progress(Console(file=file, width=60)) as show:
        show(evolve(STANDING, elapsed=29.9))
        assert file.getvalue() == ""
        paused = evolve(STANDING.limiter, paused_for=4.2)
        show(evolve(STANDING, limiter=paused))
        show(evolve(STANDING, elapsed=89.9))
    assert file.getvalue() == (
        "1,600 of 5,004 calls; 17 requests, 42 of 200 a minute, paused for 4 s; "
        "1:05, about 2:18 left\n"
    )

"""`exotel-async demo`."""

from __future__ import annotations

import asyncio
import io
import json
import re
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from exotel_async import (
    AsyncExotel,
    Call,
    CallDetails,
    CallOutcomeUnknown,
    CallStatus,
    DialTarget,
)
from exotel_async.cli.demo import Plan, Run, numbers
from exotel_async.cli.demo_display import DemoStanding
from exotel_async.cli.demo_state import Board, Dial, Stage
from exotel_async.cli.progress import progress
from exotel_async.emulator import Fault
from tests.cli.support import environment, ran, started
from tests.support import fork_server

pytestmark = pytest.mark.slow(4)


async def test_it_dials_reads_back_and_prints_a_table() -> None:
    ended = await ran("demo", "--calls", "40", "--speed", "100")
    assert ended.code == 0, ended
    assert ended.err == ""
    first, second = ended.out.splitlines()[:2]
    assert "local emulator" in first
    assert "no real phone rings" in first
    assert "100 times as fast" in second
    assert "completed" in ended.out
    assert "0 refused (429)" in ended.out
    at_most = re.search(r"at most (\d+) in any minute", ended.out)
    assert at_most is not None
    # How many depends on this computer: the emulator's minute has 0.6 s.
    assert 0 < int(at_most[1]) < 200
    # This is no terminal: a few plain lines, and everywhere masked numbers.
    assert "\x1b" not in ended.out
    assert len(ended.out.splitlines()) < 60
    assert not re.search(r"\d{8}", ended.out)


async def test_its_result_is_json_where_that_is_asked_for() -> None:
    ended = await ran("demo", "--calls", "5", "--speed", "100", "--json")
    assert ended.code == 0, ended
    result = json.loads(ended.out)
    assert sum(row["calls"] for row in result["outcomes"]) == 5
    assert result["emulator"]["refused"] == 0
    assert "no real phone rings" in ended.err


async def test_ctrl_c_ends_it_with_what_was_done() -> None:
    # Slower than by itself: of what is in flight then, a busy computer has the answers in time.
    async with started("demo", "--speed", "10") as running:
        await running.line(" dialled, ")
        ended = await running.end(signal.SIGINT)
    assert ended.code == 130, ended
    assert ended.err == ""
    assert "Interrupted after" in ended.out
    counts = dict(re.findall(r"^(unknown|in progress|not dialled): (\d+)", ended.out, re.MULTILINE))
    assert counts["unknown"] == "0"
    assert int(counts["not dialled"]) > 0
    assert int(counts["in progress"]) > 0


async def test_it_never_leaves_this_process_whatever_the_environment_says() -> None:
    connections = 0

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as canary:
        url = f"http://127.0.0.1:{canary.sockets[0].getsockname()[1]}"
        ended = await ran(
            "demo",
            *("--calls", "5", "--speed", "100"),
            env=environment(
                EXOTEL_SUBDOMAIN=url,
                EXOTEL_API_KEY="canary-key",
                EXOTEL_API_TOKEN="canary-token",
                EXOTEL_ACCOUNT_SID="canary-account",
                HTTP_PROXY=url,
                HTTPS_PROXY=url,
                ALL_PROXY=url,
                EXOTEL_RATE_LIMIT_URL=url.replace("http:", "redis:"),
            ),
        )
    assert ended.code == 0, ended
    assert connections == 0
    assert "canary" not in ended.out + ended.err


async def test_it_does_not_wait_for_a_server_of_a_shared_budget() -> None:
    arguments = ("demo", "--calls", "5", "--speed", "100")
    for url in ("redis://127.0.0.1:1", "nonsense"):
        async with asyncio.timeout(20):
            ended = await ran(*arguments, env=environment(EXOTEL_RATE_LIMIT_URL=url))
        assert ended.code == 0, ended
        assert ended.err == ""


async def test_a_closed_pipe_ends_it_quietly() -> None:
    async with started("demo") as running:
        await running.line("asyncio.gather now dials")
        assert isinstance(running.process, fork_server.Process)
        running.process.stop_reading()
        assert running.process.stderr is not None
        assert await running.process.stderr.read() == b""
        assert await running.process.wait() == 130


async def test_a_dial_in_the_air_when_it_is_cut_short_is_reported_as_unknown() -> None:
    run = Run(Plan(calls=8, speed=100, seed=1))
    run.emulator.faults.add(Fault.act_then_stall(), path="Calls/connect", times=2, after=1)
    all_sent = asyncio.Event()

    def watch(board: Board, _: object) -> None:
        # All dials but the two that hang have been answered.
        if board.count(Stage.WAITING) == 2:
            all_sent.set()

    task = asyncio.create_task(run.go(watch))
    await all_sent.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert run.board.count(Stage.UNKNOWN) == 2
    assert run.board.count(Stage.WAITING) == 0
    assert len(run.emulator.calls) == 8
    assert {row.outcome: row.calls for row in run.board.rows()}["unknown"] == 2


async def test_what_a_cancelled_dial_has_come_to_is_entered() -> None:
    made, lost = numbers(2)
    board = Board([Dial(made), Dial(lost)])
    call = Call(sid="s", from_="0" + made[3:], status=CallStatus.IN_PROGRESS)
    board.adopt(call, DialTarget(from_=made))
    now = datetime.now(UTC)
    board.adopt(
        CallOutcomeUnknown("cut", from_=lost, to=None, caller_id="0", sent_at=now, lost_at=now),
        DialTarget(from_=lost),
    )
    assert [dial.stage for dial in board.dials] == [Stage.GOING_ON, Stage.UNKNOWN]


def test_rows_put_outcomes_before_loose_ends_and_samples_show_each_outcome() -> None:
    board = Board([Dial(number) for number in numbers(6)])
    statuses = ["busy", "completed", "completed", "in-progress"]
    for dial, status in zip(board.dials, statuses, strict=False):
        final = status != "in-progress"
        length = timedelta(seconds=10) if final else None
        dial.taken(Call(sid="s", status=CallStatus(status), duration=length))
    rows = board.rows()
    assert [(row.outcome, row.calls) for row in rows] == [
        ("completed", 2),
        ("busy", 1),
        ("not dialled", 2),
        ("in progress", 1),
    ]
    assert rows[0].mean_duration == timedelta(seconds=10)
    assert rows[0].cost is None
    assert Counter(dial.outcome for dial in board.samples(2)) == {"busy": 1, "completed": 1}


def test_the_talk_time_of_calls_counts_only_when_it_is_known() -> None:
    """Just after the end it may be 0, as of a call without a conversation."""
    board = Board([Dial(number) for number in numbers(2)])
    early, later = (
        Call(
            sid="s", status=CallStatus.COMPLETED, details=CallDetails(talk_time=talk), duration=all_
        )
        for talk, all_ in ((timedelta(0), None), (timedelta(seconds=8), timedelta(seconds=20)))
    )
    board.dials[0].taken(early)
    assert board.rows()[0].mean_talk_time is None
    board.dials[1].taken(later)
    assert board.rows()[0].mean_talk_time == timedelta(seconds=8)


async def test_the_live_display_shows_progress_rate_and_queue_and_leaves_nothing_behind() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=30)
    board = Board([Dial(number) for number in numbers(4)])
    board.dials[0].taken(Call(sid="s", status=CallStatus.BUSY))
    async with AsyncExotel(
        account_sid="a", api_key="k", api_token="t", base_url="http://127.0.0.1:1"
    ) as exotel:
        limiter = exotel.limiter.statistics()
    with progress(console) as show:
        show(DemoStanding(board, limiter, 200))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("1 of 4 calls", "0 of 200 in a minute", "0 bulk, 0 interactive", "busy 1"):
        assert words in shown
    assert "\x1b[?25h" in shown  # the cursor is back
    plain = Console(file=io.StringIO(), width=40)
    with progress(plain) as show:
        show(DemoStanding(board, limiter, 200))
        show(DemoStanding(board, limiter, 200))
    lines = plain.file.getvalue()  # type: ignore[attr-defined]
    assert lines.endswith(" s  of 4: 1 dialled, 1 ended, 0 settled; rate 0/200, queue 0\n"), (
        "in one line, however narrow"
    )
    assert lines.count("\n") == 1, "nothing new"

"""`exotel-async demo`."""

from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
from rich.console import Console

from exotel_async.campaigns import (
    Attempt,
    AttemptState,
    CampaignState,
    CampaignStatistics,
    Contact,
    ContactOutcome,
    ContactState,
)
from exotel_async.cli.demo import Demo, demo
from exotel_async.cli.demo_display import DemoProgress
from exotel_async.cli.demo_plan import NAME, Plan
from exotel_async.cli.demo_proof import Rung, prove
from exotel_async.cli.demo_report import DemoReporter
from exotel_async.cli.progress import progress
from exotel_async.emulator import Behaviour, EmulatedCall, Emulator, Scenario
from exotel_async.emulator import Statistics as RequestStatistics
from exotel_async.emulator.calls import Dial
from tests.cli.support import EXOPHONE, FIRST, SECOND, environment, left_in, ran, started
from tests.conftest import SOON
from tests.support import fork_server

FAST = ("demo", "--fast")


def programs(shown: str) -> Sequence[int]:
    """The processes it says it has started."""
    return [int(pid) for pid in re.findall(r"\(process (\d+)\)", shown)]


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow(10)
async def test_its_program_is_killed_and_nobody_is_rung_twice(
    tmp_path: Path,
) -> None:
    connections = 0

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as canary:
        url = f"http://127.0.0.1:{canary.sockets[0].getsockname()[1]}"
        ended = await ran(
            *FAST,
            "--json",
            env=environment(
                TMPDIR=str(tmp_path),
                EXOTEL_SUBDOMAIN=url,
                EXOTEL_API_KEY="canary-key",
                EXOTEL_API_TOKEN="canary-token",
                EXOTEL_ACCOUNT_SID="canary-account",
                HTTP_PROXY=url,
                HTTPS_PROXY=url,
                ALL_PROXY=url,
                EXOTEL_RATE_LIMIT_URL=url.replace("http:", "redis:"),
                EXOTEL_HTTP="nonsense",
            ),
        )
    assert ended.code == 0, ended
    assert connections == 0
    assert "canary" not in ended.out + ended.err
    result = json.loads(ended.out)
    assert result["passed"] is True
    assert result["contacts"]["created"] == 10
    assert result["contacts"]["reached"] + result["contacts"]["not_reached"] == 10
    assert sum(one["times"] * one["contacts"] for one in result["rung"]) == result["calls"]
    assert result["in_flight_at_the_kill"] == [1]
    assert result["refused"] == 0
    shown = ended.err
    assert "no real phone rings" in shown.splitlines()[0]
    story = [
        "Started a program that dials",
        "Killed it (SIGKILL) after 4 dials: 4 calls were in progress, and the response to one dial",
        "its ledger has 4 dials, 1 of them in doubt",
        "not dialled again",
        "0  twice for one attempt",
        "0  to contacts already reached, or still on a call",
        "0  missing in the ledger or in the emulator's record",
        "1  placed by the dial whose response was lost",
        "requests, 0 were refused (429)",
        "No attempt was dialled twice, and no contact was lost.",
        "Next: `exotel-async emulator` runs",
    ]
    places = [shown.find(line) for line in story]
    assert -1 not in places, shown
    assert places == sorted(places)
    # This is no terminal: a few plain lines, without a whole number.
    assert "\x1b" not in shown
    assert len(shown.splitlines()) < 50
    assert not re.search(r"\d{8}", shown)
    assert left_in(tmp_path) == []
    first, second = programs(shown)
    assert first != second
    assert not runs(first)
    assert not runs(second)


@pytest.mark.slow(7)
@pytest.mark.parametrize(
    ("moment", "by"),
    [
        ("no real phone rings", signal.SIGINT),
        ("Started a program", signal.SIGTERM),
        ("Killed it", signal.SIGINT),
        ("Started it again", signal.SIGTERM),
    ],
)
async def test_ctrl_c_ends_it_and_leaves_nothing_behind(
    moment: str, by: signal.Signals, tmp_path: Path
) -> None:
    env = environment(TMPDIR=str(tmp_path), EXOTEL_RATE_LIMIT_URL="nonsense")
    async with started(*FAST, env=env) as running:
        await running.line(moment)
        ended = await running.end(by)
    assert ended.code == 130, ended
    assert ended.err == ""
    assert ended.out.endswith("Interrupted: the program was killed, and its ledger is deleted.\n")
    assert "No attempt was dialled twice" not in ended.out
    assert left_in(tmp_path) == []
    assert not any(map(runs, programs(ended.out)))


@pytest.mark.slow(3)
async def test_its_program_ends_and_deletes_its_ledger_if_the_demo_is_killed(
    tmp_path: Path,
) -> None:
    async with started(*FAST, env=environment(TMPDIR=str(tmp_path))) as running:
        await running.line("Started it again")
        (folder,) = left_in(tmp_path)
        assert "campaigns.db" in left_in(tmp_path / folder)
        await running.end(signal.SIGKILL)
    async with asyncio.timeout(SOON):
        while left_in(tmp_path) or any(map(runs, programs(running.seen))):
            await asyncio.sleep(0.01)


@pytest.mark.slow(3)
async def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    async with started(*FAST, env=environment(TMPDIR=str(tmp_path))) as running:
        await running.line("Started a program")
        assert isinstance(running.process, fork_server.Process)
        running.process.stop_reading()
        assert running.process.stderr is not None
        assert await running.process.stderr.read() == b""
        assert await running.process.wait() == 130
    assert left_in(tmp_path) == []


@pytest.mark.slow(5)
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("[sys.executable, '-m', 'no_such_module']", "No module named no_such_module"),
        ("['/no/such/program']", "cannot be started: No such file or directory"),
        ("[sys.executable, '-c', 'pass']", "ended before it could be killed"),
    ],
)
async def test_a_program_that_does_not_start_is_reported_in_one_line(
    command: str, said: str, tmp_path: Path
) -> None:
    patched = (
        "import sys\n"
        "from exotel_async.cli import demo_process, main\n"
        f"demo_process.COMMAND = {command}\n"
        "sys.exit(main())"
    )
    ended = await ran(
        *FAST,
        "--json",
        command=(sys.executable, "-c", patched),
        env=environment(TMPDIR=str(tmp_path)),
    )
    assert ended.code == 1, ended
    assert said in ended.error_lines[-1]
    error = json.loads(ended.out)["error"]
    assert error["type"] == "ProgramFailed"
    assert said in error["text"]
    assert left_in(tmp_path) == []


def between_its_lives(
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[Demo, EmulatedCall], object],
    until: Callable[[Demo, EmulatedCall], bool],
) -> int:
    """Run the demo while something happens to the call in flight before the program is back.

    The time of the demo is over as soon as `until` is true after that.
    """
    run_to_the_end = Demo._run_to_the_end

    async def patched(run: Demo, in_flight: frozenset[str]) -> None:
        (call,) = [one for one in run.emulator.calls.values() if one.custom_field in in_flight]
        happens(run, call)

        async def take_time_away() -> None:
            while not until(run, call):
                await asyncio.sleep(0.02)
            run.plan = attrs.evolve(run.plan, longest=run.elapsed)

        waiting = asyncio.create_task(take_time_away())
        await run_to_the_end(run, in_flight)
        waiting.cancel()

    monkeypatch.setattr(Demo, "_run_to_the_end", patched)
    return demo(attrs.evolve(Plan.fast(1), contacts=4, longest=2 * SOON), as_json=False)


@pytest.mark.slow(4)
def test_what_stays_in_doubt_is_told_and_the_demo_ends_in_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def is_all_else_over(run: Demo, _: EmulatedCall) -> bool:
        known = run.known
        return (known.pending, known.in_progress, known.in_doubt) == (0, 0, 1)

    code = between_its_lives(
        monkeypatch, lambda run, call: run.emulator.forget(call.sid), is_all_else_over
    )
    assert code == 4
    shown = " ".join(capsys.readouterr().out.split())
    assert "In doubt: 1 contact." in shown
    assert "16 minutes" in shown
    assert "0 placed by the dial whose response was lost" in shown
    assert "not dialled again" not in shown
    assert "No attempt was dialled twice" not in shown


@pytest.mark.parametrize(
    ("end_unknown", "why"),
    [
        (0, "not known whether the phone rang"),
        (3, "call placed, end not known"),
        (2, "not known whether the phone rang (1); call placed, end not known (2)"),
    ],
)
def test_why_contacts_are_unresolved_is_told(end_unknown: int, why: str) -> None:
    known = CampaignStatistics(
        name=NAME, state=CampaignState.COMPLETED, unresolved=3, end_unknown=end_unknown
    )
    console = Console(file=io.StringIO(), width=200)
    totals = RequestStatistics(requests=9, accepted=9, refused=0, busiest_window=9, calls={})
    DemoReporter(console).end(Plan.fast(1), known, prove([], None, []), totals)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"Unresolved: 3 contacts: {why}. They are not dialled again." in shown


@pytest.mark.slow(3)
def test_a_second_dial_would_be_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forget_the_dial(run: Demo, call: EmulatedCall) -> None:
        with closing(sqlite3.connect(run.folder / "campaigns.db")) as ledger, ledger:
            ledger.execute("DELETE FROM attempts WHERE id = ?", [call.custom_field])
            ledger.execute("UPDATE contacts SET state = 'ready' WHERE number = ?", [call.from_])

    def is_rung_again(run: Demo, call: EmulatedCall) -> bool:
        return run.emulator.rung(call.from_) == 2

    assert between_its_lives(monkeypatch, forget_the_dial, is_rung_again) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 to contacts already reached, or still on a call" in shown
    assert "This should never happen" in shown
    assert "No attempt was dialled twice" not in shown


REACHED, BUSY = FIRST, SECOND


async def record(*dials: tuple[str, str, float]) -> Sequence[EmulatedCall]:
    """Calls of an emulator, each by its number, its attempt, and how many seconds ago it was."""
    scenario = Scenario(
        numbers={
            REACHED: Behaviour(ring=1, talk=1),
            BUSY: Behaviour("busy", ring=2),
        }
    )
    async with Emulator(scenario=scenario) as emulator:
        for number, attempt, ago in dials:
            emulator.add_call(
                Dial(from_=number, to=None, caller_id=EXOPHONE, custom_field=attempt),
                ago=timedelta(seconds=ago),
            )
        return list(emulator.calls.values())


def outcomes(calls: Sequence[EmulatedCall]) -> list[ContactOutcome]:
    """What a ledger has that knows of these calls."""
    return [
        ContactOutcome(
            campaign=NAME,
            contact=Contact(call.from_),
            state=ContactState.REACHED,
            attempts=(
                Attempt(
                    id=call.custom_field or "",
                    number=call.from_,
                    caller_id=EXOPHONE,
                    state=AttemptState.SETTLED,
                    intended_at=datetime(2026, 11, 1, tzinfo=UTC),
                    sid=call.sid,
                ),
            ),
        )
        for call in calls
    ]


async def test_calls_again_are_right_after_busy_and_the_record_holds() -> None:
    calls = await record((REACHED, "a", 50), (BUSY, "b", 40), (BUSY, "c", 30))
    proof = prove(calls, outcomes(calls), ["a"])
    assert proof.holds
    assert proof.is_complete
    assert proof.again == 1
    assert proof.in_flight == {"a": 1}
    assert proof.rung == [
        Rung(times=1, contacts=1, reached=1),
        Rung(times=2, contacts=1, reached=0),
    ]
    assert prove(calls, None, []).holds


async def test_whoever_is_rung_twice_for_one_attempt_is_found() -> None:
    calls = await record((BUSY, "a", 50), (BUSY, "a", 40))
    proof = prove(calls, None, ["a"])
    assert proof.twice == ["a"]
    assert proof.in_flight == {"a": 2}
    assert not proof.holds


@pytest.mark.parametrize(
    ("number", "gap"), [(REACHED, 30), (BUSY, 1)], ids=["reached", "on the line"]
)
async def test_whoever_is_rung_again_too_soon_or_for_nothing_is_found(
    number: str, gap: float
) -> None:
    calls = await record((number, "a", 40), (number, "b", 40 - gap))
    proof = prove(calls, outcomes(calls), [])
    assert proof.not_due == [number]
    assert not proof.holds


async def test_what_only_one_of_ledger_and_record_has_is_found() -> None:
    calls = await record((REACHED, "a", 50), (BUSY, "b", 40))
    proof = prove(calls, outcomes(calls[:1]), [])
    assert proof.without_attempt == [calls[1].sid]
    assert not proof.holds
    proof = prove(calls[:1], outcomes(calls), [])
    assert proof.without_call == ["b"]
    assert not proof.holds


def test_the_display_shows_contacts_and_channels_and_leaves_nothing_behind() -> None:
    known = CampaignStatistics(
        name=NAME,
        state=CampaignState.IN_PROGRESS,
        created=40,
        pending=17,
        in_progress=9,
        in_doubt=1,
        reached=10,
        not_reached=3,
    )
    current = DemoProgress(known=known, calls=25, in_use=9, channels=10, elapsed=6.25)
    for width in (60, 120):
        console = Console(file=io.StringIO(), force_terminal=True, width=width, height=30)
        with progress(console) as show:
            show(current)
        shown = console.file.getvalue()  # type: ignore[attr-defined]
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
        for words in ("13 of 40 have their outcome", "9 of 10 in use", "25 calls", "in doubt 1"):
            assert words in plain, (width, words)
        assert "\x1b[?25h" in shown  # the cursor is back
        assert max(map(len, re.split(r"[\r\n]+", plain))) < width
    console = Console(file=io.StringIO(), width=40)
    with progress(console) as show:
        show(current)
        show(current)
    assert console.file.getvalue() == (  # type: ignore[attr-defined]
        "  6.2 s  of 40 contacts: reached 10, not reached 3, in progress 9, in doubt 1, "
        "to be dialled 17\n"
    ), "in one line, however narrow, and once"

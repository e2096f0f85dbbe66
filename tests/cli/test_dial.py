"""`exotel-async dial`, from a file to the exit code, against an emulator that is a server."""

from __future__ import annotations

import asyncio
import csv
import json
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from exotel_async import IST
from exotel_async.campaigns import CampaignAdmin, CampaignState
from exotel_async.cli.dial_events import EVENTS
from exotel_async.emulator import Emulator, Fault, Scenario
from tests.cli.campaign_ledgers import fill, unresolved
from tests.cli.contact_files.support import workbook
from tests.cli.support import EXOPHONE, TOKEN, Ended, Running, left_in, pointing_at, ran, started
from tests.cli.terminals import at_a_terminal
from tests.conftest import SOON

pytestmark = [pytest.mark.anyio, pytest.mark.slow(3)]

ALWAYS = ("--flow", "926", "--caller-id", EXOPHONE, "--hours", "00:00-24:00")
QUICK = ("--rate", "60000", "--poll-interval", "0.1")
SHORT = Scenario.all_answered(ring=1, talk=3, settle=1)
LONG = Scenario.all_answered(ring=1, talk=60, settle=1)
ENDLESS = Scenario.all_answered(ring=1, talk=36_000, settle=1)  # ends where a test ends it
FULL = [f"9812300{n:03}" for n in range(1, 101)]


@pytest.fixture
async def exotel() -> AsyncIterator[Emulator]:
    """An emulator sixty times as fast as time, with a budget that does not bind."""
    async with Emulator(api_token=TOKEN, speed=60, rate=60_000, scenario=SHORT) as running:
        yield running


@pytest.fixture
def leads(tmp_path: Path) -> Path:
    """A list of five people and one who has no number."""
    return written(tmp_path, FULL[:5], "12,nobody\n")


def written(
    folder: Path, numbers: list[str], more: str = "", *, columns: str = "Mobile,id"
) -> Path:
    file = folder / "leads.csv"
    rows = "".join(f"{one},{index}\n" for index, one in enumerate(numbers))
    file.write_text(f"{columns}\n{rows}{more}")
    return file


async def dialled(
    file: Path, exotel: Emulator, *more: str, usual: tuple[str, ...] = ALWAYS
) -> Ended:
    """Run the command to its end."""
    async with dialling(file, exotel, *more, usual=usual) as running:
        return await running.end()


def dialling(
    file: Path, exotel: Emulator, *more: str, usual: tuple[str, ...] = ALWAYS
) -> AbstractAsyncContextManager[Running]:
    arguments = ("dial", file.name, *usual, *QUICK, *more)
    return started(*arguments, env=pointing_at(exotel), cwd=str(file.parent))


def dials(exotel: Emulator) -> int:
    return sum(one.method == "POST" for one in exotel.requests)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.01)


async def dialled_more(exotel: Emulator, number: int) -> None:
    """Wait until so many more dials have come."""
    before = dials(exotel)
    await until(lambda: dials(exotel) >= before + number)


def rung(exotel: Emulator, numbers: list[str]) -> list[int]:
    return [exotel.rung(one) for one in numbers]


async def test_everybody_is_rung_once_and_the_report_says_so(
    leads: Path, exotel: Emulator, tmp_path: Path
) -> None:
    ended = await dialled(leads, exotel)
    assert ended.code == 0
    assert "5 contacts of leads.csv added to leads" in ended.out
    assert "1 row rejected: see leads.csv.rejected.csv" in ended.out
    assert ended.out.splitlines()[-1] == "all done: 5 contacts, each with an outcome"
    assert rung(exotel, FULL[:5]) == [1] * 5
    assert not any(number[-9:] in ended.out + ended.err for number in FULL[:5])
    assert "12,nobody" in (tmp_path / "leads.csv.rejected.csv").read_text(encoding="utf-8-sig")
    for name in ("campaigns.db", "leads.csv.rejected.csv"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600

    # Rows that were rejected, and are put right, belong to the same campaign.
    rejected = tmp_path / "leads.csv.rejected.csv"
    text = rejected.read_text(encoding="utf-8-sig").replace("12,nobody", f"{FULL[0]},somebody")
    rejected.write_text(text)
    ended = await dialled(rejected, exotel)
    assert ended.code == 0
    assert "1 contact of leads.csv.rejected.csv in leads, none of them new" in ended.out
    assert rung(exotel, FULL[:5]) == [1] * 5

    # Who is new in the file is dialled, and nobody else.
    written(tmp_path, FULL[:6])
    ended = await dialled(leads, exotel)
    assert ended.code == 0
    assert "1 contact of leads.csv added to leads, 5 were already in it" in ended.out
    assert rung(exotel, FULL[:6]) == [1] * 6

    ended = await dialled(leads, exotel)
    assert ended.code == 0
    assert "6 contacts of leads.csv in leads, none of them new" in ended.out
    assert dials(exotel) == 6


@pytest.mark.parametrize("name", ["leads.csv.rejected.xlsx", "leads.csv.rejected (1).csv"])
async def test_rejected_rows_saved_by_another_program_join_the_campaign_of_their_list(
    leads: Path, exotel: Emulator, tmp_path: Path, name: str
) -> None:
    assert (await dialled(leads, exotel)).code == 0
    text = (tmp_path / "leads.csv.rejected.csv").read_text(encoding="utf-8-sig")
    text = text.replace("12,nobody", f"{FULL[0]},somebody")
    if name.endswith(".csv"):
        (tmp_path / name).write_text(text)
    else:
        workbook(tmp_path, csv.reader(text.splitlines()), name)
    ended = await dialled(tmp_path / name, exotel)
    assert ended.code == 0
    assert f"1 contact of {name} in leads, none of them new" in ended.out
    assert rung(exotel, FULL[:5]) == [1] * 5


async def test_rejected_rows_under_another_name_need_that_of_their_campaign(
    leads: Path, exotel: Emulator, tmp_path: Path
) -> None:
    assert (await dialled(leads, exotel)).code == 0
    text = (tmp_path / "leads.csv.rejected.csv").read_text(encoding="utf-8-sig")
    (tmp_path / "right.csv").write_text(text.replace("12,nobody", f"{FULL[0]},somebody"))
    for more in ((), ("--dry-run",)):
        ended = await dialled(tmp_path / "right.csv", exotel, *more)
        assert ended.code == 2
        assert ended.error_lines == [
            "exotel-async: right.csv has the rejected rows of a list, but is not named after a list"
            " in its folder: give --name, the name of that list's campaign"
        ]
    ended = await dialled(tmp_path / "right.csv", exotel, "--name", "leads")
    assert ended.code == 0
    assert rung(exotel, FULL[:5]) == [1] * 5


async def test_a_dry_run_dials_nobody_and_writes_nothing(
    leads: Path, exotel: Emulator, tmp_path: Path
) -> None:
    ended = await ran("dial", "leads.csv", *ALWAYS, "--dry-run", cwd=str(tmp_path))
    assert ended.code == 0
    assert ended.out.startswith("Dry run: nobody is dialled, and nothing is written.")
    assert left_in(tmp_path) == ["leads.csv"]
    assert "in the column Mobile, found by its header" in ended.out
    (tmp_path / "no-header.csv").write_text(f"a,{FULL[0]}\nb,{FULL[1]}\n")
    ended = await ran("dial", "no-header.csv", *ALWAYS, "--dry-run", cwd=str(tmp_path))
    assert "in the column B, found by its contents" in ended.out
    (tmp_path / "no-header.csv").unlink()

    # What is in the ledger already is counted.
    await dialled(leads, exotel)
    before = left_in(tmp_path), dials(exotel), len(exotel.requests)
    written(tmp_path, FULL[:8], "nobody,\n")
    ended = await dialled(leads, exotel, "--dry-run", "--json", "--price", "0.60")
    told = json.loads(ended.out)
    assert (told["taken"], told["in_campaign"], told["dry_run"]) == (3, 5, True)
    assert (left_in(tmp_path), dials(exotel), len(exotel.requests)) == before


async def test_ctrl_c_finishes_the_calls_in_progress(leads: Path, exotel: Emulator) -> None:
    written(leads.parent, FULL[:40])
    exotel.scenario = LONG
    for by in (signal.SIGINT, signal.SIGTERM):
        async with dialling(leads, exotel, "--channels", "4") as running:
            await dialled_more(exotel, 4)
            ended = await running.end(by)
        assert ended.code == 130
        assert all(call.ends_at <= exotel.clock.elapsed() for call in exotel.calls.values())
        assert "not ended" not in ended.out
        assert ended.out.splitlines()[-1].startswith("interrupted: ")
    exotel.scenario = SHORT
    assert (await dialled(leads, exotel)).code == 0
    assert rung(exotel, FULL[:40]) == [1] * 40


@pytest.mark.parametrize(("told", "more"), [(0, ()), (2, ()), (0, ("--json",))])
async def test_a_terminal_that_goes_away_lets_calls_in_progress_end(
    leads: Path, exotel: Emulator, told: int, more: tuple[str, ...]
) -> None:
    """What is written there fails; that may be seen before the signal, or instead of it."""
    written(leads.parent, FULL[:40])
    # Events are written as calls end.
    exotel.scenario = Scenario.all_answered(ring=1, talk=30, settle=1) if more else LONG
    arguments = ("dial", "leads.csv", *ALWAYS, *QUICK, "--channels", "4", *more)
    async with at_a_terminal(*arguments, env=pointing_at(exotel), cwd=leads.parent) as terminal:
        await dialled_more(exotel, 4)
        terminal.close()
        for _ in range(told):  # a shell sends it on, beside the system
            terminal.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(3 * SOON):  # on a busy machine calls and disk take their time
            assert await terminal.process.wait() == 130
    assert dials(exotel) < 40
    assert all(call.ends_at <= exotel.clock.elapsed() for call in exotel.calls.values())


async def test_however_often_ctrl_c_is_pressed_the_terminal_is_left_as_it_was(
    leads: Path, exotel: Emulator
) -> None:
    written(leads.parent, [f"98123{n:05}" for n in range(1, 30_000)])  # seconds of reading
    arguments = ("dial", "leads.csv", *ALWAYS, *QUICK)
    async with at_a_terminal(*arguments, env=pointing_at(exotel), cwd=leads.parent) as terminal:
        await terminal.until("reading leads.csv")
        while terminal.process.returncode is None:
            terminal.process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.02)
        # The last one may come when Python ends and handles no signals; a shell says 130 of both.
        assert await terminal.end() in {130, -signal.SIGINT}
    assert "exotel-async: interrupted" in terminal.seen
    assert terminal.shows_a_cursor
    assert dials(exotel) == 0


async def test_without_a_reader_of_the_display_events_go_on(leads: Path, exotel: Emulator) -> None:
    run = f'{sys.executable} -m exotel_async "$@" 2>&1 >events.json | head -1'
    arguments = ("dial", "leads.csv", *ALWAYS, *QUICK, "--json")
    env, folder = pointing_at(exotel), leads.parent
    ended = await ran(*arguments, env=env, command=("sh", "-c", run, "sh"), cwd=str(folder))
    assert ended.out == f"New ledger: {folder / 'campaigns.db'}\n"
    async with asyncio.timeout(SOON):  # `head` is the one whose end is waited for
        while '"event":"end"' not in (events := (folder / "events.json").read_text()):
            await asyncio.sleep(0.05)
    assert json.loads(events.splitlines()[-1])["exit_code"] == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
async def test_without_a_stream_everybody_is_dialled_all_the_same(
    leads: Path, exotel: Emulator, closed: str
) -> None:
    command = ("bash", "-c", f'exec "$0" -m exotel_async "$@" {closed}', sys.executable)
    arguments = ("dial", leads.name, *ALWAYS, *QUICK)
    env = pointing_at(exotel)
    assert (await ran(*arguments, command=command, env=env, cwd=str(leads.parent))).code == 0
    assert rung(exotel, FULL[:5]) == [1] * 5


async def test_who_has_stopped_reading_changes_no_exit_code(
    tmp_path: Path, exotel: Emulator
) -> None:
    leads = written(tmp_path, FULL[:5])
    run = f'({sys.executable} -m exotel_async "$@"; echo $? >code) | (read added; read progress)'
    arguments = ("dial", leads.name, *ALWAYS, *QUICK)
    await ran(
        *arguments, env=pointing_at(exotel), command=("sh", "-c", run, "sh"), cwd=str(tmp_path)
    )
    async with asyncio.timeout(SOON):
        while not (code := tmp_path / "code").exists() or not code.read_text():
            await asyncio.sleep(0.05)
    assert code.read_text() == "0\n"
    assert rung(exotel, FULL[:5]) == [1] * 5


async def test_what_a_stream_cannot_say_stops_nothing(leads: Path, exotel: Emulator) -> None:
    env = {**pointing_at(exotel), "PYTHONIOENCODING": "ascii"}
    command = (sys.executable, "-m", "exotel_async", "dial", leads.name, *ALWAYS, *QUICK)
    ended = await ran("--name", "दिवाली", env=env, command=command, cwd=str(leads.parent))
    assert ended.code == 0
    assert "5 contacts of leads.csv added to \\u0926" in ended.out
    assert "all done: 5 contacts" in ended.out


async def test_wrong_usage_is_that_also_where_calls_were_placed_before(
    leads: Path, exotel: Emulator
) -> None:
    agent = ("--agent", "9812399999", "--caller-id", EXOPHONE, "--hours", "00:00-24:00")
    assert (await dialled(leads, exotel, usual=agent)).code == 0
    written(leads.parent, FULL[:6])
    ended = await dialled(leads, exotel, "--channels", "1", "--json", usual=agent)
    assert ended.code == 2
    assert set(json.loads(ended.out.splitlines()[-1])) == {"error"}


async def test_a_second_ctrl_c_stops_at_once_and_lists_the_calls_not_ended(
    leads: Path, exotel: Emulator
) -> None:
    written(leads.parent, FULL[:12])
    exotel.scenario = ENDLESS
    async with dialling(leads, exotel, "--channels", "4") as running:
        await until(lambda: dials(exotel) == 4)
        running.process.send_signal(signal.SIGINT)
        await running.line("waiting for 4 calls to end")
        ended = await running.end(signal.SIGINT)
    assert ended.code == 130
    assert "4 calls have not ended" in ended.out
    assert sum(sid in ended.out for sid in exotel.calls) == 4
    assert not any(number[-9:] in ended.out for number in FULL[:12])
    exotel.scenario = SHORT
    await exotel.finish_calls()
    assert (await dialled(leads, exotel)).code == 0
    assert rung(exotel, FULL[:12]) == [1] * 12


@asynccontextmanager
async def exotel_at(hour: int, minute: int, second: int = 0) -> AsyncIterator[Emulator]:
    """An emulator at real speed whose clock shows this time in India at its first request.

    However long the command takes to start, there are as many seconds left until an hour begins.
    """
    now = datetime(2026, 11, 9, hour, minute, second, tzinfo=IST)
    async with Emulator(api_token=TOKEN, now=now, rate=60_000, scenario=SHORT) as running:

        def begin() -> bytes:
            del running.clock.http_date
            running.clock._zero = time.monotonic()
            return running.clock.http_date()

        # It is asked for as a request comes.
        running.clock.http_date = begin  # type: ignore[method-assign]
        yield running


async def test_outside_calling_hours_it_ends_and_says_when_it_goes_on(leads: Path) -> None:
    async with exotel_at(21, 30) as exotel:
        ended = await dialled(leads, exotel, usual=ALWAYS[:4])
        assert ended.code == 5
        last = ended.out.splitlines()[-1]
        assert last.startswith("outside calling hours until 2026-11-10 09:00 IST; ")
        assert dials(exotel) == 0


async def test_hours_of_zones_in_which_nobody_is_left_do_not_count(tmp_path: Path) -> None:
    leads = written(tmp_path, [f"{FULL[0]},", f"{FULL[1]},Asia/Dubai"], columns="Mobile,Zone,id")
    async with exotel_at(21, 30) as exotel:  # 20:00 in Dubai
        exotel.scenario = Scenario.all_answered(ring=0, talk=0, settle=0)
        ended = await dialled(leads, exotel, "--map", "time_zone=Zone", usual=ALWAYS[:4])
        assert ended.code == 5
        last = ended.out.splitlines()[-1]
        assert last.startswith("outside calling hours until 2026-11-10 09:00 IST; ")
        assert dials(exotel) == 1


async def test_calling_hours_are_waited_for_where_that_is_wanted(leads: Path) -> None:
    usual = (*ALWAYS[:4], "--hours", "10-19", "--wait-for-hours")
    async with exotel_at(9, 59, 56) as exotel, dialling(leads, exotel, usual=usual) as running:
        exotel.scenario = Scenario.all_answered(ring=0, talk=0, settle=0)
        await running.line("outside calling hours until 10:00 IST")
        assert dials(exotel) == 0
        ended = await running.end()
        assert ended.code == 0
        posts = [one for one in exotel.requests if one.method == "POST"]
        assert len(posts) == 5
        assert min(one.arrived for one in posts) >= 4  # seconds after 9:59:56


async def test_hours_that_end_let_calls_in_progress_end(leads: Path) -> None:
    usual = (*ALWAYS[:4], "--hours", "10-19", "--channels", "2")
    written(leads.parent, FULL[:50])
    async with exotel_at(18, 59, 54) as exotel:
        exotel.scenario = Scenario.all_answered(ring=1, talk=6)  # over when hours are
        ended = await dialled(leads, exotel, usual=usual)
        assert ended.code == 5
        assert "until 2026-11-10 10:00 IST" in ended.out
        assert 0 < dials(exotel) < 50
        assert max(one.arrived for one in exotel.requests if one.method == "POST") < 6
        assert all(call.ends_at <= exotel.clock.elapsed() for call in exotel.calls.values())


async def test_it_is_paused_and_resumed_from_elsewhere(leads: Path, exotel: Emulator) -> None:
    written(leads.parent, FULL[:8])
    exotel.scenario = LONG
    async with (
        CampaignAdmin(leads.parent / "campaigns.db") as admin,
        dialling(leads, exotel, "--channels", "2") as running,
    ):
        await until(lambda: dials(exotel) >= 2)
        assert await admin.pause("leads")
        await running.line("paused: exotel-async campaign resume leads continues it")
        exotel.scenario = SHORT
        before = dials(exotel)
        assert (await admin.statistics("leads")).state is CampaignState.PAUSED
        assert await admin.resume("leads")
        ended = await running.end()
    assert ended.code == 0
    assert before < dials(exotel) == 8


async def test_it_is_canceled_from_elsewhere(leads: Path, exotel: Emulator) -> None:
    written(leads.parent, FULL[:20])
    exotel.scenario = LONG
    async with (
        CampaignAdmin(leads.parent / "campaigns.db") as admin,
        dialling(leads, exotel, "--channels", "2") as running,
    ):
        await until(lambda: dials(exotel) >= 2)
        assert await admin.cancel("leads")
        ended = await running.end()
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == "cancelled: nobody is dialled any more"
    assert dials(exotel) < 20
    assert all(call.ends_at <= exotel.clock.elapsed() for call in exotel.calls.values())


async def test_other_settings_are_refused_and_named(leads: Path, exotel: Emulator) -> None:
    assert (await dialled(leads, exotel)).code == 0
    ended = await dialled(leads, exotel, "--retry", "busy:1:5m", "--throttle", "9")
    assert ended.code == 2
    assert "other settings (--retry, --throttle)" in ended.err
    assert "a new campaign, which dials everybody in leads.csv again" in ended.err
    planned = await dialled(leads, exotel, "--retry", "busy:1:5m", "--throttle", "9", "--dry-run")
    assert (planned.code, planned.out, planned.err) == (2, "", ended.err)
    async with CampaignAdmin(leads.parent / "campaigns.db") as admin:
        await admin.cancel("leads")
    ended = await dialled(leads, exotel)
    assert ended.code == 2
    assert "was cancelled: give another --name" in ended.err
    planned = await dialled(leads, exotel, "--dry-run")
    assert (planned.code, planned.out, planned.err) == (2, "", ended.err)
    assert (await dialled(leads, exotel, "--name", "again")).code == 0
    assert dials(exotel) == 10


async def test_a_ledger_that_is_made_is_named(leads: Path, exotel: Emulator) -> None:
    """Started in another folder, as by cron, the same command has another ledger."""
    folder, elsewhere = leads.parent, leads.parent / "else\x1b[2Jwhere"
    elsewhere.mkdir()
    arguments = ("dial", str(leads), *ALWAYS, *QUICK)
    env = pointing_at(exotel)
    planned = await ran(*arguments, "--dry-run", env=env, cwd=str(folder))
    assert (planned.code, planned.err) == (0, "")
    for place, more in ((folder, ()), (elsewhere, ("--json",))):
        name = str(place / "campaigns.db").replace("\x1b", " ")
        first = await ran(*arguments, *more, env=env, cwd=str(place))
        assert (first.code, first.error_lines[0]) == (0, f"New ledger: {name}")
        assert "New ledger" not in first.out
        again = await ran(*arguments, *more, env=env, cwd=str(place))
        assert (again.code, "New ledger" in again.out + again.err) == (0, False)
    assert rung(exotel, FULL[:5]) == [2] * 5
    (folder / "empty").mkdir()
    there = ("--ledger", str(folder / "campaigns.db"))
    assert (await ran(*arguments, *there, env=env, cwd=str(folder / "empty"))).code == 0
    assert left_in(folder / "empty") == []
    assert dials(exotel) == 10


async def test_a_number_that_was_changed_in_the_list_is_told(leads: Path, exotel: Emulator) -> None:
    """It is dialled once its contact is forgotten."""
    mapped = ("--map", "key=id")
    written(leads.parent, FULL[:2])
    ended = await dialled(leads, exotel, *mapped)
    assert (ended.code, "another number" in ended.err) == (0, False)
    written(leads.parent, [FULL[0], FULL[5]])
    kept = "leads has another number than leads.csv for 1 contact, and keeps it: key 1. To replace"
    ended = await dialled(leads, exotel, *mapped)
    assert ended.code == 0
    assert ended.out.startswith("2 contacts of leads.csv in leads, none of them new\n")
    assert kept in ended.err
    ended = await dialled(leads, exotel, *mapped, "--json")
    start = json.loads(ended.out.splitlines()[0])
    assert (start["in_campaign"], start["other_number"]) == (2, 1)
    assert kept in ended.err
    assert (exotel.rung(FULL[5]), dials(exotel)) == (0, 2)

    forget = ("campaign", "forget", "--key", "1", "--yes")
    assert (await ran(*forget, cwd=str(leads.parent))).code == 0
    ended = await dialled(leads, exotel, *mapped)
    assert (ended.code, kept in ended.err) == (0, False)
    assert rung(exotel, [FULL[0], FULL[1], FULL[5]]) == [1, 1, 1]


async def test_errors_stop_it_and_it_goes_on_when_they_are_over(
    leads: Path, exotel: Emulator
) -> None:
    env = pointing_at(exotel, EXOTEL_API_TOKEN="wrong")
    ended = await ran("dial", "leads.csv", *ALWAYS, *QUICK, env=env, cwd=str(leads.parent))
    assert ended.code == 1
    assert "does not accept the credentials" in ended.err
    assert dials(exotel) == 0
    assert (await dialled(leads, exotel)).code == 0
    assert rung(exotel, FULL[:5]) == [1] * 5


async def test_a_campaign_that_errors_have_stopped_says_how_it_goes_on(
    leads: Path, exotel: Emulator
) -> None:
    usual = ("--flow", "926", "--caller-id", "08099999999", "--hours", "00:00-24:00")
    ended = await dialled(leads, exotel, usual=usual)
    assert ended.code == 1
    assert ended.out.splitlines()[-2].startswith("paused: 5 dials in a row were refused: HTTP 400")
    assert ended.out.splitlines()[-1] == (
        "stopped by errors: 5 contacts are left to dial; "
        "exotel-async campaign resume leads continues it"
    )
    assert "`resume`" not in ended.err


async def test_a_list_of_which_nobody_can_be_dialled_is_refused(
    leads: Path, exotel: Emulator
) -> None:
    written(leads.parent, [], "12,a\n9.81E+09,b\n")
    planned = await dialled(leads, exotel, "--dry-run")
    assert planned.code == 2
    assert "rejected: 2" in planned.out
    assert planned.err == "exotel-async: no contact in leads.csv can be dialled\n"
    ended = await dialled(leads, exotel)
    assert ended.code == 2
    assert ended.error_lines == [
        f"New ledger: {leads.parent / 'campaigns.db'}",
        "exotel-async: no contact in leads.csv can be dialled: 2 rows rejected, see "
        "leads.csv.rejected.csv",
    ]
    assert dials(exotel) == 0
    written(leads.parent, [])
    for more in ((), ("--dry-run",)):
        assert (await dialled(leads, exotel, *more)).code == 0


async def test_who_waits_for_another_dialer_and_is_interrupted_has_dialled_nobody(
    leads: Path, exotel: Emulator
) -> None:
    exotel.scenario = ENDLESS
    async with dialling(leads, exotel):
        await until(lambda: dials(exotel) == 5)
        async with dialling(leads, exotel) as second:
            async for line in second.error_lines():
                if "Another dialer has the ledger" in line:
                    break
            ended = await second.end(signal.SIGINT)
    assert ended.code == 130
    assert "not ended" not in ended.out
    assert ended.error_lines[-1] == (
        "exotel-async: interrupted before the first dial: another process has the ledger"
    )


async def test_numbers_that_are_not_to_be_called_are_not(leads: Path, exotel: Emulator) -> None:
    (leads.parent / "dnc.txt").write_text(f"number\n+91 {FULL[0]}\n0{FULL[3]}\n")
    ended = await dialled(leads, exotel, "--dnc", "dnc.txt")
    assert ended.code == 0
    assert rung(exotel, FULL[:5]) == [0, 1, 1, 0, 1]
    assert "do not call" in ended.out
    assert "dnc.txt: 2 numbers not to be called" in ended.error_lines


async def test_what_was_read_of_a_do_not_call_list_is_said(leads: Path, exotel: Emulator) -> None:
    (leads.parent / "a.csv").write_text(
        f"DND Mobile,Why\n+91{FULL[0]},asked\n{FULL[3]},call {FULL[1]}\n"
    )
    (leads.parent / "b.csv").write_text(f"Mobile\n{FULL[2]}\n")
    ended = await dialled(leads, exotel, "--dnc", "a.csv", "--dnc", "b.csv", "--dry-run", "--json")
    notes = [
        "a.csv: 2 numbers not to be called",
        "a.csv: 1 cell seems to have a number that is not put on the do-not-call list: line 3",
        "b.csv: 1 number not to be called",
    ]
    told = json.loads(ended.out)
    assert (told["notes"], told["do_not_call"]) == (notes, 3)
    assert [line for line in ended.error_lines if line in notes] == notes
    assert f"note: {notes[0]}" in ended.err


async def test_events_are_json_in_lines(leads: Path, exotel: Emulator) -> None:
    ended = await dialled(leads, exotel, "--json")
    assert ended.code == 0
    events = [json.loads(line) for line in ended.out.splitlines()]
    for event in events:
        assert list(event)[1:] == list(EVENTS[event["event"]])
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1], kinds.count("outcome")) == ("start", "end", 5)
    assert "progress" in kinds
    assert (events[0]["added"], events[0]["rejected"]) == (5, 1)
    assert (events[-1]["exit_code"], events[-1]["reached"]) == (0, 5)
    assert not any(number[-9:] in ended.out for number in FULL[:5])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("leads.csv", "--caller-id", EXOPHONE), "exactly one of --flow, --agent or --stream-url"),
        (("leads.csv", "--caller-id", "x", "--flow", "1"), "--caller-id"),
        (("leads.csv", *ALWAYS[:4], "--hours", "25-26"), "--hours"),
        (("leads.csv", *ALWAYS, "--retry", "busy"), "busy:2:15m"),
        (("nothing.csv", *ALWAYS), "nothing.csv"),
        (("leads.csv", *ALWAYS, "--channels", "0"), "channels"),
        (("leads.csv", *ALWAYS, "--retry", "busy:1:0s"), "--retry 0 s must be from one second"),
        (("leads.csv", *ALWAYS, "--dnc", "nothing.txt"), "nothing.txt"),
        ((".", *ALWAYS), ". is a folder: give a file in it"),
        (("leads.csv", *ALWAYS, "--map", "number=Nummer"), "Nummer"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_done(
    leads: Path, exotel: Emulator, arguments: tuple[str, ...], why: str
) -> None:
    ended = await ran("dial", *arguments, env=pointing_at(exotel), cwd=str(leads.parent))
    assert ended.code == 2
    assert why in " ".join((ended.out + ended.err).split())
    assert exotel.requests == []
    assert left_in(leads.parent) == ["leads.csv"]


async def test_a_third_ctrl_c_ends_the_process_and_leaves_the_terminal_as_it_was(
    leads: Path, exotel: Emulator
) -> None:
    """The second one waits some seconds for the answers to dials, to have less in doubt."""
    exotel.faults.add(Fault.act_then_stall(), path="Calls/connect")
    arguments = ("dial", leads.name, *ALWAYS, *QUICK, "--channels", "1")
    env = pointing_at(exotel)
    async with at_a_terminal(*arguments, env=env, cwd=leads.parent, columns=120) as terminal:
        await terminal.until("1 of 1 channels in use")
        while terminal.process.returncode is None:
            terminal.process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.05)
        assert await terminal.end() == 130
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert terminal.codes.rfind(shown) > terminal.codes.rfind(hidden) >= 0
    assert "exotel-async: interrupted" in terminal.seen


async def test_that_the_ends_of_calls_cannot_be_asked_for_is_told(
    leads: Path, exotel: Emulator
) -> None:
    exotel.scenario = LONG
    async with dialling(leads, exotel, "--json") as running:
        await until(lambda: dials(exotel) == 5)
        exotel.faults.add(Fault.answer(503), method="GET", times=None)
        async with asyncio.timeout(SOON):
            told = json.loads(await running.line('"event":"problem"'))
        assert "503" in told["text"]
        exotel.faults.clear()
        ended = await running.end()
    assert ended.code == 0
    told = [json.loads(line) for line in ended.out.splitlines() if '"problem"' in line]
    counts = [one["count"] for one in told if one["event"] == "problem"]
    assert all(count & (count - 1) == 0 for count in counts)  # of many equal ones only some


async def test_unresolved_contacts_are_told_by_the_exit_code(leads: Path, exotel: Emulator) -> None:
    """Of whom nobody can know whether they were rung: `campaign resolve` asks a person."""
    written(leads.parent, FULL[:2])
    assert (await dialled(leads, exotel)).code == 0
    place = leads.parent / "campaigns.db"
    async with CampaignAdmin(place) as admin:
        made = await admin.settings("leads")
    await fill(place, [FULL[5]], [unresolved()], made)
    ended = await dialled(leads, exotel)
    assert ended.code == 4
    assert "exotel-async campaign resolve leads" in ended.out
    assert ended.out.splitlines()[-1] == "done, but 1 contact is unresolved"
    assert rung(exotel, FULL[:2]) == [1, 1]

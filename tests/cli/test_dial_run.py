"""A run of `exotel-async dial` whose parts break, in this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from exotel_async import IST, AsyncExotel, ExotelError
from exotel_async.campaigns import (
    AttemptState,
    CampaignAdmin,
    CampaignState,
    Contact,
    Dialer,
    DialerStopped,
    Ledger,
)
from exotel_async.campaigns.clock import from_ms, to_ms
from exotel_async.cli.campaign_candidates import contact_lines
from exotel_async.cli.contact_files import open_contacts
from exotel_async.cli.dial import dial, exit_code_of, open_call_of
from exotel_async.cli.dial_arguments import DialArguments
from exotel_async.cli.dial_campaign import read_hours
from exotel_async.cli.dial_events import end_event
from exotel_async.cli.dial_options import CallOptions, Timing
from exotel_async.cli.dial_output import DialOutput
from exotel_async.cli.dial_problems import ProblemLog
from exotel_async.cli.dial_run import DialRun
from exotel_async.cli.terminal import Exit
from exotel_async.emulator import Emulator, Scenario
from tests.campaigns.ledgers import claimed, intended, intent, person, placed, running
from tests.cli.dial_runs import DONE, ENDS, dial_arguments
from tests.cli.support import TOKEN, left_in, pointing_at
from tests.conftest import SOON
from tests.support import postgres

pytestmark = pytest.mark.anyio


@contextmanager
def postgres_server() -> Iterator[postgres.Server]:
    try:
        with postgres.running() as server:
            yield server
    except postgres.Unfit as error:
        pytest.skip(str(error))


PEOPLE = [f"98123{n:05}" for n in range(1, 21)]


@pytest.fixture
async def exotel(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emulator]:
    """An emulator to which the environment leads."""
    scenario = Scenario.all_answered(ring=1, talk=30, settle=1)
    async with Emulator(api_token=TOKEN, speed=60, rate=60_000, scenario=scenario) as running:
        for name, value in pointing_at(running).items():
            if name.startswith("EXOTEL_"):
                monkeypatch.setenv(name, value)
        yield running


def run_of(arguments: DialArguments) -> DialRun:
    campaign = arguments.options.campaign()
    contacts = open_contacts(arguments.file, mapping={})
    return DialRun(arguments, campaign, contacts, (), DialOutput(arguments, campaign.name))


async def test_nobody_is_dialled_any_more_when_nobody_looks_at_the_hours(
    tmp_path: Path, exotel: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks at the hours also shows how it stands, and that may fail in many ways."""

    def fails(*_: object) -> None:
        raise RuntimeError("the display is broken")

    monkeypatch.setattr(DialOutput, "progress", fails)
    with pytest.raises(RuntimeError, match="the display is broken"):
        await run_of(dial_arguments(tmp_path, PEOPLE)).main()
    assert len(exotel.calls) < len(PEOPLE)
    async with CampaignAdmin(tmp_path / "campaigns.db") as admin:
        known = await admin.statistics("leads")
    assert (known.in_progress, known.in_doubt) == (0, 0)
    assert known.pending == len(PEOPLE) - len(exotel.calls)


@pytest.mark.slow(1)
async def test_ctrl_c_ends_it_while_another_command_dials_from_the_ledger(
    tmp_path: Path, exotel: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = dial_arguments(tmp_path, PEOPLE)
    run, told = run_of(arguments), ""
    async with Ledger(arguments.ledger) as other, asyncio.timeout(SOON):
        assert await other.lock(to_ms(datetime.now(IST)), 60_000) is None
        task = asyncio.create_task(run.main())
        while "Another dialer has the ledger" not in told:
            await asyncio.sleep(0.01)
            told += capsys.readouterr().err
        run._interrupt()
        with pytest.raises(DialerStopped):
            await task
    assert run.is_added
    assert run.is_interrupted
    assert run.statistics is not None
    assert run.statistics.pending == len(PEOPLE)
    assert not exotel.calls


@pytest.mark.parametrize("is_interrupted", [False, True])
@pytest.mark.parametrize("error", [None, ExotelError("why")])
@pytest.mark.parametrize("unresolved", [0, 1])
@pytest.mark.parametrize("state", [CampaignState.IN_PROGRESS, CampaignState.CANCELED])
@pytest.mark.parametrize("left", [None, "pending", "in_progress", "in_doubt"])
def test_the_exit_code_of_each_end(
    *,
    is_interrupted: bool,
    error: ExotelError | None,
    unresolved: int,
    state: CampaignState,
    left: str | None,
) -> None:
    still: dict[str, Any] = {} if left is None else {left: 1}
    known = evolve(DONE, unresolved=unresolved, state=state, **still)
    if error is not None:
        wanted = Exit.FAILED
    elif left is None:
        wanted = Exit.NOT_COMPLETED if unresolved else Exit.OK
    elif is_interrupted:
        wanted = Exit.INTERRUPTED
    elif state is CampaignState.CANCELED:
        wanted = Exit.NOT_COMPLETED
    else:
        wanted = Exit.OUTSIDE_HOURS
    assert exit_code_of(known, error, is_interrupted=is_interrupted) is wanted


NOON = datetime(2026, 11, 9, 12, 59, tzinfo=IST)


@pytest.fixture
def not_open(tmp_path: Path) -> Dialer:
    """A dialer in its hours that dials nobody yet."""
    account = AsyncExotel(account_sid="acme1", api_key="key", api_token=TOKEN)
    return Dialer(account, tmp_path / "campaigns.db")


def at_hours(folder: Path, hours: str, *, wait_for_hours: bool = False) -> DialRun:
    arguments = dial_arguments(folder, PEOPLE)
    timing = Timing(hours=read_hours(hours))
    options = evolve(arguments.options, timing=timing)
    return run_of(evolve(arguments, options=options, wait_for_hours=wait_for_hours))


async def test_it_ends_where_hours_end_and_keeps_in_mind_when_they_begin(
    tmp_path: Path, not_open: Dialer
) -> None:
    run, left = at_hours(tmp_path, "10:00-13:00,14:00-19:00"), evolve(DONE, pending=1)
    run._check_hours(not_open, left, ("",), NOON)
    assert (run.opens_at, run._stopped_at) == (None, None)
    run._check_hours(not_open, evolve(DONE, pending=0), ("",), NOON + timedelta(minutes=2))
    assert (run.opens_at, run._stopped_at) == (None, None)
    run._check_hours(not_open, left, ("",), NOON + timedelta(minutes=2))
    assert run.opens_at == NOON + timedelta(minutes=61)
    since = run._stopped_at
    assert since is not None
    run._check_hours(not_open, left, ("",), NOON + timedelta(minutes=3))
    assert run._stopped_at is since
    # The last call is over when they are open again: it has ended because of them.
    run._check_hours(not_open, left, ("",), NOON + timedelta(minutes=70))
    assert run.opens_at == NOON + timedelta(minutes=61)


async def test_hours_that_are_waited_for_do_not_end_it(tmp_path: Path, not_open: Dialer) -> None:
    run, left = at_hours(tmp_path, "10-13,14-19", wait_for_hours=True), evolve(DONE, pending=1)
    run._check_hours(not_open, left, ("",), NOON + timedelta(minutes=2))
    assert (run.opens_at, run._stopped_at) == (NOON + timedelta(minutes=61), None)
    run._check_hours(not_open, left, ("",), NOON + timedelta(minutes=70))
    assert (run.opens_at, run._stopped_at) == (None, None)


async def test_it_goes_on_while_somebody_may_be_dialled(tmp_path: Path, not_open: Dialer) -> None:
    run, left = at_hours(tmp_path, "10:00-13:00"), evolve(DONE, pending=1)
    late = NOON + timedelta(hours=1)  # 12:29 in Dubai
    run._check_hours(not_open, left, ("", "Asia/Dubai"), late)
    assert (run.opens_at, run._stopped_at) == (None, None)
    run._check_hours(not_open, left, ("", "Asia/Dubai"), late + timedelta(hours=1))
    assert run.opens_at == NOON.replace(hour=10, minute=0) + timedelta(days=1)
    assert run._stopped_at is not None


async def test_calls_not_ended_are_of_its_own_campaign(
    tmp_path: Path, not_open: Dialer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another command may have been killed, and its calls are in the same ledger, perhaps first."""
    monkeypatch.setattr("exotel_async.cli.dial_run._READ_AT_ONCE", 1)
    arguments = dial_arguments(tmp_path, PEOPLE)
    options = evolve(arguments.options, calls=CallOptions(time_limit=60))
    run = run_of(evolve(arguments, options=options))
    async with Ledger(arguments.ledger) as ledger:
        other = await running(ledger, [person(3)], "other")
        entry = await running(ledger, [person(1), person(2)], "leads")
        run._campaign_id = entry.id
        first, second = await intended(ledger, entry, 2, apart=30_000)
        await intended(ledger, other)
        found = await run._open_attempts(ledger, (AttemptState.INTENDED,))
        assert {one.id for one in found} == {first.id, second.id}

        await ledger.record([placed(first), placed(second)])
        run._stop(not_open)
        known = await ledger.statistics(entry.id)
        assert known is not None
        stopping = await run._stopping(ledger, known)
    assert stopping is not None
    assert stopping.calls == 2
    # By the last of them: its time limit, and two minutes for the phones to ring.
    assert stopping.until == from_ms(second.intended_at) + timedelta(minutes=3)


@pytest.mark.slow(5)
async def test_it_shows_that_the_ledger_is_gone_and_that_it_is_stopping(
    tmp_path: Path,
    exotel: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("exotel_async.cli.dial_display.LINE_EVERY", 0.5)
    monkeypatch.setattr("exotel_async.cli.dial_run._EVERY", 0.1)
    shown = ""

    async def until(text: str) -> None:
        nonlocal shown
        shown = ""
        async with asyncio.timeout(SOON):
            while text not in shown:
                assert not task.done(), task
                await asyncio.sleep(0.01)
                captured = capsys.readouterr()
                shown += captured.out + captured.err

    with postgres_server() as server:
        arguments = dial_arguments(tmp_path, PEOPLE)
        run = run_of(evolve(arguments, ledger=server.new_database()))
        task = asyncio.create_task(run.main())
        await until("calls placed")
        server.stop()
        await until("Dialling is paused until the ledger can be written")
        run._interrupt()
        await until("Ctrl-C again stops at once")
        server.start()
        async with asyncio.timeout(SOON):
            await task
    assert run.statistics is not None
    assert run.statistics.in_doubt == 0


async def test_a_key_that_is_a_number_is_masked_whichever_number_is_dialled(
    tmp_path: Path,
) -> None:
    """A contact without a key has its first number for one."""
    first, second = "+919812300001", "+919812300002"
    contact = evolve(person(1), key=first, number=first, alternatives=(second,))
    async with Ledger(tmp_path / "campaigns.db") as ledger:
        entry = await running(ledger, [contact])
        (one,) = await claimed(ledger, entry, 1)
        await ledger.intend([evolve(intent(one), number=second)], 2)
        (attempt,) = await ledger.open_attempts([AttemptState.INTENDED])
        outcome = await ledger.outcome(entry.id, first)
    assert outcome is not None
    call = open_call_of(attempt)
    assert str(call) == "+********0001, +********0002, SID not known"
    event = end_event(evolve(ENDS["interrupted"], open_calls=[call]))
    assert event["open_calls"][0]["key"] == "+********0001"

    by_second = evolve(outcome, contact=evolve(outcome.contact, key=second))
    assert dict(contact_lines(by_second, whole=False))["key"] == "+********0002"


def test_without_credentials_no_ledger_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EXOTEL_API_KEY", raising=False)
    assert dial(dial_arguments(tmp_path, PEOPLE), dry_run=False) is Exit.FAILED
    assert "not set in the environment" in capsys.readouterr().err
    assert left_in(tmp_path) == ["leads.csv"]


async def test_who_is_added_meanwhile_may_be_in_another_time_zone(
    tmp_path: Path, exotel: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = at_hours(tmp_path, "10:00-13:00", wait_for_hours=True)
    monkeypatch.setattr(Dialer, "now", lambda _: NOON + timedelta(hours=1))  # 12:29 in Dubai
    async with (
        run.arguments.service.session() as session,
        Ledger(run.arguments.ledger) as ledger,
        Dialer(session, ledger) as dialer,
    ):
        await dialer.create(run.campaign)
        await dialer.add("leads", PEOPLE[:1])
        current = await run._progress(ledger, session, dialer)
        assert current.opens_at is not None
        await dialer.add("leads", [Contact(PEOPLE[1], time_zone="Asia/Dubai")])
        current = await run._progress(ledger, session, dialer)
        assert current.opens_at is None


def test_what_cannot_be_shown_holds_up_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """It is the dialler that warns, between a dial and what it writes of it."""

    def full(_: object) -> None:
        raise OSError("no space left on device")

    log, logger = ProblemLog(full), logging.getLogger("tests.problems")
    logger.addHandler(log)
    try:
        logger.warning("Dialling is paused: %s", "why")
    finally:
        logger.removeHandler(log)
    assert [one.text for one in log.problems] == ["Dialling is paused: why"]
    assert "no space left on device" in capsys.readouterr().err

"""What disturbs a program that runs campaigns, and must not cost a call or a person."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from exotel_async.campaigns import Campaign, Schedule
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Fault, Scenario
from tests.campaigns.survival.killing import campaigns
from tests.campaigns.survival.stage import (
    RATE,
    Program,
    Stage,
    flow,
    free_port,
    numbers,
    stage,
)
from tests.campaigns.survival.verdict import judge

LONG = 90.0
"""Seconds, to bound what takes some: a guard against hanging."""
GONE = 1.5
"""Seconds after which what was written down has left, or never will."""
WORKERS = 8
"""Dials that may be under way at once."""

pytestmark = [pytest.mark.slow(15), pytest.mark.timeout(240)]


async def until(holds: Callable[[], object], *, of: Stage) -> None:
    """Wait until something holds."""
    try:
        async with asyncio.timeout(LONG):
            while not holds():
                assert not any(one.has_ended for one in of.programs), of.log.read_text()[-2000:]
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(of.log.read_text()[-2000:])


async def ended(program: Program, one: Stage) -> None:
    """Wait for the end of a program that ends by itself, and well."""
    async with asyncio.timeout(LONG):
        assert await program.wait() == 0, one.log.read_text()[-2000:]


@asynccontextmanager
async def running(
    folder: Path, contacts: int, *given: Campaign, ledger: str | None = None, **options: object
) -> AsyncIterator[tuple[Stage, Program]]:
    """Let a program dial so many people, for some seconds."""
    own = given or (flow("diwali"),)
    async with stage(folder, own, free_port(), ledger=ledger) as one:
        one.options |= {"rate": RATE // 2, "port": None} | options
        async with one.dialer() as dialer:
            for place, campaign in enumerate(own):
                await dialer.add(campaign.name, numbers(contacts, place * contacts))
        yield one, one.start()


async def stays(count: Callable[[], int]) -> bool:
    """Whether a count is the same after a second in which it usually grows by many."""
    before = count()
    await asyncio.sleep(1.0)
    return count() == before


# The ledger


@contextmanager
def no_file_grows(program: Program, folder: Path) -> Iterator[None]:
    """Let the program append nothing to the journal: an error of the disk."""
    _, most = resource.prlimit(program.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (_largest(folder), most))
    yield
    resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (most, most))


@contextmanager
def no_room_is_left(program: Program, folder: Path) -> Iterator[None]:
    """Fill the disk: SQLite has its own word for that."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 9):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass
    yield
    filler.unlink()


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Have a disk of 64 MiB there."""
    mount, unmount = which("mount"), which("umount")
    command = [mount or "", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    if None in {mount, unmount} or subprocess.run(command, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield
    finally:
        subprocess.run([unmount or "", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("is_full", [no_file_grows, no_room_is_left])
async def test_a_full_disk_pauses_the_dialling(
    tmp_path: Path, is_full: Callable[[Program, Path], AbstractContextManager[None]]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk) if is_full is no_room_is_left else nullcontext():
        ledger = str(disk / "campaigns.db")
        async with running(tmp_path, 60, ledger=ledger) as (one, program):
            await until(lambda: one.dials() > 20, of=one)
            with is_full(program, disk):
                for said in ("Results cannot be written", "Dialling is paused until the ledger"):
                    await until(lambda: said in _read(one.log), of=one)  # noqa: B023
                await asyncio.sleep(GONE)
                assert await stays(one.dials)
                with closing(sqlite3.connect(ledger)) as connection:
                    written = {id_ for (id_,) in connection.execute("SELECT id FROM attempts")}
                assert {call.custom_field for call in one.emulator.calls.values()} <= written
            await ended(program, one)
            verdict = await judge(one)
    assert verdict.problems == []
    assert not verdict.doubts


async def test_a_ledger_that_another_process_locks_for_some_seconds(tmp_path: Path) -> None:
    """Interactive requests beside it do not wait for it."""
    async with running(tmp_path, 40, asks=0.1) as (one, program):
        requests = one.emulator.requests

        def asked(since: int = 0) -> int:
            return sum(request.path.endswith("/Balance.json") for request in requests[since:])

        await until(lambda: one.dials() > 20, of=one)
        before = asked() / requests[-1].arrived
        with closing(sqlite3.connect(one.ledger, isolation_level=None)) as somebody:
            somebody.execute("BEGIN EXCLUSIVE")
            await asyncio.sleep(GONE)
            since, dials, began = len(requests), one.dials(), one.emulator.clock.elapsed()
            await asyncio.sleep(5 - GONE)
            meanwhile = asked(since) / (one.emulator.clock.elapsed() - began)
            assert one.dials() == dials
            somebody.execute("ROLLBACK")
        assert meanwhile > before / 2
        await ended(program, one)
        verdict = await judge(one)
    assert verdict.problems == []


# Clocks


def hours(begin: timedelta, end: timedelta) -> str:
    """Return hours from and to moments that are so far from now."""
    now = datetime.now(UTC)
    return f"{now + begin:%H:%M}-{now + end:%H:%M}"


async def test_the_machines_clock_is_put_forward_and_back_an_hour(tmp_path: Path) -> None:
    """It is set while dials are in flight whose answers are lost. Only Exotel's clock counts."""
    minutes = timedelta(minutes=1)
    now_open = flow(
        "open", schedule=Schedule(hours=hours(-20 * minutes, 20 * minutes), time_zone="UTC")
    )
    later = flow(
        "later", schedule=Schedule(hours=hours(40 * minutes, 80 * minutes), time_zone="UTC")
    )
    earlier = flow(
        "earlier", schedule=Schedule(hours=hours(-80 * minutes, -40 * minutes), time_zone="UTC")
    )
    clock = tmp_path / "clock"
    clock.write_text("0")
    settings = [3600, 0, -3600, 0]
    given = (now_open, later, earlier)
    async with running(tmp_path, 50, *given, clock=str(clock)) as (one, program):
        for place in range(4):
            one.emulator.faults.add(Fault.act_then_drop(), path="Calls/connect", after=place * 12)

        def set_clock(_: object) -> tuple[float, float]:
            if settings and one.dials() > 12 * (4 - len(settings)):
                written = clock.with_suffix(".new")
                written.write_text(str(settings.pop(0)))
                written.replace(clock)
            return 0.0, 0.0

        one.emulator.latency = set_clock
        async with one.dialer() as dialer:
            async with asyncio.timeout(LONG):
                while not await _is_over(dialer, "open"):
                    assert not program.has_ended, one.log.read_text()[-2000:]
                    await asyncio.sleep(0.1)
            assert not settings
            for name in ("later", "earlier"):
                known = await dialer.statistics(name)
                assert (known.pending, known.attempts) == (50, 0)
                await dialer.cancel(name)
        await ended(program, one)
        assert not {call.from_ for call in one.emulator.calls.values()} & set(numbers(100, 50))
        verdict = await judge(one)
    assert verdict.problems == []
    assert verdict.doubts.total() >= 4


# Programs that stop, and several of them


async def test_a_program_that_was_stopped_for_longer_than_its_lease(tmp_path: Path) -> None:
    """No dial leaves too late, and no other program can have begun meanwhile."""
    stopped, lease = 3.0, 1.5
    options: dict[str, Any] = {"lease": lease, "think": 0.2}
    async with running(tmp_path, 14, *campaigns(free_port()), **options) as (one, first):
        await until(lambda: one.dials() > 10, of=one)
        second = one.start(log=str(tmp_path / "second"))
        says = f"Another dialer has the ledger: process {first.pid}"
        await until(lambda: says in _read(tmp_path / "second"), of=one)
        for _ in range(2):
            dials = one.dials()
            await until(lambda: one.dials() > dials + 5, of=one)  # noqa: B023
            first.send(signal.SIGSTOP)
            await asyncio.sleep(0.2)
            assert await stays(one.dials)
            await asyncio.sleep(stopped - 1.2)
            first.send(signal.SIGCONT)
        dials = one.dials()
        await until(lambda: one.dials() > dials + 5, of=one)
        assert not second.has_ended
        await first.kill()
        one.programs.remove(first)
        await ended(second, one)
        verdict = await judge(one)
        late = _latest(one)
    assert verdict.problems == []
    assert late < stopped


async def test_a_lost_dial_is_not_found_in_an_earlier_call_to_the_same_person(
    tmp_path: Path,
) -> None:
    """That was another program's, and nothing but the ledger tells whose it was."""
    campaign = flow("no-mark", custom_field="order")
    async with running(tmp_path, 10, campaign) as (one, first):
        one.emulator.scenario = Scenario(
            busy=1.0, no_answer=0, failed=0, ring=(0, 0), settle=(0, 0)
        )
        lost = one.emulator.faults.add(
            Fault.drop_before(), path="Calls/connect", after=10, times=None
        )
        async with one.dialer() as dialer:

            async def doubts() -> int:
                return (await dialer.statistics("no-mark")).in_doubt

            await until(lambda: one.dials() > 10, of=one)
            await first.kill()
            one.programs.remove(first)
            second = one.start()
            async with asyncio.timeout(LONG):
                while await doubts() < 5:
                    await asyncio.sleep(0.02)
        one.emulator.faults.remove(lost)
        await ended(second, one)
        verdict = await judge(one)
    assert verdict.problems == []
    assert verdict.doubts["not-placed"] >= 5


async def test_another_process_adds_contacts_and_pauses(tmp_path: Path) -> None:
    async with running(tmp_path, 60) as (one, program):
        await until(lambda: one.dials() > 20, of=one)
        async with one.dialer() as dialer:
            await dialer.pause("diwali")
            dials = one.dials()
            await asyncio.sleep(GONE)
            # Those whose intents were written down before.
            assert one.dials() <= dials + WORKERS
            assert await stays(one.dials)
            again = await dialer.add("diwali", numbers(80))
            assert (again.added, again.duplicates) == (20, 60)
            assert await stays(one.dials)
            await dialer.resume("diwali")
        await ended(program, one)
        verdict = await judge(one)
    assert verdict.problems == []
    assert verdict.contacts == 80


async def _is_over(dialer: Dialer, name: str) -> bool:
    known = await dialer.statistics(name)
    return known.pending + known.in_progress + known.in_doubt == 0


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _largest(folder: Path) -> int:
    """Return the size of the largest file."""
    return max(path.stat().st_size for path in folder.iterdir())


def _latest(one: Stage) -> float:
    """Return how many seconds after its intent the latest dial has arrived."""
    with closing(sqlite3.connect(one.ledger)) as connection:
        rows = connection.execute("SELECT id, intended_at FROM attempts")
        intended: dict[str | None, int] = dict(rows.fetchall())
    return max(
        one.emulator.clock.wall(call.at).timestamp() - intended[call.custom_field] / 1000
        for call in one.emulator.calls.values()
        if call.custom_field in intended
    )

"""A ledger has one dialer: who has it, who comes after a dead one, and what that finds."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, select, text

from exotel_async import ConfigurationError
from exotel_async.campaigns import ledger_dialers, ledger_thread
from exotel_async.campaigns.entries import LEASE, Holder, IntentResult
from exotel_async.campaigns.errors import LedgerBusy, LedgerLost, LedgerUnavailable
from exotel_async.campaigns.ledger import Ledger
from exotel_async.campaigns.tables import dialers
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState
from tests.campaigns.ledgers import (
    EXCHANGE,
    NOW,
    claimed,
    connection,
    counted,
    intended,
    intent,
    is_postgres,
    people,
    person,
    placed,
    running,
)
from tests.conftest import SOON

ROOT = Path(__file__).parents[2]
# It claims three, has one placed and one intended, says so, and waits to be killed.
DIALER = """
import asyncio, sys
from exotel_async.campaigns.ledger import Ledger
from tests.campaigns.ledgers import intended, people, placed, running, claimed
async def main():
    async with Ledger(sys.argv[1]) as ledger:
        campaign = await running(ledger, people(5))
        one, two = await intended(ledger, campaign, 2)
        await ledger.record([placed(one)])
        await claimed(ledger, campaign, 1)
        print("ready", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def move(path: Path, to: Path) -> None:
    """Move a file of SQLite's, with those beside it."""
    for more in ("", "-wal", "-shm"):
        Path(f"{path}{more}").rename(f"{to}{more}")


@pytest.mark.parametrize("what", ["deleted", "moved", "replaced"])
async def test_a_file_that_others_do_not_see_is_not_dialled_from(what: str, tmp_path: Path) -> None:
    path, aside = tmp_path / "campaigns.db", tmp_path / "aside.db"
    async with Ledger(path) as ledger:
        campaign = await running(ledger, people(3))
        one, two, _ = await claimed(ledger, campaign, 3)
        assert await ledger.intend([intent(one)], within=SOON) == [IntentResult.TAKEN]
        path.rename(aside)
        if what == "deleted":
            aside.unlink()
        elif what == "replaced":
            path.write_bytes(aside.read_bytes())
        for write in (ledger.intend([intent(two)], within=SOON), ledger.renew_lease(NOW)):
            with pytest.raises(LedgerLost, match=r"campaigns\.db was deleted, moved or replaced"):
                await write
        # Nor is another one made, not even to write to it anew.
        with pytest.raises(LedgerLost):
            await ledger.purge(NOW)
        assert path.exists() == (what == "replaced")
        if what == "moved":
            aside.rename(path)
            await ledger.renew_lease(NOW)
            assert await ledger.intend([intent(two)], within=SOON) == [IntentResult.TAKEN]


@pytest.mark.parametrize("what", ["deleted", "moved", "replaced"])
async def test_nor_is_a_place_taken_for_such_a_file(what: str, tmp_path: Path) -> None:
    """As while a long list is added, or another dialer is waited for."""
    path, aside = tmp_path / "campaigns.db", tmp_path / "aside.db"
    async with Ledger(path) as ledger:
        await ledger.create("diwali", "{}", NOW)
        move(path, aside)
        if what == "deleted":
            aside.unlink()
        elif what == "replaced":
            async with Ledger(path) as other:
                await other.create("diwali", "{}", NOW)
        with pytest.raises(LedgerLost):
            await ledger.lock(NOW, EXCHANGE)
        if what == "moved":
            move(aside, path)
            assert await ledger.lock(NOW, EXCHANGE) is None


@pytest.mark.slow(1)
async def test_a_second_dialer_hears_who_has_the_ledger(ledger: Ledger, other: Ledger) -> None:
    assert await ledger.lock(NOW, EXCHANGE) is None
    holder = await other.lock(NOW + 5, EXCHANGE)
    assert holder == Holder(host=os.uname().nodename, pid=os.getpid(), since=NOW)
    with pytest.raises(ConfigurationError, match="locked first"):
        await other.claim(1, [""], 1, NOW, NOW)

    await ledger.unlock(NOW)
    assert await other.lock(NOW, EXCHANGE) is None


@pytest.mark.slow(1)
async def test_without_the_place_all_but_dialling_can_be_done(
    ledger: Ledger, other: Ledger
) -> None:
    campaign = await running(ledger, people(1))
    assert await other.add(campaign.id, [person(1)], NOW) == []
    assert await other.create("holi", "{}", NOW) != campaign
    statistics = await other.statistics("diwali")
    assert statistics is not None
    assert statistics.pending == 2
    assert await other.set_state(campaign.id, CampaignState.PAUSED, None, NOW)
    assert await other.finish(campaign.id, ContactState.CANCELED, NOW) == 2


@pytest.mark.slow(1)
async def test_what_a_killed_dialer_was_about_to_send_is_in_doubt(
    ledger: Ledger, place: str
) -> None:
    dialer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DIALER, place), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert dialer.stdout is not None
    assert await dialer.stdout.readline() == b"ready\n"
    assert isinstance(await ledger.lock(NOW, 1), Holder)
    dialer.kill()
    await dialer.wait()
    while await ledger.lock(NOW + 1000, 1) is not None:
        pass  # a server takes a moment to see that it is gone

    (one,) = await ledger.open_attempts([AttemptState.PLACED])
    (two,) = await ledger.open_attempts([AttemptState.IN_DOUBT, AttemptState.INTENDED])
    assert (one.id, one.sid, one.lost_at) == (f"{1:016x}", f"sid{1:016x}", None)
    # As long as its longest exchange, which is longer than ours.
    assert two.state is AttemptState.IN_DOUBT
    assert (two.lost_at, two.certain_after) == (NOW + 1000, NOW + 1000 + EXCHANGE)
    statistics = await ledger.statistics("diwali")
    assert statistics is not None
    assert (statistics.pending, statistics.in_progress, statistics.in_doubt) == (3, 1, 1)
    campaign = await ledger.campaign("diwali")
    assert campaign is not None
    assert len(await claimed(ledger, campaign, 3)) == 3
    there, true = counted(ledger)
    assert there == true


async def test_what_is_left_when_a_dialer_leaves_is_ready(ledger: Ledger, other: Ledger) -> None:
    campaign = await running(ledger, people(3))
    await claimed(ledger, campaign, 3)
    await ledger.renew_lease(NOW + 1)
    with connection(ledger) as own:
        until = own.execute(select(dialers.c.lease_until)).scalar_one()
        own.engine.dispose()
    assert until == NOW + 1 + LEASE * 1000  # for so long it dials without another sign
    await ledger.unlock(NOW + 2)

    assert await other.lock(NOW + 3, EXCHANGE) is None
    assert len(await claimed(other, campaign, 3)) == 3


async def test_a_dialer_that_was_followed_intends_nothing(ledger: Ledger, other: Ledger) -> None:
    campaign = await running(ledger, people(3))
    one, two = await claimed(ledger, campaign, 2)
    assert await ledger.intend([intent(one)], 2) == [IntentResult.TAKEN]
    ledger._database.release_lock()  # as if its connection was lost
    assert await other.lock(NOW + 1, EXCHANGE) is None

    with pytest.raises(LedgerLost, match="another dialer has taken over"):
        await ledger.renew_lease(NOW + 2)
    assert await ledger.intend([intent(two)], 2) == [IntentResult.NOT_OURS]
    assert await ledger.claim(campaign.id, [""], 1, NOW, NOW) == []
    # What it has sent before, it may still tell.
    await ledger.record([placed(intent(one))])
    assert [one.sid for one in await other.open_attempts([AttemptState.PLACED])]


async def test_a_dialer_whose_connection_was_lost_has_its_place_again(
    ledger: Ledger, other: Ledger
) -> None:
    if not is_postgres(ledger):
        pytest.skip("a lock on a file is not lost")
    campaign = await running(ledger, people(1))
    await intended(ledger, campaign)
    with connection(other) as own:
        own.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks"
                " WHERE locktype = 'advisory' AND objsubid = 2"
            )
        )
        own.engine.dispose()
    await ledger.renew_lease(NOW + 1)
    assert isinstance(await other.lock(NOW + 2, EXCHANGE), Holder)
    assert [one.state for one in await ledger.open_attempts([AttemptState.INTENDED])]


async def test_who_was_claimed_by_a_commit_of_which_nothing_was_heard_is_ready_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await running(ledger, people(3))
    before = await claimed(ledger, campaign, 1)
    lost = LedgerUnavailable("the connection is lost")

    def lose(error: Exception) -> Exception:
        return lost if isinstance(error, ConnectionError) else error

    def committed(own: Connection) -> None:
        own.connection.commit()
        raise ConnectionError

    monkeypatch.setattr(ledger._database, "failure", lose)
    event.listen(Engine, "commit", committed)
    try:
        with pytest.raises(LedgerUnavailable):
            await ledger.claim(campaign.id, [""], 1, NOW, NOW + 1)
    finally:
        event.remove(Engine, "commit", committed)
    assert len(await claimed(ledger, campaign, 2)) == 2
    assert await ledger.intend([intent(before[0])], SOON) == [IntentResult.TAKEN]


async def test_a_place_is_not_kept_by_a_dialer_that_could_not_begin(
    ledger: Ledger, other: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise LedgerBusy("locked")

    with monkeypatch.context() as patch:
        patch.setattr(ledger_thread, "PATIENCE", 0)
        patch.setattr(ledger_dialers, "enter", busy)
        with pytest.raises(LedgerBusy):
            await ledger.lock(NOW, EXCHANGE)
    assert await other.lock(NOW, EXCHANGE) is None


_FORK = """
import asyncio, os, sys, time
from exotel_async.campaigns.ledger import Ledger
async def main():
    async with Ledger(sys.argv[1]) as ledger:
        assert await ledger.lock(1, 1) is None
        child = os.fork()
        if child == 0:
            os.close(1)
            time.sleep(60)
        print(child, flush=True)
        os.kill(os.getpid(), 9)
asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_child_of_a_dead_dialer_does_not_keep_its_place(place: str) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no process has children like this")
    command = [sys.executable, "-W", "ignore", "-c", _FORK, place]
    dialer = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert dialer.stdout is not None
    child = int(await dialer.stdout.readline())
    try:
        assert await dialer.wait() != 0
        async with Ledger(place) as ledger, asyncio.timeout(SOON):
            while await ledger.lock(NOW, EXCHANGE) is not None:
                pass  # a server takes a moment to see that it is gone
    finally:
        os.kill(child, signal.SIGKILL)

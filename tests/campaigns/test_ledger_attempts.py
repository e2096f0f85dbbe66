"""Attempts in the ledger: durable before they leave, and each change of one written once."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.exc import OperationalError

from exotel_async.campaigns import ledger_attempts
from exotel_async.campaigns.entries import Change, IntentResult
from exotel_async.campaigns.errors import LedgerBusy
from exotel_async.campaigns.ledger import Ledger
from exotel_async.campaigns.tables import attempts, contacts
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState
from tests.campaigns.ledgers import (
    NOW,
    claimed,
    connection,
    counted,
    ended,
    intended,
    intent,
    is_postgres,
    people,
    placed,
    running,
    settled,
)
from tests.conftest import SOON

NEW = (AttemptState.INTENDED,)


def states(ledger: Ledger) -> tuple[list[str], list[str]]:
    """Return the states of all attempts and of all contacts."""
    with connection(ledger) as own:
        found = (
            list(own.execute(select(attempts.c.state).order_by(attempts.c.id)).scalars()),
            list(own.execute(select(contacts.c.state).order_by(contacts.c.id)).scalars()),
        )
        own.engine.dispose()
    return found


def lock(ledger: Ledger) -> Connection:
    """Let nobody else write, until the connection is closed."""
    own = connection(ledger)
    own.begin()
    if is_postgres(ledger):
        own.exec_driver_sql("LOCK TABLE attempts, contacts, counts IN EXCLUSIVE MODE")
    return own


def unlock(own: Connection) -> None:
    own.close()
    own.engine.dispose()


@pytest.mark.slow(1)
async def test_only_what_may_leave_is_taken(ledger: Ledger) -> None:
    campaign = await running(ledger, people(4))
    idle = await ledger.create("holi", "{}", NOW)
    await ledger.add(idle.id, people(1), NOW)
    one, two, three = await claimed(ledger, campaign, 3)
    (four,) = await claimed(ledger, idle, 1)
    await ledger.do_not_call([two.number[1:]], "asked", NOW)
    await ledger.unclaim([(three.id, None)])

    said = await ledger.intend(
        [intent(one), intent(one, "twice"), intent(two), intent(three), intent(four)], 2
    )

    assert said == [
        IntentResult.TAKEN,
        IntentResult.NOT_OURS,
        IntentResult.DO_NOT_CALL,
        IntentResult.NOT_OURS,
        IntentResult.NOT_IN_PROGRESS,
    ]
    assert states(ledger) == (
        ["intended"],
        ["in-progress", "claimed", "ready", "ready", "claimed"],
    )


async def test_a_paused_campaign_intends_nothing(ledger: Ledger, other: Ledger) -> None:
    campaign = await running(ledger, people(1))
    (contact,) = await claimed(ledger, campaign, 1)
    await other.set_state(campaign.id, CampaignState.PAUSED, None, NOW)
    assert await ledger.intend([intent(contact)], 2) == [IntentResult.NOT_IN_PROGRESS]


async def test_those_that_wait_are_committed_together(ledger: Ledger) -> None:
    campaign = await running(ledger, people(6))
    found = await claimed(ledger, campaign, 6)
    commits = 0

    def committed(own: Connection) -> None:
        nonlocal commits
        commits += 1

    own = lock(ledger)
    try:
        tasks = [asyncio.create_task(ledger.intend([intent(one)], SOON)) for one in found]
        await asyncio.sleep(0)  # let them ask
    finally:
        event.listen(Engine, "commit", committed)
        unlock(own)
    try:
        assert await asyncio.gather(*tasks) == [[IntentResult.TAKEN]] * 6
    finally:
        event.remove(Engine, "commit", committed)
    # The first one alone, if the thread had begun with it.
    assert commits in {1, 2}


async def test_what_the_database_did_not_take_is_not_there(ledger: Ledger) -> None:
    campaign = await running(ledger, people(2))
    one, two = await claimed(ledger, campaign, 2)
    own = lock(ledger)
    try:
        with pytest.raises(LedgerBusy, match="within"):
            await ledger.intend([intent(one)], 0.05)
    finally:
        unlock(own)

    assert await ledger.intend([intent(two)], SOON) == [IntentResult.TAKEN]
    assert states(ledger) == (["intended"], ["claimed", "in-progress"])
    assert await ledger.intend([intent(one)], SOON) == [IntentResult.TAKEN]


async def test_what_was_taken_for_nobody_is_undone(ledger: Ledger) -> None:
    campaign = await running(ledger, people(2))
    one, two = await claimed(ledger, campaign, 2)
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(ledger.intend([intent(one)], SOON))

    def committing(own: Connection) -> None:
        loop.call_soon_threadsafe(task.cancel)

    event.listen(Engine, "commit", committing)
    try:
        with pytest.raises(asyncio.CancelledError):
            await task
        # What follows finds it undone.
        assert await ledger.intend([intent(two)], SOON) == [IntentResult.TAKEN]
    finally:
        event.remove(Engine, "commit", committing)
    assert states(ledger) == (["intended"], ["claimed", "in-progress"])
    there, true = counted(ledger)
    assert there == true


async def test_after_a_commit_that_failed_all_goes_on(ledger: Ledger) -> None:
    campaign = await running(ledger, people(1))
    (contact,) = await claimed(ledger, campaign, 1)
    failed = False

    def committing(own: Connection) -> None:
        nonlocal failed
        if not failed:
            failed = True
            raise RuntimeError("while committing")

    event.listen(Engine, "commit", committing)
    try:
        with pytest.raises(RuntimeError, match="while committing"):
            await ledger.intend([intent(contact)], SOON)
        assert await ledger.intend([intent(contact)], SOON) == [IntentResult.TAKEN]
    finally:
        event.remove(Engine, "commit", committing)


async def test_an_undo_waits_for_a_commit_that_the_server_still_makes(ledger: Ledger) -> None:
    if not is_postgres(ledger):
        pytest.skip("a file has no server that goes on when its connection is lost")
    campaign = await running(ledger, people(1))
    (contact,) = await claimed(ledger, campaign, 1)
    dialer, lost, new = ledger._own, connection(ledger), connection(ledger)
    with lost.begin():
        assert ledger_attempts.intend(lost, dialer, [intent(contact)]) == [IntentResult.TAKEN]
        with pytest.raises(OperationalError, match="lock timeout"), new.begin():
            ledger_attempts.undo_intent(new, intent(contact))
    with new.begin():
        ledger_attempts.undo_intent(new, intent(contact))
    for one in lost, new:
        unlock(one)
    assert states(ledger) == ([], ["claimed"])


async def test_what_was_claimed_for_nobody_is_ready_again(ledger: Ledger) -> None:
    campaign = await running(ledger, people(2))
    own = lock(ledger)
    task = asyncio.create_task(ledger.claim(campaign.id, [""], 2, NOW, NOW))
    await asyncio.sleep(0)
    task.cancel()
    unlock(own)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await claimed(ledger, campaign, 2)) == 2


async def test_each_change_is_written_once(ledger: Ledger) -> None:
    campaign = await running(ledger, people(1))
    (one,) = await intended(ledger, campaign)
    changes = [placed(one), ended(one), settled(one, "1.2345")]

    await ledger.record(changes)
    before = await ledger.statistics("diwali")
    await ledger.record(changes)

    assert before is not None
    assert (before.attempts, before.statuses, before.price) == (
        1,
        {"completed": 1},
        Decimal("1.2345"),
    )
    assert await ledger.statistics("diwali") == before
    assert states(ledger) == (["settled"], ["reached"])


async def test_a_price_that_comes_later_and_another_one_are_counted(ledger: Ledger) -> None:
    campaign = await running(ledger, people(1))
    (one,) = await intended(ledger, campaign)
    await ledger.record([placed(one), ended(one)])
    for price in ("0.1", "0.25"):
        change = {"price": Decimal(price)}
        was = (AttemptState.ENDED,)
        await ledger.record([Change(attempt_id=one.id, attempt_was=was, attempt=change)])
        statistics = await ledger.statistics("diwali")
        assert statistics is not None
        assert statistics.price == Decimal(price)


async def test_what_is_wrong_with_one_change_is_its_caller_s_alone(ledger: Ledger) -> None:
    campaign = await running(ledger, people(2))
    one, two = await intended(ledger, campaign, 2)
    wrong = Change(
        contact_id=one.contact_id,
        contact_was=(ContactState.IN_PROGRESS,),
        contact={"state": ContactState.REACHED},
    )
    own = lock(ledger)
    tasks = [asyncio.create_task(ledger.record([change])) for change in (wrong, placed(two))]
    await asyncio.sleep(0)
    unlock(own)
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in found] == [ValueError, type(None)]
    assert states(ledger) == (["intended", "placed"], ["in-progress", "in-progress"])


@pytest.mark.parametrize("wrong", ["\ud83d", "\0"])
async def test_what_exotel_says_is_written_whatever_it_is(ledger: Ledger, wrong: str) -> None:
    said, written = f"it{wrong}s", "it\N{REPLACEMENT CHARACTER}s"
    campaign = await running(ledger, people(1))
    (one,) = await intended(ledger, campaign)
    call = {"state": AttemptState.PLACED, "sid": "a", "recording_url": said}
    await ledger.record([Change(attempt_id=one.id, attempt_was=NEW, attempt=call)])
    # More than can be summed.
    await ledger.record([ended(one), settled(one, "1e20")])
    await ledger.set_state(campaign.id, CampaignState.PAUSED, said, NOW)

    statistics = await ledger.statistics("diwali")
    assert statistics is not None
    assert (statistics.reason, statistics.price) == (written, Decimal(0))
    ((_, outcome),) = await ledger.outcomes(campaign.id, 0, 1)
    (attempt,) = outcome.attempts
    assert (attempt.recording_url, attempt.price) == (written, Decimal("1e20"))

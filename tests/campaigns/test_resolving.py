"""Contacts of whom only a person can tell whether their dial has rung them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from exotel_async import InvalidRequest
from exotel_async.campaigns import (
    AttemptState,
    CampaignState,
    Contact,
    ContactState,
    Retries,
    Retry,
)
from exotel_async.campaigns.clock import from_ms, to_ms
from exotel_async.campaigns.dialer import Dialer
from exotel_async.campaigns.entries import Change
from exotel_async.campaigns.ledger import Ledger
from exotel_async.emulator import Emulator, Scenario
from exotel_async.emulator.calls import Dial
from exotel_async.emulator.scenario import Behaviour, Outcome
from tests.campaigns.ledgers import NOW, counted, intended, person, running
from tests.campaigns.running import SHORT, campaign, dialled, number, run_all
from tests.conftest import EXOPHONE

pytestmark = pytest.mark.anyio

AGO = timedelta(hours=1)
NOW_IN_FACT = to_ms(datetime.now(UTC))
"""When dialers were known to be dead: a while after the emulator's calls."""
FLOW = "http://my.exotel.com/exotel/exoml/start_voice/926"


async def unresolved(
    ledger: Ledger,
    name: str,
    candidates: Sequence[str] = (),
    sid: str | None = None,
    known_dead: int = NOW_IN_FACT,
) -> None:
    """Have the only contact of a campaign end unresolved."""
    entry = await ledger.campaign(name)
    assert entry is not None
    if ledger._dialer is None:
        assert await ledger.lock(NOW, 60_000) is None
    await ledger.set_state(entry.id, CampaignState.IN_PROGRESS, None, NOW)
    (intent,) = await intended(ledger, entry)
    change = unresolved_change(intent.id, intent.contact_id, candidates)
    own: dict[str, object] = {"certain_after": known_dead}
    if sid is not None:
        own = {"sid": sid, "status": "in-progress"}
    await ledger.record([evolve(change, attempt={**change.attempt, **own})])
    assert await ledger.set_state(entry.id, CampaignState.COMPLETED, None, NOW)
    await ledger.unlock(NOW)


def unresolved_change(attempt_id: str, contact_id: int, candidates: Sequence[str] = ()) -> Change:
    return Change(
        attempt_id=attempt_id,
        attempt_was=(AttemptState.INTENDED,),
        attempt={"state": AttemptState.UNRESOLVED, "error": "why", "candidates": candidates},
        contact_id=contact_id,
        contact_was=(ContactState.IN_PROGRESS,),
        contact={"state": ContactState.UNRESOLVED, "ended_at": NOW, "reason": "why"},
    )


def resolved_change(attempt_id: str, contact_id: int, **contact: object) -> Change:
    return Change(
        attempt_id=attempt_id,
        attempt_was=(AttemptState.UNRESOLVED,),
        attempt={"state": AttemptState.NOT_PLACED},
        contact_id=contact_id,
        contact_was=(ContactState.UNRESOLVED,),
        contact=contact,
    )


@pytest.mark.parametrize("ended", ["completed", "canceled", "paused"])
async def test_who_is_dialled_again_is_so_only_where_the_campaign_goes_on(
    ledger: Ledger, ended: str
) -> None:
    entry = await running(ledger, [person(1)])
    (intent,) = await intended(ledger, entry)
    await ledger.record([unresolved_change(intent.id, intent.contact_id)])
    assert await ledger.set_state(entry.id, CampaignState(ended), None, NOW)

    again = resolved_change(intent.id, intent.contact_id, state=ContactState.READY, due_at=None)
    assert await ledger.resolve(again, NOW + 1)
    assert not await ledger.resolve(again, NOW + 2)  # it is not unresolved any more

    outcome = await ledger.outcome(entry.id, "customer 1")
    assert outcome is not None
    assert outcome.reason is None
    found = await ledger.statistics(entry.id)
    assert found is not None
    assert found.unresolved == 0
    if ended == "canceled":
        assert outcome.state is ContactState.CANCELED
        assert found.state is CampaignState.CANCELED
        assert [place for place, _ in await ledger.outcomes(entry.id, 0, 9)] == [2]
    else:
        assert (outcome.state, outcome.ended_at) == (ContactState.READY, None)
        assert found.pending == 1
        state = CampaignState.IN_PROGRESS if ended == "completed" else CampaignState.PAUSED
        assert found.state is state
        assert await ledger.outcomes(entry.id, 0, 9) == []
    there, true = counted(ledger)
    assert there == true


async def test_its_outcome_comes_behind_those_that_were_read(ledger: Ledger) -> None:
    entry = await running(ledger, [person(1), person(2)])
    for intent in await intended(ledger, entry, 2):
        await ledger.record([unresolved_change(intent.id, intent.contact_id)])
        last = intent
    last_read = await ledger.last_outcome(entry.id)
    reached = resolved_change(
        last.id, last.contact_id, state=ContactState.REACHED, ended_at=NOW + 1, reason=None
    )
    assert await ledger.resolve(reached, NOW + 1)
    ((_, outcome),) = await ledger.outcomes(entry.id, last_read, 9)
    assert (outcome.state, outcome.reason) == (ContactState.REACHED, None)
    assert len(await ledger.outcomes(entry.id, 0, 9)) == 2


def to_flow(who: str) -> Dial:
    return Dial(from_=who, to=None, caller_id=EXOPHONE, url=FLOW)


async def made(
    dialer: Dialer,
    name: str,
    candidates: Sequence[str] = (),
    sid: str | None = None,
    *,
    known_dead: int = NOW_IN_FACT,
    **settings: object,
) -> None:
    """Make a campaign whose only contact is unresolved; the contact's key."""
    await dialer.create(campaign(name, **settings))
    await dialer.add(name, [Contact(number(0), key="customer")])
    await unresolved(dialer._ledger, name, candidates, sid, known_dead)


@pytest.mark.slow(1)
async def test_the_call_that_it_was_decides(dialer: Dialer, exotel_server: Emulator) -> None:
    """One was answered; of the other's a retry follows, when it is due."""
    retries = Retries(busy=Retry(1, timedelta(seconds=1)))
    exotel_server.scenario = Scenario(numbers={number(0): Behaviour(Outcome.COMPLETED, talk=9)})
    answered = exotel_server.add_call(to_flow(number(0)), ago=AGO).sid
    exotel_server.scenario = Scenario(numbers={number(0): Behaviour(Outcome.BUSY)})
    busy = exotel_server.add_call(to_flow(number(0)), ago=AGO).sid

    await made(dialer, "one", [answered, busy])
    await made(dialer, "two", [answered, busy], retries=retries)
    outcome = await dialer.resolve("one", "customer", sid=answered)
    assert outcome.state is ContactState.REACHED
    (attempt,) = outcome.attempts
    assert (attempt.sid, attempt.state) == (answered, AttemptState.SETTLED)
    assert attempt.duration is not None
    assert (attempt.candidates, attempt.error) == ((), None)
    known = await dialer.statistics("one")
    assert (known.reached, known.attempts, known.state) == (1, 1, CampaignState.COMPLETED)
    assert await run_all(dialer, "one") == []
    assert dialled(exotel_server) == []

    outcome = await dialer.resolve("two", "customer", sid=busy)
    assert outcome.state is ContactState.WAITING
    exotel_server.scenario = SHORT
    (last,) = await run_all(dialer, "two")
    assert last.state is ContactState.REACHED
    assert [one.sid for one in last.attempts][:1] == [busy]
    assert dialled(exotel_server) == [number(0)]


async def test_who_was_not_rung_is_dialled(dialer: Dialer, exotel_server: Emulator) -> None:
    await made(dialer, "one", ["abc"])
    outcome = await dialer.resolve("one", "customer", sid=None)
    assert outcome.state is ContactState.READY
    (attempt,) = outcome.attempts
    assert (attempt.state, attempt.candidates) == (AttemptState.NOT_PLACED, ())
    (last,) = await run_all(dialer, "one")
    assert last.state is ContactState.REACHED
    assert dialled(exotel_server) == [number(0)]


async def test_what_cannot_be_the_call_is_refused(dialer: Dialer, exotel_server: Emulator) -> None:
    other = exotel_server.add_call(to_flow(number(7)), ago=AGO).sid
    exotel_server.scenario = Scenario.all_answered(ring=1, talk=3000)
    going_on = exotel_server.add_call(to_flow(number(0)), ago=timedelta(0)).sid
    exotel_server.scenario = Scenario.all_answered(ring=1, talk=3)
    before = exotel_server.clock.now() - from_ms(NOW) + timedelta(minutes=2)
    earlier = exotel_server.add_call(to_flow(number(0)), ago=before).sid
    came_in = exotel_server.add_call(evolve(to_flow(number(0)), direction="inbound"), ago=AGO).sid
    later = exotel_server.add_call(to_flow(number(0)), ago=AGO).sid
    gone = to_ms(exotel_server.clock.now() - AGO - timedelta(minutes=2))
    await made(dialer, "one", [other], known_dead=gone)
    refused = (
        (other, "another number"),
        (going_on, "not over"),
        (earlier, "before the dial"),
        (came_in, "incoming"),
        (later, "too long after the dial"),
    )
    for sid, why in refused:
        with pytest.raises(InvalidRequest, match=why) as error:
            await dialer.resolve("one", "customer", sid=sid)
        assert number(0)[-9:] not in str(error.value)
    with pytest.raises(InvalidRequest, match="not the key of a contact") as error:
        await dialer.resolve("one", number(3), sid=None)
    assert number(3)[-9:] not in str(error.value)
    with pytest.raises(InvalidRequest, match="no such campaign"):
        await dialer.resolve("three", "customer", sid=None)
    await dialer.resolve("one", "customer", sid=None)
    with pytest.raises(InvalidRequest, match="is ready, not unresolved"):
        await dialer.resolve("one", "customer", sid=None)


async def test_who_did_not_speak_with_the_agent_was_not_reached(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    agent = number(9)
    exotel_server.scenario = Scenario(
        numbers={number(0): Behaviour(Outcome.COMPLETED), agent: Behaviour(Outcome.BUSY)}
    )
    call = Dial(from_=number(0), to=agent, caller_id=EXOPHONE)
    sid = exotel_server.add_call(call, ago=AGO).sid
    await made(dialer, "one", [sid], agent=agent)
    outcome = await dialer.resolve("one", "customer", sid=sid)
    assert outcome.state is ContactState.NOT_REACHED
    assert outcome.reason == "the last call: not-reached"


async def test_its_own_call_whose_end_was_not_known_decides(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    """It is over for some seconds: the next run asks for its price."""
    exotel_server.scenario = Scenario.all_answered(ring=1, talk=1, settle=3000)
    sid = exotel_server.add_call(to_flow(number(0)), ago=timedelta(seconds=10)).sid
    await made(dialer, "one", sid=sid)
    outcome = await dialer.resolve("one", "customer", sid=sid)
    assert outcome.state is ContactState.REACHED
    (attempt,) = outcome.attempts
    assert (attempt.sid, attempt.state) == (sid, AttemptState.ENDED)


async def test_who_was_called_is_not_called_again_though_the_record_is_gone(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await made(dialer, "one", sid="gone")
    before = [one async for one in dialer.outcomes("one")]
    with pytest.raises(
        InvalidRequest, match="call was placed: Exotel accepted it as gone"
    ) as error:
        await dialer.resolve("one", "customer", sid=None)
    assert error.value.argument == "key"
    with pytest.raises(InvalidRequest, match="is not the call that Exotel accepted"):
        await dialer.resolve("one", "customer", sid="another")
    assert [one async for one in dialer.outcomes("one")] == before
    known = await dialer.statistics("one")
    assert (known.unresolved, known.end_unknown, known.attempts) == (1, 1, 1)

    outcome = await dialer.resolve("one", "customer", sid="gone")
    assert (outcome.state, outcome.reason) == (
        ContactState.REACHED,
        "resolved by hand: the call was placed, its end is not known",
    )
    (attempt,) = outcome.attempts
    assert (attempt.sid, attempt.status, attempt.state) == ("gone", None, AttemptState.SETTLED)
    known = await dialer.statistics("one")
    assert (known.unresolved, known.end_unknown, known.attempts) == (0, 0, 1)
    assert (known.reached, known.statuses) == (1, {})
    assert await run_all(dialer, "one") == []
    assert dialled(exotel_server) == []


async def test_another_call_is_not_taken_for_the_one_that_exotel_accepted(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    """If that one was busy, the contact would be dialled again."""
    exotel_server.scenario = Scenario(numbers={number(0): Behaviour(Outcome.BUSY)})
    sid = exotel_server.add_call(to_flow(number(0)), ago=AGO).sid
    await made(dialer, "one", sid="gone")
    with pytest.raises(InvalidRequest, match="is not the call that Exotel accepted: gone"):
        await dialer.resolve("one", "customer", sid=sid)
    assert (await dialer.statistics("one")).unresolved == 1


async def test_a_record_that_never_ends_is_no_call_in_progress(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    exotel_server.scenario = Scenario.all_answered(ring=1, talk=3000)
    sid = exotel_server.add_call(to_flow(number(0)), ago=timedelta(0)).sid
    await made(dialer, "one", sid=sid)
    outcome = await dialer.resolve("one", "customer", sid=sid)
    assert outcome.state is ContactState.REACHED
    assert outcome.reason == "resolved by hand: the call was placed, its end is not known"


async def test_a_call_is_that_of_one_attempt(dialer: Dialer, exotel_server: Emulator) -> None:
    exotel_server.scenario = Scenario.all_answered(ring=1, talk=3)
    sid = exotel_server.add_call(to_flow(number(0)), ago=AGO).sid
    await made(dialer, "one", [sid])
    await made(dialer, "two", [sid])
    await dialer.resolve("one", "customer", sid=sid)
    with pytest.raises(InvalidRequest, match="of another attempt"):
        await dialer.resolve("two", "customer", sid=sid)

"""What is read of the ledger: all that was written of a contact and its attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from exotel_async.campaigns.contact import Contact
from exotel_async.campaigns.entries import Change, IntentResult
from exotel_async.campaigns.ledger import Ledger
from exotel_async.campaigns.outcome import Attempt, ContactOutcome
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState
from exotel_async.models import AnsweredBy, CallStatus, Leg
from tests.campaigns.ledgers import (
    NOW,
    claimed,
    ended,
    intended,
    intent,
    people,
    person,
    placed,
    running,
    settled,
)
from tests.conftest import SOON

THEN = datetime.fromtimestamp(NOW / 1000, UTC)


@pytest.mark.slow(1)
async def test_an_outcome_has_all_that_was_written(ledger: Ledger) -> None:
    contact = person(
        1,
        fields='{"name": "आशा", "amount": 1200.5}',
        alternatives=("+919812300002",),
        others=("9812300002",),
        due_at=NOW - 1,
        priority=7,
        zone="Asia/Dubai",
        agent="sip:asha",
        custom_field="order 7",
    )
    campaign = await running(ledger, [contact])
    await ledger.promote(campaign.id, NOW)
    (found,) = await ledger.claim(campaign.id, ["Asia/Dubai"], 9, NOW, NOW)
    assert (found.agent, found.custom_field, found.priority) == ("sip:asha", "order 7", 7)
    assert found.alternatives == ("+919812300002",)
    await ledger.unclaim([(found.id, None)])
    one = await _dial(ledger, campaign.id)
    leg = Leg(id=1, duration=timedelta(seconds=5), status=CallStatus.COMPLETED)
    last = Change(
        attempt_id=one,
        attempt_was=(AttemptState.PLACED,),
        attempt={
            "state": AttemptState.SETTLED,
            "status": CallStatus.COMPLETED,
            "started_at": NOW,
            "ended_at": NOW + 9000,
            "duration_ms": 9000,
            "talk_ms": 4500,
            "price": Decimal("1.50"),
            "answered_by": AnsweredBy.HUMAN,
            "recording_url": "https://recordings.example.com/1.mp3",
            "legs": (leg,),
            "candidates": ("a", "b"),
            "error": "none",
        },
        contact_id=found.id,
        contact_was=(ContactState.IN_PROGRESS,),
        contact={
            "state": ContactState.REACHED,
            "reason": "talked",
            "attempts": 1,
            "tries": {"busy": 1},
            "ended_at": NOW + 9001,
        },
    )
    await ledger.record([last])

    outcome = ContactOutcome(
        campaign="diwali",
        contact=Contact(
            "09812300001",
            key="customer 1",
            fields={"name": "आशा", "amount": 1200.5},
            priority=7,
            not_before=THEN - timedelta(milliseconds=1),
            time_zone="Asia/Dubai",
            alternatives=["+919812300002"],
            agent="sip:asha",
            custom_field="order 7",
        ),
        state=ContactState.REACHED,
        reason="talked",
        ended_at=THEN + timedelta(milliseconds=9001),
        attempts=(
            Attempt(
                id=one,
                number="09812300001",
                caller_id="08030000000",
                state=AttemptState.SETTLED,
                intended_at=THEN,
                sid=f"sid{one}",
                status=CallStatus.COMPLETED,
                started_at=THEN,
                ended_at=THEN + timedelta(seconds=9),
                duration=timedelta(seconds=9),
                talk_time=timedelta(seconds=4.5),
                price=Decimal("1.50"),
                answered_by=AnsweredBy.HUMAN,
                recording_url="https://recordings.example.com/1.mp3",
                legs=(leg,),
                candidates=("a", "b"),
                error="none",
            ),
        ),
    )
    assert await ledger.outcome(campaign.id, "customer 1") == outcome
    assert await ledger.outcomes(campaign.id, 0, 9) == [(1, outcome)]
    attempt = await ledger.find_attempt(one)
    assert attempt is not None
    assert attempt.contact.tries == {"busy": 1}
    assert attempt.contact_state is ContactState.REACHED
    assert await ledger.find_attempt(sid=f"sid{one}") == attempt
    assert await ledger.find_attempt("another") is await ledger.find_attempt(sid="other") is None
    assert await ledger.outcome(campaign.id, "another") is None


async def _dial(ledger: Ledger, campaign_id: int) -> str:
    (contact,) = await ledger.claim(campaign_id, ["Asia/Dubai"], 1, NOW, NOW)
    one = intent(contact)
    assert await ledger.intend([one], 2) == [IntentResult.TAKEN]
    await ledger.record([placed(one)])
    return one.id


async def test_outcomes_come_in_the_order_they_were_written_page_by_page(ledger: Ledger) -> None:
    campaign = await running(ledger, people(7))
    intents = await intended(ledger, campaign, 6)
    assert await ledger.last_outcome(campaign.id) == 0
    for place, one in enumerate(intents[::-1]):
        await ledger.record([placed(one), ended(one, at=NOW + 10 * (place % 3))])

    found: list[str] = []
    after = 0
    while page := await ledger.outcomes(campaign.id, after, 2):
        assert len(page) == 2
        after = page[-1][0]
        found += [outcome.contact.key[-1] for _, outcome in page if outcome.contact.key]
    assert found == ["5", "4", "3", "2", "1", "0"]
    assert await ledger.last_outcome(campaign.id) == after == 6


async def test_statistics_add_up(ledger: Ledger) -> None:
    campaign = await running(ledger, [*people(8), person(8, due_at=NOW + 1)])
    await claimed(ledger, campaign, 1)
    intents = await intended(ledger, campaign, 6)
    outcomes = [
        ContactState.REACHED,
        ContactState.NOT_REACHED,
        ContactState.REFUSED,
        ContactState.UNRESOLVED,
        ContactState.WAITING,
    ]
    statuses = ["completed", "busy", "failed", "no-answer", "busy"]
    for one, state, status in zip(intents, outcomes, statuses, strict=False):
        await ledger.record([placed(one), ended(one, state, status=status)])
    await ledger.record([settled(intents[0], "1.2345"), settled(intents[1], "0.00000051")])
    await ledger.set_state(campaign.id, CampaignState.PAUSED, "no balance", NOW)

    found = await ledger.statistics(campaign.id)
    assert found is not None
    assert found == await ledger.statistics("diwali")
    assert (found.name, found.state, found.reason) == ("diwali", CampaignState.PAUSED, "no balance")
    assert found.created == 9
    assert (found.pending, found.in_progress) == (4, 1)
    assert found.reached == found.not_reached == found.refused == found.unresolved == 1
    assert (found.attempts, found.talk_time) == (5, timedelta(seconds=5))
    assert found.statuses == {"busy": 2, "completed": 1, "failed": 1, "no-answer": 1}
    assert found.price == Decimal("1.234501")
    assert await ledger.statistics("another") is None


async def test_open_attempts_come_page_by_page(ledger: Ledger) -> None:
    campaign = await running(ledger, people(5))
    intents = await intended(ledger, campaign, 5)
    await ledger.record([*map(placed, intents[:4]), ended(intents[0]), ended(intents[1])])
    await ledger.record([settled(intents[0], "1")])

    states = [AttemptState.PLACED, AttemptState.ENDED]
    page = await ledger.open_attempts(states, limit=2)
    assert [one.id for one in page] == [intents[1].id, intents[2].id]
    assert page[0].contact.id == intents[1].contact_id
    (rest,) = await ledger.open_attempts(states, page[-1].id, limit=2)
    assert (rest.id, rest.state, rest.sid) == (
        intents[3].id,
        AttemptState.PLACED,
        f"sid{intents[3].id}",
    )


async def test_calls_to_the_same_people_are_known_by_time(ledger: Ledger) -> None:
    campaign = await running(ledger, [person(1, others=("other",)), person(2), person(3)])
    one, two, three = await intended(ledger, campaign, 3)
    await ledger.record([placed(one), placed(two)])

    def sids(*intents: object) -> list[str]:
        return [f"sid{getattr(intent, 'id', '')}" for intent in intents]

    first, second, third = one.identities[0], two.identities[0], three.identities[0]
    near = ledger.sids_near
    assert await near([first, third], NOW - 1, NOW) == sids(one)
    assert await near(["other"], NOW, NOW + 1) == sids(one)
    assert sorted(await near([first, second], NOW, NOW)) == sorted(sids(one, two))
    assert await near([first], NOW + 1, NOW + 2) == []


async def test_zones_in_which_contacts_are_to_be_dialled(ledger: Ledger) -> None:
    zones = ["", "Asia/Dubai", "Asia/Kolkata", "Europe/Paris", "Europe/Rome"]
    waiting = person(2, zone=zones[2], due_at=NOW + 60_000)
    rest = [person(n, zone=zone) for n, zone in enumerate(zones) if n != 2]
    campaign = await running(ledger, [waiting, *rest])
    other = await running(ledger, [person(1, zone=zones[3])], "other")
    assert await ledger.pending_zones(campaign.id, zones) == zones

    asked = [zones[0], zones[1], zones[3]]
    first, second, third = await ledger.claim(campaign.id, asked, 9, NOW, NOW)
    assert await ledger.pending_zones(campaign.id, zones) == zones
    done = intent(first)
    await ledger.intend([done], within=SOON)
    await ledger.record([placed(done)])
    left = [zone for zone in zones if zone != first.zone]
    assert await ledger.pending_zones(campaign.id, zones) == left
    assert await ledger.pending_zones(other.id, zones) == [zones[3]]
    assert {second.zone, third.zone} < set(left)

"""Statistics are what the rows say, whatever was done in whatever order."""

from __future__ import annotations

import random
from contextlib import suppress
from decimal import Decimal

import pytest

from exotel_async import InvalidRequest
from exotel_async.campaigns.entries import Change, Intent, IntentResult
from exotel_async.campaigns.ledger import Ledger
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState
from tests.campaigns.ledgers import EXCHANGE, NOW, counted, intent, person, running

STATES = list(AttemptState)
CONTACTS = list(ContactState)


@pytest.mark.slow(8)
@pytest.mark.parametrize("seed", range(3))
async def test_counts_are_what_the_rows_say(ledger: Ledger, seed: int) -> None:
    chance = random.Random(seed)
    campaigns = [await running(ledger, name=name) for name in ("diwali", "holi")]
    intents: list[Intent] = []
    for step in range(120):
        campaign = chance.choice(campaigns)
        now = NOW + step
        match chance.choice(
            ["add", "add", "claim", "claim", "record", "record", "record", "lock", "rest"]
        ):
            case "add":
                due = chance.choice([None, now + 5])
                new = [
                    person(
                        chance.randrange(300), zone=chance.choice(["", "Asia/Dubai"]), due_at=due
                    )
                    for _ in range(chance.randrange(12))
                ]
                await ledger.add(campaign.id, new, now)
            case "claim":
                await ledger.promote(campaign.id, now, chance.randrange(1, 5))
                found = await ledger.claim(campaign.id, ["", "Asia/Dubai"], 5, now, now)
                asked = [intent(one, f"{step} {one.id}") for one in found]
                some = asked[: chance.randrange(6)]
                said = await ledger.intend(some, 2) if some else []
                pairs = zip(some, said, strict=True)
                intents += [one for one, taken in pairs if taken is IntentResult.TAKEN]
            case "record" if intents:
                await ledger.record([_change(chance, intents, now) for _ in range(6)])
            case "lock":
                assert await ledger.lock(now, EXCHANGE) is None
            case "rest":
                await _rest(chance, ledger, campaign.id, now)
        if step % 20 == 19:
            there, true = counted(ledger)
            assert there == true


def _change(chance: random.Random, intents: list[Intent], now: int) -> Change:
    one = chance.choice(intents)
    state = chance.choice(CONTACTS)
    contact = {
        "state": state,
        "attempts": chance.randrange(3),
        "due_at": chance.choice([None, now + 3]),
        "ended_at": now if state.is_final else None,
    }
    attempt = {
        "state": chance.choice(STATES),
        "status": chance.choice([None, "busy", "completed"]),
        "sid": chance.choice([None, "a1"]),
        "talk_ms": chance.choice([None, 0, 1500]),
        "price": chance.choice([None, Decimal("0.0000015"), Decimal("1.25")]),
    }
    names = chance.sample(sorted(attempt), chance.randrange(1, 6))
    return Change(
        attempt_id=chance.choice([one.id, None]),
        attempt_was=tuple(chance.sample(STATES, 5)),
        attempt={name: attempt[name] for name in names},
        contact_id=chance.choice([one.contact_id, None]),
        contact_was=tuple(chance.sample(CONTACTS, 8)),
        contact=contact,
    )


async def _rest(chance: random.Random, ledger: Ledger, campaign_id: int, now: int) -> None:
    match chance.randrange(6):
        case 0:
            await ledger.finish(campaign_id, ContactState.EXPIRED, now)
        case 1:
            await ledger.purge(now - 30)
        case 2:
            await ledger.set_state(campaign_id, CampaignState.PAUSED, None, now)
        case 3:
            await ledger.set_state(campaign_id, CampaignState.IN_PROGRESS, None, now)
        case _:
            with suppress(InvalidRequest):  # it is being dialled
                await ledger.forget(f"customer {chance.randrange(300)}")

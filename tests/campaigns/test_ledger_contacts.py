"""Contacts in the ledger: one person once, dialled in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from exotel_async import InvalidRequest
from exotel_async.campaigns.entries import NewContact
from exotel_async.campaigns.ledger import Ledger
from exotel_async.campaigns.words import CampaignState, ContactState
from tests.campaigns.ledgers import (
    NOW,
    claimed,
    connection,
    counted,
    ended,
    intended,
    people,
    person,
    placed,
    running,
)


async def test_of_each_person_the_first_row_is_taken(ledger: Ledger) -> None:
    campaign = await ledger.create("diwali", "{}", NOW)
    new = [person(1), person(1, key="b"), person(2, key="customer 1"), person(2)]

    assert await ledger.add(campaign.id, new, NOW) == [(1, "number"), (2, "other number")]
    assert await ledger.add(campaign.id, new, NOW) == [
        (0, "key"),
        (1, "number"),
        (2, "other number"),
        (3, "key"),
    ]

    statistics = await ledger.statistics("diwali")
    assert statistics is not None
    assert statistics.created == statistics.pending == 2


@pytest.mark.parametrize("together", [True, False])
async def test_an_alternative_number_is_a_person_s_as_well(ledger: Ledger, together: bool) -> None:
    campaign = await ledger.create("diwali", "{}", NOW)
    two = person(1, others=(person(2).identity,))
    new = [
        two,
        person(2),
        person(3, others=(person(2).identity,)),
        person(4, others=(two.identity,)),
    ]

    if together:
        refused = await ledger.add(campaign.id, new, NOW)
    else:
        refused = [
            (index, reason)
            for index, one in enumerate(new)
            for _, reason in await ledger.add(campaign.id, [one], NOW)
        ]

    assert refused == [(1, "number"), (2, "number"), (3, "number")]


async def test_each_campaign_has_its_own_people(ledger: Ledger) -> None:
    for name in ("diwali", "holi"):
        campaign = await ledger.create(name, "{}", NOW)
        assert await ledger.add(campaign.id, [person(1, others=("x",)), person(2)], NOW) == []


rows = st.lists(
    st.builds(
        NewContact,
        key=st.sampled_from("abcdefgh"),
        number=st.just("09812300001"),
        identity=st.sampled_from("12345678"),
        others=st.lists(st.sampled_from("12345678"), max_size=2).map(tuple),
    ),
    max_size=6,
)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows, max_size=3))
def test_who_is_taken_is_as_if_each_came_alone(place: str, batches: list[list[NewContact]]) -> None:
    async def main() -> None:
        async with Ledger(place) as ledger:
            campaign = await ledger.create(f"campaign {len(await ledger.campaigns())}", "{}", NOW)
            keys: dict[str, set[str]] = {}
            for batch in batches:
                expected = [
                    refusal
                    for index, one in enumerate(batch)
                    for refusal in _refused_alone(index, one, keys)
                ]
                assert await ledger.add(campaign.id, batch, NOW) == expected

    asyncio.run(main())


def _refused_alone(
    index: int, one: NewContact, keys: dict[str, set[str]]
) -> Sequence[tuple[int, str]]:
    """Return whether one is refused who comes alone; else add its key, and the numbers of it."""
    if one.key in keys:
        return [(index, "key" if one.identity in keys[one.key] else "other number")]
    numbers = {one.identity, *one.others}
    if any(numbers & others for others in keys.values()):
        return [(index, "number")]
    keys[one.key] = numbers
    return []


async def test_two_who_add_the_same_people_take_each_once(ledger: Ledger, other: Ledger) -> None:
    campaign = await ledger.create("diwali", "{}", NOW)
    blocks = [people(300)[first : first + 30] for first in range(0, 300, 30)]

    async def add(adder: Ledger) -> int:
        return sum([len(await adder.add(campaign.id, block, NOW)) for block in blocks])

    refused = await asyncio.gather(add(ledger), add(other))

    assert sum(refused) == 300
    statistics = await other.statistics(campaign.id)
    assert statistics is not None
    assert statistics.pending == 300


async def test_a_completed_campaign_goes_on_and_a_canceled_one_does_not(ledger: Ledger) -> None:
    campaign = await ledger.create("diwali", "{}", NOW)
    for was_run, becomes in ((False, CampaignState.CREATED), (True, CampaignState.IN_PROGRESS)):
        if was_run:
            await ledger.set_state(campaign.id, CampaignState.IN_PROGRESS, None, NOW)
        await ledger.finish(campaign.id, ContactState.EXPIRED, NOW)
        assert await ledger.set_state(campaign.id, CampaignState.COMPLETED, None, NOW)
        assert await ledger.add(campaign.id, [person(int(was_run))], NOW) == []
        found = await ledger.campaign("diwali")
        assert found is not None
        assert found.state is becomes

    await ledger.set_state(campaign.id, CampaignState.CANCELED, None, NOW)
    with pytest.raises(InvalidRequest, match=r"name='diwali': .*cancelled"):
        await ledger.add(campaign.id, [person(2)], NOW)
    with pytest.raises(InvalidRequest, match="campaign_id"):
        await ledger.add(campaign.id + 1, [person(2)], NOW)


async def test_who_is_not_due_waits(ledger: Ledger) -> None:
    new = [person(one, due_at=NOW + one * 1000) for one in range(5)]
    campaign = await running(ledger, new)

    # Whoever adds somebody may have a wrong clock: that is looked at when they are promoted.
    assert await ledger.claim(campaign.id, [""], 1, NOW, NOW) == []
    assert await ledger.promote(campaign.id, NOW) == (1, NOW + 1000)
    assert [one.key for one in await claimed(ledger, campaign, 1)] == ["customer 0"]
    # One at a time: what is left is due already.
    assert await ledger.promote(campaign.id, NOW + 3000, limit=1) == (1, NOW + 2000)
    assert await ledger.promote(campaign.id, NOW + 4000) == (3, None)
    assert len(await claimed(ledger, campaign, 4)) == 4


async def test_they_are_claimed_by_priority_and_retries_first(ledger: Ledger) -> None:
    new = [person(one, priority=one % 2, zone="Asia/Dubai" if one > 3 else "") for one in range(8)]
    campaign = await running(ledger, new)
    (retried,) = await intended(ledger, campaign)
    await ledger.record([placed(retried), ended(retried, ContactState.WAITING, status="busy")])
    await ledger.promote(campaign.id, NOW)

    zones = ["", "Asia/Dubai"]
    found = await ledger.claim(campaign.id, zones, 6, NOW, NOW)
    assert [one.key[-1] for one in found] == ["1", "3", "5", "7", "0", "2"]
    assert found[0].attempts == 1
    assert found[0].caller_id == "08030000000"
    assert len(await ledger.claim(campaign.id, [""], 6, NOW, NOW)) == 0
    assert len(await ledger.claim(campaign.id, zones, 6, NOW, NOW)) == 2
    entry = await ledger.campaign("diwali")
    assert entry is not None
    assert entry.zones == ("", "Asia/Dubai")


async def test_what_is_given_back_is_ready_or_waits(ledger: Ledger) -> None:
    campaign = await running(ledger, people(3))
    first, second, third = await claimed(ledger, campaign, 3)

    await ledger.unclaim([(first.id, None), (second.id, NOW + 500)])

    assert await ledger.promote(campaign.id, NOW) == (0, NOW + 500)
    assert await claimed(ledger, campaign, 1) == [first]
    assert await ledger.finish(campaign.id, ContactState.CANCELED, NOW) == 3
    # It has its outcome, and is not made ready by those who had claimed it.
    await ledger.unclaim([(third.id, None)])
    found = await ledger.outcome(campaign.id, third.key)
    assert found is not None
    assert found.state is ContactState.CANCELED


async def test_a_campaign_is_finished_in_blocks(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exotel_async.campaigns.ledger_campaigns._BLOCK", 4)
    campaign = await running(ledger, [*people(9), person(9, due_at=NOW + 1)])
    await claimed(ledger, campaign, 2)
    await intended(ledger, campaign, 2)

    assert await ledger.finish(campaign.id, ContactState.EXPIRED, NOW) == 8

    statistics = await ledger.statistics("diwali")
    assert statistics is not None
    assert (statistics.expired, statistics.pending, statistics.in_progress) == (8, 0, 2)
    there, true = counted(ledger)
    assert there == true


async def test_a_campaign_is_made_once(ledger: Ledger, other: Ledger) -> None:
    campaign = await ledger.create("diwali", "{}", NOW)
    assert await other.create("diwali", "{}", NOW + 1) == campaign
    assert await ledger.campaigns() == [campaign]
    with pytest.raises(InvalidRequest, match=r"name='diwali': .*other settings"):
        await other.create("diwali", "{ }", NOW)
    assert await ledger.campaign("holi") is None
    paused = CampaignState.PAUSED
    assert not await ledger.set_state(
        campaign.id, paused, None, NOW, only_from=[CampaignState.IN_PROGRESS]
    )
    assert await ledger.set_state(
        campaign.id, paused, "why", NOW, only_from=[CampaignState.CREATED]
    )
    found = await other.campaign("diwali")
    assert found is not None
    assert (found.state, found.reason) == (paused, "why")


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
async def test_no_statement_keeps_the_plan_that_was_right_for_empty_tables(ledger: Ledger) -> None:
    with connection(ledger) as own:
        for _ in range(8):  # psycopg would have it prepared from the sixth time on
            own.execute(text("SELECT count(*) FROM contacts WHERE key = :key"), {"key": "a"})
        prepared = own.execute(text("SELECT statement FROM pg_prepared_statements")).all()
    assert prepared == []


async def test_those_that_a_campaign_has_are_told(ledger: Ledger) -> None:
    campaign = await running(ledger, [person(1), person(2, others=("981230009",))])
    asked = [
        person(3),
        person(1, identity="another number"),
        person(4, identity=person(1).identity),
        person(5, others=("981230009",)),
        person(6, key=person(2).key),
    ]
    assert await ledger.known(campaign.id, asked) == [
        (1, "other number"),
        (2, "number"),
        (3, "number"),
        (4, "other number"),
    ]
    other = await running(ledger, name="holi")
    assert await ledger.known(other.id, asked) == []


async def test_those_that_wait_to_be_dialled_again_are_counted(ledger: Ledger) -> None:
    campaign = await running(ledger, [*people(3), person(3, due_at=NOW + 1)])
    assert await ledger.retries(campaign.id) == (0, None)
    intents = await intended(ledger, campaign, 2)
    await ledger.record([placed(one) for one in intents])
    waiting = ContactState.WAITING
    await ledger.record([ended(one, waiting, at=NOW + 5000 + n) for n, one in enumerate(intents)])
    assert await ledger.retries(campaign.id) == (2, NOW + 5000)

"""People in the ledger: not to be called, known to the registry, forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, select

from exotel_async import InvalidRequest
from exotel_async.campaigns import ledger as ledger_module
from exotel_async.campaigns import ledger_people
from exotel_async.campaigns.entries import IntentResult
from exotel_async.campaigns.ledger import Ledger
from exotel_async.campaigns.tables import attempts, contacts, other_numbers
from exotel_async.campaigns.words import ContactState
from tests.campaigns.ledgers import (
    NOW,
    claimed,
    connection,
    counted,
    ended,
    intended,
    intent,
    is_postgres,
    path_of,
    people,
    person,
    placed,
    running,
)


async def test_who_is_not_to_be_called_is_listed_until_allowed(ledger: Ledger) -> None:
    await ledger.do_not_call([], None, NOW)
    await ledger.do_not_call(["1", "2"], "asked", NOW)
    await ledger.do_not_call(["2", "3"], None, NOW)
    assert await ledger.listed(["1", "3", "4"]) == {"1", "3"}
    assert await ledger.allow(["1", "4"]) == 1
    assert await ledger.listed(["1", "2", "3"]) == {"2", "3"}


async def test_a_long_list_is_written_in_blocks(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_LISTED_TOGETHER", 2)
    commits: list[Connection] = []

    def committed(own: Connection) -> None:
        commits.append(own)

    event.listen(Engine, "commit", committed)
    try:
        await ledger.do_not_call([str(n) for n in range(5)], None, NOW)
    finally:
        event.remove(Engine, "commit", committed)
    assert len(commits) == 3  # between them intents pass
    assert await ledger.listed([str(n) for n in range(9)]) == {"0", "1", "2", "3", "4"}


async def test_what_the_registry_says_is_remembered(ledger: Ledger) -> None:
    await ledger.remember("1", True, NOW)
    await ledger.remember("2", True, NOW)
    await ledger.remember("2", False, NOW + 5)
    assert await ledger.remembered(["1", "2", "3"], NOW) == {"1": True, "2": False}
    assert await ledger.remembered(["1", "2", "3"], NOW + 1) == {"2": False}


async def test_a_person_is_forgotten_everywhere(ledger: Ledger) -> None:
    diwali = await running(ledger, [person(1, others=("other",)), person(2)])
    holi = await running(ledger, [person(1), person(3)], "holi")
    (one,) = await intended(ledger, diwali)
    with pytest.raises(
        InvalidRequest, match=r"contact='\*\*\*\*\*\*0001'.*being dialled"
    ) as caught:
        await ledger.forget(one.identities[0])
    assert "9812300001" not in str(caught.value)
    await ledger.record([placed(one), ended(one)])

    assert await ledger.forget(one.identities[0]) == 2
    assert await ledger.forget("other") == 0
    assert await ledger.forget("customer 3") == 1

    for campaign, left in ((diwali, 1), (holi, 0)):
        statistics = await ledger.statistics(campaign.id)
        assert statistics is not None
        assert (statistics.created, statistics.attempts) == (left, 0)
    there, true = counted(ledger)
    assert there == true
    assert await ledger.add(diwali.id, [person(1, others=("other",))], NOW) == []


async def test_a_person_is_found_without_a_look_at_all_others(ledger: Ledger) -> None:
    if is_postgres(ledger):
        pytest.skip("a server reads a table of so few rows as a whole")
    await running(ledger, people(3))
    plans: list[str] = []

    def explain(own: Connection, cursor: Any, statement: str, values: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "DELETE")):
            again = own.connection.cursor()
            again.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            plans.extend(row[3] for row in again.fetchall())

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        assert await ledger.forget("customer 1") == 1
    finally:
        event.remove(Engine, "before_cursor_execute", explain)
    assert any(plan.startswith("SEARCH contacts") for plan in plans)
    assert not [plan for plan in plans if plan.startswith(("SCAN contacts", "SCAN other_numbers"))]


async def test_what_the_registry_says_of_those_who_are_deleted_is_deleted(ledger: Ledger) -> None:
    call = person(2, key="order 7", identity="single order 7")
    await running(ledger, [person(1, others=("other",))])
    await running(ledger, [call], "call:926")
    numbers = ["9812300001", "other", "single", "old", "new"]
    for number in numbers:
        await ledger.remember(number, True, NOW - (number == "old"))

    assert await ledger.forget("customer 1") == 1
    assert await ledger.forget("order 7") == 1
    assert set(await ledger.remembered(numbers, 0)) == {"old", "new"}
    assert await ledger.purge(NOW) == 0
    assert set(await ledger.remembered(numbers, 0)) == {"new"}


async def test_one_who_is_claimed_may_be_forgotten_and_is_not_dialled(ledger: Ledger) -> None:
    campaign = await running(ledger, people(1))
    (contact,) = await claimed(ledger, campaign, 1)
    assert await ledger.forget("customer 0") == 1
    assert await ledger.intend([intent(contact)], 2) == [IntentResult.NOT_OURS]


async def test_what_has_ended_long_ago_is_purged(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_people, "_OLD", ledger_people._OLD.limit(2))
    campaign = await running(ledger, [person(one, others=(f"o{one}",)) for one in range(9)])
    intents = await intended(ledger, campaign, 7)
    for one in intents[:6]:
        await ledger.record([placed(one), ended(one, at=NOW + one.contact_id)])
    await ledger.finish(campaign.id, ContactState.CANCELED, NOW + 99)

    assert await ledger.purge(intents[5].contact_id + NOW) == 5
    assert await ledger.purge(intents[5].contact_id + NOW) == 0
    assert await ledger.purge(NOW + 100) == 3

    with connection(ledger) as own:
        assert len(own.execute(select(contacts)).all()) == 1  # it is being dialled
        assert len(own.execute(select(attempts)).all()) == 1
        assert len(own.execute(select(other_numbers)).all()) == 1
        own.engine.dispose()
    there, true = counted(ledger)
    assert there == true


async def test_nothing_of_who_was_forgotten_stays_in_the_file(ledger: Ledger) -> None:
    if is_postgres(ledger):
        pytest.skip("a server's files are its own")
    await running(ledger, [person(1, key="asha.rao@example.com"), *people(50)[2:]])
    with connection(ledger) as own:
        own.commit()
        own.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        own.engine.dispose()
    file = path_of(ledger)
    assert b"asha.rao" in file.read_bytes()

    assert await ledger.forget("asha.rao@example.com") == 1

    files = [file, file.with_name(file.name + "-wal")]
    assert not any(b"asha.rao" in one.read_bytes() for one in files)

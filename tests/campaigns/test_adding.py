"""Contacts as they are added: each person once, and good ones whatever is wrong with others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

from exotel_async import InvalidRequest
from exotel_async.campaigns import Contact
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator
from tests.campaigns.running import (
    campaign,
    dialled,
    number,
    numbers,
    run_all,
)

pytestmark = pytest.mark.anyio


async def created(dialer: Dialer, name: str = "diwali") -> int:
    return (await dialer.statistics(name)).created


def generated(given: list[Any]) -> Iterator[Any]:
    yield from given


async def streamed(given: list[Any]) -> AsyncIterator[Any]:
    for one in given:
        await asyncio.sleep(0)
        yield one


@pytest.mark.parametrize("source", [list, tuple, generated, streamed])
async def test_contacts_come_from_any_iterable(dialer: Dialer, source: Any) -> None:
    result = await dialer.add("diwali", source(numbers(1200)))
    assert (result.added, result.duplicates, result.bad) == (1200, 0, ())
    assert await created(dialer) == 1200


async def test_a_single_text_is_not_taken_for_a_list(dialer: Dialer) -> None:
    with pytest.raises(InvalidRequest, match="contacts"):
        await dialer.add("diwali", number(1))


async def test_one_person_is_taken_once_by_number_in_whatever_spelling(dialer: Dialer) -> None:
    spellings = ["+919812300001", "09812300001", "98123 00001", "(+91) 98123-00001"]
    result = await dialer.add("diwali", spellings)
    assert (result.added, result.duplicates) == (1, 3)
    again = await dialer.add("diwali", spellings)
    assert (again.added, again.duplicates) == (0, 4)


async def test_one_person_is_taken_once_by_key(dialer: Dialer) -> None:
    rows = [Contact(number(1), key="a"), Contact(number(2), key="a"), Contact(number(1), key="b")]
    result = await dialer.add("diwali", rows)
    assert (result.added, result.duplicates) == (1, 2)
    assert (await dialer.add("diwali", [Contact(number(3), key="a")])).duplicates == 1


@pytest.mark.parametrize("together", [True, False])
async def test_those_with_another_number_in_the_campaign_are_told(
    dialer: Dialer, together: bool
) -> None:
    first = [
        Contact(number(1), key="a", alternatives=[number(2)]),
        Contact(number(3), key="b"),
        Contact(number(4), key="c"),
    ]
    again: list[Contact | str] = [
        Contact("+91 98000 00001", key="a"),  # another spelling
        Contact(number(2), key="a"),  # the alternative
        Contact(number(5), key="b", alternatives=[number(3)]),
        Contact(number(3), key="c"),  # that of another contact
        number(6),
        number(6),
    ]
    told: list[Any] = []
    if together:
        result = await dialer.add("diwali", [*first, *again])
        assert (result.added, result.duplicates) == (4, 5)
    else:
        assert (await dialer.add("diwali", first)).keys_with_other_number == ()
        result = await dialer.add("diwali", again, on_bad=told.append)
        assert (result.added, result.duplicates) == (1, 5)
        key = "its key is in the campaign already"
        other = f"{key}, with another number"
        assert [one.reason for one in told] == [key, key, other, other, key]
    assert result.keys_with_other_number == ("b", "c")
    assert "'b'" not in repr(result)


async def test_alternatives_are_numbers_of_the_person(dialer: Dialer) -> None:
    first = Contact(number(1), alternatives=[number(2), "09800000003"])
    rows: list[Contact | str] = [
        first,
        number(2),
        Contact(number(4), alternatives=[number(3)]),
        Contact(number(5), alternatives=[number(1)]),
    ]
    result = await dialer.add("diwali", rows)
    assert (result.added, result.duplicates) == (1, 3)
    later: list[Contact | str] = [number(3), Contact(number(6), alternatives=[number(2)])]
    assert (await dialer.add("diwali", later)).duplicates == 2


async def test_the_same_number_among_its_own_alternatives_does_no_harm(dialer: Dialer) -> None:
    contact = Contact(number(1), alternatives=["09800000001", number(2), "9800000002"])
    assert (await dialer.add("diwali", [contact])).added == 1


async def test_another_campaign_may_have_the_same_person(dialer: Dialer) -> None:
    await dialer.create(campaign("holi"))
    for name in ("diwali", "holi"):
        assert (await dialer.add(name, [number(1)])).added == 1


class NoOffset(tzinfo):
    """A time zone that does not say how far it is from UTC."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None

    dst = utcoffset

    def tzname(self, moment: datetime | None) -> str | None:
        return None


BAD: list[tuple[Any, str]] = [
    ("12", "number"),
    ("", "number"),
    ("9.81231E+09", "number"),
    (None, "contacts"),
    (9812300001, "contacts"),
    (Contact(9812300001), "number"),  # type: ignore[arg-type]
    (Contact(number(1), alternatives=["9"]), "alternatives"),
    (Contact(number(1), key=""), "key"),
    (Contact(number(1), key=7.5), "key"),  # type: ignore[arg-type]
    (Contact(number(1), key="k" * 201), "key"),
    (Contact(number(1), key="a\ud800"), "key"),
    (Contact(number(1), key="a\0"), "key"),
    (Contact(number(1), fields={"at": datetime.now(UTC)}), "fields"),
    (Contact(number(1), fields=["a"]), "fields"),  # type: ignore[arg-type]
    (Contact(number(1), fields={"x": float("nan")}), "fields"),
    (Contact(number(1), fields={"x": "\ud800"}), "fields"),
    (Contact(number(1), fields={("a", "b"): 1}), "fields"),  # type: ignore[dict-item]
    (Contact(number(1), time_zone="Mars/Olympus"), "time_zone"),
    (Contact(number(1), time_zone=5), "time_zone"),  # type: ignore[arg-type]
    (Contact(number(1), priority=1001), "priority"),
    (Contact(number(1), priority="high"), "priority"),  # type: ignore[arg-type]
    (Contact(number(1), priority=True), "priority"),
    (Contact(number(1), not_before=datetime(2030, 1, 1)), "not_before"),  # noqa: DTZ001
    (Contact(number(1), not_before="2030-01-01"), "not_before"),  # type: ignore[arg-type]
    (Contact(number(1), not_before=datetime(2030, 1, 1, tzinfo=NoOffset())), "not_before"),
    (Contact(number(1), agent=number(2)), "agent"),
    (Contact(number(1), custom_field="c" * 129), "custom_field"),
    (Contact(number(1), custom_field="\ud800"), "custom_field"),
]


async def test_bad_ones_are_told_with_position_and_reason_and_good_ones_are_taken(
    dialer: Dialer,
) -> None:
    given: list[Any] = []
    for index, (bad, _) in enumerate(BAD):
        given += [number(100 + index), bad]
    result = await dialer.add("diwali", given)
    assert result.added == len(BAD)
    assert [one.position for one in result.bad] == [2 * index + 1 for index in range(len(BAD))]
    for one, (bad, argument) in zip(result.bad, BAD, strict=True):
        assert one.contact is bad
        assert one.reason.startswith(argument), one.reason
    assert (await created(dialer), len(result.bad)) == (len(BAD), len(BAD))


async def test_reasons_show_no_full_number(dialer: Dialer) -> None:
    long = "+9198123000012345"
    given: list[Contact | str] = [
        long,
        Contact(number(1), alternatives=[long]),
        Contact(number(1), agent="+919812355555"),
        Contact(number(1), key="+919812355555" * 20),
        Contact(number(1), custom_field="+919812355555" * 20),
        Contact(number(1), time_zone="+919812355555"),
        Contact(number(1), not_before="+919812355555"),  # type: ignore[arg-type]
    ]
    result = await dialer.add("diwali", given)
    assert len(result.bad) == len(given)
    for one in result.bad:
        assert "98123" not in one.reason, one.reason
        assert "98123" not in repr(one)
    assert "98123" not in repr(result)


async def test_all_that_is_not_taken_is_told_as_it_is_read(dialer: Dialer) -> None:
    told: list[Any] = []
    given: list[Any] = [
        number(1),
        "12",
        "09800000001",
        Contact(number(2), key=number(1)),
        number(3),
    ]
    result = await dialer.add("diwali", given, on_bad=told.append)
    assert (result.added, result.duplicates, result.bad) == (2, 2, ())
    assert [(one.position, one.is_duplicate) for one in told] == [(1, False), (2, True), (3, True)]
    assert all(one.contact is given[one.position] for one in told)


class SourceError(Exception):
    """A source is broken."""


def breaking(count: int) -> Iterator[str]:
    yield from numbers(count)
    raise SourceError


async def breaking_stream(count: int) -> AsyncIterator[str]:
    for one in numbers(count):
        yield one
    raise SourceError


@pytest.mark.parametrize("source", [breaking, breaking_stream])
@pytest.mark.parametrize("count", [7, 1000, 1007])
async def test_a_source_that_raises_in_the_middle_loses_nothing_of_what_came_before(
    dialer: Dialer, source: Any, count: int
) -> None:
    with pytest.raises(SourceError):
        await dialer.add("diwali", source(count))
    assert await created(dialer) == count
    again = await dialer.add("diwali", numbers(count + 1))
    assert (again.added, again.duplicates) == (1, count)


async def test_a_campaign_that_is_not_there(dialer: Dialer) -> None:
    with pytest.raises(InvalidRequest, match="no such campaign"):
        await dialer.add("holi", [number(1)])


async def test_a_campaign_that_was_canceled_takes_nobody(dialer: Dialer) -> None:
    await dialer.cancel("diwali")
    with pytest.raises(InvalidRequest, match="cancelled"):
        await dialer.add("diwali", [number(1)])
    assert await created(dialer) == 0


async def test_what_was_added_comes_back_with_the_outcome(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    contact = Contact(
        "098000 00001",
        key="row-1",
        fields={"name": "Åsa", "due": [1, 2.5, None, True]},
        priority=3,
        not_before=datetime(2020, 1, 1, tzinfo=UTC),
        time_zone="Asia/Dubai",
        alternatives=["9800000002"],
        custom_field="mine",
    )
    await dialer.add("diwali", [contact])
    (outcome,) = await run_all(dialer)
    back = outcome.contact
    assert (back.number, back.alternatives) == ("09800000001", ("9800000002",))
    for name in ("key", "fields", "priority", "not_before", "time_zone", "custom_field"):
        assert getattr(back, name) == getattr(contact, name)
    (call,) = exotel_server.calls.values()
    assert call.custom_field == "mine"


@pytest.mark.slow(1)
async def test_contacts_that_are_added_while_it_runs_are_dialled(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.add("diwali", [number(0)])
    reached = set()
    async with dialer.run("diwali") as outcomes:
        async for outcome in outcomes:
            reached.add(outcome.contact.number)
            if outcome.contact.number != number(5):
                await dialer.add("diwali", [number(len(reached)), number(0)])
    assert reached == set(numbers(6))
    assert sorted(dialled(exotel_server)) == numbers(6)


async def test_a_completed_campaign_begins_again_with_new_contacts(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    await dialer.add("diwali", [number(0)])
    await run_all(dialer)
    await dialer.add("diwali", [number(0), number(1)])
    (outcome,) = await run_all(dialer)
    assert outcome.contact.number == number(1)
    assert dialled(exotel_server) == numbers(2)

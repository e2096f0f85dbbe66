"""Status callbacks that a dialer is told of: early, late, doubled and lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from exotel_async.campaigns import ContactOutcome, ContactState
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator, Fault, Scenario
from exotel_async.models import TargetOptions
from exotel_async.webhooks import ExotelWebhooks
from tests.campaigns.running import campaign, dialling, dials, fail_dials, number, numbers
from tests.conftest import AGENT, SOON
from tests.webhooks.serving import SECRET, reserve, serving

pytestmark = pytest.mark.anyio

NEVER = 1000.0
"""Seconds until the poll asks first: it does not, in a test."""


@asynccontextmanager
async def told(
    emulator: Emulator, place: Path, *, poll_interval: float = NEVER
) -> AsyncIterator[tuple[Dialer, str]]:
    """A dialer that gets the callbacks, and the URL they are to be sent to."""
    bound, url = reserve()
    hooks = ExotelWebhooks(SECRET, base_url=url)
    async with (
        serving(hooks, bound=bound),
        dialling(emulator, place, poll_interval=poll_interval) as dialer,
    ):
        hooks.forward_to(dialer)
        yield dialer, hooks.url("status_callback")


async def outcomes_of(dialer: Dialer, count: int) -> list[ContactOutcome]:
    """Run until so many contacts have their outcome; prices and recordings may still come."""
    async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
        return [await anext(outcomes) for _ in range(count)]


def asked(emulator: Emulator) -> int:
    """Return how many requests were not dials. Each run begins with one, for Exotel's time."""
    return len(emulator.requests) - len(dials(emulator))


async def test_ends_are_told_without_a_poll_and_by_the_mark_in_the_url(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    async with told(exotel_server, tmp_path) as (dialer, url):
        with_query = f"{url}?shop=1&tag=a%20b&attempt=mine"
        await dialer.create(campaign(status_callback=with_query))
        await dialer.add("diwali", numbers(12))
        outcomes = await outcomes_of(dialer, 12)
    assert {one.state for one in outcomes} == {ContactState.REACHED}
    assert asked(exotel_server) == 1
    marks = {attempt.sid: attempt.id for one in outcomes for attempt in one.attempts}
    for sid, call in exotel_server.calls.items():
        assert call.dial.status_callback is not None
        query = parse_qs(urlsplit(call.dial.status_callback).query)
        assert query == {"shop": ["1"], "tag": ["a b"], "attempt": [marks[sid]]}
        assert call.custom_field == marks[sid]


async def test_the_custom_field_stays_the_users(exotel_server: Emulator, tmp_path: Path) -> None:
    fail_dials(exotel_server, Fault.act_then_drop(), times=2)
    async with told(exotel_server, tmp_path) as (dialer, url):
        await dialer.create(campaign(status_callback=url, custom_field="mine"))
        await dialer.add("diwali", numbers(4))
        outcomes = await outcomes_of(dialer, 4)
    assert {one.state for one in outcomes} == {ContactState.REACHED}
    assert {call.custom_field for call in exotel_server.calls.values()} == {"mine"}
    assert len(exotel_server.calls) == 4


@pytest.mark.slow(1)
async def test_a_callback_counts_that_comes_before_the_answer_to_the_dial(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    stalled = Fault.act_then_stall(1.0)
    fail_dials(exotel_server, stalled, times=None)
    async with told(exotel_server, tmp_path) as (dialer, url):
        await dialer.create(campaign(status_callback=url))
        await dialer.add("diwali", numbers(3))
        async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
            seen = [await anext(outcomes) for _ in range(3)]
            # No answer has come yet.
            assert [one.status for one in dials(exotel_server)] == [None] * 3
        # Leaving waits for the answers; they change nothing.
        known = await dialer.statistics("diwali")
        assert (known.reached, known.attempts, known.in_doubt) == (3, 3, 0)
        assert known.statuses == {"completed": 3}
    assert {one.state for one in seen} == {ContactState.REACHED}
    assert {one.attempts[0].sid for one in seen} == set(exotel_server.calls)
    assert [exotel_server.rung(one) for one in numbers(3)] == [1] * 3


async def test_a_callback_settles_a_dial_whose_answer_was_lost(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    fail_dials(exotel_server, Fault.act_then_drop(), times=3)
    exotel_server.scenario = Scenario.all_answered(ring=1, talk=20, settle=1)
    async with told(exotel_server, tmp_path) as (dialer, url):
        as_json: TargetOptions = {"status_callback_content_type": "application/json"}
        await dialer.create(campaign(status_callback=url, custom_field="mine", options=as_json))
        await dialer.add("diwali", numbers(6))
        outcomes = await outcomes_of(dialer, 6)
    assert {one.attempts[0].sid for one in outcomes} == set(exotel_server.calls)
    assert [exotel_server.rung(one) for one in numbers(6)] == [1] * 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [Fault.callback_duplicated(3), Fault.callback_late(0.3), Fault.callback_lost()],
    ids=["doubled", "late", "lost"],
)
async def test_callbacks_that_are_doubled_late_or_lost(
    exotel_server: Emulator, tmp_path: Path, fault: Fault
) -> None:
    exotel_server.scenario = Scenario(settle=(0, 1), ring=(0, 1), talk=(1, 3), ring_timeout=3)
    exotel_server.faults.add(fault, path="status_callback", times=None)
    async with told(exotel_server, tmp_path, poll_interval=0.1) as (dialer, url):
        events = ["answered", "terminal"]
        await dialer.create(
            campaign(status_callback=url, status_callback_events=events, agent=AGENT)
        )
        await dialer.add("diwali", numbers(12))
        async with asyncio.timeout(SOON), dialer.run("diwali") as outcomes:
            seen = [outcome async for outcome in outcomes]
        known = await dialer.statistics("diwali")
    assert len(seen) == 12
    by_sid = {attempt.sid: one for one in seen for attempt in one.attempts}
    assert set(by_sid) == set(exotel_server.calls)
    for sid, call in exotel_server.calls.items():
        spoke = call.timeline.bridged is not None
        assert (by_sid[sid].state is ContactState.REACHED) == spoke
    assert (known.attempts, sum(known.statuses.values())) == (12, 12)


async def test_calls_that_are_not_a_campaigns_are_told_to_the_session(
    exotel_server: Emulator, tmp_path: Path
) -> None:
    async with told(exotel_server, tmp_path) as (dialer, url):
        exotel = dialer._exotel
        call = await exotel.calls.connect(
            number(1), AGENT, caller_id="08030000000", status_callback=url
        )
        ended = await exotel.calls.wait(call.sid, timeout=SOON, interval=NEVER)
        assert ended.is_final
        assert not [one for one in exotel_server.requests if one.method == "GET"]

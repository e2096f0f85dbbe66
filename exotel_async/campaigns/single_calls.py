"""Durable single calls: each is identified by its key, and never placed twice.

The ledger keeps them as contacts of internal campaigns, one for all calls with the same settings.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict

from attrs import evolve

from exotel_async.campaigns.adding import entry_of
from exotel_async.campaigns.campaign import Campaign
from exotel_async.campaigns.contact import Contact
from exotel_async.campaigns.entries import SINGLE_CALLS
from exotel_async.campaigns.errors import CampaignStopped, DialerStopped
from exotel_async.campaigns.running import RunningCampaign
from exotel_async.campaigns.schedule import Schedule
from exotel_async.config import Priority
from exotel_async.errors import InvalidRequest

if TYPE_CHECKING:
    from exotel_async.campaigns.ledger import Ledger
    from exotel_async.campaigns.outcome import ContactOutcome
    from exotel_async.campaigns.reached import Reached
    from exotel_async.campaigns.retries import Retries
    from exotel_async.campaigns.shared_engine import SharedEngine
    from exotel_async.campaigns.state import DialerState
    from exotel_async.models import CallbackEvent, TargetOptions

_AT_ANY_TIME: Final = Schedule(hours="00:00-24:00")


class CallSettings(TypedDict, total=False):
    """The settings that `Dialer.call` takes, with the meaning they have in `Campaign`.

    Attributes:
        flow, agent, stream_url: what the contact is connected to: exactly one of them.
        schedule: when the contact may be dialled. By default at any time.
        retries, reached, time_limit, ring_timeout, record, max_retries: see `Campaign`.
        status_callback, status_callback_events, check_dnd, options: see `Campaign`.
    """

    flow: int | str | None
    agent: str | None
    stream_url: str | None
    schedule: Schedule
    retries: Retries
    reached: Reached
    time_limit: timedelta | float | None
    ring_timeout: timedelta | float | None
    record: bool | None
    max_retries: int | None
    status_callback: str | None
    status_callback_events: Iterable[CallbackEvent | str] | None
    check_dnd: bool
    options: TargetOptions


async def make_call(
    ledger: Ledger, engines: SharedEngine, contact: Contact, caller_id: str, settings: CallSettings
) -> ContactOutcome:
    """Dial a contact once per key, and wait for its outcome: see `Dialer.call`."""
    if contact.key is None:
        rule = "must be given: it names the call, which is not made again, whatever happens"
        raise InvalidRequest("key", None, rule)
    campaign = _campaign(caller_id, settings)
    entry = entry_of(contact, campaign)
    # One person may get several calls for different reasons: only the key distinguishes them.
    entry = evolve(entry, identity=f"{entry.identity} {entry.key}", others=())
    state = await engines.enter()
    news = asyncio.Event()
    state.listeners.add(news.set)
    running: list[RunningCampaign] = []
    awaited: Counter[str] | None = None
    try:
        async with engines.adding:
            name = await ledger.campaign_with(SINGLE_CALLS, entry.key)
            if name is None:
                name, now = campaign.name, state.clock.now_ms()
                settings_json = json.dumps(campaign.to_dict(), sort_keys=True)
                made = await ledger.create(name, settings_json, now)
                await ledger.add(made.id, [entry], now)
        running.append((await engines.begin(name, again=True))[0])
        running[0].priority = Priority.INTERACTIVE
        awaited = running[0].awaited
        assert awaited is not None  # noqa: S101 - by its name
        awaited[entry.key] += 1
        await ledger.recall(running[0].id, entry.key)
        state.check_requested.set()
        return await _outcome(state, running[0], entry.key, news)
    finally:
        if awaited is not None:
            awaited[entry.key] -= 1
            awaited += Counter()  # removes the keys with no waiter
        state.listeners.discard(news.set)
        await engines.leave(running)


async def _outcome(
    state: DialerState, running: RunningCampaign, key: str, news: asyncio.Event
) -> ContactOutcome:
    while True:
        news.clear()
        stopped, is_left = running.is_stopped_by_errors, _is_left_to_next_dialer(state, running)
        outcome = await state.ledger.outcome(running.id, key)
        if outcome is not None and outcome.state.is_final:
            return outcome
        if state.error is not None:
            raise copy.copy(state.error)
        if stopped and running.is_idle:
            raise CampaignStopped(running.name, running.state, running.reason or "")
        if is_left:
            raise DialerStopped(
                "stopped before the call's outcome: call with the same key to continue"
            )
        await news.wait()


def _is_left_to_next_dialer(state: DialerState, running: RunningCampaign) -> bool:
    """Return whether the dialer was stopped, so that the next dialer continues the call."""
    return (
        state.stopping
        and not running.dialling
        and not state.attempts.has_calls(running)
        and not state.writer.has_changes
    )


def _campaign(caller_id: str, settings: CallSettings) -> Campaign:
    values: dict[str, Any] = {"schedule": _AT_ANY_TIME, **settings, "caller_ids": [caller_id]}
    unnamed = Campaign(SINGLE_CALLS, **values)
    text = json.dumps(unnamed.to_dict(), sort_keys=True).encode()
    name = SINGLE_CALLS + hashlib.sha256(text).hexdigest()[:16]
    return evolve(unnamed, name=name)

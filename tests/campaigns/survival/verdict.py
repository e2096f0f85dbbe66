"""Holds a ledger against the emulator's own record of the calls, by rules written anew here."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
from sqlalchemy import create_engine, select
from sqlalchemy.pool import NullPool

from exotel_async.campaigns import CampaignStatistics
from exotel_async.campaigns.tables import attempts, campaigns, contacts
from exotel_async.emulator import EmulatedCall
from tests.campaigns.survival.stage import TIMES, Stage

_FINAL = (
    *("reached", "not-reached", "refused", "unresolved"),
    *("do-not-call", "expired", "canceled"),
)
_PENDING = ("waiting", "ready", "claimed")
_Tried = tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]
"""A contact, and its attempts."""


@attrs.define(kw_only=True)
class Verdict:
    """What has become of all, and what is wrong with it."""

    contacts: int = 0
    dials: int = 0
    calls: int = 0
    rung_twice: list[str] = attrs.field(factory=list)
    """Attempts with more than one call, and people with more calls than attempts that count."""
    lost: list[str] = attrs.field(factory=list)
    """People without an outcome."""
    wrong: list[str] = attrs.field(factory=list)
    """What the ledger says otherwise than the emulator."""
    doubts: Counter[str] = attrs.field(factory=Counter)
    """What came of attempts in doubt."""
    unresolved: Counter[str] = attrs.field(factory=Counter)
    """People for whom it is not known whether they were rung, by campaign."""
    most_channels: int = 0
    refused_channels: int = 0
    """Dials that Exotel has refused for want of a channel."""

    @property
    def problems(self) -> list[str]:
        """Return all that must not be."""
        said = [f"rung twice: {one}" for one in self.rung_twice]
        said += [f"lost: {one}" for one in self.lost]
        return said + self.wrong


async def judge(stage: Stage) -> Verdict:
    """Compare everything."""
    emulator = stage.emulator
    verdict = Verdict(dials=stage.dials(), calls=len(emulator.calls))
    rows = _read(stage.ledger)
    by_number: dict[str, list[EmulatedCall]] = defaultdict(list)
    for call in emulator.calls.values():
        by_number[_ending(call.from_)].append(call)
    marks = Counter(mark for call in emulator.calls.values() if (mark := _mark(call)) is not None)
    verdict.rung_twice += [f"attempt {mark}: {n} calls" for mark, n in marks.items() if n > 1]
    people: dict[str, list[_Tried]] = defaultdict(list)
    for one in rows:
        people[_ending(one[0]["number"])].append(one)
    for number, own in people.items():
        _judge_person(verdict, own, by_number.pop(number, []))
    verdict.wrong += [f"{number} is rung and in no campaign" for number in by_number]
    async with stage.dialer() as dialer:
        for campaign in stage.campaigns:
            known = await dialer.statistics(campaign.name)
            _judge_statistics(verdict, known, rows)
    verdict.most_channels = _most_channels(emulator.calls.values())
    if emulator.channels is not None and verdict.most_channels > emulator.channels:
        verdict.wrong.append(f"{verdict.most_channels} channels of {emulator.channels} in use")
    verdict.refused_channels = sum(
        one.status == emulator.channels_status and one.fault is None for one in emulator.requests
    )
    return verdict


def _read(ledger: str) -> list[_Tried]:
    """Return all contacts, each with its attempts, the first one first."""
    url = ledger.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url if "://" in url else f"sqlite:///{url}", poolclass=NullPool)
    names = select(contacts, campaigns.c.name.label("campaign")).join_from(
        contacts, campaigns, contacts.c.campaign_id == campaigns.c.id
    )
    with engine.connect() as connection:
        tried: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        by_time = select(attempts).order_by(attempts.c.intended_at)
        for row in connection.execute(by_time).mappings():
            tried[row["contact_id"]].append({**row})
        found = [{**row} for row in connection.execute(names).mappings()]
    engine.dispose()
    return [(row, tried[row["id"]]) for row in found]


def _judge_person(
    verdict: Verdict, contacts: Sequence[_Tried], calls: Sequence[EmulatedCall]
) -> None:
    """Judge all contacts with one number."""
    tried = [one for _, own in contacts for one in own]
    verdict.contacts += len(contacts)
    verdict.doubts.update(_end_of_doubt(one) for one in tried if one["lost_at"] is not None)
    sids = [one["sid"] for one in tried if one["sid"] is not None]
    unknown = {call.sid for call in calls} - set(sids)
    unresolved = sum(one["state"] == "unresolved" for one in tried)
    if len(unknown) > unresolved:
        verdict.rung_twice.append(f"{len(calls)} calls, {len(sids)} known: {_story(tried)}")
    candidates = {sid for one in tried for sid in json.loads(one["candidates"] or "[]")}
    if not unknown <= candidates:
        verdict.wrong.append(f"calls are not among the candidates: {_story(tried)}")
    if len(set(sids)) < len(sids) or not set(sids) <= {call.sid for call in calls}:
        verdict.wrong.append(f"{len(sids)} calls known of {len(calls)}: {_story(tried)}")
        return
    for contact, own in contacts:
        known = {one["sid"]: one for one in own if one["sid"] is not None}
        _judge_contact(verdict, contact, known, [call for call in calls if call.sid in known])


def _judge_contact(
    verdict: Verdict,
    contact: Mapping[str, Any],
    known: Mapping[str, Mapping[str, Any]],
    calls: Sequence[EmulatedCall],
) -> None:
    who, state = f"{contact['campaign']}/{contact['number']}", contact["state"]
    if state not in _FINAL:
        verdict.lost.append(f"{who} is {state}")
        return
    for call in calls:
        verdict.wrong += [f"{who}: {said}" for said in _differences(known[call.sid], call)]
    if contact["attempts"] != len(calls):
        verdict.wrong.append(f"{who}: {contact['attempts']} attempts, {len(calls)} calls")
    if state == "unresolved":
        verdict.unresolved[contact["campaign"]] += 1
    elif state != "canceled" or calls:
        expected = _outcome(calls)
        if state != expected:
            verdict.wrong.append(f"{who} is {state}, and should be {expected}")


def _end_of_doubt(attempt: Mapping[str, Any]) -> str:
    state: str = attempt["state"]
    return "found" if state in {"placed", "ended", "settled"} else state


def _differences(attempt: Mapping[str, Any], call: EmulatedCall) -> Iterable[str]:
    """Tell in what an attempt differs from its call."""
    mark = _mark(call)
    if mark not in {None, attempt["id"]}:
        yield f"call {call.sid} is of attempt {mark}, not {attempt['id']}"
    if attempt["state"] != "settled":
        yield f"attempt {attempt['id']} is {attempt['state']}"
        return
    if attempt["status"] != call.status:
        yield f"status {attempt['status']}, not {call.status}"
    if (attempt["price"] or Decimal(0)) != call.timeline.price:
        yield f"price {attempt['price']}, not {call.timeline.price}"
    if call.to is not None and (attempt["talk_ms"] or 0) != call.talked * 1000:
        yield f"talked for {attempt['talk_ms']} ms, not {call.talked} s"


def _outcome(calls: Sequence[EmulatedCall]) -> str:
    """Return how somebody with these calls must stand at the end; or why that cannot be."""
    counts: Counter[str] = Counter()
    for place, call in enumerate(calls, 1):
        word = _word(call)
        counts[word] += 1
        goes_on = word != "reached" and counts[word] <= TIMES[word]
        if goes_on is (place == len(calls)):
            return f"dialled again after {place} calls" if goes_on else "left alone before"
    if not calls:
        return "dialled"
    return "reached" if counts["reached"] else "not-reached"


def _word(call: EmulatedCall) -> str:
    line = call.timeline
    if line.first != "completed":
        return str(line.first.value)
    return "reached" if call.to is None or line.second == "completed" else "not-reached"


def _judge_statistics(
    verdict: Verdict,
    known: CampaignStatistics,
    rows: Sequence[_Tried],
) -> None:
    """Compare the counts that are kept with those of the rows."""
    own = [(contact, tried) for contact, tried in rows if contact["campaign"] == known.name]
    states = Counter(contact["state"] for contact, _ in own)
    calls = [
        one for _, tried in own for one in tried if one["state"] in {"placed", "ended", "settled"}
    ]
    counted = {
        "created": sum(states.values()),
        "pending": sum(states[one] for one in _PENDING),
        "in_progress": states["in-progress"],
        "in_doubt": states["in-doubt"],
        **{one.replace("-", "_"): states[one] for one in _FINAL},
        "attempts": len(calls),
        "statuses": dict(Counter(one["status"] for one in calls if one["state"] != "placed")),
        "price": sum((one["price"] or Decimal(0) for one in calls), Decimal(0)),
    }
    for name, number in counted.items():
        said = getattr(known, name)
        if said != number:
            verdict.wrong.append(f"{known.name}: {name} is {said}, counted {number}")


def _most_channels(calls: Iterable[EmulatedCall]) -> int:
    """Return the most channels that were in use at once."""
    changes = sorted(
        change
        for call in calls
        for change in ((call.at, call.channels), (call.ends_at, -call.channels))
    )
    most = held = 0
    for _, by in changes:
        held += by
        most = max(most, held)
    return most


def _mark(call: EmulatedCall) -> str | None:
    """Return the id of the attempt that a call carries."""
    query = parse_qs(urlsplit(call.dial.status_callback or "").query)
    if "attempt" in query:
        return query["attempt"][0]
    mark = call.custom_field or ""
    return mark if len(mark) == 16 and set(mark) <= set("0123456789abcdef") else None


def _ending(number: str) -> str:
    return number[-10:]


def _story(tried: Sequence[Mapping[str, Any]]) -> str:
    names = ("id", "state", "intended_at", "lost_at", "certain_after", "sid", "error")
    return "; ".join(str({name: one[name] for name in names}) for one in tried)

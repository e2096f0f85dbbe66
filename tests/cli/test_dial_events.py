"""The JSON lines of `exotel-async dial --json`."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from exotel_async import CallStatus
from exotel_async.campaigns import Attempt, AttemptState, Contact, ContactOutcome, ContactState
from exotel_async.cli.dial_events import (
    EVENTS,
    end_event,
    event_of,
    outcome_event,
    problem_event,
    progress_event,
    start_event,
)
from tests.cli.dial_runs import ENDS, OPEN_CALLS
from tests.cli.dial_standings import NOW, PROBLEMS, RUNNING, STANDINGS, STARTING

START = {
    "at": NOW,
    "campaign": "दिवाली",
    "file": "leads.csv",
    "ledger": "campaigns.db",
    "added": 990,
    "duplicates": 2,
    "in_campaign": 5,
    "other_number": 1,
    "rejected": 3,
    "contacts": 1_000,
    "budget": 200,
    "channels": None,
}
OUTCOME = ContactOutcome(
    campaign="leads",
    contact=Contact(
        "+919812300001",
        key="+919812300001",
        fields={
            "Name": "Asha",
            "Other phone": "98123 00002",
            "Account": 9812300003,
            "+919812300004": ["919812300005", {"amount": 12.5, "paid": True, "note": None}],
        },
    ),
    state=ContactState.NOT_REACHED,
    reason="+919812300001 did not answer",
    ended_at=datetime(2026, 11, 30, 10, tzinfo=UTC),
    attempts=(
        Attempt(
            id="a1",
            number="+919812300001",
            caller_id="08030000000",
            state=AttemptState.SETTLED,
            intended_at=NOW,
            sid="c0ffee",
            status=CallStatus.NO_ANSWER,
            talk_time=timedelta(seconds=2.5),
            price=Decimal("0.250"),
        ),
    ),
)

WRITTEN = {
    "start": [start_event(**START)],
    "progress": [progress_event(current) for current in STANDINGS.values()],
    "outcome": [outcome_event(OUTCOME), outcome_event(OUTCOME, numbers=True)],
    "problem": [problem_event(problem) for problem in PROBLEMS],
    "end": [end_event(end) for end in ENDS.values()],
}


@pytest.mark.parametrize("kind", EVENTS)
def test_each_event_has_the_keys_of_the_table_in_the_types_of_json(kind: str) -> None:
    for event in WRITTEN[kind]:
        assert list(event) == ["event", *EVENTS[kind]]
        assert event["event"] == kind
        line = json.dumps(event)
        assert line.isascii()
        assert "\n" not in line
        assert json.loads(line) == event


def test_each_key_has_a_meaning() -> None:
    for kind, keys in EVENTS.items():
        for key, meaning in keys.items():
            assert re.fullmatch("[a-z_]+", key), kind
            assert meaning
            assert not meaning.endswith(".")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("end of it", {}),
        ("problem", {"at": NOW}),
        ("problem", dict.fromkeys(["at", "text", "x"])),
    ],
)
def test_no_event_has_other_keys(kind: str, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"no event {kind} has the keys"):
        event_of(kind, values)


def test_progress() -> None:
    event = progress_event(STANDINGS["stopping"])
    assert event["at"] == "2026-11-30T15:28:00+05:30"
    assert event["state"] == "in-progress"
    assert event["statuses"] == {"completed": 310, "busy": 101, "no-answer": 90, "failed": 4}
    assert (event["talk_time"], event["price"]) == (18_600, "412.500")
    assert (event["time_left"], event["next_retry_at"]) == (None, "2026-11-30T15:30:10+05:30")
    assert event["stopping"] == {
        "since": "2026-11-30T15:27:00+05:30",
        "calls": 7,
        "until": "2026-11-30T15:42:00+05:30",
    }
    assert progress_event(RUNNING)["stopping"] is None
    assert progress_event(RUNNING)["time_left"] == 4_320
    assert progress_event(evolve(STANDINGS["paused"], forecast=timedelta(1)))["time_left"] is None
    assert progress_event(STARTING)["channels"] is None


@pytest.mark.parametrize("kind", ["progress", "end"])
def test_the_counts_add_up(kind: str) -> None:
    keys = list(EVENTS[kind])
    outcomes = keys[keys.index("finished") + 1 : keys.index("pending")]
    assert len(outcomes) == 7
    for event in WRITTEN[kind][:2]:
        assert event["finished"] == sum(event[name] for name in outcomes)
        waiting = event["pending"] + event["in_progress"] + event["in_doubt"]
        assert event["created"] == event["finished"] + waiting


def test_no_event_shows_a_number_unless_it_is_asked_for() -> None:
    line = json.dumps([*WRITTEN.values(), outcome_event(OUTCOME, numbers=False)])
    whole = json.dumps(outcome_event(OUTCOME, numbers=True))
    assert not re.search(r"98123 ?0000\d", line.replace(whole, ""))
    assert len(re.findall(r"98123 ?0000\d", whole)) == 7


def test_an_outcome() -> None:
    event = outcome_event(OUTCOME)
    assert event["number"] == event["key"] == "+********0001"
    assert event["reason"] == "+********0001 did not answer"
    assert event["ended_at"] == "2026-11-30T15:30:00+05:30"
    assert (event["state"], event["status"], event["sid"]) == ("not-reached", "no-answer", "c0ffee")
    assert (event["attempts"], event["talk_time"], event["price"]) == (1, 2.5, "0.250")
    assert event["fields"] == {
        "Name": "Asha",
        "Other phone": "***** *0002",
        "Account": "******0003",
        "+********0004": ["********0005", {"amount": 12.5, "paid": True, "note": None}],
    }
    whole = outcome_event(OUTCOME, numbers=True)
    assert whole["fields"] == OUTCOME.contact.fields
    assert whole["number"] == whole["key"] == "+919812300001"
    keyed = evolve(OUTCOME, contact=evolve(OUTCOME.contact, key="crm-77123456"))
    assert outcome_event(keyed)["key"] == "crm-77123456"
    plain = outcome_event(
        ContactOutcome(campaign="a", contact=Contact("1"), state=ContactState.EXPIRED)
    )
    assert (plain["key"], plain["ended_at"], plain["price"]) == (None, None, None)


def test_a_problem() -> None:
    assert problem_event(PROBLEMS[1]) == {
        "event": "problem",
        "at": "2026-11-30T15:25:00+05:30",
        "text": "HTTP 503 from api.exotel.com",
        "count": 12,
    }


def test_the_end() -> None:
    event = end_event(evolve(ENDS["interrupted"], opens_at=datetime.now(UTC)))
    assert event["opens_at"] is None  # as behind --wait-for-hours: it did not end because of them
    assert (event["exit_code"], event["problem"]) == (130, None)
    assert event["text"] == ENDS["interrupted"].last_line
    assert len(event["open_calls"]) == len(OPEN_CALLS)
    assert event["open_calls"][2] == {
        "key": "crm-3",
        "number": "+********0003",
        "sid": "c0ffee03d1a1c0ffeed1a1c0ffeed1a1",
    }
    assert event["open_calls"][3] == {
        "key": "+********0004",
        "number": "+********0004",
        "sid": None,
    }
    failed = end_event(ENDS["nothing was dialled"])
    assert failed["problem"] == "the ledger cannot be opened: +********0001"
    assert end_event(ENDS["outside hours"])["opens_at"] == "2026-12-01T10:00:00+05:30"


@pytest.mark.parametrize("event", EVENTS)
def test_the_documentation_has_each_key_of_an_event(event: str) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/spreadsheets.md").read_text(encoding="utf-8")
    rows = "".join(f"| `{key}` | {meaning} |\n" for key, meaning in EVENTS[event].items())
    assert f"### {event}\n\n| key | what it is |\n|---|---|\n{rows}" in page

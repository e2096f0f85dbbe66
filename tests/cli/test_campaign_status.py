"""`exotel-async campaign status`: how a campaign stands, and its settings in words."""

from __future__ import annotations

import json
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from attrs import evolve

from exotel_async.campaigns import (
    AttemptState,
    Campaign,
    CampaignState,
    Contact,
    ContactState,
    Schedule,
)
from exotel_async.cli import campaign_status
from exotel_async.cli.campaign_settings import settings_in_words
from exotel_async.config import IST
from tests.campaigns.running import campaign, number, numbers
from tests.cli.campaign_ledgers import (
    BUSY,
    REACHED,
    REFUSED,
    End,
    accepted,
    commanded,
    filled,
    unresolved,
)


def test_what_is_seldom_set_is_told_as_well() -> None:
    told = settings_in_words(
        campaign(
            weight=2, max_retries=None, status_callback="https://me.example.com/hook?token=abc"
        )
    )
    assert told["weight"] == ["2 times the share of a campaign with weight 1"]
    assert told["max retries"] == ["Exotel's default number, within each attempt"]
    assert told["callbacks"] == ["to me.example.com"]
    assert settings_in_words(campaign(max_retries=2))["max retries"] == [
        "2 by Exotel itself within an attempt"
    ]


# The command


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger that commands find by themselves."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "campaigns.db"


def lines_of(text: str) -> dict[str, str]:
    lines = (line.strip().partition("  ") for line in text.splitlines())
    return {what: value.strip() for what, _, value in lines}


@pytest.mark.parametrize("more", ["", "/", "?token=s3cret", "/?token=s3cret#s3cret"])
def test_of_a_flows_url_its_id_is_told(more: str) -> None:
    made = campaign(flow=f"http://my.exotel.com/acme1/exoml/start_voice/926{more}")
    assert settings_in_words(made)["connects to"] == ["the flow 926"]


def test_all_of_it_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = [*numbers(6), Contact(number(6), time_zone="Asia/Tokyo")]
    filled(place, people, [REACHED, BUSY, REFUSED, unresolved(), REACHED])
    ended = commanded(capsys, "status", "diwali")
    assert ended.code == 0
    lines = lines_of(ended.out)
    assert lines["state"] == "in progress"
    assert (lines["contacts"], lines["to be dialled"]) == ("7", "2")
    assert (lines["not reached"], lines["refused"]) == ("1", "1")
    assert lines["unresolved"] == "1"
    assert lines["calls"] == "3: 2 completed, 1 busy"
    assert (lines["talk time"], lines["cost so far"]) == ("1:24", "2.50, in the account's currency")
    assert (lines["dialled by"], lines["now"]) == ("no process", "open at all hours")
    assert (lines["connects to"], lines["time zone"]) == ("the flow 926", "IST")
    assert "contacts with their own time zone: Asia/Tokyo" in ended.out
    assert (
        "No process is dialling it. Start the same command as before: exotel-async dial FILE ..."
        in ended.out
    )
    assert "exotel-async campaign resolve diwali" in ended.out
    assert ended.err == ""


@pytest.mark.parametrize(
    ("ends", "calls", "why"),
    [
        ([unresolved()], "0", "1 contact is unresolved: not known whether the phone rang."),
        (
            [REACHED, accepted("a"), accepted("b")],
            "3: 1 completed, 2 end not known",
            "2 contacts are unresolved: call placed, end not known.",
        ),
        (
            [accepted("a"), unresolved(), unresolved()],
            "1: 1 end not known",
            "3 contacts are unresolved: not known whether the phone rang (2); "
            "call placed, end not known (1).",
        ),
    ],
)
def test_why_contacts_are_unresolved(
    ends: list[End], calls: str, why: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place, numbers(len(ends)), ends)
    told = commanded(capsys, "status", "diwali").out
    assert lines_of(told)["calls"] == calls
    assert f"{why} Resolve with: exotel-async campaign resolve diwali" in told


def test_why_it_is_paused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(place, state=CampaignState.PAUSED, reason="too many\nerrors")
    ended = commanded(capsys, "status", "diwali")
    assert lines_of(ended.out)["state"] == "paused: too many errors"
    assert ended.out.endswith("To continue it: exotel-async campaign resume diwali\n")


def test_what_has_ended_needs_nobody(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(place, numbers(1), [REACHED], state=CampaignState.COMPLETED)
    ended = commanded(capsys, "status", "diwali")
    assert "now" not in lines_of(ended.out)
    assert "dial FILE" not in ended.out


def test_of_a_canceled_one_it_says_who_settles_those_in_doubt(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that has run it is refused from then on."""
    lost = End(state=ContactState.IN_DOUBT, status=None, attempt_state=AttemptState.IN_DOUBT)
    filled(place, numbers(1), [lost], state=CampaignState.CANCELED)
    ended = commanded(capsys, "status", "diwali")
    assert lines_of(ended.out)["in doubt"] == "1"
    assert ended.out.splitlines()[-1] == (
        "The next run of any campaign in this ledger searches the call records for the contacts in "
        "doubt."
    )


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (datetime(2026, 11, 2, 12, tzinfo=IST), "open until 13:00 IST"),
        (datetime(2026, 11, 2, 13, tzinfo=IST), "closed until 2026-11-03 10:00 IST"),
        (datetime(2026, 12, 31, 18, tzinfo=IST), "closed for good: its schedule has ended"),
    ],
)
def test_whether_it_is_open(
    now: datetime,
    words: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Clock:
        @staticmethod
        def now(zone: tzinfo) -> datetime:
            return now.astimezone(zone)

    monkeypatch.setattr(campaign_status, "datetime", Clock)
    end = datetime(2026, 12, 1, tzinfo=IST)
    filled(place, made=campaign(schedule=Schedule(end=end, hours="10:00-13:00")))
    assert lines_of(commanded(capsys, "status", "diwali").out)["now"] == words
    known = json.loads(commanded(capsys, "status", "diwali", "--json").out)
    assert known["is_open"] is words.startswith("open")
    assert (known["opens_at"] is None) is ("for good" in words)
    assert (known["closes_at"] is not None) is words.startswith("open")


def test_when_the_next_retry_is_due(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    again = evolve(BUSY, state=ContactState.WAITING, reason=None)
    filled(place, [Contact(one) for one in numbers(3)], [REACHED, again])
    line = lines_of(commanded(capsys, "status", "diwali").out)["to be dialled"]
    assert line == (
        "2, 1 of them waiting for retries; the next one was due at 2026-11-06 11:01 IST"
    )
    known = json.loads(commanded(capsys, "status", "diwali", "--json").out)
    assert (known["retries"], known["next_retry_at"]) == (1, "2026-11-06T05:31:00+00:00")
    assert Campaign.from_dict(known["settings"]) == campaign()
    assert known["dialer"] is None

"""What `exotel-async dial --dry-run` says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from attrs import evolve

from exotel_async import IST
from exotel_async.campaigns import Campaign, Reached, Retries, Retry, Schedule
from exotel_async.cli.campaign_settings import settings_in_words
from exotel_async.cli.dial_assumed import Assumed
from exotel_async.cli.dial_dry_run import FIRST, LAST, DryRun, Rejection, show_dry_run
from exotel_async.cli.dial_forecast import forecast
from tests.cli.dial_runs import CAMPAIGN, DRY_RUNS, RICH, dry_run
from tests.cli.dial_standings import NOW
from tests.cli.dial_text import WIDE, WIDTHS, shown, words

EACH = pytest.mark.parametrize("run", DRY_RUNS.values(), ids=DRY_RUNS)


def told(run: DryRun, width: int | None = None) -> Sequence[str]:
    """What is printed: by default into a pipe."""
    return shown(lambda on: show_dry_run(on, run), width)


@EACH
@pytest.mark.parametrize("width", [*WIDTHS, None])
def test_the_first_and_the_last_words_are_that_nobody_was_dialled(
    run: DryRun, width: int | None
) -> None:
    lines = told(run, width)
    assert lines[0] == FIRST == "Dry run: nobody is dialled, and nothing is written."
    assert lines[-1] == LAST == "Dry run: nobody was dialled, and nothing was written."


@EACH
@pytest.mark.parametrize("width", WIDTHS)
def test_no_word_is_broken_and_none_left_out(run: DryRun, width: int) -> None:
    run = evolve(run, path="a long path/" * 12)
    assert words(told(run, width)) == words(told(run, WIDE))


@EACH
def test_forty_columns_are_enough_not_to_crash(run: DryRun) -> None:
    assert told(evolve(run, path="x" * 100), 40)


def test_the_plain_lines() -> None:
    assert told(DRY_RUNS["plain"]) == [
        "Dry run: nobody is dialled, and nothing is written.",
        "",
        "File",
        "  file: leads.csv",
        "  numbers: in the column Mobile, found by its header",
        "  rows: 1,000",
        "  to be dialled: 1,000",
        "  rejected: 0",
        "",
        "Campaign",
        "  name: leads",
        "  connects to: the flow 926",
        "  ExoPhone: 08030000000",
        "  hours: mon-fri 10:00-13:00, 14:00-19:00",
        "  hours: sat 10:00-13:00",
        "  hours: sun closed",
        "  time zone: IST",
        "  retries: busy: 3 times, after 10 min, then twice as long each time",
        "  retries: no answer: 2 times, 3 h apart",
        "  retries: failed: once, after 1 min",
        "  reached: when the contact answers",
        "",
        "Forecast",
        "  pace: about 33 calls a minute, limited by 30 channels",
        "  first attempts: until about 15:58 IST, in 30 min",
        "  with retries: until about 2026-12-01 11:13 IST, in 19 h 46 min at the latest",
        "  calls: about 1,728, 1.73 for each contact",
        "  talk: about 950 minutes",
        "  cost: about 760.00 at 0.80 a minute, in the account's currency",
        "  assumed: of the calls 10% busy, 30% no answer, 5% failed",
        "  assumed: each rings for 20 s, and lasts 1 min if answered",
        "  assumed: each takes 1.1 requests: the dial, and reading how it ended",
        "  assumed: each started minute of an answered call is charged; plans differ",
        "",
        "When contacts are dialled (in the order of the file; this forecast ignores priority and "
        "not_before)",
        "  Mon 2026-11-30: 15:28 to 15:57 IST: contacts 1 to 1,000",
        "",
        "Dry run: nobody was dialled, and nothing was written.",
    ]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "rich",
            [
                "note: the sheet “Leads” was read; the sheets “Old” and “Totals” were not",
                "note: 3 numbers had lost digits to the format of the spreadsheet",
                "rows: 2,346",
                "to be dialled: 2,300",
                "duplicates: 12, in the file more than once",
                "in campaign: 8, already in the campaign",
                "do not call: 1, on the do-not-call list",
                "rejected: 25",
                "rejected: 14: +*****23 has too few digits for a mobile number "
                "(lines 4, 5, 6, 7, 8 and 9 more)",
                "rejected: 1: the cell is empty (line 3)",
                "rejected: 4 for 4 other reasons",
                "connects to: the agent +********0009",
                "ExoPhone: 08030000000, 08030000001",
                "not dialled: the last 256 contacts: the schedule ends first",
                "limited by: calling hours, which are closed most of the time until then",
                "pace: about 2 calls a minute, limited by the throttle",
                "Mon 2026-11-30: 19:00 to 20:30 IST: contacts 1 to 180 of Asia/Dubai",
                "assumed: each started minute of an answered call is charged, for each of its two "
                "legs; plans differ",
                "assumed: each takes 1.1 requests: the dial, and reading how it ended, and another "
                "one to look each number up",
            ],
        ),
        ("over", ["not dialled: all 5 contacts: the schedule does not open again"]),
        ("nobody", ["contacts: there is nobody to dial"]),
        (
            "one",
            [
                "connects to: the bot at wss://bot.in",
                "retries: none: each contact is dialled once",
                "Mon 2026-11-30: 15:28 IST: contact 1",
                "pace: about 181 calls a minute, limited by the budget of 200 requests a minute",
            ],
        ),
        (
            "slow",
            [
                "Thu 2026-12-03: and 164 more times, until",
                "Thu 2027-03-18: 10:00 to 12:08 IST: contacts 39,873 to 40,000",
            ],
        ),
        (
            "beyond",
            [
                "with retries: more than a year; the forecast looks no further",
                "Mon 2026-11-30: 15:28 to Sat 2027-09-04 10:08 IST: contacts 1 to 400,000",
            ],
        ),
        (
            "by the hour",
            ["pace: about 54 calls an hour, limited by the budget of 1 request a minute"],
        ),
        ("by the day", ["pace: about one call every 3 h, limited by 1 channel"]),
    ],
)
def test_each_case_has_its_words(name: str, lines: Sequence[str]) -> None:
    printed = [line.strip() for line in told(DRY_RUNS[name])]
    assert [line for line in lines if line not in printed] == []


@EACH
def test_the_numbers_add_up(run: DryRun) -> None:
    plain = run.as_json()
    refused = sum(one["count"] for one in plain["rejected"])
    others = plain["duplicates"] + plain["in_campaign"] + plain["do_not_call"]
    assert plain["rows"] == plain["taken"] + others + refused
    dialled = sum(one["last"] - one["first"] + 1 for one in plain["forecast"]["windows"])
    left = sum(one["contacts"] for one in plain["forecast"]["not_dialled"])
    assert dialled + left == plain["forecast"]["contacts"] == plain["taken"]


@EACH
def test_it_is_json(run: DryRun) -> None:
    plain = run.as_json()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["dry_run"] is True


def test_the_json_of_one() -> None:
    plain = DRY_RUNS["rich"].as_json()
    assert plain["rejected"][0] == {
        "reason": "+*****23 has too few digits for a mobile number",
        "count": 14,
        "lines": list(range(4, 18)),
    }
    assert plain["campaign"]["connects_to"] == "the agent +********0009"
    assert plain["campaign"]["exophone"] == "08030000000, 08030000001"
    assert DRY_RUNS["plain"].as_json()["campaign"]["hours"] == (
        "mon-fri 10:00-13:00, 14:00-19:00; sat 10:00-13:00; sun closed"
    )
    told = plain["forecast"]
    assert told["windows"][1] == {
        "begin": "2026-11-30T19:00:00+05:30",
        "end": "2026-11-30T20:30:00+05:30",
        "first": 1,
        "last": 180,
        "time_zone": "Asia/Dubai",
    }
    assert told["not_dialled"] == [{"time_zone": None, "contacts": 256}]
    assert told["why_not_dialled"] == "the schedule ends first"
    assert (told["cost"], told["price_per_minute"]) == ("1348.80", "0.60")
    assert (told["calls_per_minute"], told["pace_limited_by"]) == (2.0, "throttle")
    assert told["limited_by"] == "hours"
    assert DRY_RUNS["over"].as_json()["forecast"]["end"] is None


def test_the_last_reason_is_told_where_a_line_would_count_it() -> None:
    reasons = [Rejection(reason=f"reason {number}", count=10 - number) for number in range(9)]
    lines = told(evolve(DRY_RUNS["plain"], rejected=reasons))
    assert "  rejected: 2: reason 8" in lines
    lines = told(evolve(DRY_RUNS["plain"], rejected=[*reasons, Rejection(reason="last", count=1)]))
    assert "  rejected: 3 for 2 other reasons" in lines


def test_no_control_code_and_no_number_of_a_person_is_shown() -> None:
    run = evolve(
        dry_run({None: 1}, RICH),
        path="a\x1b[2Jb.csv",
        column="Mob\nile",
        notes=["see +919812300001"],
        rejected=[Rejection(reason="98123 00002\x07 is there twice", count=2, lines=[7])],
    )
    for text in ("\n".join(told(run)), json.dumps(run.as_json())):
        assert "\x1b" not in text
        assert not any(number in text for number in ("9812300001", "98123 00002", "9812300009"))
    assert "  rejected: 2: ***** *0002 is there twice (lines 7 and 1 more)" in told(run)
    assert "  numbers: in the column Mob ile, found by its header" in told(run)
    unknown = Rejection(reason="it is too long", count=3)
    assert str(unknown) == "3: it is too long"


def test_what_is_assumed_may_have_been_learned() -> None:
    run = evolve(
        DRY_RUNS["plain"],
        forecast=forecast(
            {None: 9}, CAMPAIGN, budget=200, now=NOW, assumed=Assumed(calls=1_234, busy=0.256)
        ),
    )
    learned = "as in 1,234 calls so far: of the calls 26% busy, 30% no answer, 5% failed"
    assert f"  assumed: {learned}" in told(run)


def test_the_last_one_left_of_a_zone() -> None:
    schedule = Schedule(end=NOW + timedelta(minutes=9))
    run = dry_run({None: 8, "Asia/Dubai": 2}, evolve(CAMPAIGN, schedule=schedule, throttle=1))
    assert "  not dialled: the last contact of Asia/Dubai: the schedule ends first" in told(run)
    alone = dry_run({"Asia/Dubai": 1}, evolve(CAMPAIGN, schedule=Schedule(end=NOW)))
    assert "  not dialled: the contact of Asia/Dubai: the schedule does not open again" in told(
        alone
    )
    many = dry_run({None: 10**7}, evolve(CAMPAIGN, throttle=1))
    assert any("it takes more than a year" in line for line in told(many))


def test_the_settings_as_a_person_reads_them() -> None:
    assert settings_in_words(RICH) == {
        "name": ["दिवाली 2026"],
        "connects to": ["the agent +********0009"],
        "ExoPhone": ["08030000000, 08030000001"],
        "hours": ["every day 10:00-19:00"],
        "time zone": ["IST"],
        "holidays": [
            "2026-12-01, 2026-12-02, 2026-12-03, 2026-12-04, 2026-12-05, 2026-12-06, and 2 more"
        ],
        "not before": ["2026-11-29 15:28:00 IST"],
        "ends": ["2026-12-10 12:00:00 IST"],
        "retries": ["answered, but not reached: once, after 1 h"],
        "reached": ["when the contact speaks with the agent for at least 30 s"],
        "time limit": ["a call lasts 10 min at most"],
        "rings": ["for 30 s at most"],
        "throttle": ["2 calls a minute at most"],
        "channels": ["20 channels at most"],
        "recording": ["calls are recorded"],
        "DND": ["each number is looked up, and not dialled if it is on the register"],
    }


def test_settings_that_are_seldom() -> None:
    told = settings_in_words(
        Campaign(
            "x",
            stream_url="wss://name:secret@bot.example.com/key?token=secret",
            caller_ids="08030000000",
            schedule=Schedule(hours={"mon, wed-thu": "22:00-02:00"}, time_zone="Asia/Dubai"),
            retries=Retries(busy=Retry(1, timedelta(days=3), exponential=True)),
            reached=Reached(timedelta(seconds=61)),
            record=False,
        )
    )
    assert told["connects to"] == ["the bot at wss://bot.example.com"]
    assert told["hours"] == [
        *("mon 22:00-02:00", "tue closed", "wed-thu 22:00-02:00", "fri-sun closed")
    ]
    assert told["time zone"] == ["Asia/Dubai"]
    assert told["retries"] == ["busy: once, after 3 days"]
    assert told["reached"] == ["when the contact is on the line for at least 1 min 1 s"]
    assert told["recording"] == ["calls are not recorded"]
    with_agent = settings_in_words(Campaign("x", agent="sip:agent7", caller_ids="08030000000"))
    assert with_agent["connects to"] == ["the agent sip:agent7"]
    assert with_agent["reached"] == ["when the contact speaks with the agent"]


def test_the_price_may_be_of_any_kind() -> None:
    run = dry_run({None: 100}, now=datetime(2026, 11, 30, 10, tzinfo=IST), price=Decimal("1E+1"))
    assert any("at 10 a minute" in line for line in told(run))

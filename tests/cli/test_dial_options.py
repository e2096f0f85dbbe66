"""The options of `exotel-async dial`, as they are typed."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from attrs import evolve

from exotel_async import InvalidRequest
from exotel_async.campaigns import Campaign, Retries, Retry, Schedule
from exotel_async.cli.dial_campaign import (
    CampaignOptions,
    check_is_named,
    other_settings,
    read_holidays,
    read_hours,
    usual_name,
)
from exotel_async.cli.dial_options import (
    CallOptions,
    RetryRule,
    Target,
    Timing,
    read_retry,
)
from exotel_async.cli.service import Misuse

OPTIONS = CampaignOptions(
    name="leads",
    caller_ids=("08030000000, 08030000001", "08030000002"),
    target=Target(flow="926"),
    timing=Timing(),
    calls=CallOptions(),
)


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("10-19", "10:00-19:00"),
        ("9-13, 14-18:30", "9:00-13:00, 14:00-18:30"),
        ("09:30-13:00", "09:30-13:00"),
        ("22-2", "22:00-2:00"),
    ],
)
def test_hours_may_be_whole(typed: str, written: str) -> None:
    assert read_hours(typed) == written
    assert Schedule(hours=read_hours(typed)) == Schedule(hours=written)


@pytest.mark.parametrize("typed", ["10am-7pm", "10.30-19", "ten to seven", "10", "10-25", "19-19"])
def test_what_are_no_hours_is_refused(typed: str) -> None:
    options = evolve(OPTIONS, timing=Timing(hours=read_hours(typed)))
    with pytest.raises(InvalidRequest) as error:
        options.campaign()
    assert error.value.argument == "hours"
    assert "am" not in typed or error.value.value == typed


@pytest.mark.parametrize(
    ("typed", "retry"),
    [
        ("busy:2:15m", RetryRule("busy", 2, timedelta(minutes=15))),
        ("no-answer:1:3h", RetryRule("no-answer", 1, timedelta(hours=3))),
        ("failed:1:90", RetryRule("failed", 1, timedelta(seconds=90))),
        (
            "not-reached:3:1h30m:exponential",
            RetryRule("not-reached", 3, timedelta(minutes=90), exponential=True),
        ),
    ],
)
def test_a_retry_is_an_outcome_a_number_and_a_length(typed: str, retry: RetryRule) -> None:
    assert read_retry(typed) == retry


@pytest.mark.parametrize(
    "typed", ["busy", "busy:2", "busy:two:15m", "engaged:2:15m", "busy:2:soon", "busy:2:5m:x", ""]
)
def test_what_is_no_retry_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="is not a rule like busy:2:15m"):
        read_retry(typed)


def test_the_options_make_a_campaign(tmp_path: Path) -> None:
    holidays = tmp_path / "holidays.txt"
    holidays.write_text("# 2026\n2026-11-08  # Diwali\n\n2026-01-26\n")
    options = evolve(
        OPTIONS,
        timing=Timing(
            hours="10:00-19:00",
            days="mon-sat",
            holidays=holidays,
            retry=(read_retry("busy:2:15m"), read_retry("no-answer:1:3h:exponential")),
        ),
        calls=CallOptions(channels=9, throttle=30, time_limit=300, ring_timeout=40, record=True),
    )
    assert options.campaign() == Campaign(
        "leads",
        flow="926",
        caller_ids=["08030000000", "08030000001", "08030000002"],
        schedule=Schedule(hours={"mon-sat": "10:00-19:00"}, holidays=["2026-11-08", "2026-01-26"]),
        retries=Retries(
            busy=Retry(2, timedelta(minutes=15)),
            no_answer=Retry(1, timedelta(hours=3), exponential=True),
        ),
        throttle=30,
        time_limit=300,
        ring_timeout=40,
        record=True,
    )


def test_a_list_of_people_given_for_one_of_holidays_is_not_shown(tmp_path: Path) -> None:
    holidays = tmp_path / "holidays.txt"
    holidays.write_text("9812300001\n")
    with pytest.raises(Misuse, match=r"line 1: '\*\*\*\*\*\*0001' is not a date"):
        read_holidays(holidays)


def test_without_options_it_dials_by_day() -> None:
    assert OPTIONS.campaign().schedule == Schedule()


@pytest.mark.parametrize(
    ("timing", "argument", "shown"),
    [
        (Timing(days="monday-someday"), "days", "'monday-someday'"),
        (Timing(days="mon", hours="10"), "hours", "'10'"),
        (Timing(hours="25"), "hours", "'25'"),
        (Timing(retry=(read_retry("busy:101:1m"),)), "times", "101"),
        (Timing(retry=(read_retry("busy:1:0"),)), "gap", "0 s"),
    ],
)
def test_the_error_names_the_option_that_is_wrong(
    timing: Timing, argument: str, shown: str
) -> None:
    with pytest.raises(InvalidRequest) as error:
        evolve(OPTIONS, timing=timing).campaign()
    assert (error.value.argument, error.value.shown) == (argument, shown)


@pytest.mark.parametrize(
    "target", [Target(), Target(flow="1", agent="09812300001"), Target(agent="1", stream_url="x")]
)
def test_whom_to_connect_to_is_one(target: Target) -> None:
    with pytest.raises(Misuse, match="exactly one of --flow, --agent or --stream-url"):
        evolve(OPTIONS, target=target).campaign()


def test_an_outcome_has_one_rule() -> None:
    twice = Timing(retry=(read_retry("busy:1:1m"), read_retry("busy:2:1m")))
    with pytest.raises(Misuse, match="two rules for busy"):
        evolve(OPTIONS, timing=twice).campaign()


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("8/11/2026", "line 1: '8/11/2026'"),
        ("2026-11-08\nDiwali", "line 2: 'Diwali'"),
        ("2026-11-08\n2026-02-30", "line 2: '2026-02-30' is not a date"),
    ],
)
def test_what_is_no_date_is_refused(tmp_path: Path, written: str, why: str) -> None:
    file = tmp_path / "holidays.txt"
    file.write_text(written)
    with pytest.raises(Misuse, match=why):
        read_holidays(file)
    with pytest.raises(Misuse, match="No such file"):
        read_holidays(tmp_path / "nothing")
    file.write_bytes(b"\xff\xfe2")
    with pytest.raises(Misuse, match="not UTF-8"):
        read_holidays(file)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("lists/leads.xlsx", "leads"),
        ("leads.xlsx.rejected.csv", "leads"),
        ("leads.november.csv", "leads.november"),
        ("leads", "leads"),
        ("leads.rejected.csv", "leads"),  # of the list `leads`
        # As a spreadsheet, a browser or a file manager saves it.
        ("leads.csv.rejected.xlsx", "leads"),
        ("leads.XLSX.rejected.CSV", "leads"),
        ("leads.november.csv.rejected.ods", "leads.november"),
        ("leads.csv.rejected (1).csv", "leads"),
        ("leads.csv.rejected(2).xlsx", "leads"),
        ("leads.csv.rejected - Copy.csv", "leads"),
        ("leads.csv.rejected - Copy (2).csv", "leads"),
        ("leads.csv.rejected copy.csv", "leads"),
        ("leads.csv.rejected copy 2.xlsx", "leads"),
        ("leads.csv.rejected.csv.old", "leads"),
        ("leads.csv.rejected.csv.xlsx", "leads"),
        ("leads.csv.rejected.csv (1).xlsx", "leads"),
        ("leads (1).csv.rejected (1).csv", "leads (1)"),
        # Rows of it that were rejected once more.
        ("leads.csv.rejected.csv.rejected.csv", "leads"),
        ("leads.csv.rejected (1).csv.rejected.csv", "leads"),
        ("leads.csv.rejected.xlsx.rejected (1).xlsx", "leads"),
        # Lists of other people.
        ("leads.rejected.xlsx", "leads.rejected"),
        ("rejected.csv", "rejected"),
        ("leads.csv.rejected november.csv", "leads.csv.rejected november"),
    ],
)
def test_a_campaign_has_the_name_of_its_list(file: str, name: str) -> None:
    assert usual_name(Path(file)) == name


@pytest.mark.parametrize(
    "name",
    [
        "leads.csv.rejected.csv",
        "leads.csv.rejected.xlsx",
        "leads.csv.rejected.csv.xlsx",
        "leads.csv.rejected (1).csv.rejected.csv",
    ],
)
def test_rejected_rows_belong_to_the_list_beside_them(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misuse, match="is not named after a list in its folder: give --name"):
        check_is_named(tmp_path / name)
    (tmp_path / "leads.csv").touch()
    check_is_named(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        "Copy of leads.csv.rejected.csv",
        "leads.csv.rejected - leads.csv.rejected.csv",
        "fixed leads.csv.rejected.xlsx",
        "leads.rejected.csv",
        "leads.csv",
        "right.csv",
    ],
)
def test_rejected_rows_of_no_list_that_is_there(tmp_path: Path, name: str) -> None:
    for file in ("leads.csv", "leads.csv.rejected.csv", name):
        (tmp_path / file).touch()
    with pytest.raises(Misuse, match="is not named after a list in its folder: give --name"):
        check_is_named(tmp_path / name)


def test_options_that_differ_are_named() -> None:
    campaign, file = OPTIONS.campaign(), Path("leads.csv")
    other = evolve(
        campaign,
        flow=None,
        agent="09812300002",
        schedule=Schedule(holidays=[date(2026, 11, 8)], hours="10:00-19:00"),
        retries=Retries(busy=Retry(1, 60)),
    )
    told = "--flow, --agent, --retry, --hours or --days, --holidays"
    assert f"other settings ({told}): give" in str(other_settings(campaign, other, file))
    heavier = other_settings(evolve(campaign, weight=2), campaign, file)
    assert "other settings: give" in str(heavier)
    assert "which dials everybody in leads.csv again" in str(heavier)

"""Contacts made of rows: who is taken once, with what, and which rows are nobody's."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from attrs import evolve

from exotel_async import IST
from exotel_async.campaigns.adding import entry_of
from exotel_async.campaigns.campaign import Campaign
from exotel_async.campaigns.contact import Contact
from exotel_async.cli.contact_files import ContactFile, Taken
from tests.cli.contact_files.support import (
    CAMPAIGN,
    EXOPHONE,
    FIRST,
    SECOND,
    THIRD,
    opened,
    reasons,
    rejected,
    taken,
    text_file,
    workbook,
)

AGENT = "08040000000"
WITH_AGENT = Campaign("diwali", agent=AGENT, caller_ids=[EXOPHONE])


def contacts(file: ContactFile, campaign: Campaign = CAMPAIGN) -> list[Contact]:
    return [result.contact for result in file.read(campaign) if isinstance(result, Taken)]


def test_a_file_may_be_read_again_and_again(tmp_path: Path) -> None:
    file = opened(text_file(tmp_path, f"Name,Mobile\nAsha,{FIRST}\nRavi,+91{FIRST}\n"))
    assert list(file.read(CAMPAIGN)) == list(file.read(CAMPAIGN))
    # And by two at once: what one has seen is nothing to the other.
    together = [*zip(file.read(CAMPAIGN), file.read(CAMPAIGN), strict=True)]
    assert [one == other for one, other in together] == [True, True]


def test_fields_are_the_cells_that_say_something(tmp_path: Path) -> None:
    text = f"Name,Mobile,,Note,Note\n Asha ,+91 98123 00001, x ,,b\nRavi,{SECOND},,,\n"
    first, second = contacts(opened(text_file(tmp_path, text)))
    assert first.fields == {
        "Name": "Asha",
        "Mobile": "+91 98123 00001",
        "column C": "x",
        "Note (2)": "b",
    }
    assert second.fields == {"Name": "Ravi", "Mobile": SECOND}
    assert (first.number, first.key) == ("+919812300001", None)


@pytest.mark.parametrize(
    "again",
    [
        FIRST,
        f"+91 {FIRST}",
        f"0{FIRST}",
        f"'{FIRST}.0",
        f"{THIRD} / {FIRST}",
        SECOND,
        f"{SECOND}/x",
    ],
)
def test_a_number_is_taken_once(tmp_path: Path, again: str) -> None:
    text = f"Name,Mobile\n\nAsha,{FIRST} / {SECOND}\nRavi,{again}\n"
    file = opened(text_file(tmp_path, text))
    assert taken(file) == {3: (FIRST, SECOND)}
    row = rejected(file)[4]
    if again.endswith("x"):
        assert not row.is_duplicate
    else:
        assert (row.reason, row.is_duplicate) == ("the same number as in line 3", True)
        assert (row.column, row.cell) == ("Mobile", again)


def test_an_alternative_column_counts_for_who_is_known(tmp_path: Path) -> None:
    text = f"Mobile,Alt Mobile\n{FIRST},{SECOND}\n{THIRD},{FIRST}\n{SECOND},\n"
    file = opened(text_file(tmp_path, text))
    assert reasons(file) == {
        3: "the same number as in line 2",
        4: "the same number as in line 2",
    }
    assert [row.column for row in rejected(file).values()] == ["Alt Mobile", "Mobile"]


def test_a_row_that_was_rejected_makes_nobody_known(tmp_path: Path) -> None:
    text = f"Mobile,Alt Mobile\n{FIRST},9.8E+09\n{FIRST},\n"
    assert taken(opened(text_file(tmp_path, text))) == {3: (FIRST,)}


def test_a_key_is_taken_once(tmp_path: Path) -> None:
    text = f"Id,Mobile\n7,{FIRST}\n8,{SECOND}\n7,{THIRD}\n,9812300004\n1.2E+11,9812300005\n"
    file = opened(text_file(tmp_path, text), key="id")
    assert [contact.key for contact in contacts(file)] == ["7", "8"]
    assert reasons(file) == {
        4: "the same key as in line 2",
        5: "no key",
        6: "has lost digits: format the column as text and export it again",
    }
    assert [row.is_duplicate for row in rejected(file).values()] == [True, False, False]
    assert {row.column for row in rejected(file).values()} == {"Id"}


def test_what_else_may_be_mapped(tmp_path: Path) -> None:
    text = (
        "Mobile;Other;Prio;When;Zone;Agent;Tag\n"
        f"{FIRST};{SECOND};5;2026-11-30 10:00;;080 4000 1234;red\n"
        f"{THIRD};;-5.0;2026-12-01;Asia/Dubai;sip:asha;\n"
        "9812300004;;;2026-12-01T10:00:00+01:00;;;\n"
    )
    file = opened(
        text_file(tmp_path, text),
        alternatives="other",
        priority="Prio",
        not_before="When",
        time_zone="Zone",
        agent="Agent",
        custom_field="Tag",
    )
    first, second, third = contacts(file, WITH_AGENT)
    assert first.alternatives == (SECOND,)
    assert [one.priority for one in (first, second, third)] == [5, -5, 0]
    assert first.not_before == datetime(2026, 11, 30, 10, tzinfo=IST)
    assert second.not_before is not None
    assert second.not_before.utcoffset() == timedelta(hours=4)
    hour = timezone(timedelta(hours=1))
    assert third.not_before == datetime(2026, 12, 1, 10, tzinfo=hour)
    assert [one.time_zone for one in (first, second)] == [None, "Asia/Dubai"]
    assert [one.agent for one in (first, second, third)] == ["08040001234", "sip:asha", None]
    assert [one.custom_field for one in (first, second)] == ["red", None]


def test_dates_of_a_workbook(tmp_path: Path) -> None:
    rows = [
        ["Mobile", "When"],
        [FIRST, datetime(2026, 11, 30, 10, 30)],  # noqa: DTZ001 - there are no zones in workbooks
        [SECOND, "30/11/2026"],
    ]
    file = opened(workbook(tmp_path, rows), not_before="When")
    [contact] = contacts(file)
    assert contact.not_before == datetime(2026, 11, 30, tzinfo=IST).replace(hour=10, minute=30)
    assert "must be a date and time like 2026-11-30 10:00" in reasons(file)[3]


@pytest.mark.parametrize(
    ("mapped", "cell", "why"),
    [
        ("priority", "high", "must be a whole number"),
        ("priority", "1.5", "must be a whole number"),
        ("priority", "1001", "must be a whole number from -1000 to 1000"),
        ("time_zone", "Mars", "must be a time zone of the IANA database"),
        ("not_before", "soon", "must be a date and time like 2026-11-30 10:00"),
        ("not_before", "0001-01-01", "must be a date and time like 2026-11-30 10:00"),
        ("agent", "9.8E+09", "has lost digits"),
        ("agent", f"{SECOND}/{THIRD}", "must be one phone number"),
        ("agent", SECOND, "is for campaigns that connect to an agent"),
        ("custom_field", "x" * 129, "must be a string of at most 128 characters"),
        ("key", "k" * 201, "must be a string of at most 200 characters"),
    ],
)
def test_a_field_that_is_not_right(tmp_path: Path, mapped: str, cell: str, why: str) -> None:
    file = opened(text_file(tmp_path, f"Mobile;More\n{FIRST};{cell}\n"), **{mapped: "More"})
    row = rejected(file)[2]
    assert (row.column, row.cell) == ("More", cell)
    assert why in row.reason


def test_a_moment_in_a_zone_that_there_is_not(tmp_path: Path) -> None:
    text = f"Mobile;When;Zone\n{FIRST};2026-11-30 10:00;Mars\n"
    row = rejected(opened(text_file(tmp_path, text), not_before="When", time_zone="Zone"))[2]
    assert (row.column, row.cell) == ("Zone", "Mars")
    assert "must be a time zone of the IANA database" in row.reason


def test_the_campaigns_own_numbers_are_not_rung(tmp_path: Path) -> None:
    numbers = ["080-4000-0000", "+91 80 4000 0000", "080 30000000", f"{FIRST} / 8040000000", SECOND]
    file = opened(text_file(tmp_path, "\n".join(["Mobile", *numbers])))
    assert list(taken(file, WITH_AGENT)) == [6]
    assert set(reasons(file, WITH_AGENT).values()) == {
        "is an ExoPhone or the agent of this campaign"
    }
    # The agent of one campaign may be a contact of another.
    assert taken(file) == {2: ("08040000000",), 6: (SECOND,)}


@pytest.mark.parametrize(
    "row",
    [
        "Total,2",
        "Total: 300",
        "Grand Total,,9812300009",
        "TOTAL RECORDS : 1,200,9812300009",
        ",Total,9812300009",
        "Average,,9812300009",
        "कुल,2",
        "Generated by the CRM on 2026-11-29",
        "Report generated at,2026-11-29",
        "Page 1 of 3",
        "End of report",
        "2 records exported",
    ],
)
def test_footers_are_nobody(tmp_path: Path, row: str) -> None:
    text = f"Name;Id;Mobile\nAsha;1;{FIRST}\nRavi;2;{SECOND}\n{row.replace(',', ';')}\n"
    file = opened(text_file(tmp_path, text))
    assert len(taken(file)) == 2
    assert reasons(file) == {4: "is a total or a footer, not a person"}


@pytest.mark.parametrize(
    "name",
    [
        *("Total Gas Agency", "Max", "Page Rao", "Generated Kumar", "Count Rao", "Endre"),
        *("Sumathi", "3 Leads Pvt Ltd"),
    ],
)
def test_names_that_look_like_footers(tmp_path: Path, name: str) -> None:
    text = f"Name,Mobile,City\n{name},{FIRST},Pune\n"
    assert taken(opened(text_file(tmp_path, text))) == {2: (FIRST,)}


def test_sums_are_nobody_and_people_are_no_sums(tmp_path: Path) -> None:
    numbers = [FIRST, SECOND, str(int(FIRST) + int(SECOND)), THIRD]
    file = opened(text_file(tmp_path, "\n".join(["Mobile", *numbers])))
    assert taken(file) == {2: (FIRST,), 3: (SECOND,), 5: (THIRD,)}
    assert reasons(file) == {4: "is the sum of the numbers above it"}
    twice = opened(text_file(tmp_path, f"Mobile\n{FIRST}\n{FIRST}\n"))
    assert reasons(twice) == {3: "the same number as in line 2"}


def test_headers_that_come_again(tmp_path: Path) -> None:
    file = opened(text_file(tmp_path, f"Name,Mobile\nAsha,{FIRST}\nname,MOBILE\nRavi,{SECOND}\n"))
    assert taken(file) == {2: (FIRST,), 4: (SECOND,)}
    assert reasons(file) == {3: "repeats the headers"}


@pytest.mark.parametrize("header", ["Country", "Country Code", "ISD", "Phone country code"])
def test_a_number_of_another_country_is_not_rung_in_india(tmp_path: Path, header: str) -> None:
    text = (
        f"Name;{header};Mobile\n"
        f"Asha;91;{FIRST}\nRavi;+91;{SECOND}\nMeena;India;{THIRD}\nOm;;9812300004\n"
        "Ann;1;4155550100\nBob;USA;4155550101\nCy;+1;+1 415 555 0102\n"
        "Di;UAE;9812300005 / +971501234567\nEm;91.0;9812300006\nFay;India (+91);9812300007\n"
    )
    file = opened(text_file(tmp_path, text))
    assert list(taken(file)) == [2, 3, 4, 5, 8, 10, 11]
    assert reasons(file) == dict.fromkeys(
        (6, 7, 9),
        "is of another country, according to its row: write it with + and the country code",
    )


def test_a_row_without_a_number(tmp_path: Path) -> None:
    file = opened(text_file(tmp_path, f"Name,Mobile\nAsha,{FIRST}\nRavi,\nMeena\nOm,N/A\n"))
    assert reasons(file) == dict.fromkeys((3, 4, 5), "no number")
    assert rejected(file)[5].cell == "N/A"
    assert rejected(file)[4].row == {"Name": "Meena", "Mobile": ""}


def test_what_is_taken_has_passed_the_ledgers_checks(tmp_path: Path) -> None:
    text = (
        f"Name,Mobile,Tag\n\U0001f600,{FIRST},\n{'x' * 1000},{SECOND},\n\x1b[31m,{THIRD},\n"
        f"Om,9812300004,{'x' * 129}\n"
    )
    found = contacts(file := opened(text_file(tmp_path, text), custom_field="Tag"))
    assert [entry_of(contact, CAMPAIGN).number for contact in found] == [FIRST, SECOND, THIRD]
    assert list(rejected(file)) == [5]


def test_no_number_is_shown_by_a_repr(tmp_path: Path) -> None:
    text = f"Name,Mobile\nAsha,{FIRST}\nRavi,{FIRST}\n98123 00002,wrong\n"
    file = opened(text_file(tmp_path, text))
    shown = repr([*file.read(CAMPAIGN), file.number_column, evolve(file.number_column, index=9)])
    assert shown.count("Taken(") == 1
    assert FIRST not in shown
    assert "98123 00002" not in shown

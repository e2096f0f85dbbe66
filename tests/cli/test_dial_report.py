"""What a run of `exotel-async dial` has come to."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from attrs import evolve

from exotel_async.campaigns import CampaignState
from exotel_async.cli import dial_output
from exotel_async.cli.dial_report import DialEnd, show_report
from exotel_async.cli.terminal import Exit
from tests.cli.dial_runs import ENDS, OPEN_CALLS, dial_arguments
from tests.cli.dial_standings import STATISTICS
from tests.cli.dial_text import WIDE, WIDTHS, shown, words

EACH = pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)


def report(end: DialEnd, width: int | None = 80) -> Sequence[str]:
    """The report, as it is printed."""
    return shown(lambda on: show_report(on, end), width)


@EACH
@pytest.mark.parametrize("width", WIDTHS)
def test_no_word_is_broken_and_none_left_out(end: DialEnd, width: int) -> None:
    assert words(report(end, width)) == words(report(end, WIDE))


@EACH
def test_in_a_pipe_each_thing_is_a_line(end: DialEnd) -> None:
    assert report(end, None) == report(end, WIDE)
    assert report(end, None)[-1] == end.last_line


@EACH
def test_forty_columns_are_enough_not_to_crash(end: DialEnd) -> None:
    assert report(end, 40)


def counts(lines: Sequence[str]) -> Mapping[str, int]:
    """The numbers of a table by their words; the last row is the sum."""
    rows = [re.fullmatch(r"(\S.*?) +([\d,]+)( +<?\d+%)?", line) for line in lines]
    return {row[1]: int(row[2].replace(",", "")) for row in rows if row is not None}


@EACH
def test_the_numbers_add_up(end: DialEnd) -> None:
    lines = report(end)
    end_of_table = lines.index("")
    contacts = counts(lines[:end_of_table])
    known = end.statistics
    assert contacts["in all"] == known.created
    assert sum(contacts.values()) == 2 * known.created
    if known.attempts:
        calls = counts(lines[end_of_table + 1 : lines.index("", end_of_table + 1)])
        assert sum(calls.values()) == 2 * calls["in all"] == 2 * known.attempts


def test_a_report() -> None:
    assert report(ENDS["unresolved"]) == [
        "contacts                number  share",
        "reached                    878    88%",
        "not reached                 82     8%",
        "refused                     14     1%",
        "do not call                 16     2%",
        "expired                      5    <1%",
        "cancelled                    2    <1%",
        "unresolved                   3    <1%",
        "in all                   1,000",
        "",
        "calls                   number  share",
        "completed                  310    61%",
        "busy                       104    20%",
        "no answer                   94    18%",
        "failed                       4    <1%",
        "in all                     512",
        "",
        "time       1:10:05",
        "talk time  5:10:00",
        "cost       412.50, in the account's currency, so far",
        "3 contacts unresolved: not known whether the phone rang; resolve with",
        "  exotel-async campaign resolve leads --ledger 'a b.db'",
        "done, but 3 contacts are unresolved",
    ]


def test_a_call_that_was_placed_is_told_though_its_end_is_not_known() -> None:
    end = ENDS["unresolved"]
    known = evolve(end.statistics, attempts=3, statuses={"busy": 1}, end_unknown=2)
    lines = report(evolve(end, statistics=known))
    assert "not over, or not known       2    67%" in lines
    told = " ".join(lines)
    assert (
        "3 contacts unresolved: not known whether the phone rang (1); call placed, end not known "
        "(2); resolve with"
    ) in told
    known = evolve(known, unresolved=2, created=999)
    assert "2 contacts unresolved: call placed, end not known; resolve with" in report(
        evolve(end, statistics=known)
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("all done", "all done: 1,000 contacts, each with an outcome"),
        ("nobody", "all done: the campaign has no contacts"),
        ("canceled", "cancelled: nobody is dialled any more"),
        (
            "canceled with some in doubt",
            "cancelled: nobody is dialled any more; 1 contact is unresolved; "
            "2 contacts are in doubt",
        ),
        ("unresolved", "done, but 3 contacts are unresolved"),
        (
            "outside hours",
            "outside calling hours until 2026-12-01 10:00 IST; 587 contacts are left to "
            "dial; run the same command then to continue, or with --wait-for-hours now",
        ),
        (
            "outside hours while paused",
            "outside calling hours until 2026-12-01 10:00 IST; 587 contacts are left to "
            "dial; it is paused: exotel-async campaign resume leads continues it",
        ),
        (
            "no more hours",
            "not dialled in time: 580 contacts are left to dial; run the same command to continue",
        ),
        (
            "interrupted while paused",
            "interrupted: 580 contacts are left to dial; it is paused: "
            "exotel-async campaign resume leads --ledger 'a b.db' continues it",
        ),
        (
            "interrupted after it has failed",
            "interrupted: 580 contacts are left to dial; it has failed: "
            "exotel-async campaign resume leads continues it",
        ),
        (
            "interrupted after it was cancelled",
            "interrupted: 0 contacts are left to dial; cancelled: nobody is dialled any more",
        ),
        (
            "interrupted",
            "interrupted: 580 contacts are left to dial, 13 calls have not ended; "
            "run the same command to continue",
        ),
        (
            "interrupted with no call left",
            "interrupted: 580 contacts are left to dial; run the same command to continue",
        ),
        (
            "stopped by errors",
            "stopped by errors: 580 contacts are left to dial; "
            "exotel-async campaign resume leads continues it",
        ),
        (
            "the ledger is lost",
            "stopped by errors: 580 contacts are left to dial; "
            "check the ledger before you run the same command again",
        ),
        (
            "nothing was dialled",
            "stopped by errors: 583 contacts are left to dial; run the same command to continue",
        ),
    ],
)
def test_the_last_line_of_each_exit(name: str, told: str) -> None:
    assert ENDS[name].last_line == told


def test_one_is_told_as_one() -> None:
    one = evolve(STATISTICS, unresolved=1, pending=1)
    end = evolve(ENDS["interrupted"], statistics=one, open_calls=OPEN_CALLS[:1])
    assert end.last_line == (
        "interrupted: 1 contact is left to dial, 1 call has not ended;"
        " run the same command to continue"
    )
    done = evolve(end, exit_code=Exit.NOT_COMPLETED, statistics=evolve(one, in_doubt=0))
    assert done.last_line == "done, but 1 contact is unresolved"


def test_calls_that_have_not_ended_are_told_by_key_masked_number_and_sid() -> None:
    lines = report(ENDS["interrupted"])
    first = lines.index("not ended:") + 1
    assert lines[first : first + 4] == [
        "  crm-1, +********0001, c0ffee01d1a1c0ffeed1a1c0ffeed1a1",
        "  +********0002, c0ffee02d1a1c0ffeed1a1c0ffeed1a1",
        "  crm-3, +********0003, c0ffee03d1a1c0ffeed1a1c0ffeed1a1",
        "  +********0004, SID not known",
    ]
    assert lines[first + 10] == "  and 3 more"


def test_why_it_stopped_is_told_in_one_line_without_numbers() -> None:
    assert report(ENDS["nothing was dialled"], None)[-2] == (
        "the ledger cannot be opened: +********0001"
    )
    assert report(ENDS["interrupted after it has failed"], None)[-2] == (
        "HTTP 403: no KYC of +********0001"
    )
    paused = ENDS["stopped by errors"]
    assert report(paused, None)[-2] == paused.problem
    going_on = evolve(
        paused, statistics=evolve(paused.statistics, state=CampaignState.IN_PROGRESS, reason=None)
    )
    assert going_on.last_line.endswith("run the same command to continue")


def test_the_end_is_told_to_programs_also_where_the_display_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As on a full disk, behind standard error alone."""

    def lost(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dial_output, "show_report", lost)
    arguments = evolve(dial_arguments(tmp_path, ["9812300001"]), as_json=True)
    dial_output.DialOutput(arguments, "diwali").end(ENDS["interrupted"])
    assert json.loads(capfd.readouterr().out)["event"] == "end"

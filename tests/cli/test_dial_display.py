"""What is shown while a campaign is dialled."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from rich.cells import cell_len
from rich.console import Console
from rich.constrain import Constrain

from exotel_async.campaigns import CampaignState
from exotel_async.cli.campaign_words import (
    clock,
    command,
    duration_in_words,
    length,
    masked_key,
    percent,
)
from exotel_async.cli.dial_display import DialProgress, Problem, Stopping
from exotel_async.cli.progress import progress
from tests.cli.dial_standings import (
    LIMITER,
    MINUTE,
    NOW,
    PROBLEMS,
    REASON,
    RUNNING,
    STANDINGS,
    STARTING,
    STATISTICS,
)
from tests.cli.dial_text import WIDE, WIDTHS, shown, words

EACH = pytest.mark.parametrize("current", STANDINGS.values(), ids=STANDINGS)


def panel(current: DialProgress, width: int) -> Sequence[str]:
    """The panel, as `progress` draws it."""
    lines = drawn(current, width)
    assert all(cell_len(line) <= width - 3 for line in lines)
    return lines


def drawn(current: DialProgress, width: int) -> Sequence[str]:
    return shown(lambda on: on.print(Constrain(current.panel(width), width - 3)), width)


def without_bars(lines: Sequence[str]) -> Sequence[str]:
    """The words of a panel; of errors only how they begin, for they are cut."""
    return [word for word in words(lines) if not set(word) <= set("━╸╺")]


@EACH
@pytest.mark.parametrize("width", WIDTHS)
def test_no_word_is_broken_and_none_left_out(current: DialProgress, width: int) -> None:
    current = evolve(current, problems=current.problems[-1:])  # short enough for 60 columns
    assert without_bars(panel(current, width)) == without_bars(panel(current, WIDE))


@EACH
def test_forty_columns_are_enough_not_to_crash(current: DialProgress) -> None:
    assert panel(current, 40)
    assert drawn(current, 20)


@EACH
def test_it_fits_a_terminal_of_24_lines(current: DialProgress) -> None:
    assert len(panel(current, 60)) <= 23


@EACH
def test_no_word_is_told_by_colour_alone(current: DialProgress) -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system="truecolor")
    console.print(Constrain(current.panel(80), 77))
    colourless = re.sub("\x1b\\[[0-9;]*m", "", file.getvalue()).splitlines()
    assert without_bars(colourless) == without_bars(panel(current, 80))


def test_the_panel_distinguishes_calls_that_were_placed() -> None:
    known = evolve(STATISTICS, end_unknown=3)
    lines = panel(evolve(RUNNING, statistics=known), 80)
    assert "unresolved   3 contacts: call placed, end not known" in lines


def test_the_panel_of_a_campaign_that_runs() -> None:
    assert panel(RUNNING, 80) == [
        "done         ━━━━━━━━━╸                412 of 1,000 contacts (41%)",
        "budget       ━━━━━━━━━━━━━━━━━         142 of 200 a minute",
        "channels     ━━━━━╸                    7 of 30 channels in use",
        "time         10:05, about 1:12:00 left, until 16:40 IST",
        "outcomes     290 reached, 82 not reached, 14 refused, 16 do not call,",
        "             5 expired, 2 cancelled",
        "unresolved   3 contacts: not known whether the phone rang",
        "calls        512 placed",
        "ended        310 completed, 101 busy, 90 no answer, 4 failed",
        "contacts     7 in progress, 1 in doubt, 580 to be dialled",
        "retries      14, next in 2:10",
        "cost         412.50 so far",
        "Ctrl-C       stops dialling, waits for the calls in progress, and ends",
    ]


def test_counts_stay_with_their_words() -> None:
    lines = panel(RUNNING, 60)
    assert "             16 do not call, 5 expired, 2 cancelled" in lines
    assert "ended        310 completed, 101 busy, 90 no answer," in lines


RESUME = "exotel-async campaign resume leads continues it"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("starting", ["0 of 1,000 contacts (0%)", "0 channels in use", "1,000 to be dialled"]),
        ("one of each", ["1 of 2 contacts (50%)", "1, next now"]),
        ("huge", ["412 of 1,234,567 contacts (<1%)", "9 days left", "next 2026-12-02 15:28 IST"]),
        ("problems", ["paused for 41 s", "15:25 (12 times) HTTP 503"]),
        ("paused", [f"paused: {RESUME}"]),
        ("paused by errors", [f"paused: {REASON}", RESUME]),
        ("failed", ["failed: the balance is used up", RESUME]),
        ("canceled", ["cancelled: nobody is dialled any more"]),
        ("outside hours", ["outside calling hours until 2026-12-01 10:00 IST"]),
        ("before hours", ["outside calling hours until 15:30 IST"]),
        (
            "stopping",
            [
                "waiting for 7 calls to end, until 15:42 IST at the latest; "
                "Ctrl-C again stops at once"
            ],
        ),
        ("stopping without a limit", ["waiting for 1 call to end; Ctrl-C again stops at once"]),
        ("hours have ended", ["until 2026-12-01 10:00 IST waiting for 1 call to end time"]),
        (
            "waiting for prices",
            [
                "time 10:05 waiting for the prices of the last calls, 15 minutes at most outcomes",
                "Ctrl-C ends without them",
            ],
        ),
    ],
)
def test_each_state_has_its_words(name: str, told: Sequence[str]) -> None:
    current = STANDINGS[name]
    seen = " ".join(without_bars(panel(current, 80)))
    assert [text for text in told if text not in seen] == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("paused", f"paused: {RESUME}; done 412 of"),
        ("failed", f"failed: the balance is used up; {RESUME}; done 412 of"),
        ("canceled", "cancelled: nobody is dialled any more; done 412 of"),
        ("before hours", "outside calling hours until 15:30 IST; done 412 of"),
        (
            "stopping without a limit",
            "waiting for 1 call to end; Ctrl-C again stops at once; done 412 of",
        ),
        (
            "outside hours with nobody in progress",
            "outside calling hours until 2026-12-01 10:00 IST; done 0 of",
        ),
        (
            "waiting for prices",
            "waiting for the prices of the last calls, 15 minutes at most; done 1,000 of",
        ),
    ],
)
def test_a_line_begins_with_what_keeps_it_from_dialling(name: str, told: str) -> None:
    assert str(STANDINGS[name]).startswith(told)


def test_the_last_errors_are_cut_masked_and_free_of_control_codes() -> None:
    lines = panel(STANDINGS["problems"], 60)
    first = next(number for number, line in enumerate(lines) if line.startswith("errors"))
    assert [line[13:] for line in lines[first : first + 3]] == [
        "15:25 (12 times) HTTP 503 from api.exotel.c…",
        "15:26 Exotel refused to dial +********0001:…",
        "15:27 no answer within 30 s",
    ]
    everything = "\n".join(panel(STANDINGS["problems"], WIDE))
    assert "the oldest" not in everything
    assert "\x1b" not in everything
    assert "9812300001" not in everything + str(STANDINGS["problems"])


def test_the_last_error_is_told_whole() -> None:
    text = "A poll for calls has failed. Trying again: api.exotel.com cannot be reached"
    current = evolve(STANDINGS["problems"], problems=[Problem(at=NOW, text=text, count=41)])
    lines = panel(current, 60)
    first = next(number for number, line in enumerate(lines) if line.startswith("errors"))
    told = " ".join(line[13:] for line in lines[first : first + 3])
    assert told.endswith(f"(41 times) {text}")


def test_more_retries_than_are_counted() -> None:
    assert "waiting for a retry: 9,999, " in str(evolve(RUNNING, retries=9_999))
    assert "waiting for a retry: 10,000 or more, " in str(evolve(RUNNING, retries=10_000))


def test_the_time_left_is_not_told_while_it_stops_or_is_not_known() -> None:
    assert "left" not in str(STANDINGS["stopping"])
    for name in ("paused", "failed", "canceled"):
        assert "left" not in str(evolve(STANDINGS[name], forecast=MINUTE))
    assert "left" not in str(evolve(RUNNING, forecast=None))


def test_the_counts_add_up() -> None:
    told = re.findall(r"(\d[\d,]*) ([a-z][a-z ]+)", str(RUNNING))
    counts = {word.strip(): int(number.replace(",", "")) for number, word in told}
    outcomes = ("reached", "not reached", "refused", "do not call", "expired", "cancelled")
    finished = sum(counts[word] for word in (*outcomes, "unresolved"))
    assert finished == 412
    waiting = sum(counts[word] for word in ("in progress", "in doubt", "to be dialled"))
    assert finished + waiting == 1_000


def lines_of(*each: DialProgress) -> Sequence[str]:
    """The lines that are printed into a pipe."""
    file = io.StringIO()
    with progress(Console(file=file, width=60)) as show:
        for current in each:
            show(current)
    return file.getvalue().splitlines()


def test_in_a_pipe_a_line_has_all_of_it() -> None:
    assert lines_of(RUNNING) == [
        "done 412 of 1,000 contacts (41%): 290 reached, 82 not reached, 14 refused, "
        "16 do not call, 5 expired, 2 cancelled, 3 unresolved; 512 calls placed: "
        "310 completed, 101 busy, 90 no answer, 4 failed; 7 in progress, 1 in doubt, "
        "580 to be dialled; waiting for a retry: 14, next in 2:10; budget 142 of 200 a minute; "
        "7 of 30 channels in use; cost so far 412.50; 10:05, about 1:12:00 left, until 16:40 IST"
    ]
    (line,) = lines_of(evolve(STARTING, problems=PROBLEMS))
    assert line.endswith("; last error 15:27 no answer within 30 s")


def test_in_a_pipe_there_is_a_line_at_the_start_and_each_half_minute() -> None:
    told = lines_of(*(evolve(STARTING, elapsed=float(second)) for second in range(100)))
    assert [line.rpartition("; ")[2].partition(",")[0] for line in told] == [
        *("0:00", "0:30", "1:00", "1:30")
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"statistics": evolve(STATISTICS, unresolved=0, state=CampaignState.PAUSED)},
        {"statistics": STATISTICS},  # the first unresolved
        {"opens_at": NOW + MINUTE},
        {"stopping": Stopping(since=NOW, calls=7)},
    ],
)
def test_in_a_pipe_there_is_a_line_when_something_important_changes(
    change: Mapping[str, Any],
) -> None:
    before = evolve(RUNNING, statistics=evolve(STATISTICS, unresolved=0))
    changed = evolve(before, **change)
    assert len(lines_of(before, before, changed, changed, before)) == 3


def test_one_more_unresolved_is_no_reason_for_a_line() -> None:
    more = evolve(RUNNING, statistics=evolve(STATISTICS, unresolved=4))
    assert len(lines_of(RUNNING, more)) == 1


def test_nothing_to_count_is_no_error() -> None:
    nobody = evolve(STARTING.statistics, created=0, pending=0)
    assert "0 of 0 contacts (0%)" in str(evolve(STARTING, statistics=nobody))
    assert panel(evolve(STARTING, statistics=nobody, limiter=LIMITER), 60)


def test_a_problem_is_told_in_one_line() -> None:
    told = str(Problem(at=NOW, text="one\n\x1b[2Jtwo", count=2_000))
    assert told == "15:28 (2,000 times) one [2Jtwo"


def test_shares_are_whole_only_where_all_or_nothing_is() -> None:
    assert [percent(*one) for one in [(0, 0), (0, 9), (1, 1_000), (999, 1_000), (9, 9)]] == [
        *("0%", "0%", "<1%", "99%", "100%")
    ]


def test_moments_and_lengths() -> None:
    assert clock(NOW, NOW) == "15:28 IST"
    assert clock(NOW + timedelta(hours=9), NOW) == "2026-12-01 00:28 IST"
    assert length(timedelta(hours=47)) == "47:00:00"
    assert length(timedelta(days=2, hours=3)) == "2 days"
    lengths = [0, 7, 90, 599, 600, 3_629, 3_600 * 19 + 2_732, 86_400 * 2]
    assert [duration_in_words(timedelta(seconds=one)) for one in lengths] == [
        *("0 s", "7 s", "1 min 30 s", "9 min 59 s", "10 min", "1 h", "19 h 46 min", "2 days")
    ]


def test_a_command_can_be_typed_as_it_is_shown() -> None:
    assert command("resume", "leads") == "exotel-async campaign resume leads"
    assert command("resolve", "it's", "a b.db") == (
        """exotel-async campaign resolve 'it'"'"'s' --ledger 'a b.db'"""
    )


def test_a_key_is_masked_only_where_a_number_is_in_it() -> None:
    assert masked_key("98123 00001", "+919812300001") == "***** *0001"
    assert masked_key("crm-1234567", "+919812300001") == "crm-1234567"
    assert masked_key("CRM-9812300001", "+919812300001") == "CRM-******0001"
    assert masked_key("9812300001 Asha", "09812300001") == "******0001 Asha"
    assert masked_key("9812300002", "+919812300001", "09812300002") == "******0002"
    assert masked_key("CRM-९८१२३००००१", "९८१२३००००१") == "CRM-******०००१"
    assert masked_key("CRM-९८१२३००००१", "+919812300001") == "CRM-******०००१"

"""`exotel-async campaign list`, `status` and `outcomes`, and the ledger that they read."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from exotel_async.campaigns import (
    Campaign,
    CampaignAdmin,
    CampaignState,
    Contact,
    ContactState,
    Retries,
    Retry,
    Schedule,
)
from exotel_async.campaigns.ledger import Ledger
from exotel_async.cli import campaign_ledger, main
from exotel_async.cli.campaign_app import State
from exotel_async.cli.terminal import out
from tests.campaigns.running import campaign, numbers
from tests.cli.campaign_ledgers import (
    BUSY,
    REACHED,
    REFUSED,
    commanded,
    fill,
    filled,
    unresolved,
)
from tests.cli.support import environment, left_in, ran
from tests.conftest import EXOPHONE

PASSWORD = "s3cret"
COMMANDS = [
    *(["list"], ["status", "x"], ["pause", "x"], ["resume", "x"], ["cancel", "x", "--yes"]),
    *(["outcomes", "x"], ["export", "x", "-o", "x.csv"], ["forget", "09812300001", "--yes"]),
    ["resolve", "x"],
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger that commands find by themselves."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "campaigns.db"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output as a terminal of sixty columns."""
    monkeypatch.setattr(out, "_force_terminal", True)
    monkeypatch.setattr(out, "_width", 60)


# The ledger


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: words[0])
def test_a_ledger_that_is_not_there_is_named_and_not_made(
    arguments: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = commanded(capsys, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.error_lines == [
        "exotel-async: there is no ledger campaigns.db: give its file, or a postgresql:// URL, "
        "with --ledger or EXOTEL_LEDGER"
    ]
    assert left_in(place.parent) == []


@pytest.mark.parametrize(
    "arguments", [one for one in COMMANDS if "x" in one], ids=lambda words: words[0]
)
def test_of_an_unknown_campaign_it_says_which_there_are(
    arguments: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place)
    filled(place, made=campaign("holi"))
    ended = commanded(capsys, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "NAME 'x' is not a campaign in this ledger; its campaigns: diwali, holi" in ended.err
    assert left_in(place.parent) == ["campaigns.db"]


def test_of_many_campaigns_it_names_ten(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def make() -> None:
        for number in range(12):
            await fill(place, made=campaign(f"c{number:02}"))

    asyncio.run(make())
    ended = commanded(capsys, "status", "x", "--json")
    assert "c00, c01" in ended.err
    assert "c09 and 2 others" in ended.err
    assert json.loads(ended.out)["error"]["type"] == "InvalidRequest"


def test_a_ledger_is_named_by_option_or_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place := tmp_path / "other.db", state=CampaignState.PAUSED)
    by_option = commanded(capsys, "status", "diwali", "--ledger", str(place))
    assert f"campaign resume diwali --ledger {place}" in by_option.out
    monkeypatch.setenv("EXOTEL_LEDGER", str(place))
    by_variable = commanded(capsys, "status", "diwali")
    assert by_variable.code == 0
    assert by_variable.out.splitlines()[-1].endswith("campaign resume diwali")


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", 2, "there is no ledger campaigns.db"),
        (b"no database, but as long as one" * 100, 1, "is not a SQLite database"),
    ],
)
def test_what_is_no_ledger_stays_as_it_is(
    content: bytes, code: int, words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write_bytes(content)
    ended = commanded(capsys, "list", "--json")
    assert ended.code == code
    assert words in ended.err
    assert json.loads(ended.out)["error"]["type"] == "ConfigurationError"
    assert place.read_bytes() == content


def test_a_folder_is_no_ledger(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = commanded(capsys, "list", "--ledger", str(place.parent))
    assert ended.code == 1
    assert ended.err == f"exotel-async: {place.parent} is a folder: give a file in it\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["campaign", "list"],
        ["dial", "leads.csv", "--flow", "926", "--caller-id", EXOPHONE],
        ["dial", "leads.csv", "--flow", "926", "--caller-id", EXOPHONE, "--dry-run"],
    ],
)
def test_a_database_of_another_kind_is_wrong_usage(
    arguments: list[str],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("API_KEY", "API_TOKEN", "ACCOUNT_SID"):
        monkeypatch.setenv(f"EXOTEL_{name}", "x")
    place.with_name("leads.csv").write_text("Mobile\n9812300001\n")
    code = main([*arguments, "--ledger", f"mysql://me:{PASSWORD}@localhost/x"])
    err = capsys.readouterr().err
    assert code == 2
    assert err.startswith("exotel-async: a ledger is the path of a SQLite file, or a URL")
    assert PASSWORD not in err


def test_no_password_is_shown(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither where the server has no ledger, nor in a command that is to be typed."""
    filled(place, state=CampaignState.PAUSED)
    url = f"postgresql://me:{PASSWORD}@localhost/campaigns?password={PASSWORD}"
    file = Ledger(place)
    monkeypatch.setattr(campaign_ledger, "ledger_at", lambda _: file)
    ended = commanded(capsys, "status", "diwali", "--ledger", url)
    assert "exotel-async campaign resume diwali --ledger postgresql://..." in ended.out
    assert PASSWORD not in ended.out

    async def none_there(_: object) -> bool:
        return False

    monkeypatch.setattr(Ledger, "exists", none_there)
    ended = commanded(capsys, "status", "diwali", "--ledger", url)
    assert ended.code == 2
    assert "there is no ledger postgresql://...:" in ended.err
    assert PASSWORD not in ended.err


# list


def test_an_empty_ledger_is_said_to_be_so(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def make() -> None:
        async with Ledger(place):
            pass

    asyncio.run(make())
    ended = commanded(capsys, "list")
    assert (ended.code, ended.out) == (0, "There are no campaigns in this ledger.\n")
    told = json.loads(commanded(capsys, "list", "--json").out)
    assert told == {"campaigns": [], "dialer": None}


def test_campaigns_are_listed_with_what_there_is_to_do(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place, numbers(5), [REACHED, BUSY, unresolved()])
    filled(place, made=campaign("holi\u202e2"))
    ended = commanded(capsys, "list")
    assert ended.code == 0
    head, first, second, _, who = ended.out.splitlines()
    assert re.split("  +", head.strip()) == [
        *("campaign", "state", "contacts", "with outcome", "in doubt", "unresolved"),
    ]
    assert first.split() == ["diwali", "in", "progress", "5", "3", "0", "1"]
    assert second.split() == ["holi", "2", "created", "0", "0", "0", "0"]
    assert who == "No process is dialling from this ledger at the moment."
    told = json.loads(commanded(capsys, "list", "--json").out)
    assert [one["name"] for one in told["campaigns"]] == ["diwali", "holi\u202e2"]
    assert told["campaigns"][0]["unresolved"] == 1


LONG = "a very long name for the campaign of the holi festival 2027 in Pune"


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("command", [["list"], ["status", LONG], ["outcomes", LONG]])
def test_a_terminal_of_sixty_columns_has_room(
    command: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    retries = Retries(no_answer=Retry(3, timedelta(hours=1), exponential=True))
    hours = {"mon-fri": "10:00-13:00, 14:00-18:00", "sat": "10:00-13:00"}
    made = Campaign(
        LONG,
        agent="+919812300002",
        caller_ids=[EXOPHONE],
        retries=retries,
        schedule=Schedule(hours=hours, holidays=[f"2026-12-{day:02}" for day in range(1, 20)]),
    )
    filled(place, numbers(2000), [REACHED, BUSY, unresolved()], made=made)
    ended = commanded(capsys, *command)
    assert ended.code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", ended.out)
    lines = [line.rstrip() for line in plain.splitlines()]
    long = {line for line in lines if len(line) > 60}
    # What somebody has written is not cut off: the terminal folds it.
    assert {line for line in long if "nothing distinguishes" not in line} == set()


# outcomes


def test_each_contact_with_an_outcome_has_a_line(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place, numbers(6), [REACHED, BUSY, REFUSED, unresolved("a1", "a2"), REACHED])
    ended = commanded(capsys, "outcomes", "diwali")
    assert ended.code == 0
    head, *lines = ended.out.splitlines()
    assert head.split() == ["number", "state", "calls", "status", "talk", "reason"]
    assert [line.split() for line in lines] == [
        ["+********0000", "reached", "1", "completed", "-"],
        ["+********0001", "not-reached", "1", "busy", "-"],
        ["+********0002", "refused", "0", "-", "-", "Exotel", "refuses", "the", "number"],
        [
            *("+********0003", "unresolved", "0", "-", "-"),
            *("nothing", "distinguishes", "the", "calls"),
        ],
        ["+********0004", "reached", "1", "completed", "-"],
    ]


def test_where_two_talk_it_says_how_long(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Campaign("diwali", agent="+919812300002", caller_ids=[EXOPHONE])
    filled(place, numbers(1), [REACHED], made=made)
    (_, line) = commanded(capsys, "outcomes", "diwali", "--numbers").out.splitlines()
    assert line.split() == ["+919800000000", "reached", "1", "completed", "0:42"]


def test_states_filter(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(place, numbers(3), [REACHED, BUSY, REFUSED])
    two = ("--state", "refused", "--state", "not-reached")
    told = commanded(capsys, "outcomes", "diwali", "--json", *two).out
    assert [json.loads(line)["state"] for line in told.splitlines()] == ["not-reached", "refused"]
    none = commanded(capsys, "outcomes", "diwali", "--state", "expired")
    assert (none.code, none.out, none.err) == (0, "", "No contact has such an outcome.\n")
    assert commanded(capsys, "outcomes", "diwali", "--state", "ready").code == 2


def test_all_outcomes_may_be_asked_for() -> None:
    assert set(get_args(State)) == {state for state in ContactState if state.is_final}


def test_of_nobody_there_are_no_lines(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(place, numbers(3))
    ended = commanded(capsys, "outcomes", "diwali")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "No contact has an outcome yet.\n"
    assert commanded(capsys, "outcomes", "diwali", "--json").out == ""


def test_json_has_all_of_a_contact(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contact = Contact(numbers(1)[0], key="C-1", fields={"name": "आशा"})
    filled(place, [contact], [REACHED])
    (line,) = commanded(capsys, "outcomes", "diwali", "--json").out.splitlines()
    told = json.loads(line)
    assert told["contact"]["fields"] == {"name": "आशा"}
    assert told["contact"]["number"] == "+919800000000"
    assert told["attempts"][0]["price"] == "1.250"


@pytest.mark.slow
async def test_who_has_read_enough_is_not_told_of_it(tmp_path: Path) -> None:
    place = tmp_path / "campaigns.db"
    await fill(place, numbers(3000))
    async with CampaignAdmin(place) as admin:
        await admin.cancel("diwali")
    read = f"{sys.executable} -m exotel_async campaign outcomes diwali --ledger {place}"
    ended = await ran("-c", f"{read} | head -n 3", command=("sh",), env=environment())
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.out.splitlines()) == 3

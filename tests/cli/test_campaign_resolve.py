"""`exotel-async campaign resolve`: a person tells which call it was, or that there was none."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve

from exotel_async.campaigns import CampaignAdmin, CampaignState, Contact, ContactOutcome, Dialer
from exotel_async.campaigns.clock import to_ms
from exotel_async.cli import campaign_resolve
from exotel_async.cli.terminal import out
from exotel_async.emulator import Emulator, Scenario
from exotel_async.emulator.calls import Dial
from exotel_async.emulator.scenario import Behaviour, Outcome
from tests.campaigns.running import number, numbers
from tests.cli.campaign_ledgers import (
    REACHED,
    accepted,
    commanded,
    fill,
    filled,
    unresolved,
)
from tests.cli.support import EXOPHONE, Ended, pointing_at, ran
from tests.cli.terminals import at_a_terminal
from tests.conftest import session

FIELDS = {"other phone": "98123 45678", "PIN": "411001"}
FLOW = "http://my.exotel.com/exotel/exoml/start_voice/926"
terminals = pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")


def entered(emulator: Emulator, who: str, outcome: Outcome) -> str:
    """Enter a call to a flow that has ended so; its SID."""
    emulator.scenario = Scenario(numbers={who: Behaviour(outcome, ring=5, talk=30)})
    dial = Dial(from_=who, to=None, caller_id=EXOPHONE, url=FLOW)
    return emulator.add_call(dial, ago=timedelta(hours=1)).sid


async def doubtful(place: Path, emulator: Emulator) -> tuple[str, str]:
    """Make a campaign of four, the first three unresolved: the first one has two candidates."""
    answered = entered(emulator, number(0), Outcome.COMPLETED)
    busy = entered(emulator, number(0), Outcome.BUSY)
    people = [
        Contact(one, key=f"C-{at}", fields={"name": f"Asha \x1b[2J{at}", "note": "", **FIELDS})
        for at, one in enumerate(numbers(4))
    ]
    ends = [unresolved(answered, busy), unresolved(), unresolved("nosuch"), REACHED]
    await fill(place, people, ends, state=CampaignState.COMPLETED)
    return answered, busy


async def resolve(place: Path, emulator: Emulator, *arguments: str) -> Ended:
    """Run the command where nobody can be asked."""
    env = pointing_at(emulator)
    return await ran("campaign", "resolve", "diwali", *arguments, env=env, cwd=str(place.parent))


async def outcomes(place: Path) -> dict[str | None, ContactOutcome]:
    async with CampaignAdmin(place) as admin:
        return {one.contact.key: one async for one in admin.outcomes("diwali")}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger that commands find by themselves."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "campaigns.db"


@terminals
@pytest.mark.slow(3)
async def test_a_person_is_led_through_them(place: Path, emulator: Emulator) -> None:
    answered, busy = await doubtful(place, emulator)
    command = ("campaign", "resolve", "diwali")
    env = pointing_at(emulator)
    async with at_a_terminal(*command, env=env, cwd=place.parent) as terminal:
        first = await terminal.until("1, 2, n, s or q? ")
        assert "1 of 3" in first
        for words in (
            *("+********0000", "C-0", "Asha [2J0", "2026-11-06 11:00:00 IST", EXOPHONE),
            *("nothing distinguishes the calls", "411001"),
            *(f"SID {answered}", f"SID {busy}"),
            *(": completed", "duration 0:35", ": busy"),
            "that was the contact's call: its outcome counts",
            "no call was placed: it will be dialled again",
            *("leave it unresolved", "stop here"),
        ):
            assert words in first
        assert "note" not in first
        assert "talk" not in first  # there are no two who talk
        assert number(0)[3:] not in terminal.seen
        assert "98123" not in terminal.seen
        terminal.types("3")
        await terminal.until("1, 2, n, s or q? ")  # it asks again
        terminal.types("1")

        second = await terminal.until("n, s or q? ")
        assert "It now counts as reached." in second
        assert "2 of 3" in second
        assert "No call was found that may be the contact's." in second
        terminal.types("N")

        third = await terminal.until("n, s or q? ")
        assert "It will be dialled again." in third
        assert "3 of 3" in third
        assert "not found in the call records" in third
        terminal.types("s")
        assert await terminal.end() == 4
        told = " ".join(terminal.seen.split())
        assert (
            "2 contacts resolved: 1 reached, 1 to be dialled again; 1 left unresolved. "
            "No process is dialling it."
        ) in told
        assert all(len(line) <= 60 for line in terminal.seen.splitlines())
    found = await outcomes(place)
    assert {key: one.state for key, one in found.items()} == {
        "C-3": "reached",
        "C-0": "reached",
        "C-2": "unresolved",
    }
    assert found["C-0"].attempts[0].sid == answered


@terminals
@pytest.mark.slow(5)
@pytest.mark.parametrize("how", ["q", "\x04", "n\x04\x04", "SIGINT"])
async def test_it_may_be_left_at_any_question(how: str, place: Path, emulator: Emulator) -> None:
    """By q, by Ctrl-D, also behind an answer without Enter, and by Ctrl-C; what was said before is
    done."""
    _, busy = await doubtful(place, emulator)
    env = pointing_at(emulator)
    command = ("campaign", "resolve", "diwali", "--numbers")
    async with at_a_terminal(*command, env=env, cwd=place.parent) as terminal:
        assert number(0) in await terminal.until("1, 2, n, s or q? ")
        terminal.types("2")
        await terminal.until("n, s or q? ")
        if how == "SIGINT":
            terminal.process.send_signal(signal.SIGINT)
        elif how == "q":
            terminal.types(how)
        else:
            os.write(terminal.master, how.encode())
        assert await terminal.end() == (130 if how == "SIGINT" else 4)
        assert "1 contact resolved: 1 not reached; 2 left unresolved." in terminal.seen
    found = await outcomes(place)
    assert found["C-0"].attempts[0].sid == busy
    assert found["C-1"].state == "unresolved"


@pytest.mark.slow(3)
async def test_where_nobody_can_be_asked_they_are_listed(place: Path, emulator: Emulator) -> None:
    answered, busy = await doubtful(place, emulator)
    before = await outcomes(place)
    ended = await resolve(place, emulator)
    assert (ended.code, ended.err) == (4, "")
    for words in ("1 of 3", "3 of 3", f"SID {answered}", "not found in the call records"):
        assert words in ended.out
    assert "or q?" not in ended.out
    assert "\x1b" not in ended.out

    ended = await resolve(place, emulator, "--json")
    assert (ended.code, ended.err) == (4, "")
    first, second, third = map(json.loads, ended.out.splitlines())
    assert first["contact"]["key"] == "C-0"
    assert [one["sid"] for one in first["candidates"]] == [answered, busy]
    assert [one["call"]["status"] for one in first["candidates"]] == ["completed", "busy"]
    assert second["candidates"] == []
    assert third["candidates"] == [{"sid": "nosuch", "call": None}]
    assert await outcomes(place) == before


@pytest.mark.slow(4)
async def test_one_is_settled_without_a_question(place: Path, emulator: Emulator) -> None:
    answered, _ = await doubtful(place, emulator)
    ended = await resolve(place, emulator, "--key", "C-1", "--call", answered)
    assert ended.code == 1
    assert "is a call to another number than +********0001" in ended.err
    assert ended.err.startswith("exotel-async: --call ")
    ended = await resolve(place, emulator, "--key", "C-1", "--call", "nosuch")
    assert (ended.code, ended.err) == (1, "exotel-async: --call nosuch: no such call\n")
    ended = await resolve(place, emulator, "--key", "C-0", "--call", answered, "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["state"] == "reached"
    ended = await resolve(place, emulator, "--key", "C-1", "--not-placed")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("It will be dialled again.\nNo process is dialling it.")
    assert set(await outcomes(place)) == {"C-0", "C-2", "C-3"}
    ended = await resolve(place, emulator, "--key", "C-1", "--not-placed", "--json")
    assert ended.code == 1
    assert "not unresolved" in json.loads(ended.out)["error"]["text"]


@terminals
@pytest.mark.slow(2)
async def test_of_a_call_that_was_placed_nobody_says_that_it_was_not(
    place: Path, emulator: Emulator
) -> None:
    """Exotel accepted two calls: of one there is no record any more, of the other there is."""
    busy = entered(emulator, number(1), Outcome.BUSY)
    people = [Contact(one, key=f"C-{at}") for at, one in enumerate(numbers(2))]
    ends = [accepted("gone"), accepted(busy)]
    await fill(place, people, ends, state=CampaignState.COMPLETED)
    command = ("campaign", "resolve", "diwali")
    async with at_a_terminal(*command, env=pointing_at(emulator), cwd=place.parent) as terminal:
        first = await terminal.until("1, s or q? ")
        for words in (
            "Exotel accepted this call:",
            "not found in the call records",
            "its end is not known: it counts as reached, and is not",
        ):
            assert words in first
        assert "no call was placed" not in first
        terminal.types("n")
        await terminal.until("1, s or q? ")  # it asks again
        terminal.types("1")
        second = await terminal.until("1, s or q? ")
        assert "It now counts as reached (resolved by hand: the call was" in second
        assert "that was the contact's call: its outcome counts" in second
        terminal.types("1")
        assert await terminal.end() == 0
        told = " ".join(terminal.seen.split())
        assert "2 contacts resolved: 1 reached, 1 not reached; 0 left unresolved." in told
    found = await outcomes(place)
    assert {key: one.state for key, one in found.items()} == {
        "C-0": "reached",
        "C-1": "not-reached",
    }
    assert emulator.rung(number(0)) == 0


@terminals
async def test_a_call_in_progress_cannot_be_told_yet(place: Path, emulator: Emulator) -> None:
    emulator.scenario = Scenario.all_answered(ring=1, talk=3500)
    dial = Dial(from_=number(0), to=None, caller_id=EXOPHONE, url=FLOW)
    own = accepted(emulator.add_call(dial, ago=timedelta(0)).sid)
    just_now = {"intended_at": to_ms(emulator.clock.now())}
    end = evolve(own, attempt={**own.attempt, **just_now})
    await fill(place, [Contact(number(0), key="C-0")], [end], state=CampaignState.COMPLETED)
    command = ("campaign", "resolve", "diwali")
    async with at_a_terminal(*command, env=pointing_at(emulator), cwd=place.parent) as terminal:
        first = await terminal.until("s or q? ")
        assert "it has not ended, and cannot be chosen before it has" in first
        assert "1, s or q" not in first
        assert "counts" not in first
        terminal.types("1")
        await terminal.until("s or q? ")  # it asks again
        terminal.types("s")
        assert await terminal.end() == 4


@pytest.mark.slow(3)
async def test_a_call_that_was_placed_is_not_placed_again(place: Path, emulator: Emulator) -> None:
    await fill(place, [Contact(number(0), key="C-0")], [accepted("gone")])
    before = await outcomes(place)
    ended = await resolve(place, emulator, "--key", "C-0", "--not-placed")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "exotel-async: --key 'C-0' is of a contact whose call was placed: Exotel accepted it as "
        "gone. Resolve it by that SID (`--call`, in Python `sid=`): the contact is not dialled "
        "again if nothing shows how the call ended\n"
    )
    assert await outcomes(place) == before
    ended = await resolve(place, emulator, "--key", "C-0", "--call", "gone")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "It now counts as reached (resolved by hand: the call was placed, its end is not known).\n"
    )


@pytest.mark.slow
async def test_what_exotel_does_not_tell_is_no_answer(place: Path, emulator: Emulator) -> None:
    await doubtful(place, emulator)
    ended = await ran(
        *("campaign", "resolve", "diwali"),
        env=pointing_at(emulator, EXOTEL_API_TOKEN="wrong"),
        cwd=str(place.parent),
    )
    assert ended.code == 1
    assert "does not accept the credentials" in ended.err


async def test_an_answer_that_cannot_be_is_explained(
    place: Path,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The call is somebody else's; and a contact that is settled elsewhere meanwhile."""
    other = entered(emulator, number(5), Outcome.COMPLETED)
    own = entered(emulator, number(1), Outcome.COMPLETED)
    people = [Contact(one, key=f"C-{at}") for at, one in enumerate(numbers(2))]
    await fill(place, people, [unresolved(other), unresolved(own)])
    for name, value in pointing_at(emulator).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(out, "_force_terminal", True)
    monkeypatch.setattr(campaign_resolve, "can_ask", lambda: True)
    answers = iter(["1", "s", "1"])

    def ask(_: str) -> str:
        answer = next(answers)
        if answer == "s":
            asyncio.run(_settle(place, emulator, own))
        return answer

    monkeypatch.setattr(campaign_resolve, "ask", ask)
    ended = await asyncio.to_thread(commanded, capsys, "resolve", "diwali")
    assert ended.code == 4
    told = " ".join(ended.out.split())
    assert "That call is a call to another number than +********0000." in told
    assert "Its key is of a contact that is reached, not unresolved." in told
    assert "0 contacts resolved; 1 left unresolved." in told


async def _settle(place: Path, emulator: Emulator, sid: str) -> None:
    async with session(emulator) as exotel, Dialer(exotel, place) as dialer:
        await dialer.resolve("diwali", "C-1", sid=sid)


def test_of_nobody_nothing_is_asked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(place, numbers(1), [REACHED])
    ended = commanded(capsys, "resolve", "diwali")
    assert (ended.code, ended.out) == (0, "No contact of diwali is unresolved.\n")
    assert commanded(capsys, "resolve", "diwali", "--json").out == ""


def test_the_calls_cannot_be_read_without_credentials(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place, numbers(1), [unresolved("a")])
    ended = commanded(capsys, "resolve", "diwali")
    assert ended.code == 1
    assert "EXOTEL_API_KEY" in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--key", "C-1"], "give --key together with --call or --not-placed"),
        (["--call", "a1"], "give --key together with --call or --not-placed"),
        (["--not-placed"], "give --key together with --call or --not-placed"),
        (["--key", "C-1", "--call", "a1", "--not-placed"], "give only one"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    arguments: list[str], words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(place, numbers(1), [unresolved("a")])
    ended = commanded(capsys, "resolve", "diwali", *arguments)
    assert ended.code == 2
    assert words in ended.err

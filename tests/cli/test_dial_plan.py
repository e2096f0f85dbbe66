"""What a dry run counts, by the file, the list of numbers not to be called, and the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, overload

import pytest
from attrs import evolve

from exotel_async.campaigns import CampaignAdmin, Contact
from exotel_async.cli import dial_plan
from exotel_async.cli.contact_files import open_contacts
from exotel_async.cli.dial_arguments import DialArguments
from exotel_async.cli.dial_dry_run import DryRun, show_dry_run
from exotel_async.cli.dial_options import Target
from exotel_async.cli.dial_plan import Plan
from exotel_async.cli.service import Misuse
from tests.cli.dial_runs import dial_arguments
from tests.cli.dial_text import shown

pytestmark = pytest.mark.anyio

PEOPLE = [f"98123{n:05}" for n in range(1, 11)]


async def planned(arguments: DialArguments, do_not_call: Sequence[str] = ()) -> DryRun:
    contacts = open_contacts(arguments.file, mapping={})
    return await Plan(arguments, arguments.options.campaign(), contacts, do_not_call).make()


@pytest.fixture(autouse=True)
def _(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of rows that a short file has some of."""
    monkeypatch.setattr(dial_plan, "_BLOCK", 3)


async def test_each_row_is_counted_once(tmp_path: Path) -> None:
    rows = [*PEOPLE, f"+91 {PEOPLE[0]}", "12", f"0{PEOPLE[9]}"]
    run = await planned(dial_arguments(tmp_path, rows), [f"+91{PEOPLE[3]}", "9812399999"])
    assert (run.taken, run.do_not_call, run.duplicates, run.in_campaign) == (9, 1, 2, 0)
    ((why, count, lines),) = [(one.reason, one.count, list(one.lines)) for one in run.rejected]
    assert (count, lines) == (1, [13])
    assert "2 digits" in why
    assert not (tmp_path / "campaigns.db").exists()


async def test_what_the_ledger_knows_is_left_out(tmp_path: Path) -> None:
    arguments = dial_arguments(tmp_path, PEOPLE)
    async with CampaignAdmin(arguments.ledger) as admin:
        await admin.create(arguments.options.campaign())
        await admin.add("leads", PEOPLE[:4])
        await admin.do_not_call(PEOPLE[5:7])
    run = await planned(arguments)
    assert (run.taken, run.in_campaign, run.do_not_call) == (4, 4, 2)
    # Those of the campaign are dialled by the same command, too, and before the others.
    assert run.pending == 4
    assert run.forecast.contacts == {None: 8}
    lines = shown(lambda on: show_dry_run(on, run), None)
    assert "  to be dialled: 4, and 4 left in the campaign from before" in lines
    assert (
        "When contacts are dialled (the 4 from before first, then in the order of the file; "
        "this forecast ignores priority and not_before)" in lines
    )


async def test_those_with_another_number_in_the_ledger_are_told(tmp_path: Path) -> None:
    arguments = dial_arguments(tmp_path, PEOPLE)
    async with CampaignAdmin(arguments.ledger) as admin:
        await admin.create(arguments.options.campaign())
        await admin.add("leads", [Contact(one, key=f"K{at}") for at, one in enumerate(PEOPLE[:5])])
    rows = [f"{PEOPLE[at if at % 4 else 9 - at]},K{at}\n" for at in range(5)]  # K0 and K4
    arguments.file.write_text("Mobile,id\n" + "".join(rows))
    contacts = open_contacts(arguments.file, mapping={"key": "id"})
    run = await Plan(arguments, arguments.options.campaign(), contacts, []).make()
    assert (run.taken, run.in_campaign, run.keys_with_other_number) == (0, 5, ("K0", "K4"))
    assert run.as_json()["other_number"] == 2
    lines = shown(lambda on: show_dry_run(on, run), None)
    at = lines.index("  in campaign: 5, already in the campaign")
    assert lines[at + 1 : at + 3] == [
        "  in campaign: 2 of them with another number there, which is kept: keys K0, K4",
        "  in campaign: to replace it, run exotel-async campaign forget --key KEY before",
    ]


async def test_who_is_in_the_campaign_comes_before_other_time_zones(tmp_path: Path) -> None:
    arguments = dial_arguments(tmp_path, PEOPLE)
    arguments.file.write_text(f"Mobile,Zone\n{PEOPLE[1]},Asia/Dubai\n{PEOPLE[2]},\n")
    async with CampaignAdmin(arguments.ledger) as admin:
        await admin.create(arguments.options.campaign())
        await admin.add("leads", PEOPLE[:1])
    contacts = open_contacts(arguments.file, mapping={"time_zone": "Zone"})
    run = await Plan(arguments, arguments.options.campaign(), contacts, []).make()
    assert list(run.forecast.contacts.items()) == [(None, 2), ("Asia/Dubai", 1)]


async def test_a_campaign_that_is_paused_is_not_dialled(tmp_path: Path) -> None:
    arguments = dial_arguments(tmp_path, PEOPLE)
    assert (await planned(arguments)).resume is None
    async with CampaignAdmin(arguments.ledger) as admin:
        await admin.create(arguments.options.campaign())
        await admin.pause("leads")
    run = await planned(arguments)
    lines = shown(lambda on: show_dry_run(on, run), None)
    assert f"  resume: no contact is dialled until you run: {run.resume}" in lines
    assert (run.resume or "").startswith("exotel-async campaign resume leads --ledger ")


async def test_calls_are_as_long_as_one_says(tmp_path: Path) -> None:
    arguments = dial_arguments(tmp_path, PEOPLE)
    short = (await planned(arguments)).forecast
    long = (await planned(evolve(arguments, call_length=timedelta(minutes=10)))).forecast
    assert long.talk == 10 * short.talk


class _Counted(Sequence[str]):
    """Numbers, and how often they were gone through."""

    def __init__(self, numbers: Sequence[str]) -> None:
        self._numbers = numbers
        self.times = 0

    def __iter__(self) -> Iterator[str]:
        self.times += 1
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._numbers[index]


async def test_a_long_list_is_gone_through_once(tmp_path: Path) -> None:
    numbers = _Counted(PEOPLE[:2])
    run = await planned(dial_arguments(tmp_path, PEOPLE), numbers)
    assert (run.taken, run.do_not_call) == (8, 2)
    assert numbers.times == 1


async def test_what_the_same_command_would_refuse_is_refused(tmp_path: Path) -> None:
    arguments = dial_arguments(tmp_path, PEOPLE)
    campaign = arguments.options.campaign()
    async with CampaignAdmin(arguments.ledger) as admin:
        await admin.create(evolve(campaign, throttle=9))
        with pytest.raises(Misuse, match=r"other settings \(--throttle\)"):
            await planned(arguments)
    arguments = evolve(arguments, ledger=str(tmp_path / "others.db"))
    async with CampaignAdmin(arguments.ledger) as admin:
        await admin.create(campaign)
        await admin.cancel("leads")
        with pytest.raises(Misuse, match="was cancelled: give another --name"):
            await planned(arguments)


async def test_an_agent_of_the_list_who_is_not_to_be_called_is_not(tmp_path: Path) -> None:
    arguments = dial_arguments(tmp_path, PEOPLE)
    options = evolve(arguments.options, target=Target(agent=f"+91{PEOPLE[9]}"))
    arguments.file.write_text(f"Mobile,Agent\n{PEOPLE[1]},{PEOPLE[2]}\n{PEOPLE[3]},{PEOPLE[4]}\n")
    contacts = open_contacts(arguments.file, mapping={"agent": "Agent"})
    run = await Plan(arguments, options.campaign(), contacts, [PEOPLE[4], PEOPLE[9]]).make()
    assert (run.taken, run.do_not_call) == (1, 1)


@pytest.mark.parametrize("listed_in", ["the file", "the ledger"])
async def test_a_person_is_not_called_by_any_number(listed_in: str, tmp_path: Path) -> None:
    arguments = dial_arguments(tmp_path, PEOPLE)
    arguments.file.write_text(f"Mobile,Alternate Mobile\n{PEOPLE[1]},{PEOPLE[2]}\n{PEOPLE[3]},\n")
    listed = [f"+91{PEOPLE[2]}"]
    if listed_in == "the ledger":
        async with CampaignAdmin(arguments.ledger) as admin:
            await admin.do_not_call(listed)
        listed = []
    run = await planned(arguments, listed)
    assert (run.taken, run.do_not_call) == (1, 1)

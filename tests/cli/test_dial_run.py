"""A run of `exotel-async dial` whose parts break, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import evolve

from exotel_async import ExotelError
from exotel_async.campaigns import CampaignAdmin, CampaignState
from exotel_async.cli.contact_files import open_contacts
from exotel_async.cli.dial import exit_code_of
from exotel_async.cli.dial_order import Order
from exotel_async.cli.dial_output import DialOutput
from exotel_async.cli.dial_run import DialRun
from exotel_async.cli.terminal import Exit
from exotel_async.emulator import Emulator, Scenario
from tests.cli.dial_runs import DONE, order_of
from tests.cli.support import TOKEN, pointing_at

pytestmark = pytest.mark.anyio

PEOPLE = [f"98123{n:05}" for n in range(1, 21)]


@pytest.fixture
async def exotel(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emulator]:
    """An emulator to which the environment leads."""
    scenario = Scenario.all_answered(ring=1, talk=30, settle=1)
    async with Emulator(api_token=TOKEN, speed=60, rate=60_000, scenario=scenario) as running:
        for name, value in pointing_at(running).items():
            if name.startswith("EXOTEL_"):
                monkeypatch.setenv(name, value)
        yield running


def run_of(order: Order) -> DialRun:
    campaign = order.options.campaign()
    contacts = open_contacts(order.file, mapping={})
    return DialRun(order, campaign, contacts, (), DialOutput(order, campaign.name))


async def test_nobody_is_dialled_any_more_when_nobody_looks_at_the_hours(
    tmp_path: Path, exotel: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks at the hours also shows how it stands, and that may fail in many ways."""

    def fails(*_: object) -> None:
        raise RuntimeError("the display is broken")

    monkeypatch.setattr(DialOutput, "progress", fails)
    with pytest.raises(RuntimeError, match="the display is broken"):
        await run_of(order_of(tmp_path, PEOPLE)).main()
    assert len(exotel.calls) < len(PEOPLE)
    async with CampaignAdmin(tmp_path / "campaigns.db") as admin:
        known = await admin.statistics("leads")
    assert (known.in_progress, known.in_doubt) == (0, 0)
    assert known.pending == len(PEOPLE) - len(exotel.calls)


@pytest.mark.parametrize("is_interrupted", [False, True])
@pytest.mark.parametrize("error", [None, ExotelError("why")])
@pytest.mark.parametrize("unresolved", [0, 1])
@pytest.mark.parametrize("state", [CampaignState.IN_PROGRESS, CampaignState.CANCELED])
@pytest.mark.parametrize("left", [None, "pending", "in_progress", "in_doubt"])
def test_the_exit_code_of_each_end(
    *,
    is_interrupted: bool,
    error: ExotelError | None,
    unresolved: int,
    state: CampaignState,
    left: str | None,
) -> None:
    known = evolve(DONE, unresolved=unresolved, state=state)
    if left is not None:
        known = evolve(known, **{left: 1})
    if error is not None:
        wanted = Exit.FAILED
    elif left is None:
        wanted = Exit.NOT_COMPLETED if unresolved else Exit.OK
    elif is_interrupted:
        wanted = Exit.INTERRUPTED
    elif state is CampaignState.CANCELED:
        wanted = Exit.NOT_COMPLETED
    else:
        wanted = Exit.OUTSIDE_HOURS
    assert exit_code_of(known, error, is_interrupted=is_interrupted) is wanted

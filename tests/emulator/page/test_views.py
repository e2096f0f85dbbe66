"""What the page tells of settings, faults and calls, as values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest

from exotel_async.emulator import Behaviour, Caller, Emulator, Fault, RateWindow, Scenario
from exotel_async.emulator.page import calls, overview, traffic
from tests.emulator.support import AGENT, CUSTOMER, StoppedClock, client_of, dial


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "none"),
        (True, "yes"),
        (RateWindow.FIXED, "fixed"),
        (Decimal("1.50"), "1.50"),
        ((3, 20), "3, 20"),
        ((), "none"),
        (frozenset({"2", "1"}), "1, 2"),
        ({"09812300001": Behaviour("busy")}, "09812300001: Behaviour(outcome busy)"),
        (Caller(keys="1", talk=3), "Caller(keys 1, talk 3)"),
        (dict, "dict"),
    ],
)
def test_settings_are_told_in_words(value: object, shown: str) -> None:
    assert overview.text(value) == shown


def test_every_setting_is_shown_but_the_token_and_the_flows() -> None:
    emulator = Emulator(rate=7, api_token="secret-token", speed=1)
    groups = {group.name: group.settings for group in overview.groups(emulator)}
    assert list(groups) == ["emulator", "scenario", "flow settings"]
    named = {setting.name: setting for setting in groups["emulator"]}
    given = {field.name for field in attrs.fields(Emulator) if field.init}
    assert named.keys() == given - {"api_token", "flows", "scenario", "flow_settings"}
    assert [name for name, setting in named.items() if setting.changed] == ["rate"]
    assert "secret-token" not in repr(groups)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault.act_then_drop(), "closes without an answer"),
        (Fault.drop_before(reset=True), "nothing is done, closes without an answer, resets"),
        (Fault.answer(503), "nothing is done, answers 503"),
        (Fault.act_then_garbage("html"), "the body is html"),
        (Fault.delay_before(5), "5 s later"),
        (Fault.repeated_rows(3), "the page has repeated-rows"),
        (Fault.callback_late(10), "status callback late, 10 s"),
        (Fault.callback_lost(), "status callback lost"),
    ],
)
def test_a_fault_says_what_it_does(fault: Fault, told: str) -> None:
    assert traffic.fault_text(fault).startswith(told)


@pytest.mark.parametrize("name", traffic.COMMON)
def test_each_common_fault_has_words_of_its_own(name: str) -> None:
    assert traffic.fault_text(traffic.COMMON[name].make())


def shown(emulator: Emulator, sid: str) -> list[tuple[str, str, int | None]]:
    parties = calls.view(emulator, emulator.calls[sid]).parties
    return [(party.role, party.state, party.seconds) for party in parties]


async def test_the_life_of_a_call_between_two() -> None:
    """Each phone rings for 5 s, then they talk for 30 s."""
    busy: Any = {"09812300077": Behaviour("busy")}
    scenario = attrs.evolve(Scenario.all_answered(), numbers=busy)
    async with Emulator(scenario=scenario) as emulator, client_of(emulator) as client:
        clock = StoppedClock(emulator)
        sid = await dial(client)
        assert shown(emulator, sid) == [("First party", "ringing", None)]
        clock.seconds += 7
        assert shown(emulator, sid) == [
            ("First party", "connected", 2),
            ("Second party", "ringing", None),
        ]
        clock.seconds += 5
        assert shown(emulator, sid) == [
            ("First party", "connected", 7),
            ("Second party", "connected", 2),
        ]
        assert [call.sid for call in calls.live_calls(emulator)] == [sid]
        other = await dial(client, To="09812300077")
        assert [call.sid for call in calls.live_calls(emulator)] == [other, sid]
        clock.seconds += 100
        assert calls.live_calls(emulator) == []
        assert shown(emulator, other) == [
            ("First party", "completed", 5),
            ("Second party", "busy", None),
        ]
        told = calls.view(emulator, emulator.calls[sid])
        assert (told.title, told.seconds) == (f"{AGENT} → {CUSTOMER}", 40)
        assert told.in_words == (
            f"{AGENT} → {CUSTOMER} completed; First party {AGENT} completed; "
            f"Second party {CUSTOMER} completed"
        )


async def test_only_the_newest_are_shown_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "SHOWN", 2)
    async with Emulator() as emulator, client_of(emulator) as client:
        for page in ("a", "b", "c"):
            await client.get(f"{page}.json")
        assert [row.path[-6:] for row in traffic.requests(emulator)] == ["c.json", "b.json"]

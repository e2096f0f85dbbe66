"""What the ledger decides, number by number: who gets what and when, and the pause."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from tests.redis.scripted_processes import (
    HOLD,
    LEASE,
    LIMIT,
    MESSAGE,
    PER,
    PERMITS,
    SECOND,
    SETTLE,
    Ledger,
    refusal,
)

# Who holds what


def test_what_is_held_and_not_used_is_not_out(ledger: Ledger) -> None:
    ledger.one.say(bulk=5)
    assert ledger.one.held > 2
    ledger.one.say(used=2, bulk=3)
    account = ledger.account()
    assert (account["used"], account["interactive"], account["bulk"]) == (2, 0, 3)
    [process] = account["processes"]
    assert (process["held"], process["used"], process["bulk"]) == (ledger.one.held, 2, 3)


def test_what_a_process_held_that_is_gone_is_free_when_it_must_have_left_the_window(
    ledger: Ledger,
) -> None:
    for _ in range(4):
        ledger.one.say(interactive=PERMITS)
        ledger.one.say(used=ledger.one.held, interactive=PERMITS)
    assert ledger.one.held == PERMITS
    ledger.simulation.run(LEASE + HOLD - 0.1)
    ledger.other.say(interactive=10)
    assert ledger.other.granted == []
    assert ledger.account()["used"] == PERMITS
    ledger.simulation.run(0.1)
    assert ledger.account()["used"] == 0
    ledger.other.say(interactive=10)
    assert ledger.other.granted[:10] == [0] * 10


def test_what_a_process_does_not_know_of_may_have_been_used(ledger: Ledger) -> None:
    ledger.one.say(interactive=PERMITS)
    assert ledger.one.held == PERMITS
    ledger.one.say(held=3, used=3)
    assert ledger.one.granted == [LEASE + HOLD], "one more, for when it is free"
    ledger.other.say(interactive=5)
    assert ledger.other.granted[:5] == [LEASE + HOLD] * 5


def test_what_is_used_without_a_lease_is_taken_from_what_nobody_else_can_have_used(
    ledger: Ledger,
) -> None:
    ledger.one.say(bulk=2)
    assert ledger.one.held < 20
    ledger.one.say(used=30)
    # And a quarter more, for the next ones.
    assert (ledger.account()["used"], ledger.one.held) == (30, 38)
    # What is not free yet cannot have been used by it: all it wants more is for later.
    ledger.other.say(interactive=PERMITS)
    ledger.other.say(back=[50 * SECOND] * ledger.other.held, held=0)
    ledger.one.say(used=40)
    assert ledger.one.granted == [50] * (40 + 10 - 38)
    # Nor can it have used what there is not.
    ledger.one.say(used=PERMITS + 10)
    assert ledger.one.held == PERMITS - 1, "one is kept for those in a hurry"


def test_no_more_at_a_time_than_a_quarter_of_a_window_can_use(ledger: Ledger) -> None:
    ledger.one.say(bulk=1000)
    assert ledger.one.granted == [0] * 15
    assert ledger.one.answer["more"]
    ledger.other.say(bulk=1000)
    # Half of the pool is for it, and a quarter of that can be used in a quarter of the window.
    assert ledger.other.granted == [0] * 8


@pytest.mark.parametrize(("limit", "kept"), [(10, 0), (60, 1), (200, 1), (260, 1)])
@pytest.mark.parametrize("interactive", [False, True])
def test_what_is_kept_for_those_in_a_hurry(
    virtual_client: redis.Redis, limit: int, kept: int, *, interactive: bool
) -> None:
    """One of twenty or more, and one of a hundred where somebody was in a hurry of late."""
    ledger = Ledger(virtual_client, limit=limit)
    permits = limit - 1
    if interactive:
        ledger.one.say(limit=limit, interactive=1)
        ledger.one.say(limit=limit, back=[0] * ledger.one.held, held=0)
        kept = max(1, round(permits / 100))
    for _ in range(20):
        ledger.one.say(limit=limit, bulk=1000, used=ledger.one.held)
        ledger.simulation.run(2)
    assert ledger.one.held == permits - kept
    ledger.other.say(limit=limit, interactive=kept)
    assert len(ledger.other.granted) == kept
    ledger.close()


def test_interactive_requests_come_first_and_the_rest_goes_round(ledger: Ledger) -> None:
    for _ in range(10):
        ledger.other.say(bulk=1000, used=ledger.other.held)
        ledger.one.say(interactive=30)
        ledger.simulation.run(2)
    # Three more for what may come next, and one is kept for others in a hurry.
    assert (ledger.one.held, ledger.other.held) == (30 + 3, PERMITS - 30 - 3 - 1)


def test_who_has_too_much_is_told_to_give_what_others_should_have(ledger: Ledger) -> None:
    for _ in range(10):
        ledger.one.say(bulk=1000, used=ledger.one.held)
        ledger.simulation.run(2)
    assert ledger.one.held == PERMITS - 1
    ledger.other.say(interactive=30)
    assert ledger.account()["interactive"] == 29, "one of them may go"
    ledger.simulation.run(2)
    ledger.one.say(bulk=1000, used=PERMITS - 1)
    # Of 59 there are for the other one 30, and 3 for what may come next, and one is kept.
    assert ledger.one.answer["give"] == (PERMITS - 1) - (PERMITS - 30 - 3 - 1)
    assert ledger.one.answer["contended"]
    assert ledger.one.answer["hurry"]


# How fast they go


def test_paces_are_parts_of_one_pace(ledger: Ledger) -> None:
    total = LIMIT / (PER * SECOND)
    ledger.one.say(bulk=1000)
    assert ledger.one.answer["pace"] == pytest.approx(total)
    for _ in range(10):
        for process in (ledger.other, ledger.one):
            process.say(bulk=1000, used=process.held)
            paces = [one.answer.get("pace", 0) for one in (ledger.one, ledger.other)]
            share = max(1, process.held) / PERMITS * total
            # A newcomer may have its own part at once, and before the others know of it.
            assert sum(paces) <= total * 1.001 or process.answer["pace"] == pytest.approx(share)
        ledger.simulation.run(2)
    assert ledger.one.answer["pace"] + ledger.other.answer["pace"] == pytest.approx(total, rel=0.05)


# The pause and the probe


@pytest.mark.parametrize(
    ("after", "pauses"), [(-1, [1, 2, 4, 8, 16, 32, 60, 60]), (1.5, [1.5, 2, 4, 8, 16, 32, 60, 60])]
)
def test_a_probe_that_is_refused_waits_longer_than_it_was_told(
    ledger: Ledger, after: float, pauses: list[float]
) -> None:
    ledger.one.say(interactive=1)
    for row, pause in enumerate(pauses):
        refused = refusal(ledger, after=round(after * SECOND) if after > 0 else -1)
        gate = ledger.one.say(interactive=1, refusals=[refused])["gate"]
        assert (gate["left"], gate["row"], gate["state"]) == (pause * SECOND, row + 1, "shut")
        ledger.simulation.run(pause)


def test_a_pause_is_never_longer_than_it_may_be(ledger: Ledger) -> None:
    ledger.one.say(interactive=1)
    refused = refusal(ledger, after=100 * SECOND, most=7 * SECOND)
    assert ledger.one.say(refusals=[refused])["gate"]["left"] == 7 * SECOND


def test_of_those_that_wait_for_a_pause_to_end_one_probes_and_then_another(
    ledger: Ledger,
) -> None:
    for process in (ledger.one, ledger.other):
        process.say(interactive=1)
    ledger.one.say(refusals=[refusal(ledger)], interactive=1)
    ledger.simulation.run(1)
    asks = {"interactive": 1, "probe": True}
    assert ledger.one.say(**asks)["gate"]["state"] == "probe"
    gate = ledger.other.say(**asks)["gate"]
    assert (gate["state"], gate["left"], gate["paused"]) == ("shut", 2 * SECOND, False)
    assert ledger.one.say(**asks)["gate"]["state"] == "probe", "it is its own"
    # Where the first one has no answer, the next one has the time of a token, and so on.
    ledger.simulation.run(2)
    assert ledger.other.say(**asks)["gate"]["state"] == "probe"
    gate = ledger.one.say(**asks)["gate"]
    assert (gate["state"], gate["left"]) == ("shut", SECOND)
    answered = ledger.other.say(answered=gate["epoch"])["gate"]
    assert (answered["state"], answered["row"]) == ("open", 0)


def test_after_a_pause_that_was_cleared_the_probe_has_its_time_as_well(ledger: Ledger) -> None:
    for process in (ledger.one, ledger.other):
        process.say(interactive=1)
    ledger.one.say(refusals=[refusal(ledger)])
    ledger.simulation.run(1)
    ledger.one.say(interactive=1, probe=True)
    ledger.one.say(refusals=[refusal(ledger)])
    cleared = ledger.simulation.ask(
        {"version": MESSAGE["version"], "look": True, "clear": True, "limit": LIMIT}
        | {"per": PER * SECOND}
    )
    assert cleared == {"cleared": 2 * SECOND}
    assert ledger.one.say(interactive=1, probe=True)["gate"]["state"] == "probe"
    gate = ledger.other.say(interactive=1, probe=True)["gate"]
    assert (gate["state"], gate["left"], gate["row"]) == ("shut", 2 * SECOND, 0)


# What all are told


def test_nobody_is_told_anything_while_there_is_enough(ledger: Ledger) -> None:
    ledger.one.say(bulk=5)
    ledger.other.say(interactive=2)
    assert ledger.news()[-1]["processes"] == 2
    ledger.simulation.run(1)
    for process in (ledger.one, ledger.other, ledger.one):
        process.say(used=2)
    ledger.news()
    for _ in range(5):
        ledger.simulation.run(1)
        one = ledger.one.say(used=3)
        other = ledger.other.say(used=2)
        assert (one["contended"], other["contended"]) == (False, False)
        assert (one["short"], one["give"], one["hurry"]) == (0, 0, False)
    assert ledger.news() == []


def test_who_has_too_much_is_told_and_who_waits_is_called(ledger: Ledger) -> None:
    for _ in range(10):
        ledger.one.say(bulk=1000, used=ledger.one.held)
        ledger.simulation.run(2)
    ledger.news()
    other = ledger.other.say(bulk=2)
    assert ledger.other.held == 0
    [told] = ledger.news()
    assert told["yield"] == {"one": 2 + 3}
    assert not told["hurry"]
    assert (other["more"], other["short"]) == (False, 0)
    ledger.other.say(bulk=2)
    assert ledger.news() == [], "not twice in the time of a permit"
    # One that comes back is no reason to call, and two are; who was called comes by itself.
    for called in ([], [["other"]], []):
        ledger.simulation.run(1)
        held = ledger.one.held - 1
        ledger.one.say(back=[0], held=held, used=held, bulk=1000)
        assert [one["call"] for one in ledger.news() if "call" in one] == called


def test_who_waits_in_a_hurry_is_called_first_and_again(ledger: Ledger) -> None:
    for _ in range(10):
        ledger.one.say(interactive=PERMITS, used=ledger.one.held)
        ledger.simulation.run(2)
    assert ledger.one.held == PERMITS
    ledger.other.say(interactive=2)
    ledger.news()
    ledger.simulation.run(2)
    for _ in range(3):
        ledger.simulation.run(1)
        held = ledger.one.held - 1
        ledger.one.say(back=[0], held=held, used=held)
        assert [one["call"] for one in ledger.news() if "call" in one] == [["other"]]


# A new ledger


@pytest.mark.parametrize(
    ("words", "after"),
    [
        ({}, SETTLE),
        ({"used": 1}, LEASE + HOLD),
        ({"used": 1, "back": [0]}, LEASE + HOLD),
        ({"back": [0]}, LEASE + HOLD),
        ({"held": 1}, LEASE + HOLD),
        ({"held": 1, "valid": False}, SETTLE),
    ],
)
def test_a_new_ledger_waits_for_as_long_as_somebody_may_have_used_what_nobody_claims(
    ledger: Ledger, words: dict[str, Any], after: float
) -> None:
    ledger.one.say(interactive=1)
    ledger.one.held = 0
    ledger.simulation.restart(0, "none")
    assert ledger.one.say(**words)["claim"]
    ledger.other.say()
    assert ledger.account()["opens"] == after * SECOND
    gave = len(words.get("back", ()))
    ledger.one.say(**(words | {"claims": True, "gave": gave, "back": []}))
    assert ledger.account()["opens"] == after * SECOND


def test_who_waits_for_a_new_ledger_to_open_asks_again_then(virtual_client: redis.Redis) -> None:
    ledger = Ledger(virtual_client)
    ledger.simulation.restart(0, "none")
    assert ledger.other.say(interactive=1)["again"] == SETTLE * SECOND
    assert ledger.other.say(bulk=1)["again"] == SETTLE * SECOND
    assert ledger.other.say()["again"] == -1
    ledger.simulation.run(SETTLE)
    assert ledger.other.say(interactive=1)["again"] == -1
    ledger.close()


@pytest.mark.parametrize("left", [0, 30])
def test_a_new_ledger_is_told_of_the_pause_there_was_or_that_there_was_none(
    ledger: Ledger, left: int
) -> None:
    ledger.one.say(interactive=1)
    ledger.simulation.restart(0, "none")
    assert ledger.one.say(bulk=1)["claim"]
    gate = ledger.one.say(bulk=1, claims=True, shut=left * SECOND, row=2)["gate"]
    if left:
        assert (gate["state"], gate["left"], gate["row"]) == ("shut", left * SECOND, 2)
        assert gate["paused"]
        assert ledger.account()["paused"] == left * SECOND
        # What was sent in the old ledger's time makes it longer at most as from now on.
        refused = refusal(ledger, epoch=5, after=90 * SECOND, most=50 * SECOND)
        assert ledger.one.say(refusals=[refused])["gate"]["left"] == 50 * SECOND
    else:
        assert (gate["state"], ledger.account()["paused"]) == ("open", 0)


def test_what_somebody_held_who_has_died_is_nobody_else_s(ledger: Ledger) -> None:
    for _ in range(4):
        ledger.one.say(interactive=30, used=ledger.one.held)
    held = ledger.one.held
    assert held >= 30
    ledger.simulation.run(LEASE + 1)
    for _ in range(4):
        ledger.other.say(interactive=PERMITS, used=ledger.other.held)
    assert ledger.other.held == PERMITS - held
    assert ledger.other.answer["give"] == 0

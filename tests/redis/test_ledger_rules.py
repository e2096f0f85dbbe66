"""What the ledger decides, number by number: who gets what, when, and at which pace.

The budget is 60 a minute: 59 permits, one token a second.
"""

from __future__ import annotations

from typing import Any

import pytest
import redis

from exotel_async.redis.messages import VERSION
from tests.redis.world import World

SECOND = 1_000_000
LIMIT, PER, LEASE, HOLD, SETTLE = 60, 60, 30, 70, 2
PERMITS = LIMIT - 1
MESSAGE: dict[str, Any] = {
    "version": VERSION,
    "look": False,
    "limit": LIMIT,
    "per": PER * SECOND,
    "claims": False,
    "gave": 0,
    "burst": 10,
    "lease": LEASE * SECOND,
    "hold": HOLD * SECOND,
    "settle": SETTLE * SECOND,
    "used": 0,
    "valid": True,
    "back": [],
    "interactive": 0,
    "bulk": 0,
    "granted": 0,
    "taken": 0,
    "owed": 0,
    "refusals": [],
    "answered": -1,
    "probe": False,
    "shut": 0,
    "row": 0,
    "leave": False,
}


class Speaker:
    """A process that says what the test has it say."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self.name = name
        self.epoch = ""
        self.held = 0
        self.seq = 0
        self.answer: dict[str, Any] = {}

    def say(self, **words: Any) -> dict[str, Any]:
        """Say something, and what it holds; return the answer."""
        self.seq += 1
        own = {"id": self.name, "name": self.name, "seq": self.seq, "epoch": self.epoch}
        answer = self._world.ask(MESSAGE | own | {"held": self.held} | words)
        assert answer is not None
        self.answer, self.epoch = answer, answer["epoch"]
        self.held = answer.get("held", self.held)
        return answer

    @property
    def granted(self) -> list[float]:
        """In how many seconds the permits of the last answer are free."""
        return [left / SECOND for left in self.answer["granted"] or ()]


class Ledger:
    """A ledger that knows who holds what: nobody anything."""

    def __init__(self, client: redis.Redis, *, limit: int = LIMIT) -> None:
        self.world = World(client, seed=0)
        self.one, self.other = (Speaker(self.world, name) for name in ("one", "other"))
        self._limit = limit
        self.one.say(limit=limit, leave=True)
        self.world.run(SETTLE)

    def account(self) -> dict[str, Any]:
        look = {"version": VERSION, "look": True, "limit": self._limit, "per": PER * SECOND}
        answer = self.world.ask(look)
        assert answer is not None
        return dict(answer["account"])


@pytest.fixture
def ledger(virtual_client: redis.Redis) -> Ledger:
    return Ledger(virtual_client)


# Who holds what


def test_what_is_held_and_not_used_is_not_out(ledger: Ledger) -> None:
    ledger.one.say(bulk=5)
    assert ledger.one.held > 2
    ledger.one.say(used=2, bulk=3)
    assert ledger.account()["used"] == 2
    [process] = ledger.account()["processes"]
    assert (process["held"], process["used"], process["bulk"]) == (ledger.one.held, 2, 3)


def test_what_a_process_held_that_is_gone_is_free_when_it_must_have_left_the_window(
    ledger: Ledger,
) -> None:
    for _ in range(4):
        ledger.one.say(interactive=PERMITS)
        ledger.one.say(used=ledger.one.held, interactive=PERMITS)
    assert ledger.one.held == PERMITS
    ledger.world.run(LEASE + HOLD - 0.1)
    ledger.other.say(interactive=10)
    assert ledger.other.granted == []
    assert ledger.account()["used"] == PERMITS
    ledger.world.run(0.1)
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
        ledger.world.run(2)
    assert ledger.one.held == permits - kept
    ledger.other.say(limit=limit, interactive=kept)
    assert len(ledger.other.granted) == kept


def test_interactive_requests_come_first_and_the_rest_goes_round(ledger: Ledger) -> None:
    for _ in range(10):
        ledger.other.say(bulk=1000, used=ledger.other.held)
        ledger.one.say(interactive=30)
        ledger.world.run(2)
    # Three more for what may come next, and one is kept for others in a hurry.
    assert (ledger.one.held, ledger.other.held) == (30 + 3, PERMITS - 30 - 3 - 1)


def test_who_has_too_much_is_told_to_give_what_others_should_have(ledger: Ledger) -> None:
    for _ in range(10):
        ledger.one.say(bulk=1000, used=ledger.one.held)
        ledger.world.run(2)
    assert ledger.one.held == PERMITS - 1
    ledger.other.say(interactive=30)
    ledger.world.run(2)
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
        ledger.world.run(2)
    assert ledger.one.answer["pace"] + ledger.other.answer["pace"] == pytest.approx(total, rel=0.05)


# The pause and the probe


def refusal(ledger: Ledger, **words: Any) -> dict[str, Any]:
    one = {
        "epoch": ledger.one.answer["gate"]["epoch"],
        "status": 429,
        "after": -1,
        "most": 3 * PER * SECOND,
        "pressed": True,
    }
    return one | words


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
        ledger.world.run(pause)


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
    ledger.world.run(1)
    asks = {"interactive": 1, "probe": True}
    assert ledger.one.say(**asks)["gate"]["state"] == "probe"
    gate = ledger.other.say(**asks)["gate"]
    assert (gate["state"], gate["left"], gate["paused"]) == ("shut", 2 * SECOND, False)
    assert ledger.one.say(**asks)["gate"]["state"] == "probe", "it is its own"
    # Where the first one has no answer, the next one has the time of a token, and so on.
    ledger.world.run(2)
    assert ledger.other.say(**asks)["gate"]["state"] == "probe"
    gate = ledger.one.say(**asks)["gate"]
    assert (gate["state"], gate["left"]) == ("shut", SECOND)
    answered = ledger.other.say(answered=gate["epoch"])["gate"]
    assert (answered["state"], answered["row"]) == ("open", 0)


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
    ledger.world.restart(0, "none")
    assert ledger.one.say(**words)["claim"]
    ledger.other.say()
    assert ledger.account()["opens"] == after * SECOND
    gave = len(words.get("back", ()))
    ledger.one.say(**(words | {"claims": True, "gave": gave, "back": []}))
    assert ledger.account()["opens"] == after * SECOND


# What the account takes


class Learning(Ledger):
    """A ledger that is told by one process what the account takes and refuses."""

    def take(self, number: int, seconds: int = PER) -> int:
        """Say for so long that so many were taken in the last window; return what was learned."""
        for _ in range(seconds // 10):
            self.world.run(10)
            self.one.say(taken=number, answered=self.one.answer["gate"]["epoch"])
        return int(self.one.answer["learned"])

    def refuse(self, number: int) -> int:
        """Have one refused when so many were taken."""
        self.one.say(taken=number, refusals=[refusal(self, after=SECOND)])
        return int(self.one.answer["learned"])

    def learn(self, number: int) -> int:
        """Have it refused until something is learned of that."""
        self.refuse(number)
        self.take(number)
        return self.refuse(number)


@pytest.fixture
def learning(virtual_client: redis.Redis) -> Learning:
    ledger = Learning(virtual_client)
    ledger.one.say()
    ledger.take(20)
    return ledger


@pytest.mark.parametrize(
    ("count", "learned"), [(0, 1), (1, 1), (2, 2), (20, 20), (56, 56), (57, 0)]
)
def test_what_it_takes_is_learned_unless_that_is_nearly_all(
    learning: Learning, count: int, learned: int
) -> None:
    assert learning.learn(count) == learned


def test_of_what_was_learned_a_stray_refusal_takes_little(learning: Learning) -> None:
    assert learning.learn(20) == 20
    learning.take(20)
    assert learning.refuse(20) == 19
    learning.take(19)
    assert learning.refuse(10) == 14, "three quarters at least"


def test_all_of_it_has_to_be_taken_for_a_whole_window_to_prove_anything(
    learning: Learning,
) -> None:
    for number in (60, 40, 60):
        learning.take(number, 50)
    assert learning.learn(20) == 20, "it was never proven"


def test_what_was_proven_is_doubted_for_three_windows(learning: Learning) -> None:
    learning.take(60, 70)
    for _ in range(3):
        assert learning.refuse(20) == 0
        learning.take(20, 60)
    learning.take(20, 10)
    assert learning.refuse(20) == 20


def test_when_it_takes_all_again_the_trial_is_over(learning: Learning) -> None:
    learned = learning.learn(20)
    learning.take(19, 600)
    for _ in range(12):
        learned = learning.take(learned or LIMIT, 60)
    assert learned == 0
    # It is proven, and so doubted for three windows.
    for _ in range(4):
        assert learned == 0
        learning.take(20)
        learned = learning.refuse(20)
    assert learned == 20
    learning.take(16)
    assert learning.refuse(16) == 16, "that is no trial that has failed"

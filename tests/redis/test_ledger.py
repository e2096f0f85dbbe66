"""The ledger under everything that can go wrong, by the real script and a clock of the test's own.

What is simulated: processes that send, die, stop and come back, messages that are
lost, late and doubled, servers that restart with old data or none. What decides is the script that
runs in Valkey and the `Lease` of each process, as they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from exotel_async import RateLimit
from exotel_async.redis.messages import VERSION, Refusal, StatusReport
from tests.redis.simulation import (
    EXCHANGE,
    KEY,
    LIMIT,
    PER,
    RATE,
    TERMS,
    Process,
    Simulation,
    hear,
    member,
    most_in_any_window,
    saturate,
    say,
)


@pytest.fixture(scope="module")
def client(valkey_for_all: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey_for_all, db=5, socket_timeout=None) as client:
        yield client


# The same few examples each time. To look at many others, as after a change of the ledger:
# EXOTEL_LEDGER_EXAMPLES=5000 pytest tests/redis/test_ledger.py --timeout 0
MANY = int(os.environ.get("EXOTEL_LEDGER_EXAMPLES", "0"))


@pytest.mark.slow
@settings(max_examples=MANY or 20, derandomize=not MANY)
@given(
    seed=st.integers(0, 1 << 30),
    processes=st.integers(1, 6),
    trouble=st.sampled_from([0.0, 0.1, 0.4]),
    kills=st.booleans(),
    stops=st.booleans(),
    restarts=st.sampled_from(["", "none", "old", "kept"]),
)
def test_never_more_than_the_budget_whatever_happens(
    client: redis.Redis,
    seed: int,
    processes: int,
    trouble: float,
    kills: bool,
    stops: bool,
    restarts: str,
) -> None:
    simulation = Simulation(client, seed)
    chance = simulation.chance

    def start() -> None:
        Process(
            simulation,
            f"process {simulation.now}",
            offset=chance.choice([0.0, 3600.0, -3600.0]),
            drift=chance.uniform(0.99, 1.01),
            trouble=trouble,
            demand=chance.choice([1.0, 1.0, 0.3, 0.05]),
        )

    for _ in range(processes):
        start()
    for _ in range(12):
        simulation.run(chance.uniform(5, 50))
        if chance.random() < 0.3:
            simulation.remember()
        if kills and simulation.processes:
            chance.choice(simulation.processes).kill()
            simulation.run(chance.random() * 5)
            start()
        if stops and simulation.processes:
            chance.choice(simulation.processes).stopped_until = simulation.now + chance.uniform(
                1, 150
            )
        if restarts and chance.random() < 0.4 and simulation.has_survivor():
            down = chance.uniform(0, 60)
            simulation.restart(down, restarts)
            # Somebody who knows the old ledger lives to tell the new one.
            simulation.run(down + TERMS.settle)
    simulation.run(60)
    assert most_in_any_window(simulation.arrivals) <= LIMIT - 1

    # Nothing is lost for good: in the end those that are alive have all of it.
    for process in list(simulation.processes):
        process.trouble, process.stopped_until, process.demand = 0.0, 0.0, 1.0
    simulation.run(TERMS.lease + 2 * TERMS.hold + 200)
    began = len(simulation.arrivals)
    simulation.run(2 * PER)
    assert most_in_any_window(simulation.arrivals) <= LIMIT - 1
    assert len(simulation.arrivals) - began >= 2 * (LIMIT - 2) * PER / (PER + EXCHANGE)


def test_a_message_that_was_long_on_its_way_claims_nothing(client: redis.Redis) -> None:
    simulation = Simulation(client, seed=0)
    (slow, one), (quick, other) = member(simulation), member(simulation)
    say(simulation, slow, StatusReport())
    simulation.run(TERMS.settle)
    saturate(simulation, slow, one)
    slow.write(StatusReport(), simulation.now)  # and there it is stopped
    say(simulation, quick, StatusReport())
    simulation.run(TERMS.lease + TERMS.hold)
    saturate(simulation, quick, other)
    simulation.restart(0, "none")
    hear(simulation, slow)
    say(simulation, quick, StatusReport())
    assert (one.size, other.size) == (0, LIMIT - 2)


def test_a_new_ledger_is_soon_open_to_those_that_have_had_nothing(client: redis.Redis) -> None:
    simulation = Simulation(client, seed=0)
    share, window = member(simulation)
    say(simulation, share, StatusReport())
    simulation.run(TERMS.settle)
    simulation.restart(0, "none")
    say(simulation, share, StatusReport(interactive=1))
    simulation.run(TERMS.settle)
    say(simulation, share, StatusReport(interactive=1))
    assert window.free > 0


def test_a_clock_that_is_put_back_holds_nobody_up(client: redis.Redis) -> None:
    simulation = Simulation(client, seed=0)
    share, window = member(simulation)
    say(simulation, share, StatusReport())
    simulation.run(TERMS.settle)
    saturate(simulation, share, window)
    simulation.now -= 900

    def clock() -> float:
        return simulation.now + 900  # that of the process goes on

    share._clock = clock
    for _ in range(80):
        window.take_back(clock())
        share.write(StatusReport(bulk=1000), clock())
        answer = simulation.ask(dict(share.message or {}))
        assert answer
        assert share.apply(answer, clock())
        simulation.run(1)
    assert window.size >= LIMIT - 2
    assert window.free == window.size


def test_another_version_waits_for_the_last_of_this_one(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = Simulation(client, seed=0)
    share, _ = member(simulation)
    say(simulation, share, StatusReport(bulk=1))
    newer, _ = member(simulation)
    monkeypatch.setattr("exotel_async.redis.messages.VERSION", VERSION + 1)
    newer.write(StatusReport(), simulation.now)
    assert simulation.ask(dict(newer.message or {})) == {"refused": "version"}
    simulation.run(TERMS.lease + TERMS.hold)
    assert hear(simulation, newer)["epoch"]


@pytest.mark.parametrize(
    ("away", "keeps"), [(TERMS.lease + 5, True), (TERMS.lease + TERMS.hold + 5, False)]
)
def test_after_an_outage_a_new_ledger_is_soon_open(
    client: redis.Redis, away: float, keeps: bool
) -> None:
    simulation = Simulation(client, seed=0)
    share, window = member(simulation)
    say(simulation, share, StatusReport())
    simulation.run(TERMS.settle)
    saturate(simulation, share, window)
    simulation.restart(away, "none")
    share.write(StatusReport(bulk=1000), simulation.now)  # and that is sent again and again
    simulation.run(away)
    assert not share.is_valid
    hear(simulation, share)
    assert window.size == (LIMIT - 2 if keeps else 0)
    simulation.run(TERMS.settle)
    say(simulation, share, StatusReport(bulk=1000))
    assert window.free > 0


def refusal(answer: dict[str, Any], *, pressed: bool = True, after: float = 1.0) -> list[Refusal]:
    return [
        Refusal(
            epoch=answer["gate"]["epoch"],
            status=429,
            after=after,
            longest=3 * PER,
            pressed=pressed,
        )
    ]


class Account:
    """Two processes, of which one is refused, and what both have learned of their account."""

    def __init__(self, client: redis.Redis) -> None:
        self.simulation = Simulation(client, seed=0)
        self.begin(RATE)

    def begin(self, rate: RateLimit) -> None:
        (self.one, self.window), (self.other, _) = (member(self.simulation, rate) for _ in range(2))
        for share in (self.one, self.other):
            say(self.simulation, share, StatusReport())
        self.answer: dict[str, Any] = {}
        self.pass_by(PER)

    def change(self, rate: RateLimit) -> None:
        """Have both leave, and two come that say another budget."""
        for share in (self.one, self.other):
            say(self.simulation, share, StatusReport(leave=True))
        self.begin(rate)

    def pass_by(self, seconds: float, taken: int = 0) -> int:
        """Have both say for so long that they are there, and how much was taken."""
        for _ in range(int(seconds / 5)):
            self.simulation.run(5)
            say(self.simulation, self.other, StatusReport(taken=taken - taken // 2))
            self.answer = say(
                self.simulation,
                self.one,
                StatusReport(
                    taken=taken // 2,
                    bulk=5,
                    probe=True,
                    answered=self.answer["gate"]["epoch"] if self.answer else 0,
                ),
            )
        return int(self.answer["learned"])

    def refuse(self, taken: int, *, pressed: bool = True) -> int:
        self.simulation.run(1)
        say(self.simulation, self.other, StatusReport(taken=taken - taken // 2))
        news = StatusReport(
            taken=taken // 2, bulk=5, refusals=refusal(self.answer, pressed=pressed)
        )
        self.answer = say(self.simulation, self.one, news)
        self.pass_by(5, taken)
        return int(self.answer["learned"])


def test_the_ledger_learns_what_the_account_takes(client: redis.Redis) -> None:
    account = Account(client)
    account.pass_by(PER, taken=20)
    assert account.refuse(20) == 0, "somebody else may use it just now"
    assert account.pass_by(PER, taken=20) == 0
    assert account.refuse(20) == 20
    assert account.answer["strict"]
    # The account is what it takes now, and keeps to that, for ten windows.
    assert account.pass_by(9 * PER, taken=19) == 20
    told = account.simulation.ask({**account.one.look(), "look": True})
    assert told
    assert (told["account"]["permits"], told["account"]["learned"]) == (19, 20)
    assert account.answer["held"] <= 19
    tried = account.pass_by(PER + 10, taken=19)
    assert 20 < tried <= 24
    assert account.refuse(21) == 20, "and one refusal ends the trial"
    assert account.pass_by(9 * PER, taken=19) == 20
    # A server that starts again does not forget it, and another budget begins anew.
    account.simulation.restart(0, "kept")
    assert account.pass_by(10, taken=19) == 20


@pytest.mark.parametrize("taken", [4, 16])
def test_one_stray_refusal_lowers_what_the_ledger_learned_by_a_quarter_at_most(
    client: redis.Redis, taken: int
) -> None:
    account = Account(client)
    account.refuse(20)
    account.pass_by(PER, taken=20)
    assert account.refuse(20) == 20
    account.pass_by(PER, taken=taken)
    assert account.refuse(taken) == max(15, taken)


def test_another_budget_begins_with_nothing_learned(client: redis.Redis) -> None:
    """Not even with the trial there was."""
    account = Account(client)
    account.refuse(20)
    account.pass_by(PER, taken=20)
    assert account.refuse(20) == 20
    account.pass_by(9 * PER, taken=19)
    assert account.pass_by(PER + 10, taken=19) > 20, "a trial"
    account.change(RateLimit(30, per=PER))
    assert account.pass_by(PER, taken=15) == 0
    account.refuse(15)
    account.pass_by(PER, taken=15)
    assert account.refuse(15) == 15
    account.pass_by(PER, taken=13)
    assert account.refuse(13) == 13


def test_the_ledger_finds_that_the_account_takes_all_again(client: redis.Redis) -> None:
    account = Account(client)
    account.refuse(20)
    account.pass_by(PER, taken=20)
    learned = account.refuse(20)
    assert learned == 20
    account.pass_by(10 * PER, taken=19)
    for _ in range(8):
        learned = account.pass_by(PER, taken=learned or LIMIT)
    assert learned == 0


@pytest.mark.parametrize("pressed", [True, False])
def test_an_account_that_gave_all_of_it_has_another_user(
    client: redis.Redis, pressed: bool
) -> None:
    account = Account(client)
    account.pass_by(3 * PER, taken=LIMIT)
    for _ in range(2):
        assert account.refuse(20, pressed=pressed) == 0
        account.pass_by(PER, taken=20)
    account.refuse(20, pressed=pressed)
    account.pass_by(PER, taken=20)
    assert account.refuse(20, pressed=pressed) == (20 if pressed else 0)


@pytest.mark.parametrize("probed", [False, True])
def test_no_refusal_of_before_brings_a_cleared_pause_back(
    client: redis.Redis, probed: bool
) -> None:
    """Of what was sent before the pause, or as the probe in a pause that was made longer then."""
    account = Account(client)
    begun = refusal(account.answer, after=10)
    late = refusal(account.answer, after=100)
    account.answer = say(account.simulation, account.one, StatusReport(bulk=5, refusals=begun))
    assert account.answer["gate"]["left"] == 10_000_000
    if probed:
        account.simulation.run(10)
        probe = say(account.simulation, account.one, StatusReport(bulk=5, probe=True))
        assert probe["gate"]["state"] == "probe"
        late += refusal(probe, after=100)
        say(account.simulation, account.other, StatusReport(refusals=late[:1]))
    cleared = account.simulation.ask(account.other.clear_pause())
    assert cleared
    assert cleared["cleared"] > 0
    gate = say(account.simulation, account.one, StatusReport(bulk=5, refusals=late))["gate"]
    assert not gate.get("paused")
    gate = say(account.simulation, account.other, StatusReport(bulk=5, probe=True))["gate"]
    assert gate["state"] == "probe"
    # What is refused after it counts.
    again = Refusal(epoch=gate["epoch"], status=429, after=30, longest=3 * PER, pressed=False)
    gate = say(account.simulation, account.other, StatusReport(bulk=5, refusals=[again]))["gate"]
    assert gate["left"] == 30_000_000


def test_a_pause_of_a_ledger_before_parks_nobody(client: redis.Redis) -> None:
    """One of version 1 that is paused for a day, whose processes have all gone."""
    simulation = Simulation(client, seed=0)
    old = (
        "local s = {version = 1, quiet = ARGV[1] - 1, run = 'first', now = ARGV[1] - 2, "
        "gate = {epoch = 5, half = true, till = ARGV[1] + 86400e6, paused = ARGV[1] + 86400e6}} "
        "redis.call('SET', KEYS[1], cmsgpack.pack(s))"
    )
    client.eval(old, 1, KEY, int(simulation.now * 1e6))
    share, _ = member(simulation)
    answer = say(simulation, share, StatusReport(interactive=1, probe=True))
    simulation.run(TERMS.settle)
    answer = say(simulation, share, StatusReport(interactive=1, probe=True))
    assert answer["gate"]["state"] == "probe"

"""What one process holds, says and is told: message by message, by a clock of the test."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from exotel_async import RateLimit
from exotel_async.limiter.window import Window
from exotel_async.redis.messages import VERSION, Lease, LeaseTerms, Refusal, StatusReport

RATE = RateLimit(60, per=60, burst=7)
TERMS = LeaseTerms.of(RATE, 20.0)
US = 1_000_000  # microseconds, in which the ledger counts


class Process:
    """A lease, with a clock."""

    def __init__(self, name: str | None = "worker 1") -> None:
        self.now = 1000.0
        self.window = Window(0)
        self.lease = Lease(RATE, TERMS, self.window, name=name, clock=lambda: self.now)

    def write(self, report: StatusReport | None = None, **options: Any) -> dict[str, Any]:
        self.lease.write(report or StatusReport(), self.now, **options)
        return dict(self.lease.message or {})

    def answer(self, held: int, *granted: float, **words: Any) -> bool:
        """Have the ledger answer that it holds so many, some of which are free in so long."""
        seq = (self.lease.message or {"seq": 0})["seq"]
        told = {"seq": seq, "epoch": "first", "held": held, "granted": [g * US for g in granted]}
        return self.lease.apply(told | words, self.now)

    def hold(self, held: int, *returns: float) -> None:
        """Have it hold so many, some of which come back in so many seconds."""
        self.write()
        self.answer(held, *returns)


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        (60, (30, 20, 80, 2.0)),
        (600, (300, 200, 620, 2.0)),
        (15, (7.5, 5, 35, 0.5)),
        (3, (1.5, 1, 23, 0.25)),
    ],
)
def test_how_long_things_last_is_a_matter_of_the_window(
    per: float, expected: tuple[float, ...]
) -> None:
    terms = LeaseTerms.of(RateLimit(60, per=per), 20.0)
    assert (terms.lease, terms.renewal, terms.hold, terms.settle) == expected


def test_the_first_message_says_all_there_is_to_say() -> None:
    process = Process()
    refusal = Refusal(epoch=3, status=429, after=1.5, longest=180.0, pressed=True)
    said = process.write(
        StatusReport(
            interactive=1,
            bulk=2,
            granted=3,
            taken=4,
            owed=5,
            refusals=[refusal],
            answered=6,
            probe=True,
            paused_for=7.25,
            pauses=8,
        )
    )
    assert len(said.pop("id")) == 32
    assert said == {
        "version": VERSION,
        "look": False,
        "limit": 60,
        "per": 60 * US,
        "burst": 7,
        "name": "worker 1",
        "seq": 1,
        "epoch": "",
        "claims": False,
        "gave": 0,
        "lease": 30 * US,
        "hold": 80 * US,
        "settle": 2 * US,
        "held": 0,
        "used": 0,
        "valid": False,
        "back": [],
        "interactive": 1,
        "bulk": 2,
        "granted": 3,
        "taken": 4,
        "owed": 5,
        "refusals": [
            {"epoch": 3, "status": 429, "after": 1.5 * US, "most": 180 * US, "pressed": True}
        ],
        "answered": 6,
        "probe": True,
        "shut": 7.25 * US,
        "row": 8,
        "leave": False,
    }


def test_what_is_not_known_is_said_so() -> None:
    refusal = Refusal(epoch=0, status=503, after=None, longest=1.0, pressed=False)
    said = Process().write(StatusReport(refusals=[refusal]))
    assert said["answered"] == -1
    assert said["refusals"][0]["after"] == -1


def test_to_look_and_to_clear_changes_nothing_of_the_lease() -> None:
    lease = Process().lease
    look = {"version": VERSION, "look": True, "limit": 60, "per": 60 * US}
    assert lease.look() == look
    assert lease.clear_pause() == look | {"clear": True}
    assert (lease.id, lease.message) == ("", None)


def test_a_process_without_a_name_is_called_by_its_host_and_number() -> None:
    assert Process(name=None).write()["name"] == f"{socket.gethostname()}:{os.getpid()}"


def test_messages_are_numbered_and_keep_their_id() -> None:
    process = Process()
    first = process.write()
    process.answer(0)
    second = process.write()
    assert (first["seq"], second["seq"]) == (1, 2)
    assert first["id"] == second["id"] == process.lease.id
    assert second["epoch"] == process.lease.epoch == "first"


def test_a_lease_counts_from_before_it_was_asked_for() -> None:
    process = Process()
    assert (process.lease.is_valid, process.lease.valid_for) == (False, 0.0)
    process.write()
    process.now += 9
    assert process.answer(5)
    assert process.lease.valid_for == pytest.approx(30 * 0.98 - 9)
    valid = []
    for seconds in (20.3, 0.2):
        process.now += seconds
        valid.append(process.lease.is_valid)
    assert valid == [True, False]
    assert process.lease.valid_for == 0.0


def test_what_is_granted_is_free_or_comes_back_at_its_moment() -> None:
    process = Process()
    process.write()
    assert process.answer(4, 0.0, 30.0, 10.0)
    assert process.lease.message is None
    assert (process.window.size, process.window.free) == (4, 2)
    assert sorted(process.window.returns) == [1010.0, 1030.0]


def test_nothing_granted_is_an_empty_list_however_lua_writes_it() -> None:
    process = Process()
    process.write()
    assert process.answer(3, granted={})
    assert process.window.free == 3


@pytest.mark.parametrize("seq", [0, 2])
def test_an_answer_to_another_message_is_a_mistake(seq: int) -> None:
    process = Process()
    process.write()
    with pytest.raises(ValueError, match="answers no message"):
        process.answer(5, seq=seq)
    assert process.answer(5)
    with pytest.raises(ValueError, match="answers no message"):
        process.answer(5, seq=1)


def test_what_is_free_is_given_back_first_and_at_once() -> None:
    process = Process()
    process.hold(5, 10.0, 20.0)
    assert process.write(give=2)["back"] == [0, 0]
    assert (process.window.size, process.window.free) == (3, 1)


@pytest.mark.parametrize(
    ("soonest", "give", "back", "left"),
    [
        (True, 2, [10, 20], [30, 40]),
        (False, 2, [10, 30], [20, 40]),
        (True, 9, [10, 20, 30, 40], []),
        (False, 1, [10], [20, 30, 40]),
        (False, 3, [10, 20, 30], [40]),
        (True, 0, [], [10, 20, 30, 40]),
    ],
)
def test_of_those_that_are_out_the_soonest_or_an_even_part_is_given_back(
    soonest: bool, give: int, back: list[float], left: list[float]
) -> None:
    process = Process()
    process.hold(4, 40.0, 10.0, 30.0, 20.0)
    said = process.write(give=give, soonest=soonest)
    assert said["back"] == [one * US for one in back]
    assert sorted(process.window.returns) == [1000 + one for one in left]
    assert process.window.size == said["held"] == said["used"] == len(left)


def test_what_is_in_flight_is_never_given_back() -> None:
    process = Process()
    process.hold(3, 10.0)
    process.window.in_flight = 2
    said = process.write(give=9)
    assert said["back"] == [10 * US]
    assert (said["held"], said["used"]) == (2, 2)


def test_what_came_back_meanwhile_is_given_back_as_free() -> None:
    process = Process()
    process.hold(2, 10.0, 20.0)
    process.now += 15
    assert process.write(give=2)["back"] == [0, 5 * US]


def test_whoever_leaves_gives_everything_back() -> None:
    process = Process()
    process.hold(4, 10.0)
    process.window.in_flight = 2
    said = process.write(StatusReport(leave=True))
    # Of what is in flight it is only known when it must have left the window.
    assert said["back"] == [0, 10 * US, 80 * US, 80 * US]
    assert (said["held"], said["used"], said["leave"]) == (0, 0, True)


@pytest.mark.parametrize(("after", "valid"), [(0.0, True), (107.0, True), (108.0, False)])
def test_what_it_holds_is_nobody_elses_until_the_hold_is_over(after: float, valid: bool) -> None:
    process = Process()
    process.hold(3)
    process.now += after
    assert process.write()["valid"] is valid


def test_a_longer_exchange_holds_longer_and_a_shorter_one_changes_nothing() -> None:
    process = Process()
    assert not process.lease.allow_exchange(20.0)
    assert not process.lease.allow_exchange(5.0)
    assert process.write()["hold"] == 80 * US
    process.answer(0)
    assert process.lease.allow_exchange(25.0)
    assert process.write()["hold"] == 85 * US


@pytest.mark.parametrize(("late", "gave"), [(0.0, 2), (79.9, 2), (80.0, 0)])
def test_in_a_new_epoch_it_says_anew_what_it_holds_and_what_it_has_just_given_back(
    late: float, gave: int
) -> None:
    process = Process()
    process.hold(5, 200.0)
    process.write(StatusReport(bulk=3), give=2)
    process.now += late
    assert not process.answer(0, claim=True, epoch="second")
    said = dict(process.lease.message or {})
    assert (said["seq"], said["epoch"], said["claims"]) == (3, "second", True)
    assert (said["held"], said["used"], said["back"], said["gave"]) == (3, 1, [], gave)
    assert said["bulk"] == 3
    assert process.answer(3, epoch="second")
    assert process.lease.valid_for == pytest.approx(30 * 0.98)

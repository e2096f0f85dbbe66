"""The gate of a process that shares its pauses with others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from exotel_async.config import RateLimit
from exotel_async.limiter.protocol import RequestOutcome
from exotel_async.redis.pause import SharedGate
from tests.support.virtual_time import run


def said(**word: Any) -> dict[str, Any]:
    return {"epoch": 2, "row": 0, "left": 0, "paused": False} | word


@pytest.mark.parametrize("sent", [False, True])
async def test_old_news_of_a_cleared_pause_sends_no_second_probe(*, sent: bool) -> None:
    """What is published may come after the answer to what was asked later."""
    asked: list[str] = []
    gate = SharedGate(RateLimit(100, per=60), lambda: None, lambda: asked.append("leave"))
    gate.apply_answer(said(epoch=1, state="shut", left=60_000_000, paused=True), now=0.0)
    gate.apply_answer(said(state="probe"), now=1.0)
    assert gate.wants_probe
    gate.probe_sent = sent
    gate.apply_published(said(), now=1.0)
    assert asked == []
    assert gate.half_open
    assert gate.probe_sent is sent
    # A pause of that epoch shuts it as before.
    gate.apply_published(said(left=5_000_000), now=1.0)
    assert gate.shut_for(1.0) == pytest.approx(5.0)


class Gate(SharedGate):
    """A gate of a budget of one request a second, which notes what it does."""

    def __init__(self) -> None:
        self.opened = 0
        self.asked = 0
        super().__init__(RateLimit(60, per=60), self._note_opened, self._note_asked)

    def _note_opened(self) -> None:
        self.opened += 1

    def _note_asked(self) -> None:
        self.asked += 1

    def state(self) -> str:
        """What a request would meet."""
        if self.until is not None:
            return "asks" if self.awaits_ledger else "shut"
        return "half open" if self.half_open else "open"

    def would_probe(self) -> bool:
        return self.wants_probe


def now() -> float:
    return asyncio.get_running_loop().time()


def shut(seconds: float, **word: Any) -> dict[str, Any]:
    return said(state="shut", left=round(seconds * 1e6), paused=seconds > 0) | word


def test_a_process_that_comes_waits_for_leave() -> None:
    async def main() -> None:
        gate = Gate()
        gate.await_ledger(now())
        assert gate.state() == "asks"
        assert gate.would_probe()
        assert gate.shut_for(now()) == gate.paused_for(now()) == 0
        gate.apply_answer(said(state="open"), now())
        assert gate.state() == "open"
        assert not gate.would_probe()
        assert (gate.opened, gate.asked) == (1, 0)

    run(main())


def test_the_leave_to_probe_lets_one_through() -> None:
    async def main() -> None:
        gate = Gate()
        gate.await_ledger(now())
        gate.apply_answer(said(state="probe", row=3), now())
        assert gate.state() == "half open"
        assert (gate.epoch, gate.pauses, gate.opened) == (2, 3, 1)
        assert gate.would_probe(), "nobody has used it yet"
        gate.let_through(now())
        assert not gate.would_probe()
        assert gate.state() == "shut"

    run(main())


def test_who_has_sent_the_probe_takes_its_answer_although_others_wait() -> None:
    async def main() -> None:
        gate = Gate()
        gate.apply_answer(said(state="probe"), now())
        gate.let_through(now())
        gate.apply_answer(shut(1.5, paused=False), now())
        assert gate.state() == "shut"
        gate.answer(2, RequestOutcome(status=200))
        assert gate.state() == "open"

    run(main())


@pytest.mark.parametrize("word", [{"epoch": 3}, {"epoch": 2}])
def test_of_another_pause_it_has_no_probe(word: dict[str, int]) -> None:
    async def main() -> None:
        gate = Gate()
        gate.apply_answer(said(state="probe"), now())
        if word["epoch"] == 3:
            gate.let_through(now())
        gate.apply_answer(shut(10, **word), now())
        gate.answer(word["epoch"], RequestOutcome(status=200))
        assert gate.state() == "shut", "that was no probe"

    run(main())


def test_at_the_end_of_a_pause_it_asks_who_may_probe() -> None:
    async def main() -> None:
        gate = Gate()
        gate.apply_answer(shut(10), now())
        assert gate.state() == "shut"
        assert gate.paused_for(now()) == pytest.approx(10)
        await asyncio.sleep(9.9)
        assert (gate.asked, gate.state()) == (0, "shut")
        await asyncio.sleep(0.2)
        assert (gate.asked, gate.state()) == (1, "asks")
        assert gate.paused_for(now()) == 0
        assert gate.opened == 0

    run(main())


def test_it_waits_for_somebody_elses_probe_without_a_pause() -> None:
    async def main() -> None:
        gate = Gate()
        gate.apply_answer(shut(2, paused=False), now())
        assert gate.paused_for(now()) == 0
        assert gate.shut_for(now()) == pytest.approx(2)
        gate.apply_answer(shut(0), now())
        assert gate.state() == "asks"

    run(main())


def test_alone_it_goes_by_what_it_knows() -> None:
    async def main() -> None:
        gate = Gate()
        gate.apply_answer(shut(10), now())
        gate.detach()
        assert gate.state() == "shut", "the pause goes on"
        await asyncio.sleep(10.1)
        assert (gate.state(), gate.asked, gate.opened) == ("half open", 0, 1)
        gate.apply_answer(shut(10), now())
        await asyncio.sleep(10.1)
        assert (gate.state(), gate.asked) == ("asks", 1), "it is not alone any more"
        gate.detach()
        assert gate.state() == "half open", "nobody answers: it probes"
        assert not gate.probe_sent

    run(main())


@pytest.mark.parametrize(
    ("word", "state", "paused"),
    [
        ({"epoch": 1, "left": -1}, "shut", 10),
        ({"epoch": 2, "left": -1}, "open", 0),
        ({"epoch": 3, "left": -1}, "open", 0),
        ({"epoch": 2, "left": 30_000_000}, "shut", 30),
        ({"epoch": 3, "left": 5_000_000}, "shut", 5),
        ({"epoch": 1, "left": 5_000_000}, "shut", 10),
    ],
)
def test_it_does_what_it_hears_unless_that_is_old(
    word: dict[str, int], state: str, paused: float
) -> None:
    async def main() -> None:
        gate = Gate()
        gate.apply_answer(shut(10), now())
        gate.apply_published(said(**word, row=4), now())
        assert gate.state() == state
        assert gate.paused_for(now()) == pytest.approx(paused)
        assert gate.epoch == max(2, word["epoch"])
        assert gate.pauses == (0 if word["epoch"] < 2 else 4)
        assert gate.opened == (state == "open")

    run(main())


def test_a_pause_that_somebody_has_cleared_has_it_ask() -> None:
    async def main() -> None:
        gate = Gate()
        gate.apply_answer(shut(10), now())
        gate.apply_published(said(epoch=3, left=0), now())
        assert (gate.state(), gate.asked) == ("asks", 1)
        assert gate.paused_for(now()) == 0

    run(main())


def test_a_gate_that_is_open_stays_so() -> None:
    async def main() -> None:
        gate = Gate()
        gate.apply_answer(said(state="open"), now())
        gate.apply_published(said(left=-1), now())
        assert (gate.state(), gate.opened) == ("open", 0)

    run(main())


def test_what_is_heard_first_is_no_reason_to_do_without_the_ledger() -> None:
    async def main() -> None:
        gate = Gate()
        gate.apply_published(said(left=5_000_000), now())
        await asyncio.sleep(6)
        assert gate.state() == "asks"
        assert (gate.opened, gate.asked) == (0, 1)

    run(main())

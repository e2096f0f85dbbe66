"""What one process says to the ledger, and what it makes of what it is told."""

from __future__ import annotations

import asyncio

import pytest

from exotel_async import RateLimit, RequestOutcome
from tests.redis.scripted_ledger import ACCOUNT, OPEN, RATE, Play, ScriptedLedger, Waiting, seconds
from tests.redis.virtual import BULK, INTERACTIVE, OK, held, now

# What it says


def test_it_says_what_it_does_and_wants(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.opened(RATE)
        [first] = ledger.said
        assert (first["epoch"], first["held"], first["probe"]) == ("", 0, False)
        ledger.once = {"gate": {"epoch": 1, "row": 3, "state": "shut", "left": 0, "paused": False}}
        ledger.grants = [0.0, 0.0, 0.0]
        waiting = Waiting(limiter, 1, INTERACTIVE)
        ledger.answer["gate"] = OPEN
        await asyncio.sleep(0.1)
        assert [one["probe"] for one in ledger.said[1:]] == [False, True]
        waiting.granted[0].finish(OK)
        await limiter.acquire()
        shut = {"epoch": 2, "row": 3, "state": "shut", "left": seconds(50), "paused": True}
        ledger.answer["gate"] = shut
        ledger.tell(gate={"epoch": 2, "row": 3, "left": seconds(50)})
        await asyncio.sleep(0.1)
        crowd = [Waiting(limiter, 1, INTERACTIVE), Waiting(limiter, 2, BULK)]
        ledger.said.clear()
        await asyncio.sleep(20)
        message = ledger.said[-1]
        assert {
            key: message[key]
            for key in ("interactive", "bulk", "granted", "taken", "held", "used", "row", "probe")
        } == {
            "interactive": 1,
            "bulk": 2,
            "granted": 2,
            "taken": 1,
            "held": 3,
            "used": 2,
            "row": 3,
            "probe": False,
        }
        assert message["shut"] == pytest.approx(seconds(30), abs=seconds(1))
        assert (message["refusals"], message["answered"], message["leave"]) == ([], -1, False)
        assert message["owed"] == 0
        ledger.once = {"charge": 2}
        await asyncio.sleep(40)
        assert ledger.said[-1]["owed"] == 2
        for one in crowd:
            await one.leave()

    play(main)


def test_it_says_what_was_refused_and_whether_that_was_by_its_budget(play: Play) -> None:
    """The first request waits for the server, and not for the budget."""

    async def main(ledger: ScriptedLedger) -> None:
        ledger.grants = [0.0]
        limiter = ledger.made(RATE)
        permit = await limiter.acquire()
        permit.finish(RequestOutcome(status=429, retry_after=5, longest_pause=70))
        await asyncio.sleep(0.1)
        assert ledger.said[-1]["refusals"] == [
            {
                "epoch": 0,
                "status": 429,
                "after": seconds(5),
                "most": seconds(70),
                "pressed": False,
            }
        ]
        ledger.grants = [0.0]
        waiting = Waiting(limiter, 4, INTERACTIVE)
        await asyncio.sleep(0.1)
        [permit] = waiting.granted
        permit.finish(RequestOutcome(status=503, retry_after=0.5))
        await asyncio.sleep(0.1)
        refused = [one["refusals"] for one in ledger.said if one["refusals"]]
        [refusal] = refused[1]
        assert (refusal["status"], refusal["after"], refusal["pressed"]) == (
            503,
            seconds(0.5),
            True,
        )
        await waiting.leave()
        await limiter.aclose()

    play(main)


def test_it_gives_back_what_it_has_no_use_for_as_soon_as_others_want_it(play: Play) -> None:
    """But for a quarter of what was used in the last window."""

    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.with_permits(42, rate=RateLimit(60, per=60, burst=60))
        crowd = Waiting(limiter, 42, INTERACTIVE)
        await asyncio.sleep(1)
        for permit in crowd.granted:
            permit.finish(OK)
            await asyncio.sleep(0.1)  # so do they come back
        assert len(crowd.granted) == 42
        ledger.answer["contended"] = True
        await asyncio.sleep(56)
        ledger.said.clear()
        # 13 that are free, and 29 that are out, of which a quarter is 8.
        await asyncio.sleep(1.2)
        [message] = ledger.said
        assert (message["used"], message["held"]) == (29, 37)
        assert message["back"] == [0] * 5

    play(main)


def test_it_keeps_what_it_has_while_anybody_waits_here(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.with_permits(9)
        shut = {"epoch": 1, "row": 1, "state": "shut", "left": seconds(300), "paused": True}
        ledger.answer |= {"contended": True, "gate": shut}
        ledger.tell(gate={"epoch": 1, "row": 1, "left": seconds(300)})
        await asyncio.sleep(0.1)
        crowd = [Waiting(limiter, 1, INTERACTIVE), Waiting(limiter, 1, BULK)]
        await asyncio.sleep(60)
        assert 3 <= len(ledger.said) <= 4, "it asks for nothing: a pause is on"
        assert [one["back"] for one in ledger.said] == [[]] * len(ledger.said)
        for one in crowd:
            await one.leave()

    play(main)


def test_it_gives_back_what_nobody_wants_only_when_it_renews_its_lease(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.with_permits(4)
        await asyncio.sleep(15)
        ledger.tell(call=[limiter._lease.id])
        await asyncio.sleep(10)
        assert [one["back"] for one in ledger.said] == [[], []]
        await asyncio.sleep(20)
        assert [one["back"] for one in ledger.said] == [[], [], [0] * 4]

    play(main)


@pytest.mark.parametrize("hurry", [True, False])
def test_it_gives_what_is_free_first_to_those_in_a_hurry(play: Play, *, hurry: bool) -> None:
    """And otherwise what leaves the others evenly spread."""

    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.with_permits(4)
        for _ in range(4):
            (await limiter.acquire()).finish(OK)
            await asyncio.sleep(2)
        ledger.tell(hurry=hurry, **{"yield": {limiter._lease.id: 2}})
        await asyncio.sleep(0.1)
        back = [round(left / 1e6) for left in ledger.said[-1]["back"]]
        assert back == ([52, 54] if hurry else [52, 56])

    play(main)


# The next permit that is free anywhere is for an interactive request


def test_short_of_permits_bulk_waits_and_interactive_goes(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        ledger.answer["short"] = 1
        limiter = await ledger.with_permits(2)
        bulk = Waiting(limiter, 2, BULK)
        await asyncio.sleep(0.5)
        assert len(bulk.granted) == 1
        web = Waiting(limiter, 1, INTERACTIVE)
        await asyncio.sleep(0.1)
        assert (len(web.granted), len(bulk.granted)) == (1, 1)
        await bulk.leave()

    play(main)


def test_short_of_permits_it_hands_over_the_next_that_is_free_in_the_time_of_a_permit(
    play: Play,
) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        ledger.answer["short"] = 1
        ledger.grants = [0.0] * 3
        limiter = await ledger.opened(RATE)
        began = now()
        times = []
        for _ in range(3):
            ledger.said.clear()
            while not ledger.said:
                await asyncio.sleep(0.01)
            times.append(now() - began)
            assert ledger.said[0]["back"] == [0]
        assert times == pytest.approx([1, 2, 3], abs=0.1)
        assert held(limiter) == 0
        await asyncio.sleep(10)
        assert len(ledger.said) == 1, "there is no more to hand over"

    play(main)


def test_told_that_permits_are_short_it_hands_one_over_at_once(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.with_permits(2)
        ledger.tell(short=1)
        await asyncio.sleep(0.01)
        assert [one["back"] for one in ledger.said] == [[0]]
        assert held(limiter) == 1

    play(main)


def test_told_that_permits_are_not_short_any_more_bulk_goes(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        ledger.answer["short"] = 1
        limiter = await ledger.with_permits(1)
        bulk = Waiting(limiter, 1, BULK)
        await asyncio.sleep(0.5)
        assert not bulk.granted
        ledger.tell(short=0)
        await asyncio.sleep(0.01)
        assert len(bulk.granted) == 1
        assert ledger.said == []

    play(main)


# When it asks


@pytest.mark.parametrize(
    ("more", "known", "asks"),
    [
        (True, 1, True),  # there are permits for what the ledger does not know of
        (False, 1, False),  # it knows that somebody waits, and calls
        (False, 0, True),  # it does not
    ],
)
def test_it_asks_for_an_interactive_request_if_that_is_of_use(
    play: Play, *, more: bool, known: int, asks: bool
) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.with_permits(1)
        await limiter.acquire()
        ledger.answer["more"] = more
        waiting = [Waiting(limiter, 1, INTERACTIVE)] if known else []
        ledger.tell(call=[limiter._lease.id])
        await asyncio.sleep(0.1)
        ledger.said.clear()
        waiting.append(Waiting(limiter, 1, INTERACTIVE))
        ledger.tell(short=0)
        await asyncio.sleep(0.1)
        assert [one["interactive"] for one in ledger.said] == [known + 1] * asks
        for one in waiting:
            await one.leave()

    play(main)


def test_it_asks_when_another_takes_the_place_of_one_that_the_ledger_knew_of(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.with_permits(1)
        permit = await limiter.acquire()
        waiting = Waiting(limiter, 2, INTERACTIVE)
        ledger.answer["more"] = True
        ledger.tell(call=[limiter._lease.id])
        await asyncio.sleep(0.1)
        assert ledger.said[-1]["interactive"] == 2
        ledger.said.clear()
        permit.release()  # it was not sent, and another may be
        await asyncio.sleep(0.1)
        assert ledger.said == []
        later = Waiting(limiter, 1, INTERACTIVE)
        ledger.tell(short=0)
        await asyncio.sleep(0.1)
        assert len(waiting.granted) == 1
        assert [one["interactive"] for one in ledger.said] == [2]
        await waiting.leave()
        await later.leave()

    play(main)


def test_it_asks_again_when_it_was_told_to(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.opened(RATE)
        for again, after in ((0, 0), (seconds(3), 3)):
            ledger.said.clear()
            ledger.once = {"again": again}
            ledger.tell(call=[limiter._lease.id])
            began = now()
            while len(ledger.said) < 2:
                await asyncio.sleep(0.001)
            assert now() - began == pytest.approx(after, abs=0.02)
        await asyncio.sleep(60)
        assert len(ledger.said) == 2

    play(main)


@pytest.mark.parametrize("number", [0, 1])
def test_it_renews_its_lease_if_it_holds_anything(play: Play, number: int) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        limiter = await ledger.with_permits(number)
        for _ in range(number):
            await limiter.acquire()
        await asyncio.sleep(61)
        assert len(ledger.said) == 3 * number
        assert (limiter.statistics().valid_for > 0) is (number > 0)

    play(main)


# What it tells of it


def test_statistics_tell_what_the_ledger_has_told(play: Play) -> None:
    async def main(ledger: ScriptedLedger) -> None:
        limiter = ledger.made(RATE)
        before = limiter.statistics()
        assert (before.account, before.strict, before.round_trips) == (None, False, 0)
        assert (before.in_contact, before.valid_for, before.learned_limit) == (False, 0, None)
        ledger.answer |= {
            "learned": 20,
            "strict": True,
            "pace": 0.25e-6,
            "burst": 2,
            "account": ACCOUNT | {"learned": 20, "permits": 19, "used": 4},
        }
        ledger.grants = [0.0, 5.0]
        (await limiter.acquire()).finish(OK)
        after = limiter.statistics()
        assert after.account is not None
        assert (after.account.window_size, after.account.window_used) == (19, 4)
        assert (after.learned_limit, after.account.learned_limit) == (20, 20)
        assert (after.strict, after.pace, after.round_trips) == (True, 0.25, 1)
        assert (after.in_contact, after.window_size, after.window_used) == (True, 2, 2)
        ledger.tell(call=[limiter._lease.id])
        await asyncio.sleep(1)
        assert limiter.statistics().round_trips == 2
        await limiter.aclose()

    play(main)

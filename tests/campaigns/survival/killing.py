"""A campaign whose program is killed again and again while Exotel misbehaves."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from exotel_async.campaigns import Campaign
from exotel_async.emulator import Emulator, Fault
from exotel_async.emulator.faults import Garbage
from tests.campaigns.survival.child import SECRET, callback_url
from tests.campaigns.survival.stage import AGENT, Program, Stage, flow, free_port, numbers, stage
from tests.campaigns.survival.verdict import Verdict, judge

LIVES = 10
"""Dials in the life of a program, on the average."""
_LONGEST_LIFE = 2.0
"""Seconds, for there may be nothing to dial for some time."""
LAST = 120.0
"""Seconds in which a program must end by itself."""
ENDS = {
    signal.SIGKILL: (-signal.SIGKILL,),
    signal.SIGTERM: (0, -signal.SIGTERM),
    signal.SIGINT: (130, 1),
}
"""With which codes a program ends that gets a signal: the second one, if it was just starting."""

_DIAL_FAULTS: tuple[Callable[[random.Random], tuple[Fault, int]], ...] = (
    lambda _: (Fault.act_then_drop(), 1),
    lambda _: (Fault.act_then_drop(reset=True), 1),
    lambda _: (Fault.act_then_cut(), 1),
    lambda _: (Fault.drop_before(), 1),
    lambda _: (Fault.drop_before(reset=True), 1),
    lambda draw: (Fault.act_then_status(draw.choice([500, 502, 503, 504])), 1),
    lambda draw: (Fault.answer(draw.choice([500, 502, 503])), 1),
    lambda draw: (Fault.act_then_garbage(draw.choice(list(Garbage))), 1),
    lambda _: (Fault.act_then_status(303), 1),
    lambda _: (Fault.answer(303), 1),
    lambda draw: (Fault.too_many_requests(), draw.randint(2, 8)),
    lambda draw: (Fault.act_then_stall(draw.uniform(0.2, 1.5)), 1),
    lambda _: (Fault.act_then_stall(), 1),
    lambda draw: (Fault.delay_before(draw.uniform(0.2, 1.0)), 1),
)
_READ_FAULTS: tuple[Callable[[random.Random], Fault], ...] = (
    lambda _: Fault.drop_before(),
    lambda _: Fault.act_then_cut(),
    lambda draw: Fault.answer(draw.choice([500, 503])),
    lambda draw: Fault.act_then_garbage(draw.choice(list(Garbage))),
    lambda _: Fault.too_many_requests(),
    lambda _: Fault.repeated_cursor(),
    lambda _: Fault.repeated_rows(5),
    lambda _: Fault.rows_without_details(),
)
_CALLBACK_FAULTS: tuple[Callable[[random.Random], Fault], ...] = (
    lambda _: Fault.callback_lost(),
    lambda _: Fault.callback_duplicated(),
    lambda _: Fault.callback_reordered(),
    lambda draw: Fault.callback_late(draw.uniform(0.2, 6.0)),
)


@attrs.frozen(kw_only=True)
class Ordeal:
    """What is done to a program."""

    kills: int
    contacts: int
    seed: int = 0
    signal: signal.Signals = signal.SIGKILL
    records_show_marks: bool = True
    """Whether the lists of calls show the custom field."""


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of it."""

    ordeal: Ordeal
    kills: int
    verdict: Verdict
    seconds: float

    def __str__(self) -> str:
        verdict, doubts = self.verdict, self.verdict.doubts
        rows = {
            "seed": self.ordeal.seed,
            "kills": f"{self.kills} x {self.ordeal.signal.name}",
            "contacts": verdict.contacts,
            "dials": verdict.dials,
            "calls": verdict.calls,
            "rung twice": len(verdict.rung_twice),
            "lost": len(verdict.lost),
            "in doubt": doubts.total(),
            "  found": doubts["found"],
            "  not placed": doubts["not-placed"],
            "  unresolved": doubts["unresolved"],
            "unresolved people": dict(verdict.unresolved) or 0,
            "otherwise wrong": len(verdict.wrong),
            "channels": f"{verdict.most_channels} at most, {verdict.refused_channels} refused",
            "seconds": round(self.seconds),
        }
        return "\n".join(f"{name:<20} {value}" for name, value in rows.items())


def campaigns(port: int) -> list[Campaign]:
    """Return campaigns with the different marks that tell their calls apart."""
    url = callback_url(port)
    return [
        flow("both-marks", status_callback=url),
        flow("custom-field"),
        flow("callback", status_callback=url, custom_field="order"),
        flow("no-mark", custom_field="order"),
        flow("no-mark-either", custom_field="order"),
        flow("two-legs", flow=None, agent=AGENT, status_callback=url, channels=20),
    ]


async def endure(
    ordeal: Ordeal, folder: Path, *, ledger: str | None = None, say: Callable[[str], None] = print
) -> Outcome:
    """Run campaigns while their program is killed, and judge what came of them."""
    began, draw, port = time.monotonic(), random.Random(ordeal.seed), free_port()
    async with stage(
        folder,
        campaigns(port),
        port,
        ledger=ledger,
        seed=ordeal.seed,
        bulk_extra_columns=ordeal.records_show_marks,
        callback_retries=(1.0,),
    ) as one:
        async with one.dialer() as dialer:
            share = -(-ordeal.contacts // len(one.campaigns))
            first = 0
            for campaign in one.campaigns:
                # Some people are in two campaigns, and nothing tells their calls apart.
                begin = first - share if campaign.name == "no-mark-either" else first
                own = numbers(min(share, ordeal.contacts - first), begin)
                await dialer.add(campaign.name, own)
                first += share
        kills = 0
        while kills < ordeal.kills:
            _sow(one.emulator, draw)
            program = one.start()
            await _live(one, program, draw)
            if program.has_ended:  # there was nothing left to do
                assert await program.wait() == 0, _end_of(one.log)
                break
            program.send(ordeal.signal)
            async with asyncio.timeout(LAST):
                code = await program.wait()
            assert code in ENDS[ordeal.signal], f"{code}: {_end_of(one.log)}"
            kills += 1
            if kills % 20 == 0:
                say(f"{kills} kills, {one.dials()} dials, {time.monotonic() - began:.0f} s")
        one.emulator.faults.clear()
        program = one.start()
        async with asyncio.timeout(LAST):
            code = await program.wait()
        assert code == 0, _end_of(one.log)
        verdict = await judge(one)
    return Outcome(ordeal=ordeal, kills=kills, verdict=verdict, seconds=time.monotonic() - began)


async def _live(one: Stage, program: Program, draw: random.Random) -> None:
    """Wait until a program is to be killed, or has ended."""
    until = time.monotonic() + _LONGEST_LIFE
    if draw.random() < 0.15:  # as it starts, and takes up what the last one has left
        until = time.monotonic() + draw.uniform(0.0, 0.5)
        dials = 1 << 30
    else:
        dials = one.dials() + draw.randint(0, 2 * LIVES)
    while not program.has_ended and time.monotonic() < until and one.dials() < dials:
        await asyncio.sleep(0.002)
    await asyncio.sleep(draw.uniform(0.0, 0.06))


def _end_of(log: Path) -> str:
    return log.read_text()[-3000:]


def _sow(emulator: Emulator, draw: random.Random) -> None:
    """Let some things go wrong in the next seconds."""
    emulator.faults.clear()
    for _ in range(2):
        fault, times = draw.choice(_DIAL_FAULTS)(draw)
        emulator.faults.add(fault, path="Calls/connect", times=times, after=draw.randint(0, LIVES))
    for _ in range(2):
        fault = draw.choice(_READ_FAULTS)(draw)
        emulator.faults.add(fault, method="GET", path="/Calls", after=draw.randint(0, 8))
    for _ in range(4):
        fault = draw.choice(_CALLBACK_FAULTS)(draw)
        emulator.faults.add(fault, method="POST", path=SECRET, after=draw.randint(0, 4))

"""`exotel-async demo`: a small campaign that continues after its program was killed.

It runs on an emulator in this process, which records each call. The program that dials is a process
of its own: `demo_child.py`. This process only observes: it reads the ledger, and never dials.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from attrs import define, field

from exotel_async import ExotelError
from exotel_async.campaigns import (
    AttemptState,
    CampaignAdmin,
    CampaignStatistics,
    Ledger,
)
from exotel_async.cli.demo_child import Assignment
from exotel_async.cli.demo_display import DemoProgress
from exotel_async.cli.demo_plan import NAME, Plan
from exotel_async.cli.demo_process import Program, ProgramFailed, program
from exotel_async.cli.demo_proof import Proof, prove
from exotel_async.cli.demo_report import DemoReporter, summary
from exotel_async.cli.progress import progress
from exotel_async.cli.terminal import Exit, err, out, report_problem, show_json
from exotel_async.emulator import Emulator, Fault

_LOOK_AT_LEDGER: Final = 0.05
"""Seconds between two readings of the ledger."""
_LOST_ANSWER: Final = Fault.act_then_stall()
_KILL_WITHIN: Final = 5.0
"""Seconds within which the program is killed, after the dial whose response is held back."""


@define(eq=False)
class Demo:
    """One run of the demo."""

    plan: Plan
    reporter: DemoReporter
    show: Callable[[DemoProgress], None]
    folder: Path
    known: CampaignStatistics = field(init=False)
    """The campaign's statistics according to the ledger."""
    unanswered: frozenset[str] = field(default=frozenset(), init=False)
    """The ids of attempts of which it is not known (yet) whether they have placed a call."""
    emulator: Emulator = field(init=False)
    _ledger: Ledger = field(init=False)
    _admin: CampaignAdmin = field(init=False)
    _began: float = field(init=False)
    _held_at: float | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.emulator = self.plan.emulator()
        self._ledger = Ledger(self.folder / "campaigns.db")

    async def run(self) -> Proof:
        """Run the campaign, kill its program once, and compare the record with the ledger.

        Raises:
            ProgramFailed: the program failed, or ended too early.
            ExotelError: the ledger cannot be used.
        """
        self._began = asyncio.get_running_loop().time()
        async with self.emulator as emulator:
            async with CampaignAdmin(self._ledger) as self._admin:
                await self._admin.create(self.plan.campaign)
                await self._admin.add(NAME, self.plan.numbers)
                in_flight = await self._run_and_kill()
                await self._run_to_the_end(in_flight)
                outcomes = [one async for one in self._admin.outcomes(NAME)]
                is_complete = len(outcomes) == self.plan.contacts and not self.known.unresolved
            calls = emulator.calls.values()
            return prove(calls, outcomes if is_complete else None, in_flight)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time() - self._began

    async def _run_and_kill(self) -> frozenset[str]:
        """Run the program, kill it, and return the ids of the attempts in flight at that moment."""
        self.emulator.faults.add(
            _LOST_ANSWER, path="Calls/connect", after=self.plan.dial_with_lost_response - 1
        )
        async with program(self._assignment()) as running:
            self.reporter.started(running.process.pid)
            await self._watch(running, until=self._should_kill)
            if running.has_ended:
                await running.check()
                raise ProgramFailed("the demo's program ended before it could be killed")
            await running.kill()
        await self._refresh()
        self.reporter.killed(self.emulator.calls.values(), len(self.unanswered))
        return self.unanswered

    async def _run_to_the_end(self, in_flight: frozenset[str]) -> None:
        async with program(self._assignment()) as running:
            self.reporter.started_again(running.process.pid, self.known, len(in_flight))
            if in_flight:
                await self._watch(running, until=lambda: not in_flight & self.unanswered)
                if not in_flight & self.unanswered and not self.known.unresolved:
                    self.reporter.found(len(in_flight))
            await self._watch(running)
            if running.has_ended:
                await running.check()
        await self._refresh()

    def _should_kill(self) -> bool:
        """Return whether to kill the program now."""
        calls = self.emulator.calls.values()
        if len(calls) < self.plan.dial_with_lost_response:
            return False
        if self._held_at is None:
            self._held_at = self.elapsed
        # No other dial can be between its intent and its first byte, nor its response in transit.
        are_taken = sum(not call.ended for call in calls) == self.plan.channels
        are_answered = self.known.attempts == len(calls) - 1
        return (are_taken and are_answered) or self.elapsed - self._held_at > _KILL_WITHIN

    async def _watch(self, running: Program, *, until: Callable[[], bool] = lambda: False) -> None:
        """Watch until a condition holds, the program has ended, or the time is up."""
        while True:
            await self._refresh()
            if until() or running.has_ended or self.elapsed > self.plan.longest:
                return
            await asyncio.sleep(_LOOK_AT_LEDGER)

    async def _refresh(self) -> None:
        states = (AttemptState.INTENDED, AttemptState.IN_DOUBT)
        left = await self._ledger.open_attempts(states, "", self.plan.contacts)
        self.unanswered = frozenset(one.id for one in left)
        self.known = await self._admin.statistics(NAME)
        calls = self.emulator.calls.values()
        self.show(
            DemoProgress(
                known=self.known,
                calls=len(calls),
                in_use=sum(not call.ended for call in calls),
                channels=self.plan.channels,
                elapsed=self.elapsed,
            )
        )

    def _assignment(self) -> Assignment:
        emulator, plan = self.emulator, self.plan
        return Assignment(
            base_url=emulator.base_url,
            account_sid=emulator.account_sid,
            api_key=emulator.api_key,
            api_token=emulator.api_token,
            limit=plan.budget.limit,
            burst=plan.budget.burst,
            folder=str(self.folder),
            ledger=str(self.folder / "campaigns.db"),
            campaign=NAME,
            channels=plan.channels,
            poll_interval=plan.poll_interval,
        )


def demo(plan: Plan, *, as_json: bool) -> Exit:
    """Run the demo, and report the result, if requested also as a line of JSON."""
    # The emulator's server may log an error about the connection cut off by the kill.
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    console = err if as_json else out
    reporter = DemoReporter(console)
    with TemporaryDirectory(prefix="exotel-async-demo-", ignore_cleanup_errors=True) as folder:
        try:
            reporter.begin(plan)
            with progress(console) as show:
                run = Demo(plan, reporter, show, Path(folder))
                proof = asyncio.run(run.run())
        except KeyboardInterrupt:
            reporter.interrupted()
            return Exit.INTERRUPTED
        except (ExotelError, ProgramFailed) as error:
            report_problem(str(error), kind=type(error).__name__, as_json=as_json)
            return Exit.FAILED
    totals = run.emulator.statistics()
    reporter.end(plan, run.known, proof, totals)
    if as_json:
        show_json(summary(run.known, proof, totals))
    if not proof.holds:
        return Exit.FAILED
    return Exit.OK if proof.is_complete else Exit.NOT_COMPLETED

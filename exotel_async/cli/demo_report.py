"""The texts of the demo: what it is going to do, what happens, and what that shows."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, frozen
from rich.table import Table

from exotel_async.calls.wait_state import SETTLED_AFTER
from exotel_async.cli.campaign_words import why_unresolved
from exotel_async.cli.demo_plan import TIME_LIMIT, Plan
from exotel_async.cli.links import TUTORIAL
from exotel_async.cli.terminal import counted

if TYPE_CHECKING:
    from rich.console import Console

    from exotel_async.campaigns import CampaignStatistics
    from exotel_async.cli.demo_proof import Proof
    from exotel_async.emulator import EmulatedCall, Statistics

_TIMES: Final = {1: "once", 2: "twice"}
_KILL: Final = "" if sys.platform == "win32" else " (SIGKILL)"


@frozen
class DemoReporter:
    """Prints the progress and the result of the demo, line by line."""

    console: Console

    def begin(self, plan: Plan) -> None:
        """Print what is going to happen, and what is not."""
        self._say(
            "A campaign on a local emulator of Exotel: no real phone rings, and nothing leaves "
            "this computer.",
            "bold",
        )
        self._say(
            f"{plan.contacts} contacts, {plan.channels} channels, {plan.budget.limit} requests a "
            "minute. A contact that is busy or does not answer is called again after "
            f"{plan.gap} s.\n"
        )

    def started(self, pid: int) -> None:
        """Print that the program was started."""
        self._say(f"Started a program that dials (process {pid}).")

    def killed(self, calls: Collection[EmulatedCall], in_flight: int) -> None:
        """Print that the program was killed, and the state of its calls at that moment."""
        going_on = sum(not call.ended for call in calls)
        lost = "the response to one dial" if in_flight == 1 else f"{in_flight} responses"
        self._say(
            f"Killed it{_KILL} after {counted(len(calls), 'dial')}: {going_on} calls were in "
            f"progress, and {lost} had not arrived.",
            "bold yellow",
        )

    def started_again(self, pid: int, known: CampaignStatistics, in_doubt: int) -> None:
        """Print that the program was started again, and what its ledger contains."""
        self._say(
            f"Started it again (process {pid}): its ledger has {known.attempts + in_doubt} dials, "
            f"{in_doubt or 'none'} of them in doubt."
        )

    def found(self, calls: int) -> None:
        """Print that the calls in doubt were found."""
        what = "The call in doubt is" if calls == 1 else f"The {calls} calls in doubt are"
        self._say(f"{what} in Exotel's call records: not dialled again.", "bold green")

    def interrupted(self) -> None:
        """Print that the demo was interrupted."""
        self._say("Interrupted: the program was killed, and its ledger is deleted.", "bold yellow")

    def end(self, plan: Plan, known: CampaignStatistics, proof: Proof, totals: Statistics) -> None:
        """Print the result, and what the emulator has recorded."""
        if not proof.is_complete:
            self._unfinished(plan, known)
        self._say("\nContacts by how often the emulator has rung them", "bold")
        self.console.print(_table(proof))
        self._say("Calls in the emulator's record, compared with the ledger", "bold")
        for good, count, what in _findings(proof):
            self._say(f"{count:>4}  {what}", "" if good else "bold red")
        self._say(f"Of {totals.requests} requests, {totals.refused} were refused (429).")
        if not proof.holds:
            self._say("This should never happen: please report it.", "bold red")
        elif proof.is_complete:
            verdict = "No attempt was dialled twice, and no contact was lost."
            self._say(verdict, "bold green")
            self._say(
                "\nNext: `exotel-async emulator` runs this emulator for your own programs. "
                f"For first programs, see the tutorial: {TUTORIAL}"
            )

    def _unfinished(self, plan: Plan, known: CampaignStatistics) -> None:
        left = known.pending + known.in_progress
        if left:
            self._say(
                f"Not finished within {plan.longest:.0f} s: {counted(left, 'contact')} left.",
                "bold yellow",
            )
        if known.in_doubt:
            # A call is listed in the records only after its end.
            minutes = (SETTLED_AFTER + TIME_LIMIT).total_seconds() / 60
            self._say(
                f"In doubt: {counted(known.in_doubt, 'contact')}. Exotel's records show no call "
                f"yet. It is certain only some {minutes:.0f} minutes after the kill that there is "
                "none.",
                "bold yellow",
            )
        if known.unresolved:
            self._say(
                f"Unresolved: {counted(known.unresolved, 'contact')}: {why_unresolved(known)}. "
                "They are not dialled again.",
                "bold yellow",
            )

    def _say(self, text: str, style: str = "") -> None:
        # Wrapped on a terminal; in whole lines for a program that reads it.
        self.console.print(text, style=style, soft_wrap=not self.console.is_terminal)


def summary(known: CampaignStatistics, proof: Proof, totals: Statistics) -> Mapping[str, Any]:
    """Return the result as plain values, for JSON."""
    words = ("created", "reached", "not_reached", "pending", "in_progress", "in_doubt")
    return {
        "contacts": {word: getattr(known, word) for word in (*words, "unresolved")},
        "passed": proof.holds,
        "calls": proof.calls,
        "rung": [asdict(one) for one in proof.rung],
        "attempts_rung_twice": len(proof.twice),
        "rung_again_too_early": len(proof.not_due),
        "calls_without_attempt": len(proof.without_attempt),
        "attempts_without_call": len(proof.without_call),
        "in_flight_at_the_kill": list(proof.in_flight.values()),
        "requests": totals.requests,
        "refused": totals.refused,
    }


def _table(proof: Proof) -> Table:
    table = Table()
    table.add_column("rung")
    for heading in ("contacts", "reached", "calls"):
        table.add_column(heading, justify="right")
    for one in proof.rung:
        times = _TIMES.get(one.times, f"{one.times} times")
        table.add_row(times, *map(str, (one.contacts, one.reached, one.times * one.contacts)))
    contacts, reached = (
        sum(one.contacts for one in proof.rung),
        sum(one.reached for one in proof.rung),
    )
    table.add_section()
    table.add_row("total", *map(str, (contacts, reached, proof.calls)))
    return table


def _findings(proof: Proof) -> list[tuple[bool, int, str]]:
    """Return counts of calls: whether each is as it must be, the count, and what it counts."""
    strays = len(proof.without_attempt) + len(proof.without_call)
    found = [
        (True, proof.calls, "in all"),
        (True, proof.again, "again, after busy or no answer"),
        (not proof.twice, len(proof.twice), "twice for one attempt"),
        (not proof.not_due, len(proof.not_due), "to contacts already reached, or still on a call"),
    ]
    if proof.is_complete:
        found.append((not strays, strays, "missing in the ledger or in the emulator's record"))
    found += [
        (rung <= 1, rung, "placed by the dial whose response was lost")
        for rung in proof.in_flight.values()
    ]
    return found

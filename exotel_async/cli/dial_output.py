"""What `exotel-async dial` prints: for people, or an event in each line for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field
from rich.console import Console

from exotel_async.cli.contact_list import added_lines, warn_of_other_numbers
from exotel_async.cli.dial_events import (
    end_event,
    outcome_event,
    problem_event,
    progress_event,
    start_event,
)
from exotel_async.cli.dial_report import DialEnd, show_report
from exotel_async.cli.ledger_option import shown_place
from exotel_async.cli.terminal import (
    can_redraw,
    err,
    ignoring_lost_output,
    one_line,
    out,
    show_json,
)

if TYPE_CHECKING:
    from exotel_async.campaigns import ContactOutcome
    from exotel_async.cli.contact_files import ContactFile
    from exotel_async.cli.contact_list import Added
    from exotel_async.cli.dial_arguments import DialArguments
    from exotel_async.cli.dial_display import DialProgress, Problem

_EVENT_EVERY: Final = 5.0
"""Seconds between two progress events, at least."""


@define(eq=False)
class DialOutput:
    """Prints what happens. As JSON it goes to standard output, and the display to standard error.

    Attributes:
        arguments: what the command was given.
        campaign: the campaign's name.
    """

    arguments: DialArguments
    campaign: str
    _last: float = field(init=False, default=-_EVENT_EVERY)

    @property
    def console(self) -> Console:
        """The console for people."""
        return err if self.arguments.as_json else out

    def say(self, text: str) -> None:
        """Print a line for people."""
        self.console.print(one_line(text), soft_wrap=True)

    @contextmanager
    def reading(self, file: Path) -> Iterator[None]:
        """Show that the file is read, on a terminal that can be redrawn."""
        if not can_redraw(self.console):
            yield
            return
        with self.console.status(one_line(f"reading {file.name}"), spinner="line"):
            yield

    def added(self, added: Added, contacts: ContactFile, number: int) -> None:
        """Report what was added from the file.

        Args:
            added: what was added.
            contacts: the file.
            number: how many contacts the campaign has now.
        """
        arguments = self.arguments
        for line in added_lines(added, contacts, self.campaign):
            self.say(line)
        warn_of_other_numbers(added, contacts, self.campaign)
        if arguments.as_json:
            show_json(
                start_event(
                    at=datetime.now(UTC),
                    campaign=self.campaign,
                    file=str(arguments.file),
                    ledger=shown_place(arguments.ledger),
                    added=added.taken,
                    duplicates=added.duplicates,
                    in_campaign=added.known,
                    other_number=len(added.keys_with_other_number),
                    rejected=added.rejected,
                    contacts=number,
                    budget=arguments.service.rate,
                    channels=arguments.channels,
                )
            )

    def progress(self, current: DialProgress) -> None:
        """Write a progress event for programs, every few seconds."""
        if self.arguments.as_json and time.monotonic() - self._last >= _EVENT_EVERY:
            self._last = time.monotonic()
            show_json(progress_event(current))

    def outcome(self, outcome: ContactOutcome) -> None:
        """Write the event for a contact's outcome, for programs."""
        if self.arguments.as_json:
            show_json(outcome_event(outcome, numbers=self.arguments.numbers))

    def problem(self, problem: Problem) -> None:
        """Write the event for a problem that does not stop the run, for programs."""
        if self.arguments.as_json:
            show_json(problem_event(problem))

    def end(self, end: DialEnd) -> None:
        """Report how the run ended. If that cannot be written, the exit code stays the same."""
        with ignoring_lost_output(sys.stderr if self.arguments.as_json else sys.stdout):
            show_report(self.console, end)
        if self.arguments.as_json:
            with ignoring_lost_output(sys.stdout):
                show_json(end_event(end))

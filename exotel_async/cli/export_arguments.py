"""The options of `export`, checked and combined."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from exotel_async.cli.export_sqlite import Database
from exotel_async.cli.export_stdout import StandardOutput
from exotel_async.cli.export_text import CSV_HEAD, TextFile, as_csv, as_jsonl

if TYPE_CHECKING:
    from exotel_async.cli.export_filters import Format, Selection
    from exotel_async.cli.export_sink import Sink
    from exotel_async.cli.service import Service

SUFFIXES: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}
"""Formats by the suffixes of file names."""

_STANDARD_OUTPUT: Final = Path("-")


@frozen(kw_only=True)
class ExportArguments:
    """What `export` is to do.

    Attributes:
        selection: which calls; to continue, the options given must be the same as before.
        target: the file; `-`: standard output.
        format: its format.
        resume: continue an interrupted export.
        force: start again, and replace an existing file.
        update: bring an existing database up to date, once.
        every: do so repeatedly: seconds from one update to the next; None: do not.
        page_size: calls requested at a time.
        as_json: print the result as JSON.
        service: which Exotel to use.
    """

    selection: Selection
    target: Path
    format: Format
    resume: bool
    force: bool
    update: bool
    every: float | None
    page_size: int
    as_json: bool
    service: Service

    def contradiction(self) -> str | None:
        """Return what is contradictory; None if nothing is."""
        wrong = self.selection.contradiction()
        follow, has_end = self.every is not None, self.selection.until is not None
        if self.resume and self.force:
            wrong = "--resume continues and --force starts again: give one of them"
        elif self.to_stdout and (
            self.format == "sqlite" or self.resume or self.force or self.updates or self.as_json
        ):
            wrong = (
                "-o - (standard output) takes jsonl or csv, and none of --resume, --force, "
                "--update, --follow and --json"
            )
        elif self.update and follow:
            wrong = "--update ends and --follow does not: give one of them"
        elif self.updates and self.format != "sqlite":
            option = "--update" if self.update else "--follow"
            wrong = f"{option} needs --format sqlite: text files cannot be updated"
        elif self.update and (self.force or has_end):
            wrong = "--update adds to the database up to now: leave out --until and --force"
        elif follow and has_end:
            wrong = "--follow never ends: leave out --until"
        return wrong

    def sink(self) -> Sink:
        """Return the sink that writes the target."""
        if self.format == "sqlite":
            return Database(self.target)
        render, head = (as_csv, CSV_HEAD) if self.format == "csv" else (as_jsonl, "")
        return (
            StandardOutput(render, head) if self.to_stdout else TextFile(self.target, render, head)
        )

    @property
    def to_stdout(self) -> bool:
        """Whether the target is standard output."""
        return self.target == _STANDARD_OUTPUT

    @property
    def updates(self) -> bool:
        """Whether to bring a database up to date, once or repeatedly."""
        return self.update or self.every is not None

    def continue_command(self) -> str:
        """Return the command that continues this export."""
        words = ["exotel-async", "export", "-o", str(self.target)]
        if SUFFIXES.get(self.target.suffix.lower()) != self.format:
            words += ["--format", self.format]
        words += self.service.words()
        if self.every is not None:
            words += ["--follow", "--every", f"{self.every:g}"]
        else:
            words += ["--update" if self.update else "--resume"]
        return shlex.join(words)


def usual_format(target: Path) -> Format | None:
    """Return the format that a file's name implies; None: it implies none."""
    return "jsonl" if target == _STANDARD_OUTPUT else SUFFIXES.get(target.suffix.lower())

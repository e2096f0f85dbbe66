"""`campaign export`: writes contacts' outcomes to a file, beside the columns of their list."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from attrs import frozen

from exotel_async.campaigns import CampaignStatistics, ContactOutcome
from exotel_async.cli.campaign_columns import FieldColumns
from exotel_async.cli.campaign_ledger import OpenLedger
from exotel_async.cli.campaign_screen import show_text
from exotel_async.cli.campaign_tables import (
    SUFFIXES,
    CsvLines,
    Format,
    JsonLines,
    Table,
    Write,
    workbook,
)
from exotel_async.cli.campaign_words import finished
from exotel_async.cli.export_sink import Refusal, put_in_place, require_regular_files
from exotel_async.cli.service import Misuse
from exotel_async.cli.terminal import (
    Exit,
    counted,
    end_on_sigterm,
    ignoring_lost_output,
    note,
    report_problem,
    show_json,
)

_STANDARD_OUTPUT: Final = Path("-")
_PAGE: Final = 500  # outcomes read from the ledger at once
_TEXT: Final[Mapping[str, type[CsvLines | JsonLines]]] = {"csv": CsvLines, "jsonl": JsonLines}


@frozen(kw_only=True)
class CampaignExportArguments:
    """What is exported, and where to.

    Attributes:
        name: the campaign.
        target: the file; `-`: standard output.
        format: its format; None: by the suffix of its name, and CSV for standard output.
        force: whether it may replace an existing file.
        as_json: whether to print the result as JSON.
    """

    name: str
    target: Path
    format: Format | None
    force: bool
    as_json: bool

    @property
    def to_stdout(self) -> bool:
        """Whether it goes to standard output."""
        return self.target == _STANDARD_OUTPUT

    def known_format(self) -> Format:
        """Return the format.

        Raises:
            Misuse: neither the option nor the name gives one, or the options contradict each other.
        """
        known = self.format or SUFFIXES.get(self.target.suffix.lower())
        if self.to_stdout:
            known = known or "csv"
            if known == "xlsx" or self.force or self.as_json:
                raise Misuse(
                    "-o - (standard output) takes csv or jsonl, and neither --force nor --json"
                )
        if known is None:
            raise Misuse("give --format, or a FILE whose name ends in .csv, .xlsx or .jsonl")
        return known


def export(ledger: OpenLedger, arguments: CampaignExportArguments) -> Exit:
    """Write the contacts that have their outcome, and report how many have none yet.

    Raises:
        InvalidRequest: there is no such campaign.
        Refusal: the target must not be replaced, or the rows do not fit into its format.
        Misuse: there is no format, or the options contradict each other.
    """
    how = arguments.known_format()
    entry = ledger.entry(arguments.name)
    try:
        written: int = ledger.do(_export(ledger, entry.id, arguments, how))
    except OSError as error:
        if arguments.to_stdout and isinstance(error, BrokenPipeError):
            raise  # the reader has closed the pipe, as `head` does
        problem = f"cannot write {arguments.target}: {error.strerror or error}"
        report_problem(problem, kind=OSError.__name__, as_json=arguments.as_json)
        return Exit.FAILED
    known: CampaignStatistics = ledger.do(ledger.admin.statistics(arguments.name))
    left = known.created - finished(known)
    with ignoring_lost_output(sys.stderr if arguments.to_stdout else sys.stdout):
        _report(arguments, written, left)
    return Exit.OK


def _report(arguments: CampaignExportArguments, written: int, left: int) -> None:
    if arguments.as_json:
        counts = {"contacts": written, "without_outcome": left}
        show_json({"file": str(arguments.target), **counts})
        return
    have = "has no outcome yet, and is" if left == 1 else "have no outcome yet, and are"
    missing = f"{counted(left, 'contact')} {have} not in the export."
    if arguments.to_stdout:
        if left:
            note(missing)
        return
    show_text(f"{counted(written, 'contact')}: {arguments.target}")
    if left:
        show_text(missing)


async def _export(
    ledger: OpenLedger, campaign_id: int, arguments: CampaignExportArguments, how: Format
) -> int:
    """Export in two passes, the first one for the columns. Return how many contacts were written.

    Outcomes that come after the start are left out.
    """
    end_on_sigterm()
    if not arguments.to_stdout:
        _must_be_free(arguments)
    last = await ledger.ledger.last_outcome(campaign_id)
    columns, rows = FieldColumns(), 0
    async for outcome in _outcomes(ledger, campaign_id, last):
        columns.add_fields(outcome.contact.fields)
        rows += 1
    written = 0
    with _table(arguments, how, columns, rows) as table:
        async for outcome in _outcomes(ledger, campaign_id, last):
            table.add(columns.row(outcome))
            written += 1
    return written


async def _outcomes(
    ledger: OpenLedger, campaign_id: int, last: int
) -> AsyncIterator[ContactOutcome]:
    """Yield the outcomes up to the position `last`: more may be added meanwhile."""
    after = 0
    while page := await ledger.ledger.outcomes(campaign_id, after, _PAGE):
        for after, outcome in page:
            if after > last:
                return
            yield outcome


@contextmanager
def _table(
    arguments: CampaignExportArguments, how: Format, columns: FieldColumns, rows: int
) -> Iterator[Table]:
    if arguments.to_stdout:
        # Unbuffered: a failed write must not be repeated when the process exits.
        with io.FileIO(sys.stdout.fileno(), "wb", closefd=False) as raw:
            yield _TEXT[how](_writing(raw), columns.names)
        return
    with _new_file(arguments) as part:
        if how == "xlsx":
            with workbook(part, columns.names, rows) as sheet:
                yield sheet
        else:
            with part.open("w", encoding="utf-8", newline="") as file:
                yield _TEXT[how](file.write, columns.names)


def _writing(raw: io.FileIO) -> Write:
    def write(text: str) -> None:
        view = memoryview(text.encode())
        while view:
            view = view[raw.write(view) :]

    return write


def _must_be_free(arguments: CampaignExportArguments) -> None:
    require_regular_files(arguments.target)
    if arguments.target.exists() and not arguments.force:
        raise Refusal(f"{arguments.target} already exists: --force replaces it")


@contextmanager
def _new_file(arguments: CampaignExportArguments) -> Iterator[Path]:
    """Yield a file that only its owner may read; move it to the target once it is complete."""
    target = arguments.target
    descriptor, name = mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    part = Path(name)
    try:
        os.close(descriptor)
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    put_in_place(part, target, replaces=arguments.force)

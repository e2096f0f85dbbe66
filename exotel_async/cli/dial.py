"""`exotel-async dial`: dials the people of a spreadsheet, and places no call twice."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from attrs import evolve

from exotel_async import ExotelError
from exotel_async.campaigns import CampaignState, CampaignStopped, DialerStopped, LedgerLost
from exotel_async.cli.contact_files import Unreadable, read_numbers
from exotel_async.cli.contact_list import no_contact_text, open_list
from exotel_async.cli.dial_campaign import OPTIONS, check_is_named
from exotel_async.cli.dial_dry_run import DryRun, show_dry_run
from exotel_async.cli.dial_output import DialOutput
from exotel_async.cli.dial_plan import Plan
from exotel_async.cli.dial_report import DialEnd, OpenCall
from exotel_async.cli.dial_run import DialRun
from exotel_async.cli.service import exit_of, kind_of
from exotel_async.cli.terminal import (
    Exit,
    complain,
    counted,
    err,
    note,
    one_line,
    out,
    report_misuse,
    report_problem,
    show_json,
)

if TYPE_CHECKING:
    from pathlib import Path

    from exotel_async.campaigns import CampaignStatistics
    from exotel_async.campaigns.entries import OpenAttempt
    from exotel_async.cli.contact_files import ContactFile, NumberList
    from exotel_async.cli.dial_arguments import DialArguments


def dial(arguments: DialArguments, *, dry_run: bool) -> Exit:
    """Add the people of a file to a campaign and dial them, or show what that would do."""
    try:
        campaign = arguments.options.campaign()
        lists = [_do_not_call(path) for path in arguments.do_not_call]
        do_not_call = [number for one in lists for number in one.numbers]
        contacts = open_list(arguments.file, mapping=arguments.mapping, sheet=arguments.sheet)
        if contacts.is_rejected and not arguments.is_named:
            check_is_named(arguments.file)
        if dry_run:
            found = asyncio.run(Plan(arguments, campaign, contacts, do_not_call).make())
            remarks = [remark for one in lists for remark in one.notes]
            found = evolve(found, notes=[*found.notes, *remarks])
            return _show_plan(arguments, found, contacts)
        output = DialOutput(arguments, campaign.name)
        return _dial(DialRun(arguments, campaign, contacts, do_not_call, output))
    except Unreadable as error:
        return report_misuse(str(error), as_json=arguments.as_json)
    except ExotelError as error:
        return _failed(arguments, error)


def _do_not_call(path: Path) -> NumberList:
    """Read a do-not-call list, and print how many numbers were found in it."""
    found = read_numbers(path)
    count = counted(len(found.numbers), "number")
    notes = [f"{path.name}: {one}" for one in (f"{count} not to be called", *found.notes)]
    for remark in notes:
        note(one_line(remark))
    return evolve(found, notes=notes)


def _show_plan(arguments: DialArguments, found: DryRun, contacts: ContactFile) -> Exit:
    show_dry_run(err if arguments.as_json else out, found)
    if arguments.as_json:
        show_json(found.as_json())
    if found.rows and found.rows == found.total_rejected + found.duplicates:
        complain(no_contact_text(contacts))
        return Exit.USAGE
    return Exit.OK


def _failed(arguments: DialArguments, error: ExotelError) -> Exit:
    report_problem(_explain(arguments, error), kind=kind_of(error), as_json=arguments.as_json)
    return exit_of(error)


def _explain(arguments: DialArguments, error: ExotelError) -> str:
    if isinstance(error, CampaignStopped):
        return f"{error.state.value}: {error.why}"
    return arguments.service.explain(error, arguments=OPTIONS)


def _dial(run: DialRun) -> Exit:
    error: ExotelError | None = None
    interrupted = "interrupted before the first dial"
    try:
        asyncio.run(run.main())
    except DialerStopped:
        return _interrupted(run, f"{interrupted}: another process has the ledger")
    except ExotelError as failure:
        error = failure
    except (KeyboardInterrupt, asyncio.CancelledError):
        run.is_interrupted = True
    known = run.statistics if run.is_added else None
    has_dialled = known is not None and known.attempts > run.placed_before
    if error is not None and not has_dialled and not isinstance(error, CampaignStopped):
        return _failed(run.arguments, error)
    if known is None:
        return _interrupted(run, interrupted)
    return _end(run, known, error)


def _interrupted(run: DialRun, problem: str) -> Exit:
    report_problem(problem, kind=KeyboardInterrupt.__name__, as_json=run.arguments.as_json)
    return Exit.INTERRUPTED


def _end(run: DialRun, statistics: CampaignStatistics, error: ExotelError | None) -> Exit:
    arguments = run.arguments
    end = DialEnd(
        exit_code=exit_code_of(statistics, error, is_interrupted=run.is_interrupted),
        statistics=statistics,
        now=datetime.now(UTC),
        elapsed=time.monotonic() - run.began,
        opens_at=run.opens_at,
        open_calls=[open_call_of(one) for one in run.open_calls],
        problem=None if error is None else _explain(arguments, error),
        ledger=arguments.ledger_argument,
        is_ledger_lost=isinstance(error, LedgerLost),
    )
    run.output.end(end)
    return end.exit_code


def open_call_of(attempt: OpenAttempt) -> OpenCall:
    """Return an attempt that has not ended as the call that is reported."""
    contact = attempt.contact
    others = contact.number, *contact.alternatives
    return OpenCall(number=attempt.number, key=contact.key, others=others, sid=attempt.sid)


def exit_code_of(
    statistics: CampaignStatistics, error: ExotelError | None, *, is_interrupted: bool
) -> Exit:
    """Return the exit code of a run that has dialled.

    Args:
        statistics: the campaign's contacts and calls.
        error: the error that has stopped the run; None: there was none.
        is_interrupted: whether a person or a service manager wanted it to end.
    """
    if error is not None:
        return Exit.FAILED
    if statistics.pending + statistics.in_progress + statistics.in_doubt == 0:
        return Exit.NOT_COMPLETED if statistics.unresolved else Exit.OK
    if is_interrupted:
        return Exit.INTERRUPTED
    # The contacts in doubt of a cancelled campaign are left to the next run.
    is_canceled = statistics.state is CampaignState.CANCELED
    return Exit.NOT_COMPLETED if is_canceled else Exit.OUTSIDE_HOURS

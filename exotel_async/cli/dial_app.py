"""The options of `exotel-async dial`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from exotel_async.cli.contact_options import Mapped, Sheet
from exotel_async.cli.dial_options import CallOptions, DryRunOptions, Target, Timing
from exotel_async.cli.ledger_option import DEFAULT_LEDGER, LedgerPlace
from exotel_async.cli.options import JSON, Work
from exotel_async.cli.service import Service
from exotel_async.cli.terminal import Exit, report_misuse

_EVERYWHERE: Final = Service()
_NO_TARGET: Final = Target()
_DEFAULT_TIMING: Final = Timing()
_DEFAULT_CALLS: Final = CallOptions()
_DEFAULT_DRY_RUN: Final = DryRunOptions()


def dial(
    file: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    caller_id: Annotated[tuple[str, ...], Parameter(negative="")],
    target: Target = _NO_TARGET,
    timing: Timing = _DEFAULT_TIMING,
    calls: CallOptions = _DEFAULT_CALLS,
    name: Annotated[str | None, Parameter(show_default=False)] = None,
    ledger: LedgerPlace = DEFAULT_LEDGER,
    map: Mapped = None,  # noqa: A002
    sheet: Sheet = None,
    dnc: Annotated[tuple[Path, ...], Parameter(negative="", show_default=False)] = (),
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    assumed: DryRunOptions = _DEFAULT_DRY_RUN,
    numbers: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: Annotated[bool, JSON] = False,
    service: Service = _EVERYWHERE,
) -> Work | Exit:
    """Dial the people in a spreadsheet. No call is placed twice, even after a crash.

    exotel-async dial leads.xlsx --flow 926 --caller-id 08030000000 --channels 10 --hours 10-19

    It dials without confirmation, and calls cost money: --dry-run shows first what it would do.
    The ledger records which contacts were dialled, and their outcomes. Ctrl-C stops dialling and
    waits for the calls in progress; a second one stops at once. The same command again continues
    the campaign, also after a crash, and adds the rows that are new in FILE. Exit codes: 0 all
    done, 1 stopped by errors, 2 wrong usage, 4 done, but contacts are unresolved, 5 outside
    calling hours, with contacts left to dial, 130 interrupted.

    Args:
        file: FILE, the people: CSV, TSV, XLSX, XLS or ODS. The column with the numbers is found by
            its header or its contents. Rows that cannot be dialled are written to
            FILE.rejected.csv.
        caller_id: Your ExoPhone, which is shown as the caller ID; repeat the option for more.
        name: The campaign's name. Default: the name of FILE; for rejected rows, that of their list.
        dnc: A file with numbers that no campaign of the ledger may call; all its sheets are read.
            Repeat the option for more.
        dry_run: Show who would be dialled and when, how long it would take and, with --price, what
            it would cost. Nobody is dialled, and nothing is written.
        numbers: With --json, show the phone numbers of outcomes with all their digits.
        json: Print events as JSON, one per line, and the display to standard error.
    """
    if not file.name and name is None:  # with a name, opening it reports this
        return report_misuse(f"{file} is a folder: give a file in it", as_json=json)
    from exotel_async.cli.dial import dial  # noqa: PLC0415
    from exotel_async.cli.dial_arguments import DialArguments  # noqa: PLC0415
    from exotel_async.cli.dial_campaign import CampaignOptions, usual_name  # noqa: PLC0415

    options = CampaignOptions(
        name=name or usual_name(file),
        caller_ids=caller_id,
        target=target,
        timing=timing,
        calls=calls,
    )
    arguments = DialArguments(
        file=file,
        sheet=sheet,
        mapping=map or {},
        do_not_call=dnc,
        options=options,
        is_named=bool(name),
        channels=calls.channels,
        poll_interval=calls.poll_interval,
        ledger=ledger,
        wait_for_hours=timing.wait_for_hours,
        price=assumed.price,
        call_length=assumed.call_length,
        numbers=numbers,
        as_json=json,
        service=service,
    )
    return partial(dial, arguments, dry_run=dry_run)

"""The commands of the command line and their options."""

from __future__ import annotations

import io
import logging
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, CycloptsError, Parameter, validators

from exotel_async import ConfigurationError, InvalidRequest, __version__
from exotel_async.cli import ctrl_c
from exotel_async.cli.dial_app import dial
from exotel_async.cli.emulator_options import EmulatorOptions
from exotel_async.cli.emulator_tls import TlsOptions
from exotel_async.cli.export_filters import EVERY, OUTPUT, SINCE, UNTIL, Format, Selection
from exotel_async.cli.options import JSON, Work
from exotel_async.cli.service import Service
from exotel_async.cli.terminal import (
    Exit,
    complain,
    discard_output,
    err,
    ignoring_lost_output,
    open_closed_streams,
    out,
    report_misuse,
    show_error,
)
from exotel_async.cli.time_arguments import Moment

if TYPE_CHECKING:
    from collections.abc import Sequence

_EVERYWHERE: Final = Service()
_ALL: Final = Selection()
_PLAIN: Final = TlsOptions()
_MINUTE: Final = timedelta(minutes=1)
_DEFAULTS: Final = EmulatorOptions()


app: Final = App(
    name="exotel-async",
    help="Exotel Voice on the command line: dial, look up calls, check the setup, run an emulator.",
    version=__version__,
    console=out,
    error_console=err,
    suppress_keyboard_interrupt=False,
)
app.command(dial)
app.register_install_completion_command(
    help="Install completion with the Tab key, for bash, zsh or fish."
)


def run(arguments: Sequence[str] | None) -> int:
    """Run one command and return its exit code."""
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what its encoding lacks must not end a command
            stream.reconfigure(errors="backslashreplace")
    # The commands report in their own words what the SDK logs.
    logging.getLogger("exotel_async").addHandler(logging.NullHandler())
    try:
        work = app(arguments, exit_on_error=False, result_action="return_value")
        return ctrl_c.interrupting(work) if callable(work) else int(work or Exit.OK)
    except CycloptsError as error:  # it has been shown already
        if "--json" in (sys.argv[1:] if arguments is None else arguments):
            show_error(str(error), kind=InvalidRequest.__name__)
        return Exit.USAGE
    except ConfigurationError as error:
        complain(str(error))
        return Exit.FAILED
    except KeyboardInterrupt:
        complain("interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:  # from output that was not written through `out`
        discard_output(sys.stdout)
        return Exit.INTERRUPTED
    except OSError as error:  # the commands report all other errors themselves
        discard_output(sys.stdout)  # flushing the rest at exit would fail again
        with ignoring_lost_output(sys.stderr):
            complain(f"cannot write the output: {error.strerror or error}")
        return Exit.FAILED


@app.command
def demo(
    *,
    fast: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    seed: int = 1,
    json: Annotated[bool, JSON] = False,
) -> Work | Exit:
    """Run a campaign on a local emulator, kill its program, and show that no call is placed twice.

    No real phone rings and nothing leaves this computer, whatever EXOTEL_* variables are set. Exit
    codes: 0 no call was placed twice, 1 failed, 4 not all outcomes were known in time, 130
    interrupted.

    Args:
        fast: Run a shorter demo, of a few seconds, with fewer contacts.
        seed: Decides how the calls end: the same seed gives the same outcomes.
        json: Print the result as one line of JSON, and the display to standard error.
    """
    from exotel_async.cli.demo import demo  # noqa: PLC0415
    from exotel_async.cli.demo_plan import Plan  # noqa: PLC0415

    return partial(demo, Plan.fast(seed) if fast else Plan.usual(seed), as_json=json)


@app.command
def call(
    from_: Annotated[str, Parameter(name="FROM")],
    to: Annotated[str | None, Parameter(name="TO")] = None,
    /,
    *,
    caller_id: str,
    flow: str | None = None,
    stream_url: str | None = None,
    stream_name: str | None = None,
    sample_rate: int | None = None,
    custom_field: str | None = None,
    record: bool | None = None,
    time_limit: int | None = None,
    ring_timeout: int | None = None,
    max_retries: int | None = None,
    status_callback: str | None = None,
    wait: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: Annotated[bool, JSON] = False,
    service: Service = _EVERYWHERE,
) -> Work | Exit:
    """Dial once: ring FROM, and when it answers, connect it to TO, to a flow or to a bot.

    It dials without confirmation, and a call costs money. Exit codes: 0 placed (with --wait:
    completed, and TO was reached), 1 not placed, 2 wrong usage, 3 not known whether it was placed,
    4 placed, but not completed, or not known how it ended (only with --wait), 130 interrupted.

    Args:
        from_: The party rung first: a phone number, or a SIP id like sip:agent7f3a.
        to: The party rung second.
        caller_id: Your ExoPhone, which is shown as the caller ID.
        flow: A flow's id or URL, instead of TO.
        stream_url: A voice bot's wss:// URL, instead of TO.
        stream_name: A name for the bot's stream.
        sample_rate: The sample rate of the bot's audio: 8000, 16000 or 24000.
        custom_field: Text that Exotel returns with the call, at most 128 characters.
        record: Record the call.
        time_limit: The longest time the call may last, in seconds.
        ring_timeout: Seconds each party is rung; not with --stream-url.
        max_retries: How many more times Exotel itself dials FROM if it does not answer.
        status_callback: URL that receives a callback when the call has ended.
        wait: Wait until the call has ended and its talk time is known, about two minutes later,
            and show how it ended.
        json: Print the call, or the error, as one line of JSON.
    """
    wrong = None
    if [to, flow, stream_url].count(None) != 2:
        wrong = "give exactly one of TO (a second number), --flow and --stream-url"
    elif stream_url is not None and ring_timeout is not None:
        wrong = "--ring-timeout cannot be used with --stream-url: leave it out"
    elif stream_url is None and (stream_name is not None or sample_rate is not None):
        wrong = "--stream-name and --sample-rate can only be used with --stream-url"
    if wrong is not None:
        return report_misuse(wrong, as_json=json)
    from exotel_async.cli.call import CallArguments, call  # noqa: PLC0415

    options = {
        "stream_name": stream_name,
        "sample_rate": sample_rate,
        "custom_field": custom_field,
        "record": record,
        "time_limit": time_limit,
        "ring_timeout": ring_timeout,
        "max_retries": max_retries,
        "status_callback": status_callback,
    }
    arguments = CallArguments(
        from_=from_,
        to=to,
        flow=flow,
        stream_url=stream_url,
        caller_id=caller_id,
        options={name: value for name, value in options.items() if value is not None},
    )
    return partial(call, arguments, service, wait=wait, as_json=json)


@app.command(usage="Usage: exotel-async get [OPTIONS] SID...")
def get(
    *sids: Annotated[str, Parameter(name="SID")],
    file: Annotated[Path | None, Parameter(allow_leading_hyphen=True, show_default=False)] = None,
    details: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: Annotated[bool, JSON] = False,
    numbers: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    since: Annotated[Moment | None, SINCE] = None,
    until: Annotated[Moment | None, UNTIL] = None,
    service: Service = _EVERYWHERE,
) -> Work | Exit:
    """Look up calls by their SIDs, up to a hundred with each request.

    Calls are printed in the order of the SIDs; with --file, as the results arrive. Exit codes: 0
    all were found, 1 some were not, 2 wrong usage, 130 interrupted.

    Args:
        sids: The calls' SIDs.
        file: A file with more SIDs, one per line, or - for standard input. Empty lines, and lines
            that begin with #, are ignored.
        details: Show legs and talk time as well.
        json: Print each call, or why it was not found, as one line of JSON.
        numbers: Show phone numbers with all their digits.
        since: For calls older than 31 days: when the oldest of them was created, like 2026-11-01,
            or an age like 90d. They are then searched month by month.
        until: When the newest call was created.
    """
    if not sids and file is None:
        return report_misuse("give at least one SID, or --file", as_json=json)
    from exotel_async.cli.get import Question, get  # noqa: PLC0415

    return partial(
        get,
        Question(
            sids=sids,
            file=file,
            details=details,
            as_json=json,
            numbers=numbers,
            since=since,
            until=until,
            service=service,
        ),
    )


@app.command
def export(
    *,
    output: Annotated[Path, OUTPUT],
    format: Annotated[Format | None, Parameter(show_default=False)] = None,  # noqa: A002
    resume: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    force: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    update: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    follow: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    every: Annotated[timedelta, EVERY] = _MINUTE,
    page_size: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=100))] = 100,
    json: Annotated[bool, JSON] = False,
    selection: Selection = _ALL,
    service: Service = _EVERYWHERE,
) -> Work | Exit:
    """Write call records to a file, oldest first. Calls in progress are not included.

    The export is written to FILE.part, which is renamed to FILE when it is complete. If it is
    interrupted by Ctrl-C, a crash or the network, --resume continues where it stopped, without
    losing or duplicating a record. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

    Args:
        output: FILE, the file to write; only its owner can read it. Only a regular file is
            replaced, never a device, pipe, folder or link. - is standard output: jsonl or csv; such
            an export cannot be continued.
        format: jsonl: each record as Exotel sent it, one per line. csv: for spreadsheets; a value
            that looks like a formula gets a ' before it. sqlite: a database with the table `calls`.
            Default: by the suffix of FILE; jsonl for -.
        resume: Continue an export that was interrupted. Other options may be left out; if given,
            they must be the same as before. If there is nothing to continue, a new export starts.
        force: Start a new export even if one exists, and replace FILE when it is complete.
        update: Bring an SQLite database up to date once, for example from cron: read the calls that
            are new, or have got their duration and price, since the last update, however long ago.
            If there is no database, it is created.
        follow: Update the database repeatedly, until Ctrl-C. When started again, it continues.
        every: With --follow, the time from one update to the next: seconds, or like 5m. Default: a
            minute. The pause after an update is at least as long as the update took.
        page_size: Records requested at a time.
        json: Print the number of calls written, as one line of JSON.
    """
    from exotel_async.cli.export import export  # noqa: PLC0415
    from exotel_async.cli.export_arguments import ExportArguments, usual_format  # noqa: PLC0415

    known = format or usual_format(output)
    if known is None:
        wrong = "give --format, or a FILE whose name ends in .jsonl, .csv or .sqlite"
        return report_misuse(wrong, as_json=json)
    arguments = ExportArguments(
        selection=selection,
        target=output,
        format=known,
        resume=resume,
        force=force,
        update=update,
        every=every.total_seconds() if follow else None,
        page_size=page_size,
        as_json=json,
        service=service,
    )
    if contradiction := arguments.contradiction():
        return report_misuse(contradiction, as_json=json)
    return partial(export, arguments)


@app.command
def number(
    digits: Annotated[str, Parameter(name="NUMBER")],
    /,
    *more: Annotated[str, Parameter(show=False)],
    numbers: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: Annotated[bool, JSON] = False,
    service: Service = _EVERYWHERE,
) -> Work | Exit:
    """Show what Exotel knows about a phone number: circle, operator, type, DND.

    Args:
        digits: An Indian phone number; spaces in it need no quotes.
        numbers: Show the number with all its digits.
        json: Print the result as one line of JSON.
    """
    from exotel_async.cli.number import number  # noqa: PLC0415

    return partial(number, " ".join([digits, *more]), service, whole=numbers, as_json=json)


@app.command
def doctor(
    *,
    clear_pause: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, JSON] = False,
    service: Service = _EVERYWHERE,
) -> Work | Exit:
    """Check credentials, host and clock with one request, and say in one line what is wrong.

    Args:
        clear_pause: First end the account's pause in all processes that share its limiter.
        json: Print the result as one line of JSON.
    """
    from exotel_async.cli.doctor import doctor  # noqa: PLC0415

    return partial(doctor, service, clear_pause=clear_pause, as_json=json)


@app.command
def emulator(
    *,
    config: Annotated[Path | None, Parameter(show_default=False)] = None,
    schema: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: Annotated[bool, JSON] = False,
    options: EmulatorOptions = _DEFAULTS,
    tls: TlsOptions = _PLAIN,
) -> Work | Exit:
    """Run a local emulator of Exotel for programs in any language, until Ctrl-C.

    Args:
        config: A file with settings, flows, callers and faults, TOML or JSON by its suffix. Options
            on the command line override it.
        schema: Print the JSON Schema of such a file, and end.
        json: Print its address as one line of JSON, and the totals at the end as another.
    """
    if options.token is not None and not options.token.strip():
        return report_misuse("--token must not be empty", as_json=json)
    from exotel_async.cli.emulator import Unusable, emulate, set_up, show_schema  # noqa: PLC0415

    if schema:
        return show_schema
    try:
        served = set_up(config, {**options.settings(), **tls.settings()})
    except Unusable as error:
        return report_misuse(str(error), as_json=json)
    return partial(emulate, served, as_json=json)


# A string, as its modules take long to import.
app.command(
    "exotel_async.cli.campaign_app:app",
    name="campaign",
    help="Show, pause, resume or cancel the campaigns of a ledger, and export their outcomes.",
)

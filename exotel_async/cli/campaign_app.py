"""The commands of `campaign` and their options."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import App, Parameter

from exotel_async.cli.campaign_tables import Format
from exotel_async.cli.contact_options import Mapped, Sheet
from exotel_async.cli.export_filters import OUTPUT
from exotel_async.cli.ledger_option import DEFAULT_LEDGER, LedgerPlace
from exotel_async.cli.options import JSON, Work
from exotel_async.cli.service import Service
from exotel_async.cli.terminal import err, out

if TYPE_CHECKING:
    from collections.abc import Callable

    from exotel_async.cli.campaign_ledger import OpenLedger
    from exotel_async.cli.terminal import Exit

_EVERYWHERE: Final = Service()
_FLAG: Final = Parameter(negative="", show_default=False)
_NO_DEFAULT: Final = Parameter(show_default=False)

Name = Annotated[str, Parameter(name="NAME", help="The campaign.")]
State = Literal[
    "reached", "not-reached", "refused", "unresolved", "do-not-call", "expired", "canceled"
]

app: Final = App(
    name="campaign",
    console=out,
    error_console=err,
    suppress_keyboard_interrupt=False,
)


def _work(ledger: str, do: Callable[[OpenLedger], Exit], *, as_json: bool) -> Work:
    from exotel_async.cli.campaign_ledger import administer  # noqa: PLC0415

    return partial(administer, ledger, do, as_json=as_json)


@app.command(name="list")
def list_(*, ledger: LedgerPlace = DEFAULT_LEDGER, json: Annotated[bool, JSON] = False) -> Work:
    """List the campaigns of a ledger, and show which process is dialling from it.

    Args:
        json: Print the result as one line of JSON.
    """
    from exotel_async.cli.campaign_list import list_campaigns  # noqa: PLC0415

    return _work(ledger, partial(list_campaigns, as_json=json), as_json=json)


@app.command
def status(
    name: Name, /, *, ledger: LedgerPlace = DEFAULT_LEDGER, json: Annotated[bool, JSON] = False
) -> Work:
    """Show the progress and the settings of a campaign, and how to continue it.

    Args:
        json: Print the result as one line of JSON.
    """
    from exotel_async.cli.campaign_status import status  # noqa: PLC0415

    return _work(ledger, partial(status, name=name, as_json=json), as_json=json)


@app.command
def pause(
    name: Name, /, *, ledger: LedgerPlace = DEFAULT_LEDGER, json: Annotated[bool, JSON] = False
) -> Work:
    """Stop dialling a campaign until it is resumed. Calls in progress continue.

    Exit codes: 0 the campaign is paused, now or already, 1 it has failed or was cancelled, 2
    wrong usage.

    Args:
        json: Print its state now and before, as one line of JSON.
    """
    from exotel_async.cli.campaign_states import pause  # noqa: PLC0415

    return _work(ledger, partial(pause, name=name, as_json=json), as_json=json)


@app.command
def resume(
    name: Name, /, *, ledger: LedgerPlace = DEFAULT_LEDGER, json: Annotated[bool, JSON] = False
) -> Work:
    """Continue a campaign that is paused or has failed. If a process
    is running it, dialling continues at once; if not, run the same `exotel-async dial` command
    again.

    Exit codes: 0 the campaign is not paused, 1 it was cancelled, 2 wrong usage.

    Args:
        json: Print its state now and before, as one line of JSON.
    """
    from exotel_async.cli.campaign_states import resume  # noqa: PLC0415

    return _work(ledger, partial(resume, name=name, as_json=json), as_json=json)


@app.command
def cancel(
    name: Name,
    /,
    *,
    yes: Annotated[bool, _FLAG] = False,
    ledger: LedgerPlace = DEFAULT_LEDGER,
    json: Annotated[bool, JSON] = False,
) -> Work:
    """End a campaign for good: no more calls are placed. Calls in progress continue.

    Exit codes: 0 the campaign is cancelled, now or already, 1 it was not confirmed, 2 wrong usage.

    Args:
        yes: Do not ask for confirmation. Required where there is no terminal.
        json: Print its state now and before, as one line of JSON.
    """
    from exotel_async.cli.campaign_states import cancel  # noqa: PLC0415

    return _work(ledger, partial(cancel, name=name, yes=yes, as_json=json), as_json=json)


@app.command
def add(
    name: Name,
    file: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    map: Mapped = None,  # noqa: A002
    sheet: Sheet = None,
    ledger: LedgerPlace = DEFAULT_LEDGER,
    json: Annotated[bool, JSON] = False,
) -> Work:
    """Add the people in a list who are new to a campaign, even while it is being dialled.

    Exit codes: 0 done, 1 the campaign was cancelled, or the ledger cannot be used, 2 wrong usage,
    or FILE cannot be read: nobody was added.

    Args:
        file: FILE, the list, as `exotel-async dial` takes it. Rows that cannot be dialled are
            written to FILE.rejected.csv.
        json: Print the result as one line of JSON.
    """
    from exotel_async.cli.campaign_add import add  # noqa: PLC0415

    do = partial(add, name=name, file=file, mapping=map or {}, sheet=sheet, as_json=json)
    return _work(ledger, do, as_json=json)


@app.command
def outcomes(
    name: Name,
    /,
    *,
    state: Annotated[tuple[State, ...], Parameter(negative="", show_default=False)] = (),
    numbers: Annotated[bool, _FLAG] = False,
    ledger: LedgerPlace = DEFAULT_LEDGER,
    json: Annotated[bool, JSON] = False,
) -> Work:
    """Print the outcomes of contacts, one per line, in the order in which they became known.

    Args:
        state: Only contacts with this outcome; repeat the option for more.
        numbers: Show phone numbers with all their digits.
        json: Print each contact with its calls, and all digits of numbers, as one line of JSON.
    """
    from exotel_async.cli.campaign_outcomes import outcomes  # noqa: PLC0415

    do = partial(outcomes, name=name, states=state, whole=numbers, as_json=json)
    return _work(ledger, do, as_json=json)


@app.command
def export(
    name: Name,
    /,
    *,
    output: Annotated[Path, OUTPUT],
    format: Annotated[Format | None, _NO_DEFAULT] = None,  # noqa: A002
    force: Annotated[bool, _FLAG] = False,
    ledger: LedgerPlace = DEFAULT_LEDGER,
    json: Annotated[bool, JSON] = False,
) -> Work:
    """Write the outcomes of contacts to a file, together with the columns of their own list.

    Contacts without an outcome are not included. Prices and recordings are known minutes after
    a call: export again to get them. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

    Args:
        output: FILE, the file to write; only its owner can read it. - is standard output: csv or
            jsonl.
        format: xlsx: for spreadsheets, at most 1,048,575 contacts. csv: as UTF-8; a value that
            looks like a formula gets a ' before it. jsonl: each contact as JSON, one per line.
            Default: by the suffix of FILE; csv for -.
        force: Replace FILE if it exists.
        json: Print the number of contacts written, as one line of JSON.
    """
    from exotel_async.cli.campaign_export import CampaignExportArguments, export  # noqa: PLC0415

    arguments = CampaignExportArguments(
        name=name, target=output, format=format, force=force, as_json=json
    )
    return _work(ledger, partial(export, arguments=arguments), as_json=json)


@app.command
def forget(
    number: Annotated[str | None, Parameter(name="NUMBER")] = None,
    /,
    *more: Annotated[str, Parameter(show=False)],
    key: Annotated[str | None, _NO_DEFAULT] = None,
    yes: Annotated[bool, _FLAG] = False,
    ledger: LedgerPlace = DEFAULT_LEDGER,
    json: Annotated[bool, JSON] = False,
) -> Work:
    """Delete a person from all campaigns of a ledger: contacts, calls and outcomes.

    The do-not-call list is not changed, and adding a list that still has them adds them again. Exit
    codes: 0 nothing is left of them, 1 it was not confirmed, or they are being dialled, 2 wrong
    usage.

    Args:
        number: Their phone number; spaces in it need no quotes.
        key: Their key, instead of NUMBER.
        yes: Do not ask for confirmation. Required where there is no terminal.
        json: Print the number of contacts deleted, as one line of JSON.
    """
    from exotel_async.cli.campaign_forget import forget  # noqa: PLC0415

    whole = None if number is None else " ".join([number, *more])
    do = partial(forget, number=whole, key=key, yes=yes, as_json=json)
    return _work(ledger, do, as_json=json)


@app.command
def resolve(
    name: Name,
    /,
    *,
    key: Annotated[str | None, _NO_DEFAULT] = None,
    call: Annotated[str | None, _NO_DEFAULT] = None,
    not_placed: Annotated[bool, _FLAG] = False,
    numbers: Annotated[bool, _FLAG] = False,
    ledger: LedgerPlace = DEFAULT_LEDGER,
    json: Annotated[bool, JSON] = False,
    service: Service = _EVERYWHERE,
) -> Work:
    """Resolve the unresolved contacts: you choose which call was theirs, or that none was placed.

    For each contact it shows the calls that may be the contact's. Without a terminal it lists them
    and changes nothing. Exit codes: 0 none is unresolved any more, 1 failed, 2 wrong usage, 4 some
    are unresolved, 130 interrupted.

    Args:
        key: Resolve only this contact, with --call or --not-placed: its key, or its number if it
            was added without a key.
        call: The SID of the contact's call. If Exotel accepted that call, and nothing shows how it
            ended, the contact counts as reached, and is not dialled again.
        not_placed: No call was placed for it: it is dialled again, unless its campaign was
            cancelled. Refused if Exotel accepted its call.
        numbers: Show phone numbers with all their digits.
        json: Ask nothing; print each contact, and the calls that may be the contact's, as one
            line of JSON.
    """
    from exotel_async.cli.campaign_resolve import ResolveArguments, resolve  # noqa: PLC0415

    arguments = ResolveArguments(
        name=name,
        key=key,
        call=call,
        not_placed=not_placed,
        whole=numbers,
        as_json=json,
        service=service,
    )
    return _work(ledger, partial(resolve, arguments=arguments), as_json=json)

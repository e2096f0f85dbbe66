"""The ledger that the commands of `campaign` read and change."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from attrs import field, frozen

from exotel_async import ConfigurationError, ExotelError, InvalidRequest
from exotel_async.campaigns import CampaignAdmin, Ledger
from exotel_async.campaigns.clock import from_ms
from exotel_async.campaigns.entries import CampaignEntry, Holder
from exotel_async.campaigns.ledger_sqlite import SQLite
from exotel_async.cli.campaign_words import command
from exotel_async.cli.export_sink import Refusal
from exotel_async.cli.ledger_option import DEFAULT_LEDGER, LEDGER_VARIABLE, shown_place
from exotel_async.cli.service import Misuse, exit_of, kind_of, option_of
from exotel_async.cli.terminal import Exit, counted, note, one_line, out, report_problem
from exotel_async.cli.time_arguments import shown_moment

_MAX_NAMES: Final = 10
_ARGUMENTS: Final = {"name": "NAME", "number": "NUMBER"}


@frozen(kw_only=True)
class OpenLedger:
    """An open ledger, for a command that may wait for a person's answer between its steps.

    Attributes:
        place: the value of `--ledger`.
        ledger: the ledger.
        admin: administers it.
        do: runs a coroutine to its end, always in the same event loop. Between the calls that loop
            does not run, so no task that must not stop while a person thinks may be started in it.
    """

    place: str = field(repr=shown_place)
    ledger: Ledger
    admin: CampaignAdmin
    do: Callable[[Coroutine[Any, Any, Any]], Any]

    def entry(self, name: str) -> CampaignEntry:
        """Return a campaign.

        Raises:
            InvalidRequest: there is none of that name; the text lists those there are.
        """
        entry: CampaignEntry | None = self.do(self.ledger.campaign(name))
        if entry is not None:
            return entry
        names: list[str] = self.do(self.admin.names())
        raise InvalidRequest("name", name, f"is not a campaign in this ledger{_which(names)}")

    def dialer(self) -> Holder | None:
        """Return the process that dials from this ledger; None: there is none."""
        found: Holder | None = self.do(self.admin.running_dialer())
        return found

    def command(self, action: str, name: str) -> str:
        """Return the shell command for an action on a campaign, without any password."""
        usual = os.environ.get(LEDGER_VARIABLE) or DEFAULT_LEDGER
        place = None if self.place == usual else shown_place(self.place)
        return one_line(command(action, name, place))


def administer(place: str, work: Callable[[OpenLedger], Exit], *, as_json: bool) -> Exit:
    """Open an existing ledger, run a command on it, and report errors.

    Args:
        place: the path of a file, or a URL.
        work: the command; it returns the exit code.
        as_json: whether to print errors as JSON as well.
    """
    try:
        with opened(place) as ledger:
            return work(ledger)
    except (KeyboardInterrupt, asyncio.CancelledError):
        if not out.quiet:  # else the reader has closed the pipe, as `head` does
            report_problem("interrupted", kind=KeyboardInterrupt.__name__, as_json=as_json)
        return Exit.INTERRUPTED
    except ExotelError as error:
        report_problem(_explain(error), kind=kind_of(error), as_json=as_json)
        return exit_of(error)
    except Refusal as error:
        report_problem(str(error), kind=Refusal.__name__, as_json=as_json)
        return Exit.FAILED


@contextmanager
def opened(place: str) -> Iterator[OpenLedger]:
    """Open an existing ledger.

    Raises:
        Misuse: it does not exist, or `place` cannot be that of a ledger.
        ExotelError: it cannot be used.
    """
    ledger = ledger_at(place)
    with asyncio.Runner() as runner:
        runner.run(_must_be_there(ledger, place))
        runner.run(ledger.open())
        try:
            yield OpenLedger(place=place, ledger=ledger, admin=CampaignAdmin(ledger), do=runner.run)
        finally:
            runner.run(ledger.close())


class _ReportingLedger(Ledger):
    """A ledger that tells the user of a new file: in another folder, a path is another ledger."""

    async def open(self) -> None:
        place = self._database
        # If the path cannot be checked, `open` raises with the reason.
        is_new = isinstance(place, SQLite) and not await asyncio.to_thread(
            os.path.exists, place.path
        )
        await super().open()
        if is_new:
            note(f"New ledger: {one_line(str(place))}")


def ledger_at(place: str) -> Ledger:
    """Return the ledger that `--ledger` names; it need not exist.

    Raises:
        Misuse: `place` cannot be that of a ledger.
    """
    try:
        return _ReportingLedger(place)
    except ConfigurationError as error:
        raise Misuse(str(error)) from None


def shown_dialer(dialer: Holder) -> str:
    """Return a text that says which process dials from a ledger, and since when."""
    since = shown_moment(since_of(dialer))
    return f"process {dialer.pid} on {one_line(dialer.host)}, since {since}"


def since_of(dialer: Holder) -> datetime:
    """Return since when a process has held a ledger."""
    return from_ms(dialer.since)


def dialer_as_json(dialer: Holder | None) -> dict[str, Any] | None:
    """Return the process that dials from a ledger as JSON-compatible values."""
    if dialer is None:
        return None
    return {"host": dialer.host, "pid": dialer.pid, "since": since_of(dialer).isoformat()}


async def _must_be_there(ledger: Ledger, place: str) -> None:
    if not await ledger.exists():
        raise Misuse(
            f"there is no ledger {shown_place(place)}: give its file, or a postgresql:// URL, with "
            f"--ledger or {LEDGER_VARIABLE}"
        )


def _which(names: list[str]) -> str:
    if not names:
        return ", which has none"
    more = len(names) - _MAX_NAMES
    shown = [one_line(name) for name in names[:_MAX_NAMES]]
    return f"; its campaigns: {', '.join(shown)}" + (
        f" and {counted(more, 'other')}" if more > 0 else ""
    )


def _explain(error: ExotelError) -> str:
    if isinstance(error, InvalidRequest):
        return f"{option_of(error.argument, _ARGUMENTS)} {error.shown} {error.rule}"
    return str(error)

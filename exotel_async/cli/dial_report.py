"""Reports how a run of `exotel-async dial` ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import field, frozen
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from exotel_async.campaigns import CampaignState, CampaignStatistics, ContactState
from exotel_async.cli.campaign_words import (
    STYLES,
    by_frequency,
    clock,
    command,
    masked_key,
    money,
    outcomes_of,
    percent,
    plain,
    why_unresolved,
)
from exotel_async.cli.terminal import Exit, counted, one_line
from exotel_async.cli.time_arguments import shown_length
from exotel_async.masking import mask_number, masked, redact

_MAX_OPEN: Final = 10
_NOT_ENDED: Final = "not over, or not known"
_AGAIN: Final = "run the same command to continue"
_CANCELLED: Final = "cancelled: nobody is dialled any more"


@frozen(kw_only=True)
class OpenCall:
    """A call that was in progress, or being placed, when the run was stopped.

    Attributes:
        number: the number that was dialled.
        key: the contact's key.
        others: the contact's other numbers.
        sid: the call's SID; None: not known.
    """

    number: str = field(repr=masked)
    key: str = field(repr=masked)
    others: Sequence[str] = field(default=(), repr=False)
    sid: str | None = None

    @property
    def shown_key(self) -> str:
        """The key, masked if it contains a number of the contact."""
        return masked_key(self.key, self.number, *self.others)

    def __str__(self) -> str:
        key, number = one_line(self.shown_key), mask_number(one_line(self.number))
        sid = "SID not known" if self.sid is None else one_line(self.sid)
        return ", ".join([number, sid] if key == number else [key, number, sid])


@frozen(kw_only=True)
class DialEnd:
    """How a run ended.

    Attributes:
        exit_code: OK: all contacts have their outcome; NOT_COMPLETED: all have, but some are
            unresolved, or the campaign was cancelled and some are in doubt; OUTSIDE_HOURS: the rest
            may not be dialled now; INTERRUPTED: by a person or a service manager; FAILED: by
            errors.
        statistics: the campaign's contacts and calls.
        now: the time of the end, aware.
        elapsed: seconds since the start.
        opens_at: when calling hours begin again; None: not known, or never.
        open_calls: the calls that had not ended.
        problem: what stopped the run, if errors did.
        ledger: the ledger as it was given; None: the default one.
        is_ledger_lost: whether it ended because it has lost the ledger (see `LedgerLost`).
    """

    exit_code: Exit
    statistics: CampaignStatistics
    now: datetime
    elapsed: float
    opens_at: datetime | None = None
    open_calls: Sequence[OpenCall] = ()
    problem: str | None = None
    ledger: str | None = None
    is_ledger_lost: bool = False

    @property
    def last_line(self) -> str:
        """How it ended, and what to do next."""
        match self.exit_code:
            case Exit.OK | Exit.NOT_COMPLETED:
                what = self._done
            case Exit.OUTSIDE_HOURS:
                what = self._outside_hours
            case Exit.INTERRUPTED:
                what = f"interrupted: {self._rest}; {self._what_next}"
            case _:
                what = f"stopped by errors: {self._rest}; {self._what_next}"
        return what

    @property
    def _done(self) -> str:
        known = self.statistics
        left = [
            f"{counted(number, 'contact')} {_are(number)} {word}"
            for word, number in (("unresolved", known.unresolved), ("in doubt", known.in_doubt))
            if number
        ]
        if known.state is CampaignState.CANCELED:
            return "; ".join([_CANCELLED, *left])
        if left:
            return f"done, but {' and '.join(left)}"
        if not known.created:
            return "all done: the campaign has no contacts"
        return f"all done: {counted(known.created, 'contact')}, each with an outcome"

    @property
    def _outside_hours(self) -> str:
        if self.opens_at is None:  # contacts were added when all others had their outcome
            return f"not dialled in time: {self._rest}; {self._what_next}"
        what_next = self._what_next
        if what_next == _AGAIN:
            what_next = "run the same command then to continue, or with --wait-for-hours now"
        opens = clock(self.opens_at, self.now)
        return f"outside calling hours until {opens}; {self._rest}; {what_next}"

    @property
    def _rest(self) -> str:
        pending = self.statistics.pending
        rest = f"{counted(pending, 'contact')} {_are(pending)} left to dial"
        if number := len(self.open_calls):
            has = "has" if number == 1 else "have"
            return f"{rest}, {counted(number, 'call')} {has} not ended"
        return rest

    @property
    def _what_next(self) -> str:
        if self.is_ledger_lost:
            return "check the ledger before you run the same command again"
        state = self.statistics.state
        if state in {CampaignState.PAUSED, CampaignState.FAILED}:
            resumes = f"{command('resume', self.statistics.name, self.ledger)} continues it"
            if self.exit_code is Exit.FAILED:
                return resumes
            why = "it is paused" if state is CampaignState.PAUSED else "it has failed"
            return f"{why}: {resumes}"
        return _CANCELLED if state is CampaignState.CANCELED else _AGAIN


def show_report(console: Console, end: DialEnd) -> None:
    """Print how a run ended: who was reached, how calls ended, and what to do next."""
    console.print(_contacts(end.statistics))
    if end.statistics.attempts:
        console.print()
        console.print(_calls(end.statistics))
    console.print()
    for text, style in _lines(end):
        if console.is_terminal:
            line = text.lstrip()
            console.print(Padding(Text(line, style=style), (0, 0, 0, len(text) - len(line))))
        else:  # unwrapped, as a program may read it
            console.print(text, soft_wrap=True)


def _contacts(statistics: CampaignStatistics) -> Table:
    table, known = _table("contacts"), outcomes_of(statistics)
    still = {
        "in progress": statistics.in_progress,
        "in doubt": statistics.in_doubt,
        "to be dialled": statistics.pending,
    }
    always = ContactState.REACHED, ContactState.NOT_REACHED
    rows = [(state, number) for state, number in known.items() if number or state in always]
    for word, number in [*rows, *((word, number) for word, number in still.items() if number)]:
        style = STYLES[word] if isinstance(word, ContactState) and word in STYLES else ""
        name = Text(plain(word), style=style)
        table.add_row(name, f"{number:,}", percent(number, statistics.created))
    table.add_row("in all", f"{statistics.created:,}", "", style="bold")
    return table


def _calls(statistics: CampaignStatistics) -> Table:
    table, placed, ended = _table("calls"), statistics.attempts, by_frequency(statistics)
    not_ended = placed - sum(statistics.statuses.values())
    rows = [*ended, (_NOT_ENDED, not_ended)] if not_ended > 0 else ended
    for word, number in rows:
        table.add_row(plain(one_line(word)), f"{number:,}", percent(number, placed))
    table.add_row("in all", f"{placed:,}", "", style="bold")
    return table


def _table(what: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(what, min_width=len(_NOT_ENDED))
    table.add_column("number", justify="right")
    table.add_column("share", justify="right")
    return table


def _lines(end: DialEnd) -> Iterator[tuple[str, str]]:
    """Yield the lines below the tables, each with its style."""
    statistics = end.statistics
    yield f"time       {shown_length(timedelta(seconds=end.elapsed))}", ""
    if statistics.talk_time:
        yield f"talk time  {shown_length(statistics.talk_time)}", ""
    if statistics.price:
        yield f"cost       {money(statistics.price)}, in the account's currency, so far", ""
    if number := statistics.unresolved:
        style = STYLES[ContactState.UNRESOLVED]
        yield (
            f"{counted(number, 'contact')} unresolved: {why_unresolved(statistics)}; resolve with",
            style,
        )
        yield f"  {command('resolve', statistics.name, end.ledger)}", style
    if end.open_calls:
        yield "not ended:", "bold"
        for contact in end.open_calls[:_MAX_OPEN]:
            yield f"  {contact}", ""
        if (more := len(end.open_calls) - _MAX_OPEN) > 0:
            yield f"  and {more:,} more", ""
    if problem := end.problem or statistics.reason:
        yield redact(one_line(problem)), "red"
    yield end.last_line, "bold"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"

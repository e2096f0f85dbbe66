"""Displays a campaign while it is dialled: a panel on a terminal, else a line now and then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen
from rich.console import Group
from rich.table import Table
from rich.text import Text

from exotel_async import IST, LimiterStatistics
from exotel_async.calls.wait_state import SETTLED_AFTER
from exotel_async.campaigns import CampaignState, CampaignStatistics, ContactState
from exotel_async.campaigns.ledger_contacts import MAX_RETRIES_COUNTED
from exotel_async.cli.campaign_words import (
    STYLES,
    by_frequency,
    clock,
    command,
    counts,
    finished,
    length,
    money,
    outcomes_of,
    percent,
    plain,
    why_unresolved,
)
from exotel_async.cli.progress import LINE_EVERY, bar, in_use
from exotel_async.cli.terminal import counted, one_line
from exotel_async.cli.time_arguments import shown_length
from exotel_async.masking import redact

_PROBLEMS: Final = 3
_LABEL: Final = 11
_GAP: Final = 2
_EDGE: Final = 3  # columns that `progress` leaves free
_DAY: Final = timedelta(days=1)
_STATES: Final = tuple(CampaignState)
_STOPPED: Final = (CampaignState.PAUSED, CampaignState.FAILED)
_AT_REST: Final = (*_STOPPED, CampaignState.CANCELED)
_PRICES: Final = (
    f"for the prices of the last calls, {SETTLED_AFTER.total_seconds() / 60:.0f} minutes at most"
)


@frozen(kw_only=True)
class Problem:
    """Something that went wrong, without stopping the run.

    Attributes:
        at: when it last happened, an aware time.
        text: what went wrong.
        count: how often in a row.
    """

    at: datetime
    text: str
    count: int = 1

    @property
    def shown(self) -> str:
        """What went wrong, in one line, with phone numbers masked."""
        return redact(one_line(self.text))

    def __str__(self) -> str:
        times = "" if self.count == 1 else f" ({self.count:,} times)"
        return f"{self.at.astimezone(IST):%H:%M}{times} {self.shown}"


@frozen(kw_only=True)
class Stopping:
    """A run that has stopped dialling, by Ctrl-C or calling hours: it waits for calls in progress.

    Attributes:
        since: since when, an aware time.
        calls: calls in progress.
        until: when the last of them must be over by its time limit; None: no limit is known.
        by_hours: whether calling hours have ended, and nobody has interrupted it.
    """

    since: datetime
    calls: int
    until: datetime | None = None
    by_hours: bool = False

    def text(self, now: datetime) -> str:
        """Return what is waited for, and until when at the latest."""
        until = "" if self.until is None else f", until {clock(self.until, now)} at the latest"
        again = "" if self.by_hours else "; Ctrl-C again stops at once"
        if not self.calls:
            return f"stopping{again}"
        return f"waiting for {counted(self.calls, 'call')} to end{until}{again}"


@frozen(kw_only=True)
class DialProgress:
    """The progress of a campaign that is being dialled.

    Attributes:
        statistics: its contacts and calls.
        limiter: the statistics of the session's limiter.
        budget: requests a minute.
        channels_in_use: legs in progress.
        channels: how many there may be; None: any number.
        retries: contacts that wait to be dialled again.
        next_retry_at: when the first of them is due, an aware time.
        now: the time of this snapshot, aware.
        elapsed: seconds since the start.
        forecast: how long the rest takes if dialling continues; None: not known.
        opens_at: when calling hours begin; None: they are open, or nobody is left to dial.
        problems: the last ones, the newest last.
        stopping: what is waited for before the run ends; None: it continues.
        ledger: the ledger as it was given; None: the default one.
    """

    statistics: CampaignStatistics
    limiter: LimiterStatistics
    budget: int
    channels_in_use: int
    channels: int | None = None
    retries: int = 0
    next_retry_at: datetime | None = None
    now: datetime
    elapsed: float
    forecast: timedelta | None = None
    opens_at: datetime | None = None
    problems: Sequence[Problem] = ()
    stopping: Stopping | None = None
    ledger: str | None = None

    @property
    def time_left(self) -> timedelta | None:
        """How long the rest takes; None: not known, or dialling has stopped."""
        continues = self.stopping is None and self.statistics.state not in _AT_REST
        return self.forecast if continues and not self._waits_for_prices else None

    @property
    def step(self) -> int:
        """A number that changes each half minute, and whenever something important changes."""
        important = _STATES.index(self.statistics.state)
        for is_so in (self.opens_at, self.stopping, self.statistics.unresolved):
            important = 2 * important + bool(is_so)
        most = 8 * len(_STATES)
        return most * (1 + int(self.elapsed / LINE_EVERY)) + important

    def __str__(self) -> str:
        outcomes = ", ".join(counts(outcomes_of(self.statistics).items()))
        parts = [*self._alerts(), *([f"waiting {_PRICES}"] if self._waits_for_prices else [])]
        parts += [f"done {self._done}: {outcomes}" if outcomes else f"done {self._done}"]
        ended = f": {', '.join(self._ended)}" if self._ended else ""
        placed = f"{counted(self.statistics.attempts, 'call')} placed"
        parts += [f"{placed}{ended}", ", ".join(self._open)]
        parts += [f"waiting for a retry: {self._retries}"] if self.retries else []
        parts += [f"budget {in_use(self.limiter, self.budget)}", self._channels]
        parts += [f"cost so far {self._cost}"] if self._cost else []
        parts.append(self._time)
        parts += [f"last error {problem}" for problem in self.problems[-1:]]
        return "; ".join(parts)

    def panel(self, width: int) -> Group:
        """Return bars for contacts, budget and channels, with lines for the rest below."""
        alerts = [Text(alert, style="bold yellow") for alert in self._alerts()]
        return Group(self._bars(width), *alerts, self._lines(width - _LABEL - _GAP - _EDGE))

    def _bars(self, width: int) -> Table:
        bars = _grid()
        bars.add_column(no_wrap=True)
        bars.add_column(overflow="fold")
        created, most = self.statistics.created, self.channels
        done = finished(self.statistics) / created if created else 0.0
        bars.add_row("done", bar(done, width), self._done)
        used = self.limiter.window_used / self.budget
        bars.add_row("budget", bar(used, width, full="yellow"), in_use(self.limiter, self.budget))
        if most is not None:
            held = bar(self.channels_in_use / most, width, full="yellow")
            bars.add_row("channels", held, self._channels)
        return bars

    def _lines(self, width: int) -> Table:
        known = outcomes_of(self.statistics)
        unresolved = known.pop(ContactState.UNRESOLVED)
        lines = _grid()
        lines.add_column(overflow="fold")
        if self.channels is None:
            lines.add_row("channels", self._channels)
        lines.add_row("time", self._time)
        if self._waits_for_prices:
            lines.add_row("waiting", _PRICES)
        if any(known.values()):
            styled = [
                Text(word, style=STYLES.get(state, ""))
                for state, number in known.items()
                for word in counts([(state, number)])
            ]
            lines.add_row("outcomes", _joined(styled, width))
        if unresolved:
            style = STYLES[ContactState.UNRESOLVED]
            text = f"{counted(unresolved, 'contact')}: {why_unresolved(self.statistics)}"
            lines.add_row(Text("unresolved", style=style), Text(text, style=style))
        lines.add_row("calls", f"{self.statistics.attempts:,} placed")
        if self._ended:
            lines.add_row("ended", _joined(map(Text, self._ended), width))
        lines.add_row("contacts", _joined(map(Text, self._open), width))
        if self.retries:
            lines.add_row("retries", self._retries)
        if self._cost:
            lines.add_row("cost", f"{self._cost} so far")
        problems = self.problems[-_PROBLEMS:]
        for problem in problems:
            line = Text(str(problem), overflow="ellipsis")
            line.no_wrap = problem is not problems[-1]  # the newest is shown in full
            lines.add_row("errors" if problem is problems[0] else "", line)
        if self._waits_for_prices:
            lines.add_row("Ctrl-C", "ends without them")
        elif self.stopping is None:
            lines.add_row("Ctrl-C", "stops dialling, waits for the calls in progress, and ends")
        return lines

    def _alerts(self) -> Iterator[str]:
        """Yield what keeps it from dialling, and what to do about it."""
        statistics = self.statistics
        word = plain(statistics.state)
        if statistics.state in _STOPPED:
            resumes = f"{command('resume', statistics.name, self.ledger)} continues it"
            if statistics.reason:
                yield f"{word}: {redact(one_line(statistics.reason))}"
                yield resumes
            else:
                yield f"{word}: {resumes}"
        elif statistics.state is CampaignState.CANCELED:
            yield f"{word}: nobody is dialled any more"
        if self.opens_at is not None:
            yield f"outside calling hours until {clock(self.opens_at, self.now)}"
        if self.stopping is not None and (self.stopping.calls or not self.stopping.by_hours):
            yield self.stopping.text(self.now)

    @property
    def _waits_for_prices(self) -> bool:
        """Whether all contacts have their outcome, and only prices are waited for."""
        statistics = self.statistics
        is_done = finished(statistics) == statistics.created and statistics.attempts > 0
        return is_done and self.stopping is None

    @property
    def _ended(self) -> Sequence[str]:
        return counts(by_frequency(self.statistics))

    @property
    def _open(self) -> Sequence[str]:
        statistics = self.statistics
        return [
            f"{statistics.in_progress:,} in progress",
            *counts([("in doubt", statistics.in_doubt)]),
            f"{statistics.pending:,} to be dialled",
        ]

    @property
    def _retries(self) -> str:
        or_more = " or more" if self.retries >= MAX_RETRIES_COUNTED else ""
        return f"{self.retries:,}{or_more}{self._next_retry}"

    @property
    def _next_retry(self) -> str:
        if self.next_retry_at is None:
            return ""
        gap = self.next_retry_at - self.now
        if gap >= _DAY:
            return f", next {clock(self.next_retry_at, self.now)}"
        return f", next in {shown_length(gap)}" if gap > timedelta() else ", next now"

    @property
    def _done(self) -> str:
        done, created = finished(self.statistics), self.statistics.created
        return f"{done:,} of {counted(created, 'contact')} ({percent(done, created)})"

    @property
    def _channels(self) -> str:
        of = "" if self.channels is None else f" of {self.channels:,}"
        return f"{self.channels_in_use:,}{of} channels in use"

    @property
    def _cost(self) -> str:
        return money(self.statistics.price) if self.statistics.price else ""

    @property
    def _time(self) -> str:
        time = shown_length(timedelta(seconds=self.elapsed))
        if self.time_left is None:
            return time
        until = clock(self.now + self.time_left, self.now)
        return f"{time}, about {length(self.time_left)} left, until {until}"


def _grid() -> Table:
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    grid.add_column(min_width=_LABEL, no_wrap=True)
    return grid


def _joined(words: Iterable[Text], width: int) -> Text:
    """Return counts separated by commas, and wrapped between counts to the width."""
    text, used = Text(), 0
    for word in words:
        if text:
            is_full = used + word.cell_len + 3 > width
            text.append(",\n" if is_full else ", ")
            used = 0 if is_full else used + 2
        text.append_text(word)
        used += word.cell_len
    return text

"""What `exotel-async dial --dry-run` prints: who would be dialled, when, and what it would take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from math import floor
from typing import Any, Final

from attrs import field, frozen
from rich.console import Console
from rich.table import Table

from exotel_async import IST
from exotel_async.campaigns import Campaign
from exotel_async.cli.campaign_settings import settings_in_words, zone_name
from exotel_async.cli.campaign_words import clock, duration_in_words, in_seconds, money
from exotel_async.cli.contact_list import FORGET, first_keys
from exotel_async.cli.dial_forecast import REQUESTS_PER_CALL, Forecast, Limit
from exotel_async.cli.dial_windows import Window
from exotel_async.cli.terminal import counted, one_line
from exotel_async.cli.time_arguments import iso_in_ist
from exotel_async.masking import redact

FIRST: Final = "Dry run: nobody is dialled, and nothing is written."
LAST: Final = "Dry run: nobody was dialled, and nothing was written."

_MINUTE: Final = timedelta(minutes=1)
_MAX_WINDOWS: Final = 7
_MAX_REASONS: Final = 8
_MAX_LINES: Final = 5
_LABEL: Final = 15
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Entry = tuple[str, str]
"""A label and a text; the label is empty if it is the same as that of the entry before."""


@frozen(kw_only=True)
class Rejection:
    """Rows that are not taken for the same reason.

    Attributes:
        reason: why they are not taken.
        count: how many they are.
        lines: the lines of the first ones in the file.
    """

    reason: str
    count: int
    lines: Sequence[int] = ()

    def __str__(self) -> str:
        first = self.lines[:_MAX_LINES]
        more = self.count - len(first)
        lines = ", ".join(map(str, first)) + (f" and {more:,} more" if more and first else "")
        word = "line" if self.count == 1 else "lines"
        where = f" ({word} {lines})" if first else ""
        return f"{self.count:,}: {redact(one_line(self.reason))}{where}"


@frozen(kw_only=True)
class DryRun:
    """What would be done with a file and its campaign.

    Each row is one of `taken`, `duplicates`, `in_campaign`, `do_not_call` and `rejected`.

    Attributes:
        path: the file, as it was given.
        column: the name of the column with the numbers, or its letter.
        found_by: how that was found: by "its header", "its contents" or "--map"; or that it is "the
            only column".
        notes: further remarks on the file.
        taken: rows whose contacts would be added, to be dialled.
        duplicates: rows whose contact is further up in the file.
        in_campaign: rows whose contact is in the campaign already.
        keys_with_other_number: the keys of those whose number is another one there.
        do_not_call: rows with a number on the do-not-call list.
        rejected: rows with something wrong, by reason, the most frequent first.
        campaign: the campaign.
        pending: contacts that the campaign has already, and that are still to be dialled.
        resume: the command that a campaign needs that is paused or has failed; None: it needs none.
        forecast: when its contacts would be dialled.
    """

    path: str
    column: str
    found_by: str
    notes: Sequence[str] = ()
    taken: int
    duplicates: int = 0
    in_campaign: int = 0
    keys_with_other_number: Sequence[str] = field(default=(), repr=False)
    do_not_call: int = 0
    rejected: Sequence[Rejection] = ()
    campaign: Campaign
    pending: int = 0
    resume: str | None = None
    forecast: Forecast

    @property
    def total_rejected(self) -> int:
        """Rows with something wrong."""
        return sum(one.count for one in self.rejected)

    @property
    def rows(self) -> int:
        """Rows that are not empty, without the header."""
        others = self.duplicates + self.in_campaign + self.do_not_call
        return self.taken + others + self.total_rejected

    def as_json(self) -> dict[str, Any]:
        """Return JSON-compatible values: times with their offset, durations in seconds."""
        return {
            "dry_run": True,
            "file": self.path,
            "column": redact(self.column),
            "found_by": self.found_by,
            "notes": [redact(note) for note in self.notes],
            "rows": self.rows,
            "taken": self.taken,
            "duplicates": self.duplicates,
            "in_campaign": self.in_campaign,
            "other_number": len(self.keys_with_other_number),
            "pending": self.pending,
            "resume": self.resume,
            "do_not_call": self.do_not_call,
            "rejected": [
                {"reason": redact(one.reason), "count": one.count, "lines": list(one.lines)}
                for one in self.rejected
            ],
            "campaign": {
                word.lower().replace(" ", "_"): "; ".join(texts)
                for word, texts in settings_in_words(self.campaign).items()
            },
            "forecast": _forecast_json(self.forecast),
        }


def show_dry_run(console: Console, run: DryRun) -> None:
    """Print the result of a dry run: in columns on a terminal, in plain lines elsewhere."""
    laid_out = console.is_terminal
    console.print(FIRST, style="bold", soft_wrap=not laid_out)
    for title, entries in (
        ("File", list(_file(run))),
        ("Campaign", list(_campaign(run))),
        ("Forecast", list(_forecast(run))),
        (f"When contacts are dialled ({_order(run)})", list(_windows(run.forecast))),
    ):
        if not entries:
            continue
        console.print()
        console.print(title, style="bold", soft_wrap=not laid_out)
        if laid_out:
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(min_width=_LABEL, no_wrap=True)
            grid.add_column(overflow="fold")
            for label, text in entries:
                grid.add_row(label, text)
            console.print(grid)
        else:
            last = ""
            for label, text in entries:
                last = label or last
                console.print(f"  {last}: {text}", soft_wrap=True)
    console.print()
    console.print(LAST, style="bold", soft_wrap=not laid_out)


def _file(run: DryRun) -> Iterator[Entry]:
    yield "file", one_line(run.path)
    found = run.found_by if run.found_by == "the only column" else f"found by {run.found_by}"
    yield "numbers", f"in the column {redact(one_line(run.column))}, {found}"
    for number, note in enumerate(run.notes):
        yield "" if number else "note", redact(one_line(note))
    yield "rows", f"{run.rows:,}"
    before = f", and {run.pending:,} left in the campaign from before" if run.pending else ""
    yield "to be dialled", f"{run.taken:,}{before}"
    for label, count, what in (
        ("duplicates", run.duplicates, "in the file more than once"),
        ("in campaign", run.in_campaign, "already in the campaign"),
        ("do not call", run.do_not_call, "on the do-not-call list"),
    ):
        if count:
            yield label, f"{count:,}, {what}"
        if label == "in campaign" and (keys := run.keys_with_other_number):
            kept = f"another number there, which is kept: {first_keys(keys)}"
            yield "", f"{len(keys):,} of them with {kept}"
            yield "", f"to replace it, run {FORGET} before"
    yield "rejected", f"{run.total_rejected:,}"
    by_count = sorted(run.rejected, key=lambda one: -one.count)
    # To show one more reason takes no more lines than to say that there is one more.
    most = len(by_count) if len(by_count) == _MAX_REASONS + 1 else _MAX_REASONS
    for rejection in by_count[:most]:
        yield "", str(rejection)
    if more := by_count[most:]:
        rest = sum(one.count for one in more)
        yield "", f"{rest:,} for {len(more):,} other reasons"


def _order(run: DryRun) -> str:
    before = f"the {run.pending:,} from before first, then " if run.pending else ""
    return f"{before}in the order of the file; this forecast ignores priority and not_before"


def _campaign(run: DryRun) -> Iterator[Entry]:
    for word, texts in settings_in_words(run.campaign).items():
        for number, text in enumerate(texts):
            yield "" if number else word, text


def _forecast(run: DryRun) -> Iterator[Entry]:
    forecast, campaign = run.forecast, run.campaign
    if run.resume is not None:
        yield "resume", f"no contact is dialled until you run: {one_line(run.resume)}"
    if not forecast.total:
        yield "contacts", "there is nobody to dial"
        return
    for number, (zone, left) in enumerate(forecast.left.items()):
        yield "" if number else "not dialled", _left(forecast, zone, left)
    if forecast.first_end is None or forecast.end is None:
        return
    yield "pace", _pace(forecast, campaign)
    yield "first attempts", f"until about {_when(forecast.first_end, forecast.now)}"
    if forecast.is_beyond:
        yield "with retries", "more than a year; the forecast looks no further"
    elif forecast.attempts > 1:
        yield "with retries", f"until about {_when(forecast.end, forecast.now)} at the latest"
    if forecast.limit is Limit.HOURS:
        yield "limited by", "calling hours, which are closed most of the time until then"
    yield "calls", f"about {forecast.calls:,}, {forecast.attempts:.2f} for each contact"
    yield "talk", f"about {counted(round(forecast.talk.total_seconds() / 60), 'minute')}"
    if forecast.cost is not None and forecast.price is not None:
        cost = f"about {money(forecast.cost)} at {forecast.price:f} a minute"
        yield "cost", f"{cost}, in the account's currency"
    yield from _assumptions(forecast, campaign)


def _windows(forecast: Forecast) -> Iterator[Entry]:
    for window in _shown(forecast.windows):
        if window is None:
            yield "", f"and {len(forecast.windows) - _MAX_WINDOWS:,} more times, until"
        else:
            yield _window(window)


def _pace(forecast: Forecast, campaign: Campaign) -> str:
    match forecast.pace.limit:
        case Limit.CHANNELS:
            each = "" if campaign.legs == 1 else f", {campaign.legs} for each call"
            why = f"{counted(forecast.channels or 0, 'channel')}{each}"
        case Limit.THROTTLE:
            why = "the throttle"
        case _:
            why = f"the budget of {counted(forecast.budget, 'request')} a minute"
    per_minute = floor(forecast.pace.per_minute)
    if per_minute:
        return f"about {counted(per_minute, 'call')} a minute, limited by {why}"
    if per_hour := floor(60 * forecast.pace.per_minute):
        return f"about {counted(per_hour, 'call')} an hour, limited by {why}"
    gap = duration_in_words(timedelta(minutes=float(1 / forecast.pace.per_minute)))
    return f"about one call every {gap}, limited by {why}"


def _shown(windows: Sequence[Window]) -> Sequence[Window | None]:
    """Return the first windows and the last one; None stands for those between them."""
    if len(windows) <= _MAX_WINDOWS:
        return windows
    return [*windows[: _MAX_WINDOWS - 1], None, windows[-1]]


def _window(window: Window) -> Entry:
    begin, end = window.begin.astimezone(IST), window.end.astimezone(IST)
    until = f" to {end:%H:%M}"
    if end - begin < _MINUTE:
        until = ""
    elif begin.date() != end.date():
        until = f" to {_day(end.date())} {end:%H:%M}"
    who = f"contacts {window.first:,} to {window.last:,}"
    if window.first == window.last:
        who = f"contact {window.first:,}"
    zone = "" if window.zone is None else f" of {zone_name(window.zone)}"
    return _day(begin.date()), f"{begin:%H:%M}{until} IST: {who}{zone}"


def _day(day: date) -> str:
    return f"{_WEEKDAYS[day.weekday()]} {day.isoformat()}"


def _when(moment: datetime, now: datetime) -> str:
    return f"{clock(moment, now)}, in {duration_in_words(moment - now)}"


def _left(forecast: Forecast, zone: str | None, left: int) -> str:
    if left == forecast.contacts[zone]:
        who = "the contact" if left == 1 else f"all {left:,} contacts"
    else:
        who = "the last contact" if left == 1 else f"the last {left:,} contacts"
    of = "" if zone is None else f" of {zone_name(zone)}"
    return f"{who}{of}: {_why_left(forecast)}"


def _why_left(forecast: Forecast) -> str:
    if forecast.end is None:
        return "the schedule does not open again"
    return "it takes more than a year" if forecast.is_beyond else "the schedule ends first"


def _assumptions(forecast: Forecast, campaign: Campaign) -> Iterator[Entry]:
    assumed = forecast.assumed
    source = f"as in {assumed.calls:,} calls so far: " if assumed.calls else ""
    shares = (
        f"{assumed.busy:.0%} busy, {assumed.no_answer:.0%} no answer, {assumed.failed:.0%} failed"
    )
    yield "assumed", f"{source}of the calls {shares}"
    ringing, talk = duration_in_words(assumed.ringing), duration_in_words(assumed.talk)
    yield "", f"each rings for {ringing}, and lasts {talk} if answered"
    requests = float(REQUESTS_PER_CALL)
    lookup = ", and another one to look each number up" if campaign.check_dnd else ""
    yield "", f"each takes {requests:.1f} requests: the dial, and reading how it ended{lookup}"
    if forecast.price is not None:
        each = "" if campaign.legs == 1 else ", for each of its two legs"
        yield "", f"each started minute of an answered call is charged{each}; plans differ"


def _forecast_json(forecast: Forecast) -> dict[str, Any]:
    assumed = forecast.assumed
    return {
        "now": _time(forecast.now),
        "contacts": forecast.total,
        "windows": [
            {
                "begin": _time(one.begin),
                "end": _time(one.end),
                "first": one.first,
                "last": one.last,
                "time_zone": one.zone,
            }
            for one in forecast.windows
        ],
        "first_end": _time(forecast.first_end),
        "end": _time(forecast.end),
        "not_dialled": [
            {"time_zone": zone, "contacts": left} for zone, left in forecast.left.items()
        ],
        "why_not_dialled": _why_left(forecast) if forecast.left else None,
        "calls": forecast.calls,
        "calls_per_contact": round(forecast.attempts, 3),
        "talk_time": in_seconds(forecast.talk),
        "minutes_charged": forecast.billed,
        "price_per_minute": None if forecast.price is None else f"{forecast.price:f}",
        "cost": None if forecast.cost is None else f"{forecast.cost:f}",
        "calls_per_minute": round(float(forecast.pace.per_minute), 2),
        "pace_limited_by": forecast.pace.limit.value,
        "limited_by": forecast.limit.value,
        "assumed": {
            "busy": round(assumed.busy, 3),
            "no_answer": round(assumed.no_answer, 3),
            "failed": round(assumed.failed, 3),
            "not_reached": round(assumed.not_reached, 3),
            "ringing": in_seconds(assumed.ringing),
            "talk": in_seconds(assumed.talk),
            "calls": assumed.calls,
        },
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso_in_ist(moment)

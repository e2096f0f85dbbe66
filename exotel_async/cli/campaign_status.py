"""`campaign status`: shows a campaign's progress and settings, and how to continue it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Any, Final

from attrs import frozen

from exotel_async.campaigns import Campaign, CampaignState, CampaignStatistics, ContactState
from exotel_async.campaigns.admin import settings_of
from exotel_async.campaigns.clock import from_ms
from exotel_async.campaigns.entries import CampaignEntry, Holder
from exotel_async.campaigns.ledger_contacts import MAX_RETRIES_COUNTED
from exotel_async.cli.campaign_ledger import OpenLedger, dialer_as_json, shown_dialer
from exotel_async.cli.campaign_screen import show_pairs, show_text
from exotel_async.cli.campaign_settings import settings_in_words
from exotel_async.cli.campaign_states import how_to_continue
from exotel_async.cli.campaign_words import (
    by_frequency,
    clock,
    counts,
    money,
    outcomes_of,
    plain,
    why_unresolved,
)
from exotel_async.cli.terminal import Exit, counted, out, show_json
from exotel_async.cli.time_arguments import shown_length

_ENDED: Final = (CampaignState.COMPLETED, CampaignState.CANCELED)
_STOPPED: Final = (CampaignState.PAUSED, CampaignState.FAILED)


@frozen(kw_only=True)
class _Status:
    """Everything that is shown of a campaign.

    Attributes:
        entry: the campaign.
        settings: as it was created.
        known: its statistics.
        dialer: the process that dials from the ledger.
        retries: contacts that wait for a retry.
        next_retry: when the next one is due.
        now: this moment.
    """

    entry: CampaignEntry
    settings: Campaign
    known: CampaignStatistics
    dialer: Holder | None
    retries: int
    next_retry: datetime | None
    now: datetime

    @property
    def opens_at(self) -> datetime | None:
        """When its hours open next, or this moment if they are open; None: never again."""
        return self.settings.schedule.next_open(self.now)

    @property
    def is_open(self) -> bool:
        """Whether its hours are open, for contacts without a time zone of their own."""
        return self.settings.schedule.is_open(self.now)

    @property
    def closes_at(self) -> datetime | None:
        """When its hours close; None: they are closed, or never do."""
        return self.settings.schedule.closes_at(self.now)


def status(ledger: OpenLedger, name: str, *, as_json: bool) -> Exit:
    """Print a campaign's progress and settings, and how to continue it."""
    current = _read(ledger, name)
    if as_json:
        show_json(_as_json(current))
        return Exit.OK
    show_pairs([*_progress(current), *_run(current)])
    out.print()
    show_pairs(_settings(current))
    for hint in _hints(current, ledger):
        out.print()
        show_text(hint)
    return Exit.OK


def _read(ledger: OpenLedger, name: str) -> _Status:
    entry = ledger.entry(name)
    number, due = ledger.do(ledger.ledger.retries(entry.id))
    return _Status(
        entry=entry,
        settings=settings_of(entry),
        known=ledger.do(ledger.admin.statistics(name)),
        dialer=ledger.dialer(),
        retries=number,
        next_retry=None if due is None else from_ms(due),
        now=datetime.now(UTC),
    )


def _progress(current: _Status) -> Iterator[tuple[str, str]]:
    known = current.known
    reason = f": {known.reason}" if known.reason else ""
    yield "campaign", known.name
    yield "state", f"{plain(known.state)}{reason}"
    yield "contacts", f"{known.created:,}"
    yield "  to be dialled", f"{known.pending:,}{_of_them_retries(current)}"
    for what, number in (("in progress", known.in_progress), ("in doubt", known.in_doubt)):
        if number:
            yield f"  {what}", f"{number:,}"
    for state, number in outcomes_of(known).items():
        if number or state is ContactState.REACHED:
            yield f"  {plain(state)}", f"{number:,}"
    ends = ", ".join(counts([*by_frequency(known), ("end not known", known.end_unknown)]))
    yield "calls", f"{known.attempts:,}" + (f": {ends}" if ends else "")
    if known.talk_time:
        yield "talk time", shown_length(known.talk_time)
    if known.price:
        yield "cost so far", f"{money(known.price)}, in the account's currency"


def _of_them_retries(current: _Status) -> str:
    if not current.retries:
        return ""
    if current.retries >= MAX_RETRIES_COUNTED:
        wait = f"{current.retries:,} or more of them waiting for retries"
    elif current.retries == current.known.pending:
        wait = "waiting for retries"
    else:
        wait = f"{current.retries:,} of them waiting for retries"
    due = current.next_retry
    if due is None:
        return f", {wait}"
    verb = "was" if due <= current.now else "is"
    return f", {wait}; the next one {verb} due at {clock(due, current.now)}"


def _run(current: _Status) -> Iterator[tuple[str, str]]:
    yield "dialled by", "no process" if current.dialer is None else shown_dialer(current.dialer)
    if current.known.state not in _ENDED:
        yield "now", _open_now(current)


def _open_now(current: _Status) -> str:
    if current.is_open:
        closes = current.closes_at
        return "open at all hours" if closes is None else f"open until {clock(closes, current.now)}"
    opens = current.opens_at
    if opens is None:
        return "closed for good: its schedule has ended"
    return f"closed until {clock(opens, current.now)}"


def _settings(current: _Status) -> Iterator[tuple[str, str]]:
    for word, lines in settings_in_words(current.settings).items():
        if word != "name":
            yield from zip(chain([word], repeat("")), lines, strict=False)
        own = [zone for zone in current.entry.zones if zone]
        if word == "time zone" and own:
            yield "", f"contacts with their own time zone: {', '.join(own)}"


def _hints(current: _Status, ledger: OpenLedger) -> Iterator[str]:
    name, state = current.known.name, current.known.state
    if state in _STOPPED or (current.dialer is None and state not in _ENDED):
        yield how_to_continue(ledger, current.entry)
    elif current.dialer is None and state is CampaignState.CANCELED and current.known.in_doubt:
        yield (
            "The next run of any campaign in this ledger searches the call records for the "
            "contacts in doubt."
        )
    if current.known.unresolved:
        number = current.known.unresolved
        yield (
            f"{counted(number, 'contact')} {'is' if number == 1 else 'are'} unresolved: "
            f"{why_unresolved(current.known)}. Resolve with: {ledger.command('resolve', name)}"
        )


def _as_json(current: _Status) -> dict[str, Any]:
    due = current.next_retry
    opens, closes = current.opens_at, current.closes_at
    return {
        **current.known.to_dict(),
        "dialer": dialer_as_json(current.dialer),
        "retries": current.retries,
        "next_retry_at": None if due is None else due.isoformat(),
        "is_open": current.is_open,
        "opens_at": None if opens is None else opens.isoformat(),
        "closes_at": None if closes is None else closes.isoformat(),
        "settings": current.settings.to_dict(),
    }

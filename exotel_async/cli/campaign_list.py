"""`campaign list`: lists the campaigns of a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from exotel_async.campaigns import CampaignStatistics
from exotel_async.campaigns.entries import Holder
from exotel_async.cli.campaign_ledger import OpenLedger, dialer_as_json, shown_dialer
from exotel_async.cli.campaign_screen import show_text
from exotel_async.cli.campaign_words import finished, plain
from exotel_async.cli.terminal import Exit, one_line, out, show_json

_HEADS: Final = ("contacts", "with\noutcome", "in\ndoubt", "un-\nresolved")
_NO_WIDTH: Final = 10_000
"""The width in columns where output is not a terminal, so that no line is folded."""


def list_campaigns(ledger: OpenLedger, *, as_json: bool) -> Exit:
    """Print all campaigns, the oldest first, and which process dials."""
    known: list[CampaignStatistics] = ledger.do(_read(ledger))
    dialer = ledger.dialer()
    if as_json:
        campaigns = [one.to_dict() for one in known]
        show_json({"campaigns": campaigns, "dialer": dialer_as_json(dialer)})
    elif known:
        _show(known, dialer)
    else:
        show_text("There are no campaigns in this ledger.")
    return Exit.OK


async def _read(ledger: OpenLedger) -> list[CampaignStatistics]:
    names = await ledger.admin.names()
    return [await ledger.admin.statistics(name) for name in names]


def _show(known: Sequence[CampaignStatistics], dialer: Holder | None) -> None:
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    table.add_column("campaign", overflow="fold")
    table.add_column("state", no_wrap=True)
    for head in _HEADS:
        shown = head if out.is_terminal else head.replace("-\n", "").replace("\n", " ")
        table.add_column(shown, justify="right", no_wrap=True)
    for one in known:
        numbers = (one.created, finished(one), one.in_doubt, one.unresolved)
        state = plain(one.state)
        table.add_row(one_line(one.name), state, *(f"{number:,}" for number in numbers))
    out.print(table, width=None if out.is_terminal else _NO_WIDTH, crop=False)
    out.print()
    no_dialer = "No process is dialling from this ledger at the moment."
    show_text(
        no_dialer if dialer is None else f"Dialling from this ledger: {shown_dialer(dialer)}."
    )

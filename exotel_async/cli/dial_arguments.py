"""Everything that `exotel-async dial` was given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from attrs import field, frozen

from exotel_async.cli.dial_campaign import CampaignOptions
from exotel_async.cli.ledger_option import DEFAULT_LEDGER, LEDGER_VARIABLE, shown_place
from exotel_async.cli.service import Service


@frozen(kw_only=True)
class DialArguments:
    """A file to be dialled, and how.

    Attributes:
        file: the list of people.
        sheet: the sheet of the file; None: the first that is visible and not empty.
        mapping: columns by the attributes of a contact that they hold.
        do_not_call: files with numbers that no campaign of the ledger may dial.
        options: the options that the campaign is created from.
        is_named: whether the campaign's name was given; else it comes from that of the file.
        channels: the account's channels; None: any number.
        poll_interval: seconds from a dial to the first poll of its call.
        ledger: the path or the URL of the ledger.
        wait_for_hours: whether to wait for calling hours, instead of ending.
        price: the price of a minute, for a dry run.
        call_length: the average duration of an answered call, for a dry run; None: as so far.
        numbers: whether to show phone numbers with all their digits.
        as_json: whether to print events as JSON.
        service: which Exotel to use, and how many requests a minute.
    """

    file: Path
    sheet: str | None
    mapping: Mapping[str, str]
    do_not_call: Sequence[Path]
    options: CampaignOptions
    is_named: bool
    channels: int | None
    poll_interval: float
    ledger: str = field(repr=shown_place)
    wait_for_hours: bool
    price: Decimal | None
    call_length: timedelta | None
    numbers: bool
    as_json: bool
    service: Service

    @property
    def ledger_argument(self) -> str | None:
        """The `--ledger` that other commands need for this ledger; None: it is their default."""
        usual = os.environ.get(LEDGER_VARIABLE) or DEFAULT_LEDGER
        return None if self.ledger == usual else shown_place(self.ledger)

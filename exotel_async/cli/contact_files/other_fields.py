"""Reads the other fields of a contact from cells: its key, priority, time and agent."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from exotel_async import IST
from exotel_async.campaigns.schedule import check_zone
from exotel_async.cli.contact_files.cells import (
    LOST_DIGITS,
    BadCell,
    Cell,
    has_lost_digits,
    is_empty,
    numbers_of,
    text_of,
)
from exotel_async.phone import is_sip

_MOMENT: Final = (
    "must be a date and time like 2026-11-30 10:00, in the contact's time zone or else India's"
)


def key_of(cell: Cell) -> str:
    """Return a key. Raises BadCell: it is empty, or has lost digits."""
    if is_empty(cell):
        raise BadCell("no key")
    text = text_of(cell)
    if "e+" in text.casefold() and has_lost_digits(text):
        raise BadCell(LOST_DIGITS)
    return text


def whole_of(cell: Cell) -> int | None:
    """Return a whole number; None: the cell is empty. Raises BadCell: it is something else."""
    if is_empty(cell):
        return None
    whole = re.fullmatch(r"([+-]?[0-9]{1,9})(?:\.0+)?", text_of(cell))
    if whole is None or isinstance(cell, bool):
        raise BadCell("must be a whole number")
    return int(whole[1])


def moment_of(cell: Cell, zone: str | None) -> dt.datetime | None:
    """Return an aware time; None: the cell is empty.

    Args:
        cell: the cell.
        zone: the time zone of a time without an offset; None: India's.

    Raises:
        BadCell: it is something else.
        InvalidRequest: there is no such time zone.
    """
    if is_empty(cell):
        return None
    usual = IST if zone is None else check_zone(zone)
    try:
        moment = dt.datetime.fromisoformat(text_of(cell))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=usual)
        moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise BadCell(_MOMENT) from None
    return moment


def party_of(cell: Cell) -> str | None:
    """Return a phone number or a SIP id; None: there is none. Raises BadCell otherwise."""
    if is_sip(cell):
        return text_of(cell)
    numbers = numbers_of(cell)
    if len(numbers) > 1:
        raise BadCell("must be one phone number")
    return numbers[0] if numbers else None

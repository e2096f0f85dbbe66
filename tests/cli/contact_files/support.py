"""Small files, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xlsxwriter

from exotel_async.campaigns.campaign import Campaign
from exotel_async.cli.contact_files import ContactFile, Rejected, Taken, open_contacts

EXOPHONE = "08030000000"
CAMPAIGN = Campaign("diwali", flow=926, caller_ids=[EXOPHONE])
FIRST, SECOND, THIRD = "9812300001", "9812300002", "9812300003"


def text_file(folder: Path, text: str | bytes, name: str = "leads.csv") -> Path:
    """Write a text file as it is."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def workbook(folder: Path, rows: Iterable[Any], name: str = "leads.xlsx") -> Path:
    """Write a workbook in which text stays text."""
    path = folder / name
    plain = {"strings_to_numbers": False, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(path, {**plain, "default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet()
        for line, row in enumerate(rows):
            sheet.write_row(line, 0, row)
    return path


def sheets(path: Path, rows: Mapping[str, Iterable[Any]]) -> Path:
    """Write a workbook of several sheets; those in lower case are hidden."""
    with xlsxwriter.Workbook(path) as book:
        for name, cells in rows.items():
            sheet = book.add_worksheet(name)
            if name.islower():
                sheet.hide()
            else:
                sheet.activate()
                sheet.set_first_sheet()
            for line, row in enumerate(cells):
                sheet.write_row(line, 0, row)
    return path


def opened(path: Path, sheet: str | None = None, **mapping: str) -> ContactFile:
    """Open a file of contacts."""
    return open_contacts(path, mapping=mapping, sheet=sheet)


def taken(file: ContactFile, campaign: Campaign = CAMPAIGN) -> Mapping[int, tuple[str, ...]]:
    """The numbers that are dialled, by line, in the order of their attempts."""
    return {
        result.line: (result.contact.number, *result.contact.alternatives)
        for result in file.read(campaign)
        if isinstance(result, Taken)
    }


def rejected(file: ContactFile, campaign: Campaign = CAMPAIGN) -> Mapping[int, Rejected]:
    """The rows that are not taken, by line."""
    return {result.line: result for result in file.read(campaign) if isinstance(result, Rejected)}


def reasons(file: ContactFile, campaign: Campaign = CAMPAIGN) -> Mapping[int, str]:
    """Why rows are not taken, by line."""
    return {line: row.reason for line, row in rejected(file, campaign).items()}

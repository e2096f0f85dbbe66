"""`campaign add`: adds the people of a list to a campaign, which may be dialled meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from exotel_async import InvalidRequest
from exotel_async.campaigns import CampaignState
from exotel_async.cli.campaign_ledger import OpenLedger
from exotel_async.cli.campaign_screen import show_text
from exotel_async.cli.campaign_states import how_to_continue
from exotel_async.cli.contact_files import Unreadable
from exotel_async.cli.contact_list import (
    Added,
    add_list,
    added_lines,
    open_list,
    warn_of_other_numbers,
)
from exotel_async.cli.terminal import Exit, one_line, report_misuse, report_problem, show_json


def add(
    ledger: OpenLedger,
    name: str,
    file: Path,
    mapping: Mapping[str, str],
    sheet: str | None,
    *,
    as_json: bool,
) -> Exit:
    """Add the contacts of a list that are new to a campaign, and report what was added."""
    entry = ledger.entry(name)
    if entry.state is CampaignState.CANCELED:
        return _was_cancelled(name, as_json=as_json)
    try:
        contacts = open_list(file, mapping=mapping, sheet=sheet)
    except Unreadable as error:
        return report_misuse(str(error), as_json=as_json)
    campaign = ledger.do(ledger.admin.settings(name))
    try:
        added: Added = ledger.do(add_list(ledger.admin, campaign, contacts))
    except InvalidRequest:  # cancelled since the check above
        return _was_cancelled(name, as_json=as_json)
    if as_json:
        show_json(_as_json(added, name, file))
        warn_of_other_numbers(added, contacts, name)
        return Exit.OK
    for line in added_lines(added, contacts, one_line(name)):
        show_text(line)
    warn_of_other_numbers(added, contacts, name)
    if added.taken:
        show_text(how_to_continue(ledger, ledger.entry(name)))
    return Exit.OK


def _was_cancelled(name: str, *, as_json: bool) -> Exit:
    problem = f"{one_line(name)} was cancelled: no contacts can be added"
    report_problem(problem, kind=InvalidRequest.__name__, as_json=as_json)
    return Exit.FAILED


def _as_json(added: Added, name: str, file: Path) -> Mapping[str, object]:
    return {
        "campaign": name,
        "file": str(file),
        "added": added.taken,
        "duplicates": added.duplicates,
        "in_campaign": added.known,
        "other_number": len(added.keys_with_other_number),
        "rejected": added.rejected,
        "rejected_file": None if added.rejected_file is None else str(added.rejected_file),
    }

"""`campaign outcomes`: prints the outcomes of contacts, a line for each."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from exotel_async.campaigns import ContactOutcome
from exotel_async.cli.campaign_ledger import OpenLedger
from exotel_async.cli.campaign_screen import shown_numbers
from exotel_async.cli.terminal import Exit, end_on_sigterm, note, one_line, out
from exotel_async.cli.time_arguments import shown_length

_LINES_AT_ONCE: Final = 100
_LAYOUT: Final = ("<13", "<11", ">5", "<9", ">6")


def outcomes(
    ledger: OpenLedger, name: str, states: Collection[str], *, whole: bool, as_json: bool
) -> Exit:
    """Print contacts that have their outcome, in the order in which they got it.

    Args:
        ledger: the campaign's ledger.
        name: the campaign.
        states: the outcomes to print; none: all.
        whole: whether to print all digits of numbers.
        as_json: whether to print contacts as JSON, which has all digits.

    Raises:
        InvalidRequest: there is no such campaign.
    """
    ledger.entry(name)
    shown = shown_numbers(whole=whole)
    heads = [] if as_json else [_line("number", "state", "calls", "status", "talk", "reason")]

    async def show() -> bool:
        end_on_sigterm()
        lines, found = heads, False
        async for outcome in ledger.admin.outcomes(name):
            if states and outcome.state not in states:
                continue
            if as_json:
                lines.append(json.dumps(outcome.to_dict(), separators=(",", ":")))
            else:
                lines.append(_line_of(outcome, shown(outcome.contact.number)))
            found = True
            if len(lines) >= _LINES_AT_ONCE:
                _print(lines)
                lines = []
        if found and lines:
            _print(lines)
        return found

    if not ledger.do(show()) and not as_json:
        note("No contact has such an outcome." if states else "No contact has an outcome yet.")
    return Exit.OK


def _print(lines: Sequence[str]) -> None:
    # Printing line by line would take longer than all the rest.
    out.out("\n".join(lines), highlight=False)


def _line_of(outcome: ContactOutcome, number: str) -> str:
    row = outcome.row()
    # Without an agent, a call has only one party, and so no talk time.
    two = any(one.agent is not None for one in outcome.attempts)
    talk = shown_length(timedelta(seconds=row["talk_time"])) if two else "-"
    status, reason = row["status"] or "-", row["reason"] or ""
    # A reason that only repeats the status is left out.
    reason = "" if reason.endswith(f"call: {status}") else reason
    return _line(number, outcome.state, f"{row['attempts']:,}", status, talk, reason)


def _line(*values: str) -> str:
    *cells, reason = values
    shown = [format(one_line(value), spec) for value, spec in zip(cells, _LAYOUT, strict=True)]
    return "  ".join([*shown, one_line(reason)]).rstrip()

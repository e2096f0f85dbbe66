"""`campaign pause`, `resume` and `cancel`: change a campaign's state, also while it is dialled."""

from __future__ import annotations

from typing import Final

from exotel_async import InvalidRequest
from exotel_async.campaigns import CampaignState, CampaignStatistics
from exotel_async.campaigns.entries import CampaignEntry
from exotel_async.cli.asking import confirmed
from exotel_async.cli.campaign_ledger import OpenLedger, shown_dialer
from exotel_async.cli.campaign_screen import show_text
from exotel_async.cli.terminal import Exit, counted, one_line, report_problem, show_json

_HOW_TO_RUN: Final = "Start the same command as before: exotel-async dial FILE ..."


def pause(ledger: OpenLedger, name: str, *, as_json: bool) -> Exit:
    """Stop dialling a campaign until it is resumed."""
    before = ledger.entry(name)
    done: bool = ledger.do(ledger.admin.pause(name))
    now = ledger.entry(name)
    shown = one_line(name)
    if done:
        text = f"{shown} is paused{_calls_continue(ledger, name)}. {how_to_continue(ledger, now)}"
    elif now.state is CampaignState.PAUSED:
        text = f"{shown} is already paused{_why(now)}."
    else:
        return _impossible(f"{shown} {_ended(now)}: there is nothing to pause", as_json)
    return _report(before, now, text, as_json)


def resume(ledger: OpenLedger, name: str, *, as_json: bool) -> Exit:
    """Continue a campaign that was paused or has failed."""
    before = ledger.entry(name)
    done: bool = ledger.do(ledger.admin.resume(name))
    now = ledger.entry(name)
    shown = one_line(name)
    if done:
        paused = before.state is CampaignState.PAUSED
        result = "is no longer paused" if paused else "can be dialled again"
        text = f"{shown} {result}. {how_to_continue(ledger, now)}"
    elif now.state is CampaignState.CANCELED:
        return _impossible(f"{shown} was cancelled: it cannot be resumed", as_json)
    elif now.state is CampaignState.COMPLETED:
        text = f"{shown} is completed: each of its contacts has its outcome."
    elif now.state is CampaignState.CREATED:
        text = f"{shown} is not paused: it has never been run. {how_to_continue(ledger, now)}"
    else:
        text = f"{shown} is not paused. {how_to_continue(ledger, now)}"
    return _report(before, now, text, as_json)


def cancel(ledger: OpenLedger, name: str, *, yes: bool, as_json: bool) -> Exit:
    """End a campaign for good, after a confirmation."""
    before = ledger.entry(name)
    known: CampaignStatistics = ledger.do(ledger.admin.statistics(name))
    shown = one_line(name)
    # A process that died while it cancelled may have left some contacts pending.
    if known.state is CampaignState.CANCELED and not known.pending:
        return _report(before, before, f"{shown} was already cancelled.", as_json, canceled=0)
    never = f"{counted(known.pending, 'contact')} of {shown} will not be dialled any more"
    never = never if known.pending else f"No contacts of {shown} are left to dial"
    question = f"{never}{_calls_continue(ledger, name)}. This cannot be undone. Cancel it?"
    if not confirmed(question, yes=yes):
        return _impossible(f"{shown} was not cancelled: nothing was changed", as_json)
    cancelled: int = ledger.do(ledger.admin.cancel(name))
    what = f"{counted(cancelled, 'contact')} will not be dialled any more"
    what = what if cancelled else "no contacts were left to dial"
    text = f"{shown} is cancelled: {what}{_calls_continue(ledger, name)}."
    return _report(before, ledger.entry(name), text, as_json, canceled=cancelled)


def how_to_continue(ledger: OpenLedger, entry: CampaignEntry) -> str:
    """Return a text that says which process dials, or how to continue."""
    if entry.state in {CampaignState.PAUSED, CampaignState.FAILED}:
        return f"To continue it: {ledger.command('resume', entry.name)}"
    dialer = ledger.dialer()
    if dialer is not None:
        return (
            f"Dialling from this ledger: {shown_dialer(dialer)}. If it is dialling another "
            f"campaign, start this one when that one has ended: exotel-async dial FILE ..."
        )
    return f"No process is dialling it. {_HOW_TO_RUN}"


def _calls_continue(ledger: OpenLedger, name: str) -> str:
    known: CampaignStatistics = ledger.do(ledger.admin.statistics(name))
    calls = known.in_progress
    verb = "continues" if calls == 1 else "continue"
    return f"; {counted(calls, 'call')} in progress {verb}" if calls else ""


def _why(entry: CampaignEntry) -> str:
    return f": {one_line(entry.reason)}" if entry.reason else ""


def _ended(entry: CampaignEntry) -> str:
    return "was cancelled" if entry.state is CampaignState.CANCELED else f"has failed{_why(entry)}"


def _report(
    before: CampaignEntry, now: CampaignEntry, text: str, as_json: bool, **more: object
) -> Exit:
    if as_json:
        was = {"name": now.name, "state": now.state.value, "was": before.state.value}
        show_json({**was, "reason": now.reason, **more})
    else:
        show_text(text)
    return Exit.OK


def _impossible(problem: str, as_json: bool) -> Exit:
    report_problem(problem, kind=InvalidRequest.__name__, as_json=as_json)
    return Exit.FAILED

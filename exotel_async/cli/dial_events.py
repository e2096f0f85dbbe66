"""What `exotel-async dial --json` writes: one event in each line, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from attrs import evolve

from exotel_async.campaigns import CampaignStatistics, ContactOutcome
from exotel_async.campaigns.ledger_contacts import MAX_RETRIES_COUNTED
from exotel_async.cli.campaign_words import finished, in_seconds, masked_key
from exotel_async.cli.dial_display import DialProgress, Problem
from exotel_async.cli.dial_report import DialEnd
from exotel_async.cli.terminal import Exit, one_line
from exotel_async.cli.time_arguments import iso_in_ist
from exotel_async.masking import mask_number, redact

_COUNTS: Final[Mapping[str, str]] = {
    "campaign": "the campaign's name",
    "state": "the state of the campaign: created, in-progress, paused, completed, failed, canceled",
    "reason": "why it is paused or has failed; null if nothing more is known",
    "created": "contacts it has: the sum of pending, in_progress, in_doubt and finished",
    "finished": "contacts that have their outcome: the sum of the seven that follow",
    "reached": "contacts that were reached",
    "not_reached": "contacts that were not reached, and have no attempt left",
    "refused": "contacts that Exotel refuses to dial, or that cannot be dialled",
    "do_not_call": "contacts on the do-not-call list, or on the DND register",
    "expired": "contacts that were not reached before the schedule ended",
    "canceled": "contacts that were cancelled",
    "unresolved": "contacts whose outcome a person has to decide",
    "pending": "contacts to be dialled, now or later, first attempts and retries",
    "in_progress": "contacts being dialled, or with a call in progress",
    "in_doubt": "contacts for which it is not known yet whether their last dial has rung them",
    "attempts": "calls that were placed",
    "end_unknown": "placed calls whose end is not known: their contacts are unresolved",
    "statuses": "how calls ended: an object that counts them by status, such as no-answer",
    "talk_time": "seconds for which both parties were connected, in all calls together",
    "price": "the cost of calls that have a price so far, in the account's currency, as text",
}

EVENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "start": {
        "at": "when",
        "campaign": "the campaign's name",
        "file": "the file, as it was given",
        "ledger": "the ledger, without a password",
        "added": "contacts of the file that were added",
        "duplicates": "rows whose contact is in the file more than once, except for the first",
        "in_campaign": "rows whose contact the campaign has already",
        "other_number": "rows of in_campaign whose key has another number there, which is kept",
        "rejected": "rows that were not added because something is wrong with them",
        "contacts": "contacts the campaign has",
        "budget": "requests a minute",
        "channels": "channels that may be in use at once; null: no limit",
    },
    "progress": {
        "at": "when",
        **_COUNTS,
        "retries": f"contacts that wait for a retry; {MAX_RETRIES_COUNTED} where there are more",
        "next_retry_at": "when the first retry is due, or null",
        "budget": "requests a minute",
        "budget_in_use": "requests counted against the limit now",
        "paused_for": "seconds until requests are sent again; 0: not paused",
        "channels": "channels that may be in use at once; null: no limit",
        "channels_in_use": "channels in use",
        "elapsed": "seconds since the start",
        "time_left": "seconds until all is done, by forecast; null: not known, or stopped",
        "opens_at": "when calling hours begin; null: they are open, or no contact is left to dial",
        "stopping": "null, or, while it waits for the last calls, an object: since, calls, until",
    },
    "outcome": {
        "campaign": "the campaign's name",
        "key": "the contact's key",
        "number": "the contact's number; masked without --numbers",
        "state": "reached, not-reached, refused, do-not-call, expired, canceled or unresolved",
        "reason": "why, if the state alone does not say it",
        "ended_at": "when the contact got its outcome",
        "attempts": "calls that were placed",
        "status": "how the last call ended",
        "sid": "the last call's SID",
        "talk_time": "seconds for which both parties were connected, in all calls together",
        "price": "the cost of all calls together, in the account's currency, as text",
        "recording_url": "where the last call's recording is",
        "fields": "an object of the input's other columns; digits that may be a number are masked "
        "without --numbers",
    },
    "problem": {
        "at": "when it last occurred",
        "text": "what went wrong, without stopping the run",
        "count": "how many times in a row it has occurred",
    },
    "end": {
        "at": "when",
        "exit_code": "the exit code of the command",
        "text": "how the run ended, in words",
        **_COUNTS,
        "elapsed": "seconds since the start",
        "opens_at": "when calling hours begin, if the run ended because of them; else null",
        "problem": "what stopped it, or null",
        "open_calls": "contacts whose calls had not ended, an array of objects: key; number, "
        "always masked; sid, or null",
    },
}
"""The keys of each event, and what they mean. All of them are always present, after `event`. Times
are ISO 8601 in Indian time, with the offset; durations are in seconds."""


def event_of(event: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as JSON-compatible values, its keys in the order of `EVENTS`.

    Args:
        event: the name of the event.
        values: its values; times as datetimes, durations as timedeltas, prices as decimals.

    Raises:
        ValueError: there is no such event, or the keys are not those of the event.
    """
    keys = EVENTS.get(event)
    if keys is None or keys.keys() != values.keys():
        raise ValueError(f"no event {event} has the keys {', '.join(values)}")
    return {"event": event, **{key: _plain(values[key]) for key in keys}}


def start_event(**values: Any) -> dict[str, Any]:
    """Return the first event, from values for the keys of "start" in `EVENTS`."""
    return event_of("start", values)


def progress_event(current: DialProgress) -> dict[str, Any]:
    """Return the event for the progress of a campaign."""
    stopping = current.stopping
    return event_of(
        "progress",
        {
            "at": current.now,
            **_counts(current.statistics),
            "retries": current.retries,
            "next_retry_at": current.next_retry_at,
            "budget": current.budget,
            "budget_in_use": current.limiter.window_used,
            "paused_for": round(current.limiter.paused_for, 1),
            "channels": current.channels,
            "channels_in_use": current.channels_in_use,
            "elapsed": round(current.elapsed, 1),
            "time_left": current.time_left,
            "opens_at": current.opens_at,
            "stopping": stopping
            and {"since": stopping.since, "calls": stopping.calls, "until": stopping.until},
        },
    )


def outcome_event(outcome: ContactOutcome, *, numbers: bool = False) -> dict[str, Any]:
    """Return the event for the outcome of a contact.

    Args:
        outcome: the outcome.
        numbers: whether to show phone numbers with all their digits.
    """
    contact = outcome.contact
    row = evolve(outcome, contact=evolve(contact, fields={})).row()
    fields: Any = contact.fields
    if not numbers:
        row["number"] = mask_number(contact.number)
        if contact.key is not None:
            row["key"] = masked_key(contact.key, contact.number, *contact.alternatives)
        row["reason"] = None if outcome.reason is None else redact(outcome.reason)
        fields = _redacted(fields)
    return event_of("outcome", {**row, "fields": fields})


def problem_event(problem: Problem) -> dict[str, Any]:
    """Return the event for a problem that does not stop the run."""
    values = {"at": problem.at, "text": problem.shown, "count": problem.count}
    return event_of("problem", values)


def end_event(end: DialEnd) -> dict[str, Any]:
    """Return the event for the end of a run."""
    return event_of(
        "end",
        {
            "at": end.now,
            "exit_code": int(end.exit_code),
            "text": end.last_line,
            **_counts(end.statistics),
            "elapsed": round(end.elapsed, 1),
            "opens_at": end.opens_at if end.exit_code is Exit.OUTSIDE_HOURS else None,
            "problem": None if end.problem is None else redact(one_line(end.problem)),
            "open_calls": [
                {
                    "key": one.shown_key,
                    "number": mask_number(one.number),
                    "sid": one.sid,
                }
                for one in end.open_calls
            ],
        },
    )


def _counts(statistics: CampaignStatistics) -> dict[str, Any]:
    counts = {name: getattr(statistics, name, None) for name in _COUNTS}
    reason = None if statistics.reason is None else redact(one_line(statistics.reason))
    return {
        **counts,
        "campaign": statistics.name,
        "reason": reason,
        "finished": finished(statistics),
    }


def _redacted(value: object) -> Any:
    """Return a JSON value with possible phone numbers masked, in names of fields as well."""
    match value:
        case str():
            return redact(value)
        case Mapping():
            return {redact(str(name)): _redacted(one) for name, one in value.items()}
        case Sequence():
            return [_redacted(one) for one in value]
        case bool() | None:
            return value
        case _:
            text = redact(str(value))
            return value if text == str(value) else text


def _plain(value: object) -> Any:
    match value:
        case datetime():
            return iso_in_ist(value)
        case timedelta():
            return in_seconds(value)
        case Decimal() | str():
            return f"{value:f}" if isinstance(value, Decimal) else str(value)
        case Mapping():
            return {str(name): _plain(one) for name, one in value.items()}
        case Sequence():
            return [_plain(one) for one in value]
    return value

"""The columns of exported contacts: each one's result, and the fields it was added with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from exotel_async.campaigns import AttemptState, ContactOutcome

RESULTS: Final = (
    "number",
    "key",
    "state",
    "reason",
    "ended_at",
    "attempts",
    "status",
    "talk_time",
    "price",
    "dialled_number",
    "agent",
    "caller_id",
    "started_at",
    "duration",
    "answered_by",
    "sid",
    "recording_url",
    "candidates",
)
"""`attempts` counts the calls that were placed; `talk_time` and `price` are sums over them.
`status`, and the columns from `dialled_number` to `recording_url`, are the last call's. Lengths
are in seconds. `candidates` are the SIDs of calls that may be an unresolved contact's."""

_PREFIX: Final = "field."


def result_of(outcome: ContactOutcome) -> dict[str, Any]:
    """Return a contact's result, with the keys of `RESULTS`."""
    known = outcome.row()
    calls = [one for one in outcome.attempts if one.sid is not None]
    last = calls[-1] if calls else None
    if last is not None:
        known |= {
            "dialled_number": last.number,
            "agent": last.agent,
            "caller_id": last.caller_id,
            "started_at": last.started_at,
            "duration": None if last.duration is None else last.duration.total_seconds(),
            "answered_by": None if last.answered_by is None else last.answered_by.value,
        }
    if all(one.talk_time is None for one in calls):
        known["talk_time"] = None
    known["candidates"] = " ".join(candidates_of(outcome)) or None
    return {name: known.get(name) for name in RESULTS}


def candidates_of(outcome: ContactOutcome) -> Sequence[str]:
    """Return the SIDs of the calls that an unresolved contact's last dial may have placed."""
    for attempt in reversed(outcome.attempts):
        if attempt.state is AttemptState.UNRESOLVED:
            return attempt.candidates or ([] if attempt.sid is None else [attempt.sid])
    return []


class FieldColumns:
    """The columns of the contacts' own fields, in the order in which these first appeared."""

    def __init__(self) -> None:
        self._columns: dict[str, str] = {}
        self._taken = set(RESULTS)

    def add_fields(self, fields: Iterable[str]) -> None:
        """Give each new field a column. One with the name of another column gets a prefix."""
        for name in fields:
            if name in self._columns:
                continue
            column = name
            while column in self._taken:
                column = _PREFIX + column
            self._columns[name] = column
            self._taken.add(column)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, the results first."""
        return (*RESULTS, *self._columns.values())

    def row(self, outcome: ContactOutcome) -> Mapping[str, Any]:
        """Return a contact as a row: its values by column name."""
        fields = outcome.contact.fields
        own = {self._columns[name]: value for name, value in fields.items()}
        return result_of(outcome) | own

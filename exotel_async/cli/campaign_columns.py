"""The columns of exported contacts: what became of each, and what was added with it."""

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
"""`attempts` is how many calls were placed, `talk_time` and `price` are those of all of
them. `status`, and all from `dialled_number` on, is the last one's. Lengths are seconds.
`candidates` are the SIDs of calls that may be an unresolved contact's."""

_PREFIX: Final = "field."


def result_of(outcome: ContactOutcome) -> dict[str, Any]:
    """Return what became of a contact, by `RESULTS`."""
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
    """Return the SIDs of calls that may be those of an unresolved contact's last dial."""
    for attempt in reversed(outcome.attempts):
        if attempt.state is AttemptState.UNRESOLVED:
            return attempt.candidates or ([] if attempt.sid is None else [attempt.sid])
    return []


class FieldColumns:
    """The columns of the contacts' own fields, in the order in which they were seen first."""

    def __init__(self) -> None:
        self._columns: dict[str, str] = {}
        self._taken = set(RESULTS)

    def see(self, fields: Iterable[str]) -> None:
        """Give each field a column that has none. One named as another column gets a prefix."""
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
        """Return a contact as a row: what it has, by the names of the columns."""
        fields = outcome.contact.fields
        own = {self._columns[name]: value for name, value in fields.items()}
        return result_of(outcome) | own

"""The comparison of the emulator's record of calls with the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from exotel_async.campaigns import ContactOutcome
    from exotel_async.emulator import EmulatedCall

_REACHED: Final = "completed"


@frozen(kw_only=True)
class Rung:
    """The contacts that were rung a given number of times."""

    times: int
    contacts: int
    reached: int


@frozen(kw_only=True)
class Proof:
    """What the emulator's record of calls shows.

    Attributes:
        calls: the number of calls in the record.
        rung: contacts by how often they were rung.
        twice: ids of attempts that have rung their contact more than once.
        not_due: numbers that were rung again although the call before had reached them, or was
            still in progress.
        without_attempt: SIDs of calls without an attempt in the ledger.
        without_call: ids of attempts in the ledger whose call is not in the record.
        in_flight: how many calls each dial in flight at the kill has placed, by the attempt's id.
        is_complete: whether each contact has its outcome, and none is unresolved: only then is the
            record compared with the ledger.
    """

    calls: int
    rung: Sequence[Rung]
    twice: Sequence[str]
    not_due: Sequence[str]
    without_attempt: Sequence[str]
    without_call: Sequence[str]
    in_flight: Mapping[str, int]
    is_complete: bool

    @property
    def again(self) -> int:
        """The number of calls to contacts that had been rung before."""
        return self.calls - sum(one.contacts for one in self.rung)

    @property
    def holds(self) -> bool:
        """Whether no contact was rung twice without reason, and ledger and record agree."""
        return not (self.twice or self.not_due or self.without_attempt or self.without_call)


def prove(
    calls: Collection[EmulatedCall],
    outcomes: Iterable[ContactOutcome] | None,
    in_flight: Iterable[str],
) -> Proof:
    """Compare the emulator's record with the ledger.

    Args:
        calls: the record: each call has the id of its attempt as its custom field.
        outcomes: the outcomes of all contacts in the ledger; None: some are not known.
        in_flight: the ids of the attempts whose dials were in flight at the kill.
    """
    by_number: dict[str, list[EmulatedCall]] = defaultdict(list)
    for call in calls:
        by_number[call.from_].append(call)
    by_attempt = Counter(call.custom_field or "" for call in calls)
    reached = {
        number for number, own in by_number.items() if any(one.status == _REACHED for one in own)
    }
    placed = {(call.sid, call.custom_field, call.from_) for call in calls}
    known = placed
    if outcomes is not None:
        known = {
            (one.sid, one.id, one.number)
            for outcome in outcomes
            for one in outcome.attempts
            if one.sid is not None
        }
    times = Counter(len(own) for own in by_number.values())
    times_reached = Counter(len(by_number[number]) for number in reached)
    return Proof(
        calls=len(calls),
        rung=[
            Rung(times=n, contacts=contacts, reached=times_reached[n])
            for n, contacts in sorted(times.items())
        ],
        twice=[attempt for attempt, rung in by_attempt.items() if rung > 1],
        not_due=[
            number
            for number, own in by_number.items()
            if any(
                call.status == _REACHED or call.ends_at > later.at for call, later in pairwise(own)
            )
        ],
        without_attempt=sorted(sid for sid, _, _ in placed - known),
        without_call=sorted(str(attempt) for _, attempt, _ in known - placed),
        in_flight={attempt: by_attempt[attempt] for attempt in in_flight},
        is_complete=outcomes is not None,
    )

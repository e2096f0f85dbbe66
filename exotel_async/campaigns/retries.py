"""How often, and when, a campaign dials a contact again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from attrs import field, frozen

from exotel_async.campaigns.schedule import Schedule
from exotel_async.errors import InvalidRequest
from exotel_async.models.value import Value
from exotel_async.wire.validation import flag, positive_seconds, whole_number

_LONGEST_GAP: Final = timedelta(days=366)
_MOST: Final = 100


def _times(times: int) -> int:
    return whole_number("times", times, 1, _MOST)


def _gap(gap: timedelta | float) -> timedelta:
    length = gap if isinstance(gap, timedelta) else timedelta(seconds=positive_seconds("gap", gap))
    if not timedelta(seconds=1) <= length <= _LONGEST_GAP:
        raise InvalidRequest("gap", gap, "must be from one second to 366 days")
    return length


def _exponential(exponential: bool) -> bool:
    if flag("exponential", exponential) is None:
        raise InvalidRequest("exponential", None, "must be True or False")
    return exponential


@frozen
class Retry(Value):
    """How often a contact is dialled again after one kind of result, and at which intervals.

    Attributes:
        times: how many attempts with this result are followed by another one: 1 to 100.
        gap: the time from the end of an attempt until the next one: a timedelta or seconds, from
            one second to 366 days.
        exponential: whether the gap doubles each time, up to 366 days.

    Raises:
        InvalidRequest: one of them is not valid.
    """

    times: int = field(converter=_times)
    gap: timedelta = field(converter=_gap)
    exponential: bool = field(default=False, converter=_exponential, kw_only=True)

    def gap_after(self, tries: int) -> timedelta | None:
        """Return the gap after this many attempts with the result; None: no further attempt."""
        if tries > self.times:
            return None
        grown = min(2 ** (tries - 1), _LONGEST_GAP // self.gap) if self.exponential else 1
        return self.gap * grown


@frozen(kw_only=True)
class Retries(Value):
    """Which results of an attempt lead to a retry; None: no retry after that result::

        Retries(
            busy=Retry(3, timedelta(minutes=10)),
            no_answer=Retry(2, timedelta(hours=3)),
            failed=Retry(1, timedelta(minutes=1)),
        )

    Each `Retry` counts only the attempts with its own result.

    Attributes:
        busy: the person was busy.
        no_answer: the person did not answer.
        failed: the call failed, or was cancelled.
        not_reached: the person answered, but was not reached by the campaign's `reached` rule: the
            two did not speak, or not for long enough.

    Raises:
        InvalidRequest: one of them is not a `Retry`.
    """

    busy: Retry | None = None
    no_answer: Retry | None = None
    failed: Retry | None = None
    not_reached: Retry | None = None

    def __attrs_post_init__(self) -> None:
        given: Mapping[str, object] = self._by_word()
        for word, retry in given.items():
            if retry is not None and not isinstance(retry, Retry):
                rule = "must be a Retry, such as Retry(3, timedelta(minutes=10))"
                raise InvalidRequest(word.replace("-", "_"), retry, rule)

    def due_at(
        self,
        word: str,
        tries: Mapping[str, int],
        ended_at: datetime,
        schedule: Schedule,
        zone: str | None = None,
    ) -> datetime | None:
        """Return when a contact is to be dialled again, in UTC; None: never.

        That time is within the schedule's hours, and before its end.

        Args:
            word: the result of the attempt, as `Reached.word_of` returns it.
            tries: the number of attempts by result, including this one.
            ended_at: when the attempt ended, a timezone-aware time.
            schedule: when the campaign may dial.
            zone: the contact's own time zone; None: the schedule's.

        Raises:
            InvalidRequest: the time is not timezone-aware, or the zone is unknown.
        """
        retry = self._by_word().get(word)
        gap = None if retry is None else retry.gap_after(max(1, tries.get(word, 1)))
        return None if gap is None else schedule.next_open(ended_at + gap, zone)

    def _by_word(self) -> dict[str, Retry | None]:
        return {
            "busy": self.busy,
            "no-answer": self.no_answer,
            "failed": self.failed,
            "not-reached": self.not_reached,
        }

"""How often, and when, a campaign dials somebody again."""

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
    """How often somebody is dialled again after one kind of outcome, and how far apart.

    Attributes:
        times: how many attempts that ended so are followed by another one: 1 to 100.
        gap: from the end of an attempt until the next one: a timedelta or seconds, a second to a
            year.
        exponential: whether the gap doubles each time, up to a year.

    Raises:
        InvalidRequest: one of them is not so.
    """

    times: int = field(converter=_times)
    gap: timedelta = field(converter=_gap)
    exponential: bool = field(default=False, converter=_exponential, kw_only=True)

    def gap_after(self, tries: int) -> timedelta | None:
        """Return how long after this many attempts the next one is made. None: there is none."""
        if tries > self.times:
            return None
        grown = min(2 ** (tries - 1), _LONGEST_GAP // self.gap) if self.exponential else 1
        return self.gap * grown


@frozen(kw_only=True)
class Retries(Value):
    """After which outcomes somebody is dialled again; None: not after that::

        Retries(
            busy=Retry(3, timedelta(minutes=10)),
            no_answer=Retry(2, timedelta(hours=3)),
            failed=Retry(1, timedelta(minutes=1)),
        )

    Each counts the attempts that ended in its own way.

    Attributes:
        busy: the person was busy.
        no_answer: the person did not answer.
        failed: the call failed, or was cancelled.
        not_reached: the person answered, but was not reached as the campaign's `reached` says:
            the two did not speak, or not for long enough.

    Raises:
        InvalidRequest: one of them is no `Retry`.
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
        """Return when somebody is to be dialled again, in UTC; None: never.

        That is within the schedule's hours, and before its end.

        Args:
            word: how the attempt counts, as `Reached.word_of` says.
            tries: how many attempts have ended in each way, this one included.
            ended_at: when it ended, an aware time.
            schedule: when the campaign may dial.
            zone: the contact's own time zone; None: the schedule's.

        Raises:
            InvalidRequest: the time is not aware, or the zone is none.
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

"""Decides whether an attempt reached its contact."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from attrs import field, frozen

from exotel_async.calls.wait_state import WaitOptions, call_is_settled, is_over, satisfies
from exotel_async.models import Call, CallDetails, CallStatus
from exotel_async.models.value import Value
from exotel_async.wire.validation import length_of_time

_WITH_DETAILS: Final = WaitOptions(details=True)
_WORDS: Final = {
    CallStatus.BUSY: "busy",
    CallStatus.NO_ANSWER: "no-answer",
    CallStatus.FAILED: "failed",
    CallStatus.CANCELED: "failed",
}
_NO_DETAILS: Final = CallDetails()


def _talk_time(value: timedelta | float | None) -> timedelta | None:
    return length_of_time("talk_time", value)


@frozen
class Reached(Value):
    """What counts as having reached a contact.

    Without arguments: the person answered and, in a campaign with an `agent`, so did the agent, so
    that the two spoke.

    Attributes:
        talk_time: the minimum time they must have spoken: a timedelta or whole seconds. In a call
            to a flow or a bot: the time for which the person was on the line.

    Raises:
        InvalidRequest: it is not a valid call duration.
    """

    talk_time: timedelta | None = field(default=None, converter=_talk_time)

    def word_of(self, call: Call, *, two: bool, settled: bool = False) -> str | None:
        """Return how a call counts: reached, busy, no-answer, failed or not-reached.

        "not-reached" means that the person answered, but was not reached by this rule. None: the
        call is not over, or its details are needed and not known yet; they become available within
        15 minutes of its end. They are also needed if the call's status is not a known word.

        Args:
            call: the call.
            two: whether a second party was to be rung.
            settled: whether no more details will come. Missing details then count as a no. A status
                that is not a known word counts as reached: the contact is not dialled again.
        """
        if not is_over(call):
            return None
        details = call.details if settled or satisfies(call, _WITH_DETAILS) else None
        # Exotel's sources disagree on which of two parties has the call's status.
        needs_details = two or (call.status is CallStatus.COMPLETED and self.talk_time is not None)
        if details is None and not settled and needs_details:
            return None
        details = details or _NO_DETAILS
        status = _status_of_first(call, details)
        if status is not CallStatus.COMPLETED:
            # Without a known status there is no proof that the contact was not reached.
            unknown = "reached" if settled else None
            return unknown if status is None else _WORDS.get(status, unknown)
        talked = _talk_time_in(details, two=two)
        connected = not two or details.leg2_status is CallStatus.COMPLETED
        if self.talk_time is None:
            return "reached" if connected or talked else "not-reached"
        if connected and not talked and not settled and not call_is_settled(call):
            return None  # in a callback it may be zero until the call record has it
        return "reached" if talked >= self.talk_time else "not-reached"


def _status_of_first(call: Call, details: CallDetails) -> CallStatus | None:
    """Return the final status of the first leg."""
    if details.leg2_status is not None or details.talk_time:
        return CallStatus.COMPLETED  # the second party is rung only after the first has answered
    first = details.leg1_status
    return first if first is not None and first.is_final else call.status


def _talk_time_in(details: CallDetails, *, two: bool) -> timedelta:
    """Return how long the two parties were connected, or a single party was on the line."""
    lengths = [details.talk_time]
    if not two:
        lengths += [leg.duration for leg in details.legs if leg.id == 1]
    return max((length for length in lengths if length is not None), default=timedelta())

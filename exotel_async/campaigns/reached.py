"""Whether an attempt has reached somebody."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from attrs import field, frozen

from exotel_async.calls.wait_state import WaitOptions, call_is_settled, is_enough, is_over
from exotel_async.models import Call, CallDetails, CallStatus
from exotel_async.models.value import Value
from exotel_async.wire.validation import length_of_time

_WITH_DETAILS: Final = WaitOptions(details=True)
_WORDS: Final = {CallStatus.BUSY: "busy", CallStatus.NO_ANSWER: "no-answer"}
_NO_DETAILS: Final = CallDetails()


def _talk_time(value: timedelta | float | None) -> timedelta | None:
    return length_of_time("talk_time", value)


@frozen
class Reached(Value):
    """What counts as having reached somebody.

    Without arguments: that the person answered; in a campaign with an `agent`, that the agent did
    as well, so that the two spoke.

    Attributes:
        talk_time: how long they must have spoken at least: a timedelta or whole seconds. In a call
            to a flow or a bot: how long the person was on the line.

    Raises:
        InvalidRequest: it is no length of a call.
    """

    talk_time: timedelta | None = field(default=None, converter=_talk_time)

    def needs_details(self, *, two: bool) -> bool:
        """Whether calls with two parties, or with one, are to be read with details."""
        # The status is the second party's, or the first's: Exotel's sources disagree.
        return two or self.talk_time is not None

    def word_of(self, call: Call, *, two: bool) -> str | None:
        """Return how a call counts: reached, busy, no-answer, failed or not-reached.

        "not-reached" is one that the person answered. None: the call is not over, or its details
        are needed, and are not known yet; they come up to 15 minutes after its end.

        Args:
            call: the call.
            two: whether a second party was to be rung.
        """
        if not is_over(call):
            return None
        details = call.details if is_enough(call, _WITH_DETAILS) else None
        answered = call.status is CallStatus.COMPLETED
        if details is None and (two or (answered and self.talk_time is not None)):
            return None
        details = details or _NO_DETAILS
        status = details.leg1_status or call.status
        if details.leg2_status is not None or details.talk_time:
            status = CallStatus.COMPLETED  # nobody is rung second before the first has answered
        if status is not CallStatus.COMPLETED:
            return "failed" if status is None else _WORDS.get(status, "failed")
        return self._word_of_answered(call, details, two=two)

    def _word_of_answered(self, call: Call, details: CallDetails, *, two: bool) -> str | None:
        talked = details.talk_time or timedelta()
        connected = details.leg2_status is CallStatus.COMPLETED
        if not two:
            on_line = [leg.duration for leg in details.legs if leg.id == 1 and leg.duration]
            talked, connected = max(talked, *on_line, timedelta()), True
        if self.talk_time is None:
            is_reached = connected or talked > timedelta()
        elif talked >= self.talk_time:
            is_reached = True
        elif connected and not talked and not call_is_settled(call):
            return None  # lengths in a callback may be zero until the record has them
        else:
            is_reached = False
        return "reached" if is_reached else "not-reached"

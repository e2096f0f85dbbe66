"""What a flow knows of its call: that is what its applets tell the application (VOICE_V1 7.1)."""

from __future__ import annotations

import attrs

from exotel_async.emulator.flows.settings import Cause
from exotel_async.emulator.flows.transcript import Exchange
from exotel_async.emulator.scenario import Outcome


@attrs.define(eq=False)
class AgentLeg:
    """One phone that a Connect rang. Moments are ages of the call."""

    number: str
    caller_id: str
    dialled: float
    ended: float
    """When it was on the hook again."""
    outcome: Outcome
    cause: Cause
    answered: float | None = None
    disconnected_by: str = ""
    """Who hung up, by the words of `FlowSettings.disconnected_by`."""

    @property
    def seconds(self) -> int:
        """On the call."""
        return 0 if self.answered is None else round(self.ended - self.answered)


@attrs.define(eq=False)
class Attempts:
    """What came of a Connect that rang somebody."""

    legs: list[AgentLeg] = attrs.field(factory=list)
    outgoing: str = ""
    """The number the agents saw."""

    @property
    def status(self) -> Outcome:
        """`DialCallStatus`."""
        return self._told.outcome

    @property
    def duration(self) -> int:
        """From the dial of the agent who answered or rejected, ringing included; 0 without one.

        As captured: 5 of a `busy` agent, 0 of `no-answer` and `canceled`.
        """
        leg = self._told
        counts = leg.answered is not None or leg.outcome is Outcome.BUSY
        return round(leg.ended - leg.dialled) if counts else 0

    @property
    def _told(self) -> AgentLeg:
        answered = (leg for leg in self.legs if leg.answered is not None)
        return next(answered, self.legs[-1])


@attrs.define(eq=False)
class State:
    """What the applets so far have left."""

    call_type: str = "call-attempt"
    digits: str | None = None
    attempts: Attempts | None = None
    """Those of the last Connect that rang anybody."""
    whom: str = ""
    """The agent being rung or talked to; then the last one."""
    recording_url: str | None = None
    answer: Exchange | None = None
    """What the last synchronous Passthru was answered."""

"""What a flow knows of its call, and its applets report to the application (VOICE_V1 7.1)."""

from __future__ import annotations

import attrs

from exotel_async.emulator.flows.settings import Cause
from exotel_async.emulator.flows.transcript import Exchange
from exotel_async.emulator.scenario import Outcome


@attrs.define(eq=False)
class AgentLeg:
    """One phone that a Connect rang. Times are ages of the call."""

    number: str
    caller_id: str
    dialled: float
    ended: float
    """When it was hung up, or stopped ringing."""
    outcome: Outcome
    cause: Cause
    answered: float | None = None
    disconnected_by: str = ""
    """Who hung up, in the words of `FlowSettings.disconnected_by`."""

    @property
    def seconds(self) -> int:
        """Seconds on the call."""
        return 0 if self.answered is None else round(self.ended - self.answered)


@attrs.define(eq=False)
class Attempts:
    """The attempts of a Connect that rang at least one phone."""

    legs: list[AgentLeg] = attrs.field(factory=list)
    outgoing: str = ""
    """The number the agents saw."""

    @property
    def status(self) -> Outcome:
        """`DialCallStatus`."""
        return self._reported_leg.outcome

    @property
    def duration(self) -> int:
        """Seconds from dial to end of the leg that was answered or rejected; 0 without one.

        As captured: 5 for a `busy` agent, 0 for `no-answer` and `canceled`.
        """
        leg = self._reported_leg
        counts = leg.answered is not None or leg.outcome is Outcome.BUSY
        return round(leg.ended - leg.dialled) if counts else 0

    @property
    def _reported_leg(self) -> AgentLeg:
        answered = (leg for leg in self.legs if leg.answered is not None)
        return next(answered, self.legs[-1])


@attrs.define(eq=False)
class State:
    """What the applets have recorded so far."""

    call_type: str = "call-attempt"
    digits: str | None = None
    attempts: Attempts | None = None
    """Those of the last Connect; None without one, or if it rang no phone."""
    whom: str = ""
    """The agent being rung or talked to; then the last one."""
    recording_url: str | None = None
    answer: Exchange | None = None
    """The answer to the last synchronous Passthru."""

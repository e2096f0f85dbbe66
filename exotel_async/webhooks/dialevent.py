"""Dial events: a Connect applet's attempts to reach an agent, step by step (wire notes 7.3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any, Final, Self

from attrs import field, frozen

from exotel_async.config import IST
from exotel_async.models import Direction
from exotel_async.webhooks.body import read_query
from exotel_async.webhooks.enums import AgentState, DialEventType
from exotel_async.webhooks.fields import (
    call_sid,
    direction,
    event_key,
    masked,
    other_party,
    party,
)
from exotel_async.wire.converter import moment, text, word

_event: Final = word(DialEventType)
_state: Final = word(AgentState)


@frozen(kw_only=True)
class DialEvent:
    """What Exotel sends to a plan's `event_url`, or to the "create popup" URL of a Connect applet.

    For each attempt `Dial` comes first, then `Answered` if the agent picks up, and `Terminal`. The
    query has a field `Status` too, which is not the call's but the agent's: `agent_state`.

    Attributes:
        sid: the call's SID.
        event_type: the step.
        agent_state: `busy` from `Dial` on, `free` with `Terminal`.
        dialled_number: the agent's number.
        agent_email: who the agent is.
        from_: who is on the phone with the flow: see `FlowRequest`, as for the next four.
        to: the ExoPhone.
        call_from: the caller.
        call_to: the number that was called.
        exophone: the ExoPhone.
        direction: who began the call.
        created_at: when the call was created; aware, as `current_time`.
        current_time: when the event was sent, by Exotel's clock.
        raw: the whole query, nested by the brackets in its names.
    """

    sid: str
    event_type: DialEventType | None = None
    agent_state: AgentState | None = None
    dialled_number: str | None = field(default=None, repr=masked)
    agent_email: str | None = field(default=None, repr=False)
    from_: str | None = field(default=None, repr=masked)
    to: str | None = field(default=None, repr=masked)
    call_from: str | None = field(default=None, repr=masked)
    call_to: str | None = field(default=None, repr=masked)
    exophone: str | None = field(default=None, repr=masked)
    direction: Direction | None = None
    created_at: datetime | None = None
    current_time: datetime | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def from_query(cls, query: str | bytes, *, time_zone: tzinfo = IST) -> Self:
        """Read an event.

        Args:
            query: the query as it came, percent-encoded, without a `?`. Of a name that comes twice
                the last value counts.
            time_zone: the clock Exotel writes times by, and the zone of the event's times.

        Raises:
            InvalidWebhook: this is no dial event. Its text shows nothing of the query.
        """
        raw = read_query(query)
        get = raw.get
        return cls(
            sid=call_sid(raw),
            event_type=_event(get("EventType")),
            agent_state=_state(get("Status")),
            dialled_number=text(get("DialWhomNumber")),
            agent_email=text(get("AgentEmail")),
            from_=party(raw),
            to=other_party(raw),
            call_from=text(get("CallFrom")),
            call_to=text(get("CallTo")),
            exophone=text(get("To")),
            direction=direction(get("Direction")),
            created_at=moment(get("Created"), time_zone),
            current_time=moment(get("CurrentTime"), time_zone),
            raw=raw,
        )

    @property
    def key(self) -> str:
        """What names this event among all others, to handle it once.

        It is made of the SID, the step, the agent and `current_time`: an agent may be dialled twice
        in one call, and both attempts look alike but for the time.
        """
        time = self.current_time and self.current_time.isoformat()
        return event_key(self.sid, self.event_type, self.agent_state, self.dialled_number, time)

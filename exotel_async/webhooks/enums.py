"""Enumerations of Exotel's webhook requests and of your responses (VOICE_V1 7.1, 7.3, 8)."""

from __future__ import annotations

from exotel_async.models import OpenEnum


class FlowCallType(OpenEnum):
    """How far a call got in a flow (Exotel's support article 48283)."""

    CALL_ATTEMPT = "call-attempt"
    """No Connect applet: the caller heard menus and greetings only."""
    COMPLETED = "completed"
    """Two parties spoke."""
    CLIENT_HANGUP = "client-hangup"
    """The caller left during Connect."""
    INCOMPLETE = "incomplete"
    """Nobody picked up."""
    VOICEMAIL = "voicemail"


class DialEventType(OpenEnum):
    """A step of one attempt to reach an agent.

    `Ringing` and `Cancelled` are not documented; some applications handle them.
    """

    DIAL = "Dial"
    RINGING = "Ringing"
    ANSWERED = "Answered"
    TERMINAL = "Terminal"
    CANCELLED = "Cancelled"


class AgentState(OpenEnum):
    """Whether an agent can be rung."""

    FREE = "free"
    BUSY = "busy"


class HeartbeatStatus(OpenEnum):
    """The health of ExoPhones. The exact meaning of each word is not documented."""

    OK = "OK"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"


class HoldMusic(OpenEnum):
    """What the caller hears while agents are rung."""

    DEFAULT_TONE = "default_tone"
    OPERATOR_TONE = "operator_tone"

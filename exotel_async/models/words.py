"""The words Exotel uses, as enums: those of its answers are open, as it may add one at any time."""

from __future__ import annotations

import enum
from typing import Final, Self


class OpenEnum(enum.StrEnum):
    """An enum of words to which the service may add one at any time.

    Known words are members, found whatever their case: the service itself writes `human`, `Human`
    and `HUMAN`. An unknown word is kept as it is, as an instance of the same class that is equal to
    the plain string, and hashes and pickles like any other.
    """

    @property
    def is_known(self) -> bool:
        """Whether this version of the SDK knows the word."""
        return any(self is member for member in type(self))

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        folded = value.casefold()
        for member in cls:
            if member._value_.casefold() == folded:
                return member
        # Not cached: what a server sends must not fill the memory.
        unknown = str.__new__(cls, value)
        unknown._name_ = unknown._value_ = value
        return unknown

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name}.{self._name_}>" if self.is_known else f"<{name} {self._value_!r}>"


class CallStatus(OpenEnum):
    """The state of a call, or of one leg of it. A call is `in-progress` from its creation on.

    Other spellings are read as the same words: `no_answer`, `no answer`, `cancelled`.
    """

    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    FAILED = "failed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        """Whether the call is over. An unknown word is not final."""
        return self in _FINAL

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        found = super()._missing_(value)
        if found is None or found.is_known:
            return found
        # Spellings that consumers of callbacks have seen (VOICE_V1 6.2).
        spelt = found.casefold().replace("_", "-").replace(" ", "-")
        meant = "canceled" if spelt == "cancelled" else spelt
        return next((member for member in cls if member.value == meant), found)


_FINAL: Final = frozenset(
    {
        CallStatus.COMPLETED,
        CallStatus.FAILED,
        CallStatus.BUSY,
        CallStatus.NO_ANSWER,
        CallStatus.CANCELED,
    }
)


class Direction(OpenEnum):
    """Who started a call: a caller, a user of the dashboard, or the API."""

    INBOUND = "inbound"
    OUTBOUND_DIAL = "outbound-dial"
    OUTBOUND_API = "outbound-api"


class AnsweredBy(OpenEnum):
    """Who picked up, as far as Exotel could tell."""

    HUMAN = "human"
    MACHINE = "machine"
    NOT_SURE = "notsure"
    NOT_APPLICABLE = "na"


class NumberType(OpenEnum):
    """The kind of line a number belongs to."""

    MOBILE = "Mobile"
    LANDLINE = "Landline"


class Dnd(OpenEnum):
    """Whether a number is on the DND register (TRAI NDNC)."""

    YES = "Yes"
    NO = "No"
    UNAVAILABLE = "Unavailable"


class WhitelistStatus(OpenEnum):
    """Whether an account may call a number that is on the DND register (NDNC).

    A number on the blacklist has unsubscribed from the account's calls.
    """

    WHITELIST = "Whitelist"
    BLACKLIST = "Blacklist"
    NEUTRAL = "Neutral"


class WhitelistType(OpenEnum):
    """Why a number is whitelisted: it has called in, is a user's, or was added through the API."""

    CUSTOMER = "Customer"
    AGENT = "Agent"
    API = "API"


class RecordingChannels(enum.StrEnum):
    """Both parties mixed into one channel (Exotel's default), or one channel each."""

    SINGLE = "single"
    DUAL = "dual"


class RecordingFormat(enum.StrEnum):
    """Quality of a recording; Exotel's default is plain `mp3`."""

    MP3 = "mp3"
    MP3_HQ = "mp3-hq"


class PlaybackTo(enum.StrEnum):
    """Who hears the audio that is played on answer; Exotel's default is only the callee."""

    CALLEE = "Callee"
    BOTH = "Both"


class CallbackEvent(OpenEnum):
    """What a status callback can report; `ringing` only for calls to a stream."""

    RINGING = "ringing"
    TERMINAL = "terminal"
    ANSWERED = "answered"


class CallbackContentType(enum.StrEnum):
    """How a status callback is encoded; Exotel's default is multipart."""

    MULTIPART = "multipart/form-data"
    JSON = "application/json"


class StreamBegin(enum.StrEnum):
    """The moment from which a call's audio is streamed."""

    LEG1_CONNECT = "at Leg1Connect"
    LEG2_CONNECT = "at Leg2Connect"


class CallType(enum.StrEnum):
    """Transactional. Exotel documents the former other type, `promo`, as no longer supported."""

    TRANSACTIONAL = "trans"

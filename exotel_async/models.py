"""The values the SDK gives back, and the words Exotel uses in them.

All of them are frozen, compare and hash by value, pickle, and show no full phone number, recording
link or custom field in their repr. What Exotel did not tell (yet) is None.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Self
from urllib.parse import urlsplit

from attrs import field, frozen

from exotel_async.masking import masked


class OpenEnum(enum.StrEnum):
    """Words of the service, to which it may add one any day.

    The words known here are members, found whatever their case: the service itself writes `human`,
    `Human` and `HUMAN`. A word not known stays what it is, as an instance of the same class that is
    equal to the plain string, hashes and pickles like any other.
    """

    @property
    def is_known(self) -> bool:
        """Whether the word is one this version of the SDK knows."""
        return any(self is member for member in type(self))

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        folded = value.casefold()
        for member in cls:
            if member._value_.casefold() == folded:
                return member
        # Not kept anywhere: what a server sends must not fill the memory.
        unknown = str.__new__(cls, value)
        unknown._name_ = unknown._value_ = value
        return unknown

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name}.{self._name_}>" if self.is_known else f"<{name} {self._value_!r}>"


class CallStatus(OpenEnum):
    """How a call, or one leg of it, stands. A call is `in-progress` from its creation on."""

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
        """Whether the call is over. A word not known is not final."""
        return self in _FINAL


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
    """Who began a call: a caller, somebody in the dashboard, or the API."""

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
    """What kind of connection a number is."""

    MOBILE = "Mobile"
    LANDLINE = "Landline"


class Dnd(OpenEnum):
    """Whether a number is on the Do Not Disturb register (TRAI NDNC)."""

    YES = "Yes"
    NO = "No"
    UNAVAILABLE = "Unavailable"


class RecordingChannels(enum.StrEnum):
    """Both parties mixed into one channel (Exotel's default), or one channel each."""

    SINGLE = "single"
    DUAL = "dual"


class RecordingFormat(enum.StrEnum):
    """Quality of a recording; Exotel's default is plain `mp3`."""

    MP3 = "mp3"
    MP3_HQ = "mp3-hq"


class PlaybackTo(enum.StrEnum):
    """Who hears the audio that is played on answer; Exotel's default is the callee alone."""

    CALLEE = "Callee"
    BOTH = "Both"


class CallbackEvent(OpenEnum):
    """What a status callback can report."""

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
    """Transactional. Exotel documents `promo`, once the other type, as no longer supported."""

    TRANSACTIONAL = "trans"


@frozen(kw_only=True)
class Leg:
    """One party's part in a call.

    Attributes:
        id: 1 is the party dialled first, 2 the second.
        duration: how long this party was on the call.
        status: how this party's part ended or stands; None: it was not dialled.
        answered_by: who picked up.
    """

    id: int | None = None
    duration: timedelta | None = None
    status: CallStatus | None = None
    answered_by: AnsweredBy | None = None


@frozen(kw_only=True)
class CallDetails:
    """What a call consists of; Exotel returns it where `details` are asked for.

    Attributes:
        talk_time: how long both parties were connected.
        leg1_status: how the first party's part ended or stands.
        leg2_status: the same of the second; None if nobody was dialled second.
        legs: the legs, the first party's first.
    """

    talk_time: timedelta | None = None
    leg1_status: CallStatus | None = None
    leg2_status: CallStatus | None = None
    legs: tuple[Leg, ...] = ()


@frozen(kw_only=True)
class Call:
    """A call, as Exotel returned it in one answer.

    The times are aware, in the zone the session was given (Exotel's own clock is IST). `ended_at`,
    `duration`, `price` and `recording_url` come late: about two minutes after the call is over, at
    times fifteen. Exotel documents the fields at developer.exotel.com/api/call-details.

    Attributes:
        sid: the call's identifier: 32 letters and digits, not hexadecimal.
        status: how it stands. `completed` does not mean that two people spoke: see `details`.
        direction: who began it.
        from_: the party dialled first. Exotel may write a number otherwise than it was passed,
            `09812300001` for `+919812300001`; `same_number` compares.
        to: the party dialled second; in a call to a flow the ExoPhone, or None.
        exophone: the ExoPhone the call was made with.
        created_at: when the call was created.
        updated_at: when Exotel last changed this record.
        started_at: when the call began.
        ended_at: when it ended.
        duration: length of the whole call, the second party's ringing included.
        price: what it cost, in the account's currency.
        answered_by: who picked up.
        recording_url: where the recording is; it opens with the account's credentials.
        presigned_recording_url: the same, open to anybody who has the link, for a short time.
        custom_field: what was passed as `custom_field`.
        parent_sid: the call this one is a leg of.
        account_sid: the account.
        forwarded_from: the number that forwarded the call.
        caller_name: the caller's name.
        uri: path of the call as Exotel writes it. It cannot be requested; use `sid`.
        details: legs and talk time, when they were asked for.
        raw: the whole original, with everything that has no name here.
    """

    sid: str
    status: CallStatus | None = None
    direction: Direction | None = None
    from_: str | None = field(default=None, repr=masked)
    to: str | None = field(default=None, repr=masked)
    exophone: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration: timedelta | None = None
    price: Decimal | None = None
    answered_by: AnsweredBy | None = None
    recording_url: str | None = field(default=None, repr=False)
    presigned_recording_url: str | None = field(default=None, repr=False)
    custom_field: str | None = field(default=None, repr=False)
    parent_sid: str | None = None
    account_sid: str | None = None
    forwarded_from: str | None = field(default=None, repr=masked)
    caller_name: str | None = field(default=None, repr=False)
    uri: str | None = field(default=None, repr=False)
    details: CallDetails | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)

    @property
    def is_final(self) -> bool:
        """Whether the call is over; `duration` and `price` may still be missing then."""
        return self.status is not None and self.status.is_final

    @property
    def talk_time(self) -> timedelta | None:
        """How long both parties were connected. None if `details` were not asked for."""
        return self.details.talk_time if self.details else None

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The call's legs. Empty if `details` were not asked for."""
        return self.details.legs if self.details else ()


@frozen(kw_only=True)
class CallPage:
    """One page of call records.

    Attributes:
        calls: the calls on it, in the order they were asked for.
        total: how many calls the whole query has, as Exotel counts them.
        after: the cursor of the next page; None on the last one.
        raw: the whole original.
    """

    calls: tuple[Call, ...]
    total: int | None = None
    after: str | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)


@frozen(kw_only=True)
class NumberMetadata:
    """What Exotel knows about an Indian phone number.

    Attributes:
        phone_number: the number, as Exotel writes it: with a leading 0.
        circle: code of the telecom circle, as `KA`.
        circle_name: its name, at times a whole list of territories.
        type: mobile or landline.
        operator: code of the operator. Its meaning has changed over the years: see the name.
        operator_name: the operator's name.
        dnd: whether it is on the Do Not Disturb register.
        raw: the whole original.
    """

    phone_number: str | None = field(default=None, repr=masked)
    circle: str | None = None
    circle_name: str | None = None
    type: NumberType | None = None
    operator: str | None = None
    operator_name: str | None = None
    dnd: Dnd | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)


@frozen(kw_only=True)
class Balance:
    """What is left in the account.

    Attributes:
        account_sid: the account.
        amount: the balance, in `currency`.
        currency: code of the currency, as `INR`.
        pricing_plan: name of the account's plan.
        updated_at: when the balance last changed; aware, in the zone of the session.
        raw: the whole original.
    """

    account_sid: str | None = None
    amount: Decimal
    currency: str | None = None
    pricing_plan: str | None = None
    updated_at: datetime | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)


_FLOW_PATH: Final = r"(?:/[^/]+)?/exoml/start(?:_voice)?/([^/]+)"


@frozen(kw_only=True)
class ExoPhone:
    """An ExoPhone: a number of the account.

    Attributes:
        sid: its identifier, which the API takes instead of the number. It may look like one.
        phone_number: the number itself, as `+918030000000`.
        friendly_name: what it is called.
        country: code of its country, as `IN`.
        region: code of its telecom circle, as `KA`.
        voice: whether it makes and takes calls.
        sms: whether it sends and takes SMS.
        voice_url: what incoming calls are connected to; see `flow`.
        sms_url: where incoming SMS are sent.
        raw: the whole original.
    """

    sid: str
    phone_number: str | None = None
    friendly_name: str | None = None
    country: str | None = None
    region: str | None = None
    voice: bool | None = None
    sms: bool | None = None
    voice_url: str | None = field(default=None, repr=False)
    sms_url: str | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)

    @property
    def flow(self) -> str | None:
        """Id of the flow for its calls. None if there is none, or `voice_url` leads elsewhere.

        It is text, even where it is a number.
        """
        try:
            path = urlsplit(self.voice_url or "").path
        except ValueError:
            return None
        found = re.fullmatch(_FLOW_PATH, path)
        return found and found[1]


@frozen(kw_only=True)
class ExoPhonePage:
    """One page of ExoPhones.

    Attributes:
        exophones: the ExoPhones on it.
        next_page: number of the next page, from 0 on; None on the last one.
        raw: the whole original.
    """

    exophones: tuple[ExoPhone, ...]
    next_page: int | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)

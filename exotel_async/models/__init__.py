"""The values the SDK returns, and enums of the words Exotel uses in them.

All of them are frozen, compare and hash by value, can be pickled, and show no full phone number,
recording link or custom field in their repr. What Exotel has not reported (yet) is None.
"""

from exotel_async.models.account import (
    Balance,
    ExoPhone,
    ExoPhonePage,
    NumberMetadata,
    WhitelistEntry,
)
from exotel_async.models.call import Call, CallDetails, CallPage, Leg
from exotel_async.models.dial import DialOptions, DialTarget, StreamOptions, TargetOptions
from exotel_async.models.raw_response import RawResponse
from exotel_async.models.row import CallRow
from exotel_async.models.words import (
    AnsweredBy,
    CallbackContentType,
    CallbackEvent,
    CallStatus,
    CallType,
    Direction,
    Dnd,
    NumberType,
    OpenEnum,
    PlaybackTo,
    RecordingChannels,
    RecordingFormat,
    StreamBegin,
    WhitelistStatus,
    WhitelistType,
)

__all__ = [
    "AnsweredBy",
    "Balance",
    "Call",
    "CallDetails",
    "CallPage",
    "CallRow",
    "CallStatus",
    "CallType",
    "CallbackContentType",
    "CallbackEvent",
    "DialOptions",
    "DialTarget",
    "Direction",
    "Dnd",
    "ExoPhone",
    "ExoPhonePage",
    "Leg",
    "NumberMetadata",
    "NumberType",
    "OpenEnum",
    "PlaybackTo",
    "RawResponse",
    "RecordingChannels",
    "RecordingFormat",
    "StreamBegin",
    "StreamOptions",
    "TargetOptions",
    "WhitelistEntry",
    "WhitelistStatus",
    "WhitelistType",
]

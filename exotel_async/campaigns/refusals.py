"""What a refusal, or a dial without an answer, means for the contact and for its campaign."""

from __future__ import annotations

import enum
import re
from typing import Final

from attrs import frozen

from exotel_async.errors import (
    APIError,
    BadRequest,
    Conflict,
    ExotelError,
    InvalidRequest,
    PaymentRequired,
    PermissionDenied,
    RateLimited,
)

MOST_ALIKE: Final = 5
"""Refusals of one kind in a row that pause a campaign: what is wrong is not the contacts."""

# VOICE_V1 5.2: bodies of 403 name KYC, or the register of numbers that must not be called.
_KYC: Final = r"(?i)\bKYC\b"
_REGISTERED: Final = r"(?i)\b(?:NDNC|DND|NCPR)\b"
# VOICE_V1 5.4: neither the status nor the text is stated of a dial for which no channel is free.
_NO_CHANNEL: Final = r"(?i)concurren|throttled"


class Meaning(enum.Enum):
    """What follows from a refusal."""

    AGAIN = "again"
    """Nothing was wrong with the contact: it is dialled when there is room."""
    NO_ANSWER = "no answer"
    """The same, but Exotel is out of reach."""
    NO_CHANNEL = "no channel"
    """All channels of the account are taken: it is dialled when one may be free."""
    NO_ROOM = "no room"
    """The account has no channel or no balance left: that is not known."""
    DO_NOT_CALL = "do not call"
    """The number is on the registry: this contact is over."""
    ACCOUNT = "account"
    """Nobody can be dialled: the campaign has failed."""
    CONTACT = "contact"
    """The contact is refused, unless others are refused alike."""


_MEANINGS: Final = (
    (RateLimited, Meaning.AGAIN),
    (Conflict, Meaning.NO_ANSWER),
    (PaymentRequired, Meaning.NO_ROOM),
)


@frozen
class Refusal:
    """A dial that certainly made no call.

    Attributes:
        meaning: what follows.
        reason: what Exotel said, in words, numbers masked.
        kind: the same for refusals of one kind.
        status: the HTTP status; None: there was none.
    """

    meaning: Meaning
    reason: str
    kind: str = ""
    status: int | None = None


def judge(error: ExotelError) -> Refusal:
    """Tell what the error of a dial means that certainly made no call."""
    said = str(error)
    if isinstance(error, InvalidRequest):
        return Refusal(Meaning.CONTACT, said)
    if not isinstance(error, APIError):
        return Refusal(Meaning.NO_ANSWER, said)
    if isinstance(error, BadRequest) and "maxretries" in error.message.casefold():
        said += "; Campaign(max_retries=None) leaves MaxRetries out"
    # What a message says of one contact, such as its number, is not what is alike.
    words = re.sub(r"\W*\S*\d\S*", "", error.message)
    return Refusal(_meaning_of(error), said, kind=f"{error.status} {words}", status=error.status)


def _meaning_of(error: APIError) -> Meaning:
    meaning = next((means for kind, means in _MEANINGS if isinstance(error, kind)), None)
    if isinstance(error, PermissionDenied) and re.search(_REGISTERED, error.message):
        meaning = Meaning.DO_NOT_CALL
    elif isinstance(error, PermissionDenied) and re.search(_KYC, error.message):
        meaning = Meaning.ACCOUNT
    elif meaning is not Meaning.AGAIN and re.search(_NO_CHANNEL, error.message):
        meaning = Meaning.NO_CHANNEL
    return meaning or Meaning.CONTACT

"""Classifies refusals of dials, by what follows for the contact and its campaign."""

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

MAX_ALIKE: Final = 5
"""Consecutive refusals of one kind that pause a campaign: the cause is not the contacts."""

# VOICE_V1 5.2: the body of a 403 names KYC, or the register of numbers that must not be called.
_KYC: Final = r"(?i)\bKYC\b"
_REGISTERED: Final = r"(?i)\b(?:NDNC|DND|NCPR)\b"
# VOICE_V1 5.4: it is not documented which status or text a dial gets when no channel is free.
_NO_CHANNEL: Final = r"(?i)concurren|throttled"


class Meaning(enum.Enum):
    """What follows from a refusal."""

    AGAIN = "again"
    """Nothing is wrong with the contact: it is dialled again as soon as possible."""
    NO_ANSWER = "no answer"
    """The same, but Exotel cannot be reached."""
    NO_CHANNEL = "no channel"
    """All channels of the account are in use: it is dialled when one may be free."""
    NO_ROOM = "no room"
    """The account has no free channel, or no balance: it is not known which."""
    DO_NOT_CALL = "do not call"
    """The number is on the DND register: this contact is not dialled any more."""
    ACCOUNT = "account"
    """The account cannot dial at all: the campaign fails."""
    CONTACT = "contact"
    """The contact is refused, unless others are refused in the same way."""


_MEANINGS: Final = (
    (RateLimited, Meaning.AGAIN),
    (Conflict, Meaning.NO_ANSWER),
    (PaymentRequired, Meaning.NO_ROOM),
)


@frozen
class Refusal:
    """The refusal of a dial, which certainly placed no call.

    Attributes:
        meaning: what follows from it.
        reason: the message of the error, with numbers masked.
        kind: a text that is the same for all refusals of one kind.
        status: the HTTP status; None: there was none.
    """

    meaning: Meaning
    reason: str
    kind: str = ""
    status: int | None = None


def judge(error: ExotelError) -> Refusal:
    """Classify the error of a dial that certainly placed no call."""
    reason = str(error)
    if isinstance(error, InvalidRequest):
        return Refusal(Meaning.CONTACT, reason)
    if not isinstance(error, APIError):
        return Refusal(Meaning.NO_ANSWER, reason)
    if isinstance(error, BadRequest) and "maxretries" in error.message.casefold():
        reason += "; Campaign(max_retries=None) leaves MaxRetries out"
    # Words with digits, such as numbers, differ from contact to contact: leave them out.
    words = re.sub(r"\W*\S*\d\S*", "", error.message)
    return Refusal(_meaning_of(error), reason, kind=f"{error.status} {words}", status=error.status)


def _meaning_of(error: APIError) -> Meaning:
    meaning = next((means for kind, means in _MEANINGS if isinstance(error, kind)), None)
    if isinstance(error, PermissionDenied) and re.search(_REGISTERED, error.message):
        meaning = Meaning.DO_NOT_CALL
    elif isinstance(error, PermissionDenied) and re.search(_KYC, error.message):
        meaning = Meaning.ACCOUNT
    elif meaning is not Meaning.AGAIN and re.search(_NO_CHANNEL, error.message):
        meaning = Meaning.NO_CHANNEL
    return meaning or Meaning.CONTACT

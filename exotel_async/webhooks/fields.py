"""Fields that several of Exotel's requests have, each read in one way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from exotel_async.errors import InvalidRequest, InvalidWebhook
from exotel_async.masking import mask_number
from exotel_async.models import Direction
from exotel_async.wire.converter import text, word
from exotel_async.wire.validation import segment

Raw = Mapping[str, Any]
"""A payload as `read_body` and `read_query` give it."""

_direction: Final = word(Direction)


def masked(number: str | None) -> str:
    """Show a number in a repr."""
    return repr(number and mask_number(number))


def call_sid(raw: Raw) -> str:
    """Read the call's SID, the one field without which there is no event.

    Raises:
        InvalidWebhook: there is none, or one that could be no segment of a path.
    """
    found = text(raw.get("CallSid"))
    if found is None:
        raise InvalidWebhook("no CallSid")
    try:
        segment("CallSid", found)
    except InvalidRequest:
        pass
    else:
        return found
    raise InvalidWebhook("CallSid is no identifier of a call")


def party(raw: Raw) -> str | None:
    """Read `From`, or `CallFrom` where that is missing; both may come (7.1)."""
    return text(raw.get("From")) or text(raw.get("CallFrom"))


def other_party(raw: Raw) -> str | None:
    """Read `To`, or `CallTo` where that is missing; both may come, and differ (7.1)."""
    return text(raw.get("To")) or text(raw.get("CallTo"))


def direction(value: object) -> Direction | None:
    """Read who began the call; flows write `incoming` for what is `inbound` elsewhere (7.1)."""
    found = _direction(value)
    return Direction.INBOUND if found is not None and found.casefold() == "incoming" else found


def keys_pressed(value: object) -> str | None:
    """Read digits: they come in literal double quotes (7.1), and are given back without."""
    found = text(value)
    if found is not None and len(found) > 1 and found[0] == found[-1] == '"':
        return text(found[1:-1])
    return found


def event_key(sid: str, *told: object) -> str:
    """Name an event by its call and what it tells: the same event has the same key, always."""
    # A digest: the words are Exotel's, or whoever's, and as long as they like.
    digest = blake2b(json.dumps(told).encode(), digest_size=12).hexdigest()
    return f"{sid}:{digest}"

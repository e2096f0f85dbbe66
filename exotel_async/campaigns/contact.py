"""The contacts of campaigns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from attrs import field, frozen

from exotel_async.errors import InvalidRequest
from exotel_async.masking import masked
from exotel_async.models.value import Value


def _key(key: str | int | None) -> str | None:
    # Ids in databases are usually whole numbers.
    return str(key) if type(key) is int else cast("str | None", key)


def _several(numbers: Iterable[str]) -> tuple[str, ...]:
    # A single string is one number, not an iterable of its characters.
    if isinstance(numbers, str):
        return (numbers,)
    try:
        return tuple(numbers)
    except TypeError:
        rule = "must be phone numbers as texts"
        raise InvalidRequest("alternatives", type(numbers).__name__, rule) from None


@frozen
class Contact(Value):
    """One person to be dialled by a campaign.

    Attributes:
        number: the phone number, in any spelling that `normalize_number` takes, or a SIP id.
        key: what identifies the person in the campaign, such as the id in your own database, which
            may be a whole number; None: the phone number. Adding the same key or number again does
            not add the person a second time.
        fields: your own data to be returned with the outcome, in JSON types.
        priority: contacts with a higher priority are dialled first. From -1000 to 1000.
        not_before: a timezone-aware time before which the contact is not dialled.
        time_zone: the time zone in which the campaign's hours apply to this contact, such as
            "Asia/Dubai"; None: the schedule's own.
        alternatives: further numbers of the same person, tried in turn, one with each retry.
        agent: the number or SIP id that is rung second, instead of the campaign's `agent`.
        custom_field: the text that comes back with the call, instead of the campaign's.

    Raises:
        InvalidRequest: `alternatives` is not a collection of numbers. Everything else is validated
            when the contact is added.
    """

    number: str = field(repr=masked)
    key: str | None = field(default=None, kw_only=True, converter=_key, repr=masked)
    fields: Mapping[str, Any] = field(factory=dict, kw_only=True, repr=False)
    priority: int = field(default=0, kw_only=True)
    not_before: datetime | None = field(default=None, kw_only=True)
    time_zone: str | None = field(default=None, kw_only=True)
    alternatives: tuple[str, ...] = field(
        default=(), kw_only=True, converter=_several, repr=lambda numbers: str(len(numbers))
    )
    agent: str | None = field(default=None, kw_only=True, repr=masked)
    custom_field: str | None = field(default=None, kw_only=True, repr=False)

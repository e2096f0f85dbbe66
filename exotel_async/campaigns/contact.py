"""Whom a campaign dials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from attrs import field, frozen

from exotel_async.errors import InvalidRequest
from exotel_async.masking import masked
from exotel_async.models.value import Value


def _key(key: str | int | None) -> str | None:
    # The id in somebody's database is a number more often than not.
    return str(key) if type(key) is int else cast("str | None", key)


def _several(numbers: Iterable[str]) -> tuple[str, ...]:
    # One number alone is meant as such, not as its digits.
    if isinstance(numbers, str):
        return (numbers,)
    try:
        return tuple(numbers)
    except TypeError:
        rule = "must be phone numbers as texts"
        raise InvalidRequest("alternatives", type(numbers).__name__, rule) from None


@frozen
class Contact(Value):
    """One person whom a campaign dials.

    Attributes:
        number: the phone number, in any spelling that `normalize_number` takes, or a SIP id.
        key: what identifies the person in the campaign, as the id in your own database, which may
            be a whole number; None: the phone number. A person is dialled once, however often the
            key or the number is added.
        fields: anything of your own that is to come back with the outcome, in the types of JSON.
        priority: contacts with a higher one are dialled first. From -1000 to 1000.
        not_before: an aware time before which it is not dialled.
        time_zone: the zone by whose clock the campaign's hours count for this contact, as
            "Asia/Dubai"; None: the schedule's own.
        alternatives: further numbers of the same person, tried in turn, one with each retry.
        agent: who is rung second, instead of the campaign's `agent`.
        custom_field: what comes back with the call, instead of the campaign's.

    Raises:
        InvalidRequest: `alternatives` are not several numbers. All else is checked when the contact
            is added.
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

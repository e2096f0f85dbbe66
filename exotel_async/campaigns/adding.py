"""Validates contacts to be added, and converts them to the form that the ledger stores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from exotel_async.campaigns.clock import to_ms
from exotel_async.campaigns.contact import Contact
from exotel_async.campaigns.entries import NewContact
from exotel_async.campaigns.outcome import BadContact
from exotel_async.campaigns.schedule import check_zone
from exotel_async.errors import InvalidRequest
from exotel_async.models.value import Value
from exotel_async.phone import identity_of, normalize_party
from exotel_async.wire.validation import short_text, whole_number

if TYPE_CHECKING:
    from exotel_async.campaigns.campaign import Campaign

_LONGEST_KEY: Final = 200
_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@frozen(kw_only=True)
class AddResult(Value):
    """The result of adding contacts.

    Attributes:
        added: the number of contacts that were added.
        duplicates: the number of contacts that were in the campaign already, by their key or one of
            their numbers.
        keys_with_other_number: the keys of duplicates that have another number in the campaign. It
            is not changed: to replace it, `forget` the contact and add it again.
        bad: the contacts that were not added because they are invalid.
    """

    added: int = 0
    duplicates: int = 0
    keys_with_other_number: tuple[str, ...] = field(default=(), repr=lambda keys: f"<{len(keys)}>")
    bad: tuple[BadContact, ...] = field(default=(), repr=lambda bad: f"<{len(bad)}>")


def entry_of(given: object, campaign: Campaign) -> NewContact:
    """Return a contact in the form that the ledger stores.

    Raises:
        InvalidRequest: it is not valid.
    """
    contact = Contact(given) if isinstance(given, str) else given
    if not isinstance(contact, Contact):
        rule = "must be a Contact, or a number as text"
        raise InvalidRequest("contacts", type(given).__name__, rule)
    number = normalize_party(contact.number, "number")
    key = number if contact.key is None else short_text("key", contact.key, _LONGEST_KEY)
    if not key:
        raise InvalidRequest("key", contact.key, "must not be empty")
    agent = None if contact.agent is None else normalize_party(contact.agent, "agent")
    if agent is not None and campaign.agent is None:
        rule = "is for campaigns that connect to an agent: Campaign(agent=...)"
        raise InvalidRequest("agent", agent, rule)
    identity = _identity(number)
    alternatives = _alternatives(contact.alternatives, identity) if contact.alternatives else {}
    return NewContact(
        key=key,
        number=number,
        identity=identity,
        others=tuple(alternatives),
        fields=_json(contact.fields) if contact.fields else None,
        alternatives=tuple(alternatives.values()),
        zone=_zone(contact.time_zone),
        due_at=None if contact.not_before is None else to_ms(_aware(contact.not_before)),
        priority=whole_number("priority", contact.priority, -1000, 1000),
        agent=agent,
        custom_field=short_text("custom_field", contact.custom_field, 128),
    )


def _identity(number: str) -> str:
    return identity_of(number) or number


def _alternatives(numbers: Iterable[str], first: str) -> dict[str, str]:
    """Return further numbers by their identity, each once and none equal to the first number."""
    found: dict[str, str] = {}
    for one in numbers:
        number = normalize_party(one, "alternatives")
        identity = _identity(number)
        if identity != first:
            found.setdefault(identity, number)
    return found


def _json(fields: object) -> str:
    try:
        if isinstance(fields, Mapping):
            written = _encode(dict(fields))
            written.encode()  # raises for a lone surrogate
            return written
    except (TypeError, ValueError, RecursionError):
        pass
    # The error names only the type, and shows nothing of the fields.
    rule = "must be a mapping in the types of JSON"
    raise InvalidRequest("fields", type(fields).__name__, rule)


def _zone(name: str | None) -> str:
    if name is None:
        return ""
    check_zone(name)
    return name


def _aware(moment: Any) -> datetime:
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise InvalidRequest("not_before", moment, "must be an aware datetime")
    return moment

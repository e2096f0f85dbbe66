"""Heartbeats: what Exotel reports of the health of ExoPhones (VOICE_V1 8).

Only the name of one field is known, `status_type`. What else is known to come is found by what it
looks like, wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final, Self, TypeGuard

from attrs import field, frozen

from exotel_async.config import IST
from exotel_async.errors import InvalidWebhook
from exotel_async.models.value import Value
from exotel_async.webhooks.body import read_body
from exotel_async.webhooks.enums import HeartbeatStatus
from exotel_async.webhooks.fields import event_key
from exotel_async.wire.values import moment, word

_status: Final = word(HeartbeatStatus)
_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
# Letters and digits, both: a long word of letters alone is none.
_SID: Final = re.compile(r"(?=[A-Za-z]*\d)[A-Za-z0-9]{16,64}")
_OF_PHONES: Final = re.compile(r"phone|number", re.IGNORECASE)


@frozen(kw_only=True)
class Heartbeat(Value):
    """What Exotel's heartbeat reports of your ExoPhones.

    Exotel's documents name its `status_type` and say that its times are written by RFC 3339 and
    that it has the SIDs of the ExoPhones concerned, but not under which names. So these are found
    by what they look like; `raw` has all.

    Attributes:
        status: how the ExoPhones are.
        time: the one time in it, aware, in the zone it was read with. None: there is none, or there
            are several that differ.
        exophone_sids: what looks like a SID and stands in a list, or under a name with "phone" or
            "number" in it, but not "account"; each once, in order.
        raw: the whole original. A form is nested by the brackets in its names.
    """

    status: HeartbeatStatus
    time: datetime | None = None
    exophone_sids: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def from_request(
        cls, body: bytes, content_type: str | None, *, time_zone: tzinfo = IST
    ) -> Self:
        """Read a heartbeat: JSON, urlencoded or multipart.

        Args:
            body: the body of the request, all of it. Bound its length before you read it.
            content_type: its header of that name.
            time_zone: the zone of its time.

        Raises:
            InvalidWebhook: this is no heartbeat. Its text shows nothing of the body.
            ConfigurationError: it is multipart, and the extra `webhooks` is not installed.
        """
        raw = read_body(body, content_type)
        fields = list(_fields(raw))
        status = next(
            (
                found
                for one in fields
                if one.name == "status_type" and (found := _status(one.value))
            ),
            None,
        )
        if status is None:
            raise InvalidWebhook("no status_type")
        times = {time for one in fields if (time := _time(one.value, time_zone))}
        sids = (one.value for one in fields if one.may_be_of_phone and _is_sid(one.value))
        return cls(
            status=status,
            time=times.pop() if len(times) == 1 else None,
            exophone_sids=tuple(dict.fromkeys(sids)),
            raw=raw,
        )

    @property
    def key(self) -> str | None:
        """What names this heartbeat among all others, to handle it once.

        It is made of all that came, its times included. None for one without a time, which is like
        the next one: each of those is handled.
        """
        if not any(_is_time(one.value) for one in _fields(self.raw)):
            return None
        return event_key(self.status, self.raw)


@frozen
class _Field:
    """A value that holds no others, wherever it stands."""

    name: str
    value: Any
    may_be_of_phone: bool
    """Whether it stands in a list, or under a name of phones."""


def _fields(value: object, name: str = "", of_phones: bool = False) -> Iterator[_Field]:
    # `read_body` lets nothing pass that is nested deeper than a few levels.
    if isinstance(value, Mapping):
        for key, inner in value.items():
            of_inner = of_phones or _OF_PHONES.search(key) is not None
            yield from _fields(inner, key, of_inner and "account" not in key.lower())
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(inner, name, of_phones=True)
    else:
        yield _Field(name, value, of_phones)


def _is_time(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _RFC_3339.fullmatch(value) is not None


def _time(value: object, time_zone: tzinfo) -> datetime | None:
    # RFC 3339 has its letters in small, too.
    return moment(value.upper(), time_zone) if _is_time(value) else None


def _is_sid(value: object) -> bool:
    return isinstance(value, str) and _SID.fullmatch(value) is not None

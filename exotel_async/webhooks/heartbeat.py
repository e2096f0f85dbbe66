"""Heartbeats: Exotel's reports on the health of ExoPhones (VOICE_V1 8).

The only field whose name is known is `status_type`. The other values that are known to be sent are
recognised by their form, wherever they occur.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Self

from attrs import field, frozen

from exotel_async.config import IST, check_time_zone
from exotel_async.errors import InvalidWebhook
from exotel_async.masking import outline
from exotel_async.models.value import Value
from exotel_async.webhooks.body import HEARTBEAT_FACTOR, MAX_FIELDS, read_body
from exotel_async.webhooks.enums import HeartbeatStatus
from exotel_async.webhooks.fields import event_key
from exotel_async.wire.values import enum_reader, parse_time

_status: Final = enum_reader(HeartbeatStatus)
_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
# With both letters and digits: a word of letters only is not a SID, nor is a long number.
_SID: Final = re.compile(r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{16,64}", re.ASCII)
_OF_ACCOUNT: Final = re.compile(r"account", re.IGNORECASE)
_OF_PHONES: Final = re.compile(r"phone|number", re.IGNORECASE)
# An unknown word (None) may be an alarm, so it is worse than OK.
_BY_SEVERITY: Final = (
    HeartbeatStatus.OK,
    None,
    HeartbeatStatus.WARNING,
    HeartbeatStatus.PAYLOAD_TOO_LARGE,
    HeartbeatStatus.CRITICAL,
)
_RECENT: Final = timedelta(minutes=5)
_SHOWN: Final = 40  # characters of an unknown word


def _show(status: HeartbeatStatus) -> str:
    if isinstance(status, HeartbeatStatus) and status.is_known:
        return repr(status)
    return f"<HeartbeatStatus {outline(str(status), _SHOWN)}>"


@frozen(kw_only=True)
class Heartbeat(Value):
    """Exotel's report on the health of your ExoPhones.

    Exotel's documentation names its `status_type` and says that it has times in RFC 3339 format and
    the SIDs of the ExoPhones concerned, but not the names of these fields. So they are recognised
    by their form; `raw` is the complete original data.

    Attributes:
        status: the reported health of the ExoPhones. Of several, the one that is nested least; of
            equally nested ones the worst: CRITICAL, PAYLOAD_TOO_LARGE, WARNING, an unknown word,
            OK.
        time: the only time in it, aware, in the zone it was read with. None if there is none, or if
            there are several different ones.
        exophone_sids: values that look like a SID, 16 to 64 letters and digits, in a list or under
            a name that contains "phone" or "number", but not under one that contains "account". A
            text may hold several, separated by commas. Each once, in order.
        raw: the complete original data. A form is nested according to the brackets in its names; a
            list has the name "".
    """

    status: HeartbeatStatus = field(repr=_show)
    time: datetime | None = None
    exophone_sids: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def from_request(
        cls, body: bytes, content_type: str | None, *, time_zone: tzinfo = IST
    ) -> Self:
        """Read a heartbeat: JSON, urlencoded or multipart.

        Args:
            body: the whole body of the request. Limit its length before you read it.
            content_type: the Content-Type header.
            time_zone: the time zone to convert its time to.

        Raises:
            InvalidWebhook: this is not a heartbeat. Its text shows nothing of the body.
            ConfigurationError: `time_zone` is not a time zone; or the body is multipart and the
                extra `webhooks` is not installed.
        """
        check_time_zone(time_zone)
        raw = read_body(body, content_type, most=MAX_FIELDS * HEARTBEAT_FACTOR, list_name="")
        fields = list(_fields(raw))
        found = [
            (-one.depth, _severity(status), status)
            for one in fields
            if one.name == "status_type" and (status := _status(one.value))
        ]
        if not found:
            raise InvalidWebhook("no status_type")
        *_, status = max(found, key=lambda one: one[:2])
        times = {time for one in fields if (time := _time(one.value, time_zone))}
        sids = (sid for one in fields if one.may_be_of_phone for sid in _sids(one.value))
        return cls(
            status=status,
            time=times.pop() if len(times) == 1 else None,
            exophone_sids=tuple(dict.fromkeys(sids)),
            raw=raw,
        )

    @property
    def key(self) -> str | None:
        """A unique key of this heartbeat, for deduplication; None if there can be none.

        It is made of the whole payload, provided that this contains a time within five minutes of
        now, neither in a list nor under a name that contains "phone" or "number": the time of an
        ExoPhone, such as that of its creation, does not count. Without such a time, a heartbeat
        cannot be told apart from the next one, which may repeat the alarm in the same words: the
        key is None, and each is handled. So one may be handled twice, but none is lost.
        """
        now = datetime.now(UTC)
        times = (_time(one.value, UTC) for one in _fields(self.raw) if not one.is_one_of_many)
        if not any(time is not None and abs(time - now) <= _RECENT for time in times):
            return None
        return event_key("all", self.raw)


@frozen
class _Field:
    """A value that is neither a mapping nor a list, with its place in the payload."""

    name: str
    value: Any
    depth: int
    may_be_of_phone: bool
    """Whether it is in a list or under a phone's name, and not under an account's."""
    is_one_of_many: bool
    """Whether it is in a list or under a phone's name."""


def _fields(
    value: object,
    name: str = "",
    *,
    depth: int = 0,
    of_phones: bool = False,
    of_account: bool = False,
    one_of_many: bool = False,
) -> Iterator[_Field]:
    # The recursion is safe: `read_body` has limited the depth.
    if isinstance(value, Mapping):
        for key, inner in value.items():
            # A name applies to everything below it, until another one overrides it.
            names_account = _OF_ACCOUNT.search(key) is not None
            names_phones = not names_account and _OF_PHONES.search(key) is not None
            yield from _fields(
                inner,
                key,
                depth=depth + 1,
                of_phones=names_phones or (of_phones and not names_account),
                of_account=names_account or (of_account and not names_phones),
                one_of_many=one_of_many or names_phones,
            )
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(
                inner,
                name,
                depth=depth + 1,
                of_phones=not of_account,
                of_account=of_account,
                one_of_many=True,
            )
    else:
        yield _Field(name, value, depth, of_phones, one_of_many)


def _severity(status: HeartbeatStatus) -> int:
    return _BY_SEVERITY.index(status if status.is_known else None)


def _time(value: object, time_zone: tzinfo) -> datetime | None:
    if not isinstance(value, str) or _RFC_3339.fullmatch(value) is None:
        return None
    return parse_time(value.upper(), time_zone)  # RFC 3339 allows lower-case letters


def _sids(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from (one for part in value.split(",") if _SID.fullmatch(one := part.strip()))

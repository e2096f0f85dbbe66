"""The cattrs converter from Exotel's JSON to models.

It is lenient. The service writes numbers as text and vice versa, `""`, `"null"` and `"None"` for
unknown values, and constants for times that are not set yet; and it may change at any time. So an
optional field becomes None if its value makes no sense; only data without what the model requires,
such as a call without a SID or a balance without an amount, and data that are not a JSON object are
refused.

The hooks are hand-written: they take half the time of those that cattrs generates, and mypy checks
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from cattrs import Converter

from exotel_async.config import IST
from exotel_async.models import (
    AnsweredBy,
    Balance,
    Call,
    CallDetails,
    CallPage,
    CallStatus,
    Direction,
    Dnd,
    ExoPhone,
    ExoPhonePage,
    Leg,
    NumberMetadata,
    NumberType,
    WhitelistEntry,
    WhitelistStatus,
    WhitelistType,
)
from exotel_async.wire.values import (
    amount,
    count,
    enum_reader,
    free_text,
    parse_time,
    seconds,
    text,
)


@lru_cache(maxsize=16)
def converter(time_zone: tzinfo = IST) -> Converter:
    """Return the converter whose times are in `time_zone`, made once per zone.

    Times without an offset are also read as times in this zone. Exotel's is Indian Standard Time,
    the default, though its documentation does not say so.

    `structure(data, Call)`, and the same for the other models, raises a ValueError if the data are
    not a JSON object or lack what the model requires, and nothing else. A `CallPage` is refused as
    a whole if one of its calls is, so that it is requested again; likewise an `ExoPhonePage`.
    """

    def time(value: object) -> datetime | None:
        return parse_time(value, time_zone)

    def call(data: Any, _: object) -> Call:
        get = _object(data).get
        sid = text(get("Sid"))
        if sid is None:
            raise ValueError("a call without a Sid")
        custom_field = free_text(get("CustomField"))
        details = get("Details")
        return Call(
            sid=sid,
            status=_status(get("Status")),
            direction=_direction(get("Direction")),
            from_=text(get("From")),
            to=text(get("To")),
            exophone=text(get("PhoneNumberSid")),  # the number itself, not a SID
            created_at=time(get("DateCreated")),
            updated_at=time(get("DateUpdated")),
            started_at=time(get("StartTime")),
            ended_at=time(get("EndTime")),
            duration=seconds(get("Duration")),
            price=amount(get("Price")),
            answered_by=_answered_by(get("AnsweredBy")),
            recording_url=text(get("RecordingUrl")),
            presigned_recording_url=text(get("PreSignedRecordingUrl")),
            # Call records have N/A if there is none.
            custom_field=None if custom_field == "N/A" else custom_field,
            parent_sid=text(get("ParentCallSid")),
            account_sid=text(get("AccountSid")),
            forwarded_from=text(get("ForwardedFrom")),
            caller_name=free_text(get("CallerName")),
            uri=text(get("Uri")),
            details=_details(details) if details and isinstance(details, dict) else None,
            raw=data,
        )

    def page(data: Any, kind: object) -> CallPage:
        get = _object(_object(data).get("Metadata")).get
        rows = data.get("Calls")
        if not isinstance(rows, list):
            raise ValueError("no list of calls")  # noqa: TRY004 - wrong data, not a wrong program
        return CallPage(
            # Documented flat; but other clients of the real service also unwrap (VOICE_V1 3).
            calls=tuple(call(row.get("Call", row), kind) for row in map(_object, rows)),
            total=count(get("Total")),
            after=_cursor(text(get("NextPageUri"))),
            raw=data,
        )

    def balance(data: Any, _: object) -> Balance:
        account = _object(data)
        get = _object(account.get("BalanceData")).get
        left = amount(get("Balance"))
        if left is None:
            raise ValueError("a balance without an amount")
        return Balance(
            account_sid=text(account.get("AccountSid")),
            amount=left,
            currency=text(get("Currency")),
            pricing_plan=text(get("PricingPlan")),
            updated_at=time(get("DateUpdated")),
            raw=data,
        )

    made = Converter()
    made.register_structure_hook(Call, call)
    made.register_structure_hook(CallPage, page)
    made.register_structure_hook(CallDetails, lambda data, _: _details(_object(data)))
    made.register_structure_hook(Leg, lambda data, _: _leg(_object(data)))
    made.register_structure_hook(NumberMetadata, lambda data, _: _number(_object(data)))
    made.register_structure_hook(WhitelistEntry, lambda data, _: _whitelist_entry(_object(data)))
    made.register_structure_hook(Balance, balance)
    made.register_structure_hook(ExoPhone, lambda data, _: _exophone(_object(data)))
    made.register_structure_hook(ExoPhonePage, lambda data, _: _exophone_page(_object(data)))
    return made


_status: Final = enum_reader(CallStatus)
_direction: Final = enum_reader(Direction)
_answered_by: Final = enum_reader(AnsweredBy)
_number_type: Final = enum_reader(NumberType)
_dnd: Final = enum_reader(Dnd)
_whitelist_status: Final = enum_reader(WhitelistStatus)
_whitelist_type: Final = enum_reader(WhitelistType)


def _object(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - wrong data, not a wrong program
    return data


def _cursor(uri: str | None) -> str | None:
    """Return the cursor in the URI of the next page. The URI is not used: it may lack `.json`."""
    if uri is None:
        return None
    found = [value for name, value in parse_qsl(urlsplit(uri).query) if name == "After"]
    if not found:
        raise ValueError("the URI of the next page has no cursor")
    return found[-1]


def _leg(data: dict[str, Any], details: Mapping[str, Any] = MappingProxyType({})) -> Leg:
    get = data.get
    number = count(get("Id"))
    # In call details the status of leg 1 is next to the legs, as Leg1Status.
    status = get("Status") if "Status" in data else details.get(f"Leg{number}Status")
    return Leg(
        id=number,
        duration=seconds(get("OnCallDuration")),
        status=_status(status),
        answered_by=_answered_by(get("AnsweredBy")),
    )


def _details(data: Mapping[str, Any]) -> CallDetails:
    listed = data.get("Legs")
    items = listed if isinstance(listed, list) else ()
    legs = (item.get("Leg", item) for item in items if isinstance(item, dict))
    return CallDetails(
        talk_time=seconds(data.get("ConversationDuration")),
        leg1_status=_status(data.get("Leg1Status")),
        leg2_status=_status(data.get("Leg2Status")),
        legs=tuple(_leg(leg, data) for leg in legs if isinstance(leg, dict)),
    )


def _number(data: dict[str, Any]) -> NumberMetadata:
    get = data.get
    return NumberMetadata(
        phone_number=text(get("PhoneNumber")),
        circle=text(get("Circle")),
        circle_name=text(get("CircleName")),
        type=_number_type(get("Type")),
        operator=text(get("Operator")),
        operator_name=text(get("OperatorName")),
        dnd=_dnd(get("DND")),
        raw=data,
    )


def _whitelist_entry(data: dict[str, Any]) -> WhitelistEntry:
    status = _whitelist_status(data.get("Status"))
    if status is None:
        raise ValueError("an entry without a Status")
    return WhitelistEntry(
        status=status,
        type=_whitelist_type(data.get("Type")),
        expires_in=seconds(data.get("Expiry")),  # -1 if it does not expire
        raw=data,
    )


def _exophone(data: dict[str, Any]) -> ExoPhone:
    get = data.get
    sid = text(get("sid"))
    if sid is None:
        raise ValueError("an ExoPhone without a sid")
    given = get("capabilities")
    able = given if isinstance(given, dict) else {}
    return ExoPhone(
        sid=sid,
        phone_number=text(get("phone_number")),
        friendly_name=free_text(get("friendly_name")),
        country=text(get("country")),
        region=text(get("region")),
        voice=_truth(able.get("voice")),
        sms=_truth(able.get("sms")),
        voice_url=text(get("voice_url")),
        sms_url=text(get("sms_url")),
        raw=data,
    )


def _exophone_page(data: dict[str, Any]) -> ExoPhonePage:
    rows = data.get("incoming_phone_numbers")
    if not isinstance(rows, list):
        raise ValueError("no list of ExoPhones")  # noqa: TRY004 - wrong data, not a wrong program
    return ExoPhonePage(
        exophones=tuple(_exophone(_object(row)) for row in rows),
        next_page=_page_number(text(data.get("next_page_uri"))),
        raw=data,
    )


def _page_number(uri: str | None) -> int | None:
    """Return the page number in the URI of the next page, whose host must not be used."""
    if uri is None:
        return None
    found = [count(value) for name, value in parse_qsl(urlsplit(uri).query) if name == "Page"]
    if not found or found[-1] is None:
        raise ValueError("the URI of the next page has no page number")
    return found[-1]


def _truth(value: object) -> bool | None:
    """Read a boolean, or one written as text. None if it is neither."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None

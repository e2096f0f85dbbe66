"""Calls as the API returns them: their fields (VOICE_V1 1.3, 2, 3)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from exotel_async.emulator.calls import EmulatedCall, Recording
from exotel_async.emulator.credentials import presigned
from exotel_async.emulator.numbers import e164, national
from exotel_async.emulator.rendering import Document
from exotel_async.emulator.settings import Settings
from exotel_async.emulator.switches import Switches

RECORDINGS = "/exotelrecordings/"
"""The path that recordings are under; the account and a file for each call come after it."""
DEFAULT_VALIDITY = 5
"""Minutes a pre-signed recording URL is valid unless requested otherwise (VOICE_V1 2)."""

_ECHO: dict[str, Callable[[str], str]] = {"national": national, "e164": e164, "as-sent": str}


def second_party(call: EmulatedCall, switches: Switches) -> str | None:
    """Return whom `To` names, as sent: the second party, or what the switches say (VOICE_V1 1.3).

    It is None for a call to a stream.
    """
    if call.to is not None or call.dial.stream_url is not None:
        return call.to
    if call.incoming:
        return (switches.inbound_to == "agent" and call.agent) or call.caller_id
    return None if switches.flow_to == "null" else call.caller_id


def echo(number: str, form: Literal["national", "e164", "as-sent"]) -> str:
    """Return a number in the form that a switch asks for."""
    return _ECHO[form](number)


class CallDocuments:
    """Calls as documents, by the current settings."""

    def __init__(self, settings: Settings, base_url: str) -> None:
        self._settings = settings
        self._base_url = base_url

    def single(
        self, call: EmulatedCall, *, json: bool, details: bool = False, validity: int | None = None
    ) -> Document:
        """Return the response to a dial or to a query for one call."""
        return {"Call": self._call(call, json=json, details=details, validity=validity)}

    def row(
        self, call: EmulatedCall, *, json: bool, details: bool, validity: int | None
    ) -> Document:
        """Return one flat record of `Calls`."""
        settings = self._settings
        details = details and settings.bulk_details
        document = self._call(call, json=json, details=details, validity=validity)
        if settings.bulk_extra_columns:
            document["PhoneNumber"] = document["PhoneNumberSid"]
            document["CustomField"] = call.custom_field or "N/A"
            document["CallType"] = call.dial.parameters.get("CallType", "trans")
        return document

    def recording_path(self, recording: Recording) -> str:
        """Return the path of a recording on this host."""
        return f"{RECORDINGS}{self._settings.account_sid}/{recording.file}"

    def recording_url(self, call: EmulatedCall) -> str | None:
        """Return the URL of the call's recording, if it has one."""
        recording = call.recording
        return None if recording is None else self._base_url + self.recording_path(recording)

    def presigned_url(
        self, call: EmulatedCall, recording: Recording, validity: int | None = None
    ) -> str:
        """Return a recording's URL that anybody can use for some minutes from now on."""
        minutes, path = validity or DEFAULT_VALIDITY, self.recording_path(recording)
        now = call.clock.now()
        return self._base_url + presigned(path, minutes=minutes, now=now, settings=self._settings)

    def to(self, call: EmulatedCall, form: Literal["national", "e164", "as-sent"]) -> str | None:
        """Return whom `To` names, in one of the forms of a number."""
        party = second_party(call, self._settings)
        return None if party is None else echo(party, form)

    def _call(
        self, call: EmulatedCall, *, json: bool, details: bool, validity: int | None
    ) -> Document:
        settings, clock, line = self._settings, call.clock, call.timeline
        settled = call.settled
        created = clock.text(call.at)
        recording = call.recording if settled else None
        calls = "Calls.json" if json else "Calls"
        document: Document = {
            "Sid": call.sid,
            "ParentCallSid": call.parent_sid,
            "DateCreated": created,
            "DateUpdated": clock.text(call.at + line.settled) if settled else created,
            "AccountSid": settings.account_sid,
            "To": self.to(call, settings.echo_numbers),
            "From": echo(call.from_, settings.echo_numbers),
            "PhoneNumberSid": national(call.caller_id),
            "Status": call.status,
            "StartTime": created,
            "EndTime": clock.text(call.at + line.ended) if settled else None,
            "Duration": self._amount(line.duration, json=json) if settled else None,
            "Price": self._amount(line.price, json=json) if settled else None,
            "Direction": call.dial.direction,
            # An incoming call is answered by Exotel, not by a party.
            "AnsweredBy": None
            if call.incoming or not settled or line.answered is None
            else "human",
            "ForwardedFrom": None,
            "CallerName": None,
            # `.json` is in the middle: this URI cannot be requested as it is.
            "Uri": f"/v1/Accounts/{settings.account_sid}/{calls}/{call.sid}",
            "RecordingUrl": self.recording_url(call) if settled else None,
        }
        if call.dial.stream_url is not None and not json:
            # What that URI returns is not known.
            document["SubResourceUris"] = {"Stream": f"{document['Uri']}/Stream"}
        if recording is not None:
            document["PreSignedRecordingUrl"] = self.presigned_url(call, recording, validity)
        if details:
            known = settled or not settings.late_details
            document["Details"] = _details(call, known=known)
        return document

    def _amount(self, amount: int | Decimal, *, json: bool) -> str | float:
        if json and self._settings.amounts == "number":
            return float(amount) if isinstance(amount, Decimal) else amount
        return str(amount)


def _details(call: EmulatedCall, *, known: bool) -> Document:
    """Return the leg data: a wrapper around each leg, ids from 1, whole numbers (VOICE_V1 2).

    `known`: the fields that appear late are there: the second leg and the talk time.
    """
    first, second = call.legs()
    talked = call.talked if call.ended else 0
    legs = [first, second] if known and second.status is not None else [first]
    return {
        "ConversationDuration": talked if known else None,
        "Leg1Status": first.status,
        "Leg2Status": second.status if known else None,
        "Legs": [
            {"Leg": {"Id": number, "OnCallDuration": leg.seconds}}
            for number, leg in enumerate(legs, start=1)
        ],
    }

"""Payloads as VOICE_V1 6, 7 has them, with invented values."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from exotel_async.emulator.encoding import Encoding, encode, form_fields
from exotel_async.webhooks import StatusCallback

SID = "0a1b2c3d4e5f60718293a4b5c6d71a3j"

SHORT: dict[str, Any] = {
    "CallSid": SID,
    "Status": "completed",
    "RecordingUrl": "https://recordings.example/acme1/call.mp3",
    "DateUpdated": "2026-03-02 11:21:12",
}
LONG: dict[str, Any] = {
    "CallSid": SID,
    "EventType": "terminal",
    "DateCreated": "2026-03-02 11:20:05",
    "DateUpdated": "2026-03-02 11:21:12",
    "Status": "completed",
    "To": "+919812300001",
    "From": "+919812300002",
    "PhoneNumberSid": "08030000000",
    "StartTime": "2026-03-02 11:20:05",
    "EndTime": "2026-03-02 11:21:10",
    "Direction": "outbound-api",
    "RecordingUrl": "https://recordings.example/acme1/call.mp3",
    "ConversationDuration": 41,
    "CustomField": "order-7",
    "Legs": [
        {"OnCallDuration": 60, "Status": "completed", "AnsweredBy": "NA"},
        {"OnCallDuration": 41, "Status": "completed", "AnsweredBy": "HUMAN"},
    ],
}
AGENT_ANSWERED: dict[str, Any] = LONG | {
    "EventType": "answered",
    "Status": "in-progress",
    "EndTime": None,
    "RecordingUrl": None,
    "ConversationDuration": 0,
    "CustomField": None,
    "Legs": [
        {"OnCallDuration": 0, "Status": "in-progress", "AnsweredBy": "NA"},
        {"OnCallDuration": 0, "Status": "", "AnsweredBy": "NA"},
    ],
}
BRIDGED: dict[str, Any] = AGENT_ANSWERED | {
    "Legs": [
        {"OnCallDuration": 12, "Status": "in-progress", "AnsweredBy": "NA"},
        {"OnCallDuration": 0, "Status": "in-progress", "AnsweredBy": "HUMAN"},
    ],
}
PASSTHRU: dict[str, str] = {
    "CallSid": SID,
    "CallFrom": "09812300001",
    "CallTo": "08030000001",
    "Direction": "incoming",
    "ForwardedFrom": "null",
    "Created": "Mon, 02 Mar 2026 11:20:05",
    "DialCallDuration": "17",
    "RecordingUrl": "https://recordings.example/acme1/call.mp3",
    "StartTime": "2026-03-02 11:20:04",
    "EndTime": "1970-01-01 05:30:00",
    "DialCallStatus": "completed",
    "CallType": "completed",
    "DialWhomNumber": "09812300003",
    "ProcessStatus": "null",
    "flow_id": "228040",
    "tenant_id": "67291",
    "From": "09812300001",
    "To": "08030000000",
    "RecordingAvailableBy": "Mon, 02 Mar 2026 11:25:31",
    "CurrentTime": "2026-03-02 11:20:31",
    "OutgoingPhoneNumber": "08030000000",
    "Legs[0][Number]": "09812300003",
    "Legs[0][Type]": "single",
    "Legs[0][OnCallDuration]": "10",
    "Legs[0][CallerId]": "08030000001",
    "Legs[0][CauseCode]": "NORMAL_CLEARING",
    "Legs[0][Cause]": "16",
    "Legs[0][DisconnectedBy]": "Callee",
}
DIAL: dict[str, str] = {
    "CallSid": SID,
    "CallFrom": "09812300001",
    "CallTo": "08030000001",
    "Direction": "incoming",
    "Created": "Mon, 02 Mar 2026 11:20:05",
    "From": "09812300001",
    "To": "08030000000",
    "CurrentTime": "2026-03-02 11:20:08",
    "DialWhomNumber": "09812300003",
    "Status": "busy",
    "EventType": "Dial",
    "AgentEmail": "agent@shop.example",
}

EXOPHONE_SIDS = ["5f0c1d2e3a4b5c6d7e8f90a1b2c3d4e5", "6f0c1d2e3a4b5c6d7e8f90a1b2c3d4e5"]
HEARTBEAT: dict[str, Any] = {
    # Of its names only this one is known.
    "status_type": "CRITICAL",
    "some_time": "2026-03-02T05:50:05Z",
    "some_exophones": [{"some_sid": sid} for sid in EXOPHONE_SIDS],
}

ENCODINGS: list[Encoding] = ["json", "multipart", "urlencoded"]


def callback(payload: dict[str, Any], encoding: Encoding = "json") -> StatusCallback:
    """Read a payload as it comes in one of the encodings."""
    content_type, body = encode(payload, encoding, boundary="----boundary7")
    return StatusCallback.from_request(body, content_type)


def query(fields: dict[str, str], **more: str) -> str:
    """Write fields as the query of an applet's request."""
    return urlencode(fields | more)


def as_form(payload: dict[str, Any]) -> bytes:
    return urlencode(form_fields(payload)).encode()


def as_json(payload: object) -> bytes:
    return json.dumps(payload).encode()

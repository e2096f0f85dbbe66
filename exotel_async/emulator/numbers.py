"""Phone numbers: a form to compare them in, the forms on the wire, and the results of lookups."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

_NATIONAL = re.compile(r"(?:\+?91|0)?([1-9]\d{9})")
_WRITTEN = re.compile(r"\+?\d+")
_DIALLABLE = re.compile(r"\+?\d{8,15}")
_SIP = re.compile(r"sips?:[^@\s]+(?:@[^@\s]+)?", re.IGNORECASE)

CIRCLES = {
    "AP": "Andhra Pradesh",
    "AS": "Assam",
    "BR": "Bihar",
    "CH": "Chennai",
    "DL": "Delhi",
    "GJ": "Gujarat",
    "HP": "Himachal Pradesh",
    "HR": "Haryana",
    "JK": "Jammu and Kashmir",
    "KA": "Karnataka",
    "KL": "Kerala",
    "KO": "Kolkata",
    "MH": "Maharashtra",
    "MP": "Madhya Pradesh",
    "MU": "Mumbai",
    "NE": "North East",
    "OR": "Orissa",
    "PB": "Punjab",
    "RJ": "Rajasthan",
    "TN": "Tamil Nadu",
    "UE": "Uttar Pradesh (East)",
    "UW": "Uttar Pradesh (West)",
    "WB": "West Bengal",
}
"""The circles, by code (VOICE_V1 4)."""

OPERATORS = {
    "A": "Airtel",
    "B": "BSNL",
    "I": "Idea",
    "MT": "MTNL",
    "R": "Reliance",
    "T": "Tata",
    "V": "Vodafone",
}
"""Some of the operators, by code (VOICE_V1 4)."""


@lru_cache(maxsize=4096)
def national(number: str) -> str:
    """Return the form for comparisons: `0` and ten digits for an Indian one, else as written."""
    match = _NATIONAL.fullmatch(number)
    return number if match is None else "0" + match[1]


def e164(number: str) -> str:
    """Return `+91` and ten digits for an Indian number, else the number as written."""
    match = _NATIONAL.fullmatch(number)
    return number if match is None else "+91" + match[1]


def is_indian(number: str) -> bool:
    """Return whether it is an Indian number with all its ten digits."""
    return _NATIONAL.fullmatch(number) is not None


def is_number(text: str) -> bool:
    """Return whether it can be dialled: digits, with or without a plus."""
    return _DIALLABLE.fullmatch(text) is not None


def is_sip(text: str) -> bool:
    """Return whether it is a SIP address, or an agent's SIP id without a host (VOICE_V1 1.1)."""
    return _SIP.fullmatch(text) is not None


def checked_number(text: str) -> str:
    """Return the form in which a number from the user is kept. Raises ValueError for other texts.

    A number with spaces or hyphens, which the API refuses, would never match a request.
    """
    if _WRITTEN.fullmatch(text) is None and not is_sip(text):
        shown = re.sub(r"\d(?=(?:\D*\d){4})", "*", text)
        raise ValueError(
            f"{shown!r} is not a phone number (digits, with or without a plus) or a SIP address"
        )
    return national(text)


def masked(text: str) -> str:
    """Return a text with its phone numbers masked, for error messages."""
    return re.sub(r"\d{7,}", lambda run: "*" * (len(run[0]) - 4) + run[0][-4:], text)


def metadata(number: str, *, dnd: bool) -> dict[str, str]:
    """Return the lookup result of an Indian number: invented, but always the same for a number."""
    shown = national(number)
    draw = int.from_bytes(sha256(shown.encode()).digest()[:4])
    circle = sorted(CIRCLES)[draw % len(CIRCLES)]
    operator = sorted(OPERATORS)[draw // len(CIRCLES) % len(OPERATORS)]
    return {
        "PhoneNumber": shown,
        "Circle": circle,
        "CircleName": f"{CIRCLES[circle]} Telecom Circle",
        # 080 is the only area code documented (VOICE_V1 1.1), and ExoPhones have it.
        "Type": "Landline" if shown[1] in "12345" or shown.startswith("080") else "Mobile",
        "Operator": operator,
        "OperatorName": OPERATORS[operator],
        "DND": "Yes" if dnd else "No",
    }

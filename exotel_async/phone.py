"""Phone numbers as people write them and as Exotel writes them."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from exotel_async.errors import InvalidRequest
from exotel_async.masking import mask_number

# Spaces, dashes, and the invisible marks that come along when a number is pasted.
_SEPARATOR_CATEGORIES: Final = frozenset({"Zs", "Pd", "Cf"})
_SEPARATORS: Final = "().\u2212"
_TRUNK_ZERO: Final = r"\+.*\(\s*0\s*\)"
# E.164 allows 15 digits; no country has numbers under 7 with its code. Short codes have 3.
_NUMBER: Final = r"\+[1-9][0-9]{6,14}|(?!0+$)[0-9]{3,15}"
_SIP_URI: Final = r"(?i:sip:[^\s@<>,]+@[^\s@<>,]+)"
_INDIAN: Final = r"(?:\+91|91|0)?([1-9][0-9]{9})"


def normalize_number(number: str, argument: str = "number") -> str:
    """Return a phone number as it is sent: digits, and the ``+`` where it was written.

    Spaces, dashes, dots, parentheses and invisible marks are taken out. A country is never guessed:
    a number without one goes to Exotel as it is, and Exotel guesses.

    Args:
        number: the number, as ``+91 98123 00001``, ``098123-00001`` or ``(080) 3000 0000``.
        argument: what the error calls it.

    Raises:
        InvalidRequest: it is not a phone number. Digits of other scripts are refused as well.
    """
    if not isinstance(number, str):
        raise InvalidRequest(argument, number, "must be text")
    if re.match(_TRUNK_ZERO, number):
        rule = "after a country code no (0) is dialled: leave it out"
        raise InvalidRequest(argument, mask_number(number), rule)
    digits = _without_separators(str.__str__(number))
    if not re.fullmatch(_NUMBER, digits):
        rule = "must be a phone number: 3 to 15 digits, or + and 7 to 15 with the country code"
        raise InvalidRequest(argument, mask_number(number), rule)
    return digits


def normalize_party(party: str, argument: str) -> str:
    """Return a phone number as `normalize_number` does, or a SIP URI as it is.

    Raises:
        InvalidRequest: it is neither.
    """
    if isinstance(party, str) and party[:4].lower() == "sip:":
        if len(party) > 255 or not party.isprintable() or not re.fullmatch(_SIP_URI, party):
            raise InvalidRequest(argument, mask_number(party), "must be like sip:user@host")
        return party
    return normalize_number(party, argument)


def same_number(a: str | None, b: str | None) -> bool:
    """Tell whether two spellings are one number: `+91…`, `91…`, `0…` and the bare ten digits.

    These are the forms in which Exotel gives back an Indian number, whatever was sent. Numbers of
    other countries must be written alike. Nothing is the same as no number.
    """
    return bool(a and b) and _identity(a or "") == _identity(b or "")


def _identity(number: str) -> str:
    digits = _without_separators(number)
    indian = re.fullmatch(_INDIAN, digits)
    return indian[1] if indian else digits


def _without_separators(number: str) -> str:
    if number.isascii() and number.removeprefix("+").isdigit():
        return number
    return "".join(
        char
        for char in number.strip()
        if char not in _SEPARATORS and unicodedata.category(char) not in _SEPARATOR_CATEGORIES
    )

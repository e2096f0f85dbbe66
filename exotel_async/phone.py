"""Phone numbers as people and as Exotel write them, and the SIP ids of agents.

Values are refused if they could become somebody else's number: a spreadsheet turns a number into
`9812300001.0`, which is another number without its point.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from exotel_async.errors import InvalidRequest
from exotel_async.masking import mask_number

_SPACES: Final = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_DASHES: Final = "\u2010-\u2015\u2212\ufe58\ufe63\uff0d"
# Often part of a pasted number. Not U+202E, which shows the digits in reverse.
_INVISIBLE: Final = "\u00ad\u061c\u200b-\u200f\u202a-\u202d\u2060-\u2064\u2066-\u2069\ufeff"

# Patterns are compiled on first use: compiling would take a tenth of the import time.
# E.164 allows 15 digits; with its code, no country has numbers under 7. Short codes have 3.
_NUMBER: Final = r"\+[1-9][0-9]{6,14}|(?!0+$)[0-9]{3,15}"

_SEPARATOR: Final = r"(?:\ +|\ ?[-.]\ ?)"
_GROUPED: Final = rf"""(?x)
    (?:\+\ ?)?
    (?: \(\ ?[0-9]+\ ?\) {_SEPARATOR}? | [0-9]+ (?:{_SEPARATOR} | (?=\()) )*
    (?: [0-9]+ | (?<=[0-9]\ )\([0-9]+\) )
    """
_LONGEST: Final = 40  # characters, with all separators
# Ends in a point, in .0 or ,0, or has an exponent: 9.8123E+09.
_DECIMAL: Final = r".*[0-9](?:\.0{0,2}|,0{1,2})|[0-9]+(?:[.,][0-9]+)?[eE][-+]?[0-9]+"
_TRUNK_ZERO: Final = r"\(\W{0,3}0\W{0,3}\)"
_NO_ZERO: Final = "must not have a 0 after the country code: leave it out"

_TOLL_FREE: Final = r"18[06]0(?:[0-9]{4}|[0-9]{6,7})"
_INDIA: Final = r"(?:\+91|0?0?91)"
_GROUPED_TOTAL: Final = rf"\+(?!91)[0-9]+|(?:{_INDIA}0?|0)?(?:[0-9]{{7,10}}|{_TOLL_FREE})"
_ABROAD: Final = r"00?91([1-9][0-9]{9}|18[06]0[0-9]{7})"

# The National Numbering Plan: STD codes have two to four digits from 11 on, those of two digits are
# listed here, and a subscriber's number begins with neither 0 nor 1. The series 140 and 160 are for
# outgoing calls only.
_LANDLINE: Final = (
    r"(?:11|20|22|33|40|44)[2-9][0-9]{7}"
    r"|(?!1[01]|140|160[01]|20|22|33|40|44)[1-5][0-9](?:[0-9][2-9][0-9]{6}|[0-9]{2}[2-9][0-9]{5})"
)
_MOBILE: Final = r"[6-9][0-9]{9}"  # and the landlines whose STD code begins with these
_PLANNED: Final = rf"(?:{_MOBILE}|{_LANDLINE}|{_TOLL_FREE})"
# The most usual spellings, matched first for speed: lists of a million have little else.
_USUAL: Final = rf"(?:\+91|91|0)?({_MOBILE})"
# Ten digits that begin with 91 are a mobile number without its country.
_DIALLED: Final = rf"\+(?!91)[0-9]+|(?:\+91|91|0){_PLANNED}|(?!0|91[0-9]{{9}})[0-9]{{3,15}}"
_INDIAN_WITH_ZERO: Final = rf"\+?910{_PLANNED}"

_SAME: Final = rf"(?:{_INDIA}0?|0)?([1-9][0-9]{{9}})"
_SAME_TOLL_FREE: Final = rf"(?:{_INDIA}0?|0)?({_TOLL_FREE})"

_SIP: Final = r"(?i:sip:)[^\s@<>,/]+(?:@[^\s@<>,/]+)?"


@cache
def _plain() -> dict[int, str | None]:
    """Return the translation of characters between digits to plain ones."""
    table: dict[int, str | None] = {}
    for kinds, means in ((_SPACES, " "), (_DASHES, "-"), (_INVISIBLE, None)):
        for first, last in re.findall(r"(.)(?:-(.))?", kinds):
            table |= dict.fromkeys(range(ord(first), ord(last or first) + 1), means)
    return table


def normalize_number(number: str, argument: str = "number") -> str:
    """Return the number of a party as it is sent: its digits, and a `+` if it was written.

    To clean a list before dialling, and see which numbers would be refused::

        try:
            number = normalize_number("+91 98123-00001")  # +919812300001
        except InvalidRequest as error:
            print(error)

    Spaces, dashes, dots and brackets between groups of digits are removed, and invisible marks. A
    country is never guessed: a number without one is sent to Exotel as it is, and Exotel guesses.
    `0091...` and `091...` become `+91...`, the same number.

    Numbers with `+91`, `91` or a leading 0 must be in the Indian numbering plan: ten digits, a
    mobile number from 6 to 9 or a landline with its STD code, or a number of 1800 or 1860. Numbers
    of other countries are written with `+` and have 7 to 15 digits.

    Args:
        number: the number, such as `+91 98123 00001`, `098123-00001` or `(080) 3000 0000`.
        argument: its name in the error.

    Raises:
        InvalidRequest: it is not one phone number; it was read as a decimal number
            (`9812300001.0`), is two numbers or has an extension; it is not in the numbering plan.
            Digits of other scripts are refused as well.
    """
    if isinstance(number, str) and _usual().fullmatch(number):
        return str.__str__(number)
    digits = normalize_exophone(number, argument)
    if re.fullmatch(_DIALLED, digits):
        return digits
    if re.fullmatch(_INDIAN_WITH_ZERO, digits):
        raise _refused(argument, number, _NO_ZERO)
    rule = (
        "is not in the Indian numbering plan: after +91, 91 or 0 come ten digits, a mobile number"
        " from 6 to 9 or a landline with its STD code, or a number of 1800 or 1860; other"
        " countries are written with +"
    )
    raise _refused(argument, number, rule)


def normalize_exophone(number: str, argument: str) -> str:
    """Return a number as `normalize_number` does, but without the check of the numbering plan.

    ExoPhones and the numbers in call records may be short, or of the series 140 and 160.

    Raises:
        InvalidRequest: it is not one phone number.
    """
    if not isinstance(number, str):
        raise InvalidRequest(argument, number, "must be text")
    if "+" in number and re.search(_TRUNK_ZERO, number):
        raise _refused(argument, number, _NO_ZERO)
    try:
        return _digits(number)
    except ValueError as error:
        raise _refused(argument, number, str(error)) from None


def normalize_party(party: str, argument: str) -> str:
    """Return a party to dial: a number as `normalize_number` does, or a SIP id or URI as it is.

    Raises:
        InvalidRequest: it is neither.
    """
    return _sip(party, argument) if is_sip(party) else normalize_number(party, argument)


def normalize_shown(party: str, argument: str) -> str:
    """Return a party of call records: a number as `normalize_exophone` does, or a SIP id as it is.

    Raises:
        InvalidRequest: it is neither.
    """
    return _sip(party, argument) if is_sip(party) else normalize_exophone(party, argument)


def is_sip(party: object) -> bool:
    """Return whether a party is meant as a SIP id or URI, judging by its first letters."""
    return isinstance(party, str) and party[:4].lower() == "sip:"


def same_number(a: str | None, b: str | None) -> bool:
    """Return whether two spellings are the same number; False if that cannot be known.

    An Indian number is the same with `+91`, `91`, `091`, `0091`, `+91 0`, with a leading 0 and as
    its ten digits alone (1800 and 1860: up to eleven): Exotel returns other forms than were sent.
    Numbers of other countries must be the same apart from separators, and SIP ids must be the same.
    A value that is not a number, such as a masked one, is not the same as anything.
    """
    if not a or not b:
        return False
    known = identity_of(a)
    return known is not None and known == identity_of(b)


def identity_of(party: str) -> str | None:
    """Return a key that is the same for all spellings of a party; None: not a number or SIP id."""
    if is_sip(party):
        return "sip:" + party[4:]
    if usual := _usual().fullmatch(party):
        return "India " + usual[1]
    try:
        digits = _digits(party)
    except ValueError:
        return None
    # Ten digits first: 9118001234 is a mobile number, not 1800 1234 with the country code.
    indian = re.fullmatch(_SAME, digits) or re.fullmatch(_SAME_TOLL_FREE, digits)
    return "India " + indian[1] if indian else digits


@cache
def _usual() -> re.Pattern[str]:
    return re.compile(_USUAL)  # the cache of `re` takes four times as long


def _digits(number: str) -> str:
    """Return a number's digits, with its plus. Raises ValueError with the rule it breaks."""
    text = str.__str__(number)
    if not (text.isascii() and text.removeprefix("+").isdigit()):
        text = _ungrouped(text.translate(_plain()).strip())
    if not re.fullmatch(_NUMBER, text):
        raise ValueError(
            "must be one phone number: 3 to 15 digits, or + and 7 to 15 with the country code;"
            " between groups of digits a space, dash or dot, or brackets"
        )
    # The country code after 00 or 0, as dialled from a landline: nothing else is that long.
    abroad = re.fullmatch(_ABROAD, text) if text[0] == "0" else None
    return f"+91{abroad[1]}" if abroad else text


def _ungrouped(text: str) -> str:
    """Return a number without the separators of its groups; anything else as it is."""
    if re.fullmatch(_DECIMAL, text):
        raise ValueError(
            "is a decimal number (it ends in .0 or has an exponent): read the column as text"
        )
    # (+91) is the same as +(91).
    text = re.sub(r"^\( ?\+ ?", "+(", text)
    if len(text) > _LONGEST or not re.fullmatch(_GROUPED, text):
        return text
    groups = re.findall("[0-9]+", text)
    digits = "+" * text.startswith("+") + "".join(groups)
    if len(groups) > 1 and not (
        _are_usual(groups, plus=digits[0] == "+")
        and not _has_extension(text, groups, digits)
        and not text.endswith(")")
        and re.fullmatch(_GROUPED_TOTAL, digits)
    ):
        raise ValueError(
            "looks like two numbers, or a number and an extension: pass one number alone, and"
            " those of other countries with +"
        )
    return digits


def _are_usual(groups: list[str], *, plus: bool) -> bool:
    """Return whether digits are grouped as people write a number, without an extension."""
    first, *middle, last = groups
    # The first group may include a country code or a 0.
    code = 3 if plus else 2 if first.startswith("91") else 1 if first.startswith("0") else 0
    singles = middle[1:] if plus else middle  # +33 1 23 45 67 89
    return (
        len(first) <= 6 + code
        and all(len(group) <= 6 for group in middle)
        and all(len(group) > 1 for group in singles)
        and (len(last) > 2 or len(last) == len(groups[-2]) == 2)
    )


def _has_extension(text: str, groups: list[str], digits: str) -> bool:
    """Return whether the last group of a foreign number looks like an extension."""
    if digits[0] != "+" or digits.startswith("+91"):
        return False  # the length of Indian numbers is checked elsewhere
    if digits.startswith("+1"):
        return len(digits) != len("+14155550100")
    *_, before, last = re.findall(r"[^0-9]+", text)[-2:] if len(groups) > 2 else ("", "", "")
    ahead = len(digits) - 1 - len(groups[-1])
    apart = before.strip() != last.strip()
    return 3 <= len(groups[-1]) <= 5 and (ahead >= 11 or (apart and ahead >= 10))


def _sip(party: str, argument: str) -> str:
    if len(party) > 255 or not party.isprintable() or not re.fullmatch(_SIP, party):
        raise _refused(argument, party, "must be like sip:user or sip:user@host")
    return str.__str__(party)


def _refused(argument: str, number: str, rule: str) -> InvalidRequest:
    return InvalidRequest(argument, number, rule, shown=mask_number(number))

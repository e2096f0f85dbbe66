"""The cells of lists, and the phone numbers in them.

A cell of a CSV file is text; one of a workbook may be a number, a date or a boolean. Nothing is
guessed: a number that may be another person's, or may have lost digits, is refused with a text that
says what to do.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Final, TypeAlias

from exotel_async.errors import InvalidRequest
from exotel_async.phone import identity_of, normalize_number

Cell: TypeAlias = str | int | float | bool | dt.date | dt.datetime | dt.time | dt.timedelta

LOST_DIGITS: Final = "has lost digits: format the column as text and export it again"
_ROUNDED: Final = "ends in zeros, as if it had lost digits: if it is right, write it with +91"
_NO_TEXT: Final = "is text, not a phone number"
_MORE: Final = "has other text beside a phone number: keep only the number in the cell"
_LETTER: Final = "has a letter in place of a digit, such as O for 0"
_MASKED: Final = "is masked: some of its digits are missing"
_EXTENSION: Final = "has an extension, which cannot be dialled: remove the extension"
_SHORT_SECOND: Final = "has a second number that is abbreviated: write each number in full"
_AMOUNT: Final = "is an amount, not a phone number"
_DATE: Final = "is a date, not a phone number"
_NEGATIVE: Final = "is a negative number, not a phone number"
_FRACTION: Final = "is a decimal number, not a phone number"
_LONG: Final = (
    "has more than 15 digits, the most that a phone number has and that a spreadsheet keeps: format"
    " the column as text"
)
_TWO: Final = "looks like two numbers, or a number and an extension: put / between two numbers"
_COUNTRY_LEFT_OUT: Final = (
    "has + and ten digits, so its country code seems to be missing: for an Indian number, write +91"
    " instead of +; for another one, put a space after the country code"
)
_SCRIPTS: Final = "mixes digits of two scripts"
_PLACEHOLDER: Final = "is a placeholder, not a real number"
_TOLL_FREE: Final = "is the toll-free number of a company, not of a person"
_PLAN: Final = (
    "is not in the Indian numbering plan: write a number of another country with + and its country"
    " code"
)

# The reasons that are given for cells that are meant as phone numbers.
_MALFORMED_NUMBERS: Final = frozenset({
    LOST_DIGITS, _ROUNDED, _LETTER, _MASKED, _EXTENSION, _SHORT_SECOND, _TWO, _COUNTRY_LEFT_OUT,
    _SCRIPTS, _PLAN,
})  # fmt: skip

DIGIT_OR_STAND_IN: Final = r"[\dOolIXx*#]"

_EXACT: Final = 2**53  # up to here, floats represent all whole numbers
_MAX_DIGITS: Final = 15
_LONGEST: Final = 200  # characters, enough for several numbers with labels
_SIGNIFICANT: Final = 6  # digits that are left in 9.81231E+09

_QUOTES: Final = "'\"\u2018\u2019\u201c\u201d`\u00b4"
# White space, zero bytes and invisible characters; not U+202E, after which digits are reversed.
_EDGES: Final = (
    "\0\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\u00a0\u00ad\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202f"
    "\u205f\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u3000\ufeff"
)
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_NOTHING: Final = frozenset({
    "", "0", "na", "n/a", "n.a.", "n.a", "nil", "null", "none", "nan", "nat", "<na>", "blank",
    "empty", "unknown", "tbd", "tba", "tbc", "pending", "undefined", "no number", "not available",
    "not applicable", "not given", "not provided", "no mobile", "no phone", "no contact",
    "#n/a", "#na", "#null!", "#ref!", "#value!", "#div/0!", "#name?", "#num!", "#error!",
})  # fmt: skip
_PLACEHOLDERS: Final = frozenset(
    {digit + zeros for digit in "0123456789" for zeros in (9 * digit, 9 * "0")}
    | {"1234567890", "0123456789", "9876543210", "0987654321", "123456789"}
)

# The usual spellings of numbers. They are matched first, as lists may have a million of them.
_USUAL: Final = re.compile(r"(?:\+91|91|0)?([6-9][0-9]{9})")
_ONE_DOT: Final = r"[6-9][0-9]{4}\.[0-9]{5}|0[0-9]{2,4}\.[0-9]{6,8}"
# +9812300001 would be Iranian, and is a digit short. Numbers of Singapore have ten with its code.
_TEN_AFTER_PLUS: Final = r"\+(?!65[3689])[6-9][0-9]{9}"
_COUNTRY_APART: Final = r"\+ ?\(?(?:6[02-6]|95|960|961|975)[^0-9]"
_FORMULA: Final = r"=\s*\"([^\"]*)\"|=(\+?[0-9]+)"
_WHOLE: Final = r"(\+?[0-9]{7,})[.,]0{1,2}|(\+?[0-9]{7,})\."
_EXPONENT: Final = r"([0-9]+)(?:[.,]([0-9]+))?[eE]\+?([0-9]{1,3})"
_SEPARATORS: Final = r"(?i)\s*(?:[/,;|&\n\r\\]|\bor\b|\band\b)\s*"
WORDS: Final = (
    "mobile|mob|cell|telephone|tel|phone|ph|contact|whatsapp|landline|callto"
    "|मोबाइल|मोबाईल|मो|फ़ोन|फोन|दूरभाष"
)
_LABEL: Final = (
    rf"(?i)^(?:(?:{WORDS})(?:[\s.]*(?:no|number|num|नं))?|(?:no|[mtp])(?=\s*[.:]))[\s.:=#\-\u2013]*"
    r"(?=[+(0-9])"
)
_LABEL_BEHIND: Final = rf"(?i)(?<=[0-9])\s*\((?:{WORDS}|m)\.?\)"
_HAS_EXTENSION: Final = r"(?i)[0-9][\s,;./(\-]*(?:ext[a-z]*|xtn|x)[\s.:=\-]*[0-9]{1,6}\b"
_LETTERS_FOR_DIGITS: Final = r"[0-9OoIiLlSsBbZz|!+() .\-]+"
_IS_DATE: Final = (
    r"(?:[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/. ](?:[0-9]{1,2}|[A-Za-z]{3,9})[-/. ]"
    r"(?:19|20)?[0-9]{2})(?:[ T,]+[0-9]{1,2}:[0-9]{2}.*)?"
)
_IS_AMOUNT: Final = (
    r"(?i).*[%$\u20ac\u00a3\u20b9].*|(?:rs|inr|usd)\b.*|.*\b(?:rs|inr|usd)\.?"
    r"|[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]+)?"
)


class BadCell(ValueError):
    """A cell that holds something other than phone numbers. The text says what."""


class NotDialled(BadCell):
    """A number that is never dialled from a list, and so is harmless in a do-not-call list.

    Attributes:
        number: the number.
    """

    def __init__(self, reason: str, number: str) -> None:
        super().__init__(reason)
        self.number = number


def text_of(cell: Cell) -> str:
    """Return a cell as text: dates as ISO 8601, whole numbers without a decimal point."""
    match cell:
        case str():
            return cell.replace("\0", "").strip(_EDGES)
        case bool():
            return str(cell).upper()
        case float():
            return str(int(cell)) if cell.is_integer() and abs(cell) < _EXACT else repr(cell)
        case dt.datetime() | dt.date() | dt.time():
            return cell.isoformat()
    return str(cell)


def is_empty(cell: Cell) -> bool:
    """Return whether a cell has no visible content."""
    return isinstance(cell, str) and not cell.strip(_EDGES)


def used_width(cells: Sequence[Cell]) -> int:
    """Return the number of cells up to the last one that is not empty."""
    return max((place for place, cell in enumerate(cells, 1) if not is_empty(cell)), default=0)


def numbers_of(cell: Cell) -> Sequence[str]:
    """Return the phone numbers in a cell as they are dialled, in their order.

    There are none if it is empty or says so: `-`, `N/A`, `nan`, `TBD`, `0`.

    Raises:
        BadCell: it holds something else.
    """
    if isinstance(cell, str):
        usual = _USUAL.fullmatch(cell)
        if usual and not cell.endswith("0000") and usual[1] not in _PLACEHOLDERS:
            return (cell,)
        return _in_text(cell)
    digits = _digits_of(cell)
    return () if digits == "0" else (_unrounded(digits),)


def is_number(cell: Cell) -> bool:
    """Return whether a cell holds phone numbers, and nothing else."""
    try:
        return bool(numbers_of(cell))
    except BadCell:
        return False


def is_meant_as_number(cell: Cell) -> bool:
    """Return whether a cell is a phone number, or one that cannot be dialled as it is written.

    `12-14`, `560 034` and `20x30` are neither: a phone number has ten digits, or had them.
    """
    try:
        return bool(numbers_of(cell))
    except BadCell as error:
        is_malformed = isinstance(error, NotDialled) or str(error) in _MALFORMED_NUMBERS
    return is_malformed and (
        has_lost_digits(cell) or len(re.findall(DIGIT_OR_STAND_IN, f"{cell}")) >= 10
    )


def is_likely(numbers: Sequence[str]) -> bool:
    """Return whether numbers are almost certainly phone numbers: mobile ones, or with + or 0.

    Ten digits that begin with 1 to 5 may be a landline, an order number or a time in seconds.
    """
    return bool(numbers) and all(
        one[0] in "+0" or (identity_of(one) or "").startswith(_MOBILES) for one in numbers
    )


_MOBILES: Final = tuple(f"India {first}" for first in "6789")


def has_lost_digits(cell: Cell) -> bool:
    """Return whether a cell is a number with an exponent that lacks digits: 9.81231E+09."""
    found = re.fullmatch(_EXPONENT, cell.strip(_EDGES)) if isinstance(cell, str) else None
    return found is not None and _expanded(found) is None


def bare_digits(cell: Cell) -> str:
    """Return the digits of a cell that a spreadsheet takes for a number; else ""."""
    if isinstance(cell, str):
        found = re.fullmatch(r"([0-9]{1,15})(?:\.0+)?", cell.strip(_EDGES))
        return found[1] if found else ""
    try:
        return _digits_of(cell)
    except BadCell:
        return ""


def _digits_of(cell: Cell) -> str:
    if isinstance(cell, bool):
        raise BadCell("is TRUE or FALSE, not a phone number")
    if isinstance(cell, dt.timedelta | dt.time | dt.date):
        raise BadCell(_DATE)
    assert isinstance(cell, int | float)  # noqa: S101 - there are no other cells
    if isinstance(cell, float) and math.isnan(cell):
        return "0"
    if cell < 0:
        raise BadCell(_NEGATIVE)
    if cell >= 10**_MAX_DIGITS:
        raise BadCell(_LONG)
    if cell != int(cell):
        raise BadCell(_FRACTION)
    return str(int(cell))


def _in_text(cell: str) -> Sequence[str]:
    text = cell.strip(_EDGES).translate(_FULL_WIDTH)
    if len(text) > _LONGEST:
        raise BadCell(_MORE if any(map(str.isdigit, text)) else _NO_TEXT)
    if formula := re.fullmatch(_FORMULA, text):
        text = formula[1] if formula[1] is not None else formula[2]
    text = text.strip(_QUOTES).strip(_EDGES)
    if text.casefold() in _NOTHING or re.fullmatch(r"[\W_]+", text):
        return ()
    text = _latin(text)
    if exponent := re.fullmatch(_EXPONENT, text):
        digits = _expanded(exponent)
        if digits is None:
            raise BadCell(LOST_DIGITS)
        return (_unrounded(digits),)
    if whole := re.fullmatch(_WHOLE, text):
        text = whole[1] or whole[2]
    if text.isdigit():
        return (_unrounded(text),)
    _refuse_others(text)
    text = re.sub(r"[\t\v\f]", " ", text).strip("/,;|&\\ ")
    parts = [part for part in re.split(_SEPARATORS, text) if part]
    if not parts:
        raise BadCell(_NO_TEXT)
    if len(re.sub("[^0-9]", "", parts[0])) >= 10 and any(
        re.fullmatch(r"[0-9]{1,5}", part) for part in parts[1:]
    ):
        raise BadCell(_SHORT_SECOND)
    return tuple(dict.fromkeys(map(_one, parts)))


def _latin(text: str) -> str:
    """Return a text with the digits of other scripts replaced by 0 to 9.

    Raises:
        BadCell: a number has digits of two scripts.
    """
    if text.isascii():
        return text
    for run in re.findall(r"\d+", text):
        if len({ord(digit) - unicodedata.decimal(digit) for digit in run}) > 1:
            raise BadCell(_SCRIPTS)
    return re.sub(r"\d", lambda digit: str(unicodedata.decimal(digit[0])), text)


def _expanded(exponent: re.Match[str]) -> str | None:
    """Return the digits of a number with an exponent; None: some are missing."""
    whole, fraction, power = exponent[1], exponent[2] or "", int(exponent[3])
    if len(fraction) < power or fraction[power:].strip("0"):
        return None
    return whole + fraction[:power]


def _refuse_others(text: str) -> None:
    """Raise `BadCell` if the whole text is something else, such as a date or an amount."""
    if re.fullmatch(_IS_DATE, text):
        raise BadCell(_DATE)
    if re.fullmatch(_IS_AMOUNT, text, re.DOTALL):
        raise BadCell(_AMOUNT)
    if re.fullmatch(r"-\s*[0-9.]+", text):
        raise BadCell(_NEGATIVE)
    if re.search(_HAS_EXTENSION, text):
        raise BadCell(_EXTENSION)
    if re.search(r"[0-9] ?[*xX\u2022]{2,}|[*xX\u2022]{2,} ?[0-9]", text):
        raise BadCell(_MASKED)


def _one(text: str) -> str:
    part = re.sub(_LABEL_BEHIND, "", re.sub(_LABEL, "", text)).strip(_QUOTES + " ")
    digits = sum(char.isdigit() for char in part)
    if any(char.isalpha() for char in part):
        if digits >= 5 and re.fullmatch(_LETTERS_FOR_DIGITS, part):
            raise BadCell(_LETTER)
        raise BadCell(_MORE if digits >= 7 else _NO_TEXT)
    # Without its point, a longitude such as 77.59456789 would be somebody's number.
    if re.fullmatch(r"[0-9]+\.[0-9]+", part) and not re.fullmatch(_ONE_DOT, part):
        raise BadCell(_FRACTION)
    return _dialable(part)


def _unrounded(digits: str) -> str:
    """Return a number as it is dialled, unless a spreadsheet seems to have rounded it.

    9.81231E+09 becomes 9812310000 when a spreadsheet reads it and saves it again.

    Raises:
        BadCell: it seems to be rounded, or cannot be a person's number.
    """
    number = _dialable(digits)
    if digits[0] != "0" and len(digits.rstrip("0")) <= _SIGNIFICANT:
        raise BadCell(_ROUNDED)
    return number


def _dialable(written: str) -> str:
    """Return a number as it is dialled.

    Raises:
        BadCell: it cannot be a person's number.
    """
    digits = re.sub("[^0-9]", "", written)
    if len(set(digits)) == 1 and len(digits) > 6:
        raise NotDialled(_PLACEHOLDER, digits)
    if len(digits) < 3 or (len(digits) > _MAX_DIGITS and written == digits):
        raise BadCell(_short(digits) if len(digits) < 3 else _LONG)
    try:
        number = normalize_number(written)
    except InvalidRequest as error:
        raise BadCell(_TWO if error.rule.startswith("looks like two") else error.rule) from None
    identity = identity_of(number) or number
    known = identity.removeprefix("India ")
    if known in _PLACEHOLDERS:
        raise NotDialled(_PLACEHOLDER, number)
    if identity.startswith(("India 1800", "India 1860")):
        raise NotDialled(_TOLL_FREE, number)
    if number[0] == "+":
        if re.fullmatch(_TEN_AFTER_PLUS, number) and not re.match(_COUNTRY_APART, written.strip()):
            raise BadCell(_COUNTRY_LEFT_OUT)
        return number
    if len(number) < 10:
        raise BadCell(_short(number))
    try:
        normalize_number(f"+91{known}")
    except InvalidRequest:
        raise BadCell(_PLAN) from None
    return number


def _short(digits: str) -> str:
    if len(digits) == 1:
        return "has 1 digit: short codes are not dialled from a list"
    if len(digits) <= 6:
        return f"has {len(digits)} digits: short codes are not dialled from a list"
    return f"has only {len(digits)} digits: write a landline with its STD code"

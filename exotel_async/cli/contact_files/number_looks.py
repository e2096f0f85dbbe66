"""What is known of a cell at a glance: whether a phone number may be in it.

Most cells of a do-not-call list have none, and to read each of them as a number takes long.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from exotel_async.cli.contact_files.cells import (
    DIGIT_OR_STAND_IN,
    WORDS,
    Cell,
    text_of,
)

_YEAR: Final = "(?:19|20)[0-9]{2}"
_DAY: Final = (
    rf"(?:{_YEAR}[-/.][0-9]{{1,2}}[-/.][0-9]{{1,2}}|[0-9]{{1,2}}[-/.][0-9]{{1,2}}[-/.]{_YEAR})"
)
_TIME: Final = r"[0-9]{1,2}:[0-9]{2}"
# What `numbers_of` reads: words for a phone, between numbers, or with what is like a digit.
_NO_MORE_TEXT: Final = (
    rf"(?is)(?!{_DAY}(?: {_TIME}.*)?\Z)(?:[\W\d_]++|{WORDS}|number|num|no|नं|or|and|ext[a-z]*|xtn"
    r"|[eoilsbzxmtp\uff21-\uff3a\uff41-\uff5a])*+"
)
_FEWEST: Final = 10  # digits of a number without +
_ENOUGH: Final = (
    rf"(?:[^{DIGIT_OR_STAND_IN[1:-1]}]*+{DIGIT_OR_STAND_IN}){{{_FEWEST}}}"
    r"|[^+\uff0b]*+[+\uff0b](?:\D*+\d){7}"
    r"|(?s:.*?)[0-9][eE]\+?[0-9]"  # as in 9.8E+09
)
_BETWEEN: Final = r"[\s.()\-\u2010-\u2015]{0,2}"
_TEN: Final = rf"(?:\d{_BETWEEN}){{{_FEWEST}}}"
_INSIDE: Final = (
    rf"(?<![\w\-])(?:{_DAY}(?:[T ,]+[0-9]{{1,2}}[:.][0-9]{{2}}(?:[:.][0-9]{{2}})?)?(?!\d)"
    r"|20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[T ]?(?:[0-9]{4}|[0-9]{6})(?!\w)"
    rf"|(\d(?:{_BETWEEN}\d){{9,13}})(?![\w\-]))"
)


def may_be_number(cell: Cell) -> bool:
    """Whether a cell may be phone numbers and nothing else, or meant so.

    If not, `numbers_of` finds none but those that nobody can dial.
    """
    if isinstance(cell, str):
        return _no_more_text().fullmatch(cell) is not None and _enough().match(cell) is not None
    return isinstance(cell, int | float) and cell >= 10 ** (_FEWEST - 1)


def has_number_inside(cell: Cell) -> bool:
    """Whether there seems to be a number in a text, with something else beside it."""
    if not isinstance(cell, str) or _ten().search(cell) is None:
        return False
    return any(found[1] for found in _inside().finditer(text_of(cell)))  # or it is a date


# By itself, `re` takes longer to find them again.
@cache
def _no_more_text() -> re.Pattern[str]:
    return re.compile(_NO_MORE_TEXT)


@cache
def _enough() -> re.Pattern[str]:
    return re.compile(_ENOUGH)


@cache
def _ten() -> re.Pattern[str]:
    return re.compile(_TEN)


@cache
def _inside() -> re.Pattern[str]:
    return re.compile(_INSIDE)

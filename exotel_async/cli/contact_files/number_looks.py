"""Quick checks of whether a cell may contain a phone number.

Most cells of a do-not-call list contain none, and parsing each of them as a number is slow.
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
# Words that `numbers_of` accepts: for a phone, between numbers, and letters like digits.
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
    """Return whether a cell may be phone numbers and nothing else, or be meant as such.

    If not, `numbers_of` finds no number in it that can be dialled.
    """
    if isinstance(cell, str):
        return _no_more_text().fullmatch(cell) is not None and _enough().match(cell) is not None
    return isinstance(cell, int | float) and cell >= 10 ** (_FEWEST - 1)


def has_number_inside(cell: Cell) -> bool:
    """Return whether a text seems to contain a number beside something else."""
    if not isinstance(cell, str) or _ten().search(cell) is None:
        return False
    return any(found[1] for found in _inside().finditer(text_of(cell)))  # else it is a date


# Cached here, as looking patterns up in the cache of `re` takes longer.
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

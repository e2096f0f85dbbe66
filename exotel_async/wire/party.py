"""Whether a party that the service shows is the one that was passed: yes, no, or not known."""

from __future__ import annotations

import re
from typing import Final

_NUMBER: Final = r"\+?[0-9][0-9 ().-]*"
_SUBSCRIBER: Final = 7  # digits: the ends of shorter numbers are the same by chance


class Party:
    """A party as it was passed."""

    def __init__(self, given: str) -> None:
        # Where it was written down masked, all but the last digits are stars.
        self.is_masked: Final = "*" in given
        self._sip = given if _is_sip(given) else None
        self._left = re.sub("[^0-9]", "", given.rpartition("*")[2])
        self._digits = _digits(given)
        self._end = self._digits[-2:]

    def is_shown_as(self, shown: str | None) -> bool | None:
        """Whether that is the party; None where it is not known."""
        if shown is None:
            return None
        if self._sip is not None:
            return self._is_sip_shown_as(shown)
        if not re.fullmatch(_NUMBER, shown):
            return None
        digits = _digits(shown)
        if self.is_masked:
            return digits.zfill(len(self._left)).endswith(self._left)
        if not digits.endswith(self._end):
            return False
        shorter, longer = sorted((self._digits, digits), key=len)
        # With or without the code of the country, or of the area, or a zero before it.
        return longer.endswith(shorter) if len(shorter) >= _SUBSCRIBER else shorter == longer

    def _is_sip_shown_as(self, shown: str) -> bool | None:
        if not _is_sip(shown):
            return None
        # How many digits are stars depends on those of the host, too, which may be another one.
        user = re.escape(_user(self._sip or "")).replace(re.escape("*"), "[0-9*]")
        return re.fullmatch(user, _user(shown)) is not None


def ending(party: str) -> str:
    """Return what a party has in common however it is written, most of it starred or not."""
    return "sip:" if _is_sip(party) else re.sub("[^0-9]", "", party)[-2:].zfill(2)


def _is_sip(party: str) -> bool:
    return party[:4].casefold() == "sip:"


def _user(sip: str) -> str:
    return sip[4:].partition("@")[0].casefold()


def _digits(text: str) -> str:
    return re.sub("[^0-9]", "", text).lstrip("0")

"""Whether a party in a response is the one that was passed: yes, no, or unknown."""

from __future__ import annotations

import re
from typing import Final

_NUMBER: Final = r"\+?[0-9][0-9 ().-]*"
_SUBSCRIBER: Final = 7  # digits: shorter numbers may have the same ending by chance


class Party:
    """A party as it was passed."""

    def __init__(self, given: str) -> None:
        # If it was stored masked, all but the last digits are stars.
        self.is_masked: Final = "*" in given
        self._sip = given if _is_sip(given) else None
        self._last_digits = re.sub("[^0-9]", "", given.rpartition("*")[2])
        self._digits = _digits(given)
        self._end = self._digits[-2:]

    def is_shown_as(self, shown: str | None) -> bool | None:
        """Return whether `shown` is this party; None if that is unknown."""
        if shown is None:
            return None
        if self._sip is not None:
            return self._is_sip_shown_as(shown)
        if not re.fullmatch(_NUMBER, shown):
            return None
        digits = _digits(shown)
        if self.is_masked:
            return digits.zfill(len(self._last_digits)).endswith(self._last_digits)
        if not digits.endswith(self._end):
            return False
        shorter, longer = sorted((self._digits, digits), key=len)
        # With or without country code, area code or a leading zero.
        return longer.endswith(shorter) if len(shorter) >= _SUBSCRIBER else shorter == longer

    def _is_sip_shown_as(self, shown: str) -> bool | None:
        if not _is_sip(shown):
            return None
        # The number of masked digits also depends on the host, which may differ: any digit matches.
        user = re.escape(_user(self._sip or "")).replace(re.escape("*"), "[0-9*]")
        return re.fullmatch(user, _user(shown)) is not None


def ending(party: str) -> str:
    """Return the part of a party that is the same in all its spellings, masked or not."""
    return "sip:" if _is_sip(party) else re.sub("[^0-9]", "", party)[-2:].zfill(2)


def _is_sip(party: str) -> bool:
    return party[:4].casefold() == "sip:"


def _user(sip: str) -> str:
    return sip[4:].partition("@")[0].casefold()


def _digits(text: str) -> str:
    return re.sub("[^0-9]", "", text).lstrip("0")

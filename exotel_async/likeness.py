"""Telling the call of a dial from others, by what the service shows of calls: pure functions.

A call that is overlooked is dialled twice. So what the service may write otherwise than it is
expected to makes a call doubtful, and is no proof that it is another one.
"""

from __future__ import annotations

import enum
import html
import re
from typing import TYPE_CHECKING, Final

from exotel_async.masking import mask_number
from exotel_async.models import Direction

if TYPE_CHECKING:
    from exotel_async.errors import CallOutcomeUnknown
    from exotel_async.models import Call

_NUMBER: Final = r"\+?[0-9][0-9 ().-]*"
_SUBSCRIBER: Final = 7  # digits: the ends of shorter numbers are the same by chance


class Likeness(enum.IntEnum):
    """How much a call looks like that of a dial."""

    ANOTHER = 0
    DOUBTFUL = 1
    """Something is not shown, or is not quite what was sent."""
    ALIKE = 2
    """The parties and the ExoPhone are the same."""
    MARKED = 3
    """It carries the custom field."""


class DialledCall:
    """The call of a dial, as far as the dial tells what it must look like."""

    def __init__(self, error: CallOutcomeUnknown) -> None:
        self.custom_field: Final = error.custom_field
        self._from = _Party(error.from_)
        self._to = None if error.to is None else _Party(error.to)
        self._exophone = _Party(error.caller_id)

    def likeness(self, call: Call, custom_field: str | None) -> Likeness:
        """Tell how much a call looks like it.

        Args:
            call: the call.
            custom_field: the call's custom field, where it is known.
        """
        marked = _same_text(self.custom_field, custom_field)
        if marked is False or call.direction in {Direction.INBOUND, Direction.OUTBOUND_DIAL}:
            return Likeness.ANOTHER
        parties = [self._from.is_shown_as(call.from_)]
        if self._to is not None:
            parties.append(self._to.is_shown_as(call.to))
        if False in parties:
            return Likeness.ANOTHER
        if marked:
            return Likeness.MARKED
        doubtful = (
            None in parties
            # A call to a flow shows the ExoPhone there, or nothing.
            or (self._to is None and self._exophone.is_shown_as(call.to) is False)
            or self._exophone.is_shown_as(call.exophone) is False
            or call.parent_sid is not None
        )
        return Likeness.DOUBTFUL if doubtful else Likeness.ALIKE

    def shows_enough(self, call: Call) -> bool:
        """Whether a call shows who was rung and when: a custom field need not be one call's own."""
        to = call.from_ if self._to is None else call.to
        return None not in {call.from_, to, call.created_at}


class _Party:
    """A party as it was passed."""

    def __init__(self, given: str) -> None:
        # In an error that was pickled all but the last digits are stars.
        self._masked = "*" in given
        self._sip = given if _is_sip(given) else None
        self._digits = _digits(given.rpartition("*")[2])
        self._end = self._digits[-2:]

    def is_shown_as(self, shown: str | None) -> bool | None:
        """Tell whether that is the party; None where it cannot be told."""
        if shown is None:
            return None
        if self._sip is not None:
            return self._is_sip_shown_as(shown)
        if not re.fullmatch(_NUMBER, shown):
            return None
        digits = _digits(shown)
        if self._masked or not digits.endswith(self._end):
            return digits.endswith(self._digits)
        shorter, longer = sorted((self._digits, digits), key=len)
        # With or without the code of the country, or of the area, or a zero before it.
        return longer.endswith(shorter) if len(shorter) >= _SUBSCRIBER else shorter == longer

    def _is_sip_shown_as(self, shown: str) -> bool | None:
        if not _is_sip(shown):
            return None
        user = _user(mask_number(shown) if self._masked else shown)
        return user == _user(self._sip or "")


def _is_sip(party: str) -> bool:
    return party[:4].casefold() == "sip:"


def _user(sip: str) -> str:
    return sip[4:].partition("@")[0].casefold()


def _digits(text: str) -> str:
    return re.sub("[^0-9]", "", text).lstrip("0")


def _same_text(given: str | None, shown: str | None) -> bool | None:
    """Tell whether a custom field is the one that was passed; None where it cannot be told."""
    if shown is None:
        return None
    if not given:
        return False
    if given == shown:
        return True
    # The service may escape, trim or fold it.
    bare = [re.sub(r"\W|_", "", html.unescape(text)).casefold() for text in (given, shown)]
    return None if "" in bare else bare[0] == bare[1]

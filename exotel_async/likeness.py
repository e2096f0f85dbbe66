"""Telling the call of a dial from others, by what the service shows of calls: pure functions.

A call that is overlooked is dialled twice. So what the service may write otherwise than it is
expected to makes a call doubtful, and is no proof that it is another one.
"""

from __future__ import annotations

import enum
import html
import re
from typing import TYPE_CHECKING, Final

from exotel_async.models import Direction
from exotel_async.party import Party

if TYPE_CHECKING:
    from exotel_async.errors import CallOutcomeUnknown
    from exotel_async.models import Call


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
        self._from = Party(error.from_)
        self._to = None if error.to is None else Party(error.to)
        self._exophone = Party(error.caller_id)
        parties = (self._from, self._to, self._exophone)
        self.is_masked: Final = any(party.is_masked for party in parties if party is not None)

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

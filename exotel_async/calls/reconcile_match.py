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
from exotel_async.wire.party import Party

if TYPE_CHECKING:
    from exotel_async.errors import CallOutcomeUnknown
    from exotel_async.models import Call


class Match(enum.IntEnum):
    """How much a call looks like that of a dial."""

    ANOTHER = 0
    DOUBTFUL = 1
    """Something is not shown, or is not quite what was sent."""
    ALIKE = 2
    """The parties and the ExoPhone are the same."""
    MARKED = 3
    """It carries the custom field."""


class DialSignature:
    """The call of a dial, as far as the dial tells what it must look like."""

    def __init__(self, error: CallOutcomeUnknown) -> None:
        self.custom_field: Final = error.custom_field
        self._from = Party(error.from_)
        self._to = None if error.to is None else Party(error.to)
        self._exophone = Party(error.caller_id)
        parties = (self._from, self._to, self._exophone)
        self.is_masked: Final = any(party.is_masked for party in parties if party is not None)

    def match(self, call: Call, custom_field: str | None) -> Match:
        """Tell how much a call looks like it, by its custom field, too, where that is known."""
        text = _match_of_texts(self.custom_field, custom_field)
        parties = [self._from.is_shown_as(call.from_)]
        if self._to is not None:
            parties.append(self._to.is_shown_as(call.to))
        if False in parties or text is Match.ANOTHER:
            return Match.ANOTHER
        # A call to a flow shows as one of the dashboard's in some places (VOICE_V1 7.1).
        by_api = call.direction not in {Direction.INBOUND, Direction.OUTBOUND_DIAL}
        if text is Match.MARKED and by_api:
            return Match.MARKED
        doubtful = (
            not by_api
            or text is Match.DOUBTFUL
            # Where records show custom fields, this one shows that it has none.
            or (self.custom_field and custom_field is None and "CustomField" in call.raw)
            or None in parties
            # A call to a flow shows the ExoPhone there, or nothing.
            or (self._to is None and self._exophone.is_shown_as(call.to) is False)
            or self._exophone.is_shown_as(call.exophone) is False
            or call.parent_sid is not None
        )
        return Match.DOUBTFUL if doubtful else Match.ALIKE

    def shows_enough(self, call: Call) -> bool:
        """Whether a call shows who was rung and when: a custom field need not be one call's own."""
        to = call.from_ if self._to is None else call.to
        return None not in {call.from_, to, call.created_at}


def folded(custom_field: str) -> str:
    """Return a custom field as it is however the service has escaped, trimmed or folded it."""
    text = " ".join(html.unescape(custom_field).casefold().split())
    # White space counts between words only: JSON may be formatted differently.
    return re.sub(r"(?<!\w) | (?!\w)", "", text)


def _match_of_texts(given: str | None, shown: str | None) -> Match:
    """Tell how much a custom field looks like the one that was passed."""
    if shown is None:
        return Match.ALIKE
    if not given:
        return Match.ANOTHER
    if given == shown or folded(given) == folded(shown):
        return Match.MARKED
    # The service may leave out what is no letter, but the field of another dial may lack it, too.
    bare = [re.sub(r"\W|_", "", folded(text)) for text in (given, shown)]
    if "" in bare:
        return Match.ALIKE
    return Match.DOUBTFUL if bare[0] == bare[1] else Match.ANOTHER

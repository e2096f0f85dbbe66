"""Comparing calls with dials, by what the service shows of calls: pure functions.

If a call is overlooked, its number is dialled twice. So a value that the service may have written
differently makes a match doubtful, but does not exclude the call.
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
    """How well a call matches a dial."""

    ANOTHER = 0
    DOUBTFUL = 1
    """A value is not shown, or differs slightly from what was sent."""
    ALIKE = 2
    """The parties and the ExoPhone are the same."""
    MARKED = 3
    """It has the dial's custom field."""


class DialSignature:
    """What the call of a dial must look like, as far as the dial's error says."""

    def __init__(self, error: CallOutcomeUnknown) -> None:
        self.custom_field: Final = error.custom_field
        self._from = Party(error.from_)
        self._to = None if error.to is None else Party(error.to)
        self._exophone = Party(error.caller_id)
        parties = (self._from, self._to, self._exophone)
        self.is_masked: Final = any(party.is_masked for party in parties if party is not None)

    def match(self, call: Call, custom_field: str | None) -> Match:
        """Return how well a call matches; `custom_field` is that of the call, if known."""
        text = _match_of_texts(self.custom_field, custom_field)
        parties = [self._from.is_shown_as(call.from_)]
        if self._to is not None:
            parties.append(self._to.is_shown_as(call.to))
        if False in parties or text is Match.ANOTHER:
            return Match.ANOTHER
        # A call to a flow may be shown with the direction of dashboard calls (VOICE_V1 7.1).
        by_api = call.direction not in {Direction.INBOUND, Direction.OUTBOUND_DIAL}
        if text is Match.MARKED and by_api:
            return Match.MARKED
        doubtful = (
            not by_api
            or text is Match.DOUBTFUL
            # This account's records show custom fields, and this one shows that it has none.
            or (self.custom_field and custom_field is None and "CustomField" in call.raw)
            or None in parties
            # A call to a flow shows the ExoPhone as `to`, or nothing.
            or (self._to is None and self._exophone.is_shown_as(call.to) is False)
            or self._exophone.is_shown_as(call.exophone) is False
            or call.parent_sid is not None
        )
        return Match.DOUBTFUL if doubtful else Match.ALIKE

    def shows_enough(self, call: Call) -> bool:
        """Return whether a call shows its parties and its time.

        The custom field alone is not enough, as several calls may share one.
        """
        to = call.from_ if self._to is None else call.to
        return None not in {call.from_, to, call.created_at}


def folded(custom_field: str) -> str:
    """Return a custom field in a form that does not depend on escaping, white space and case."""
    text = " ".join(html.unescape(custom_field).casefold().split())
    # White space matters between words only: JSON may be formatted differently.
    return re.sub(r"(?<!\w) | (?!\w)", "", text)


def _match_of_texts(given: str | None, shown: str | None) -> Match:
    """Return how well a shown custom field matches the one that was passed."""
    if shown is None:
        return Match.ALIKE
    if not given:
        return Match.ANOTHER
    if given == shown or folded(given) == folded(shown):
        return Match.MARKED
    # The service may drop punctuation; but another dial's field may differ in just that.
    bare = [re.sub(r"\W|_", "", folded(text)) for text in (given, shown)]
    if "" in bare:
        return Match.ALIKE
    return Match.DOUBTFUL if bare[0] == bare[1] else Match.ANOTHER

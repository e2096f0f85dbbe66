"""The account's channels: how many legs may be in progress at once."""

from __future__ import annotations


class Channels:
    """Counts the legs of calls that are in progress, or may be."""

    def __init__(self, most: int | None = None) -> None:
        self.most: int | None = most
        """How many there are; None: any number."""
        self.held: int = 0
        """Legs in progress, of dials in flight and in doubt as well."""

    def has_room(self, legs: int) -> bool:
        """Whether a call of that many legs may be dialled."""
        return self.most is None or self.held + legs <= self.most

    def take(self, legs: int) -> None:
        """Take them: there is room, or the call is there already."""
        self.held += legs

    def free(self, legs: int) -> None:
        """Give them back: the call is over, or certainly was not placed."""
        self.held -= legs

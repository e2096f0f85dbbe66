"""The limit on the call legs that are in progress at once."""

from __future__ import annotations


class Channels:
    """Counts the legs of calls that are, or may be, in progress."""

    def __init__(self, most: int | None = None) -> None:
        self.most: int | None = most
        """The number of channels; None: no limit."""
        self.held: int = 0
        """Legs in progress, including those of dials in flight or in doubt."""

    def has_room(self, legs: int) -> bool:
        """Return whether a call of that many legs may be dialled now."""
        return self.most is None or self.held + legs <= self.most

    def take(self, legs: int) -> None:
        """Count legs as in use. It does not check `has_room`: a call may exist already."""
        self.held += legs

    def free(self, legs: int) -> None:
        """Free the legs of a call that is over, or was certainly not placed."""
        self.held -= legs

"""The error for a file that cannot be read as a list."""

from __future__ import annotations


class Unreadable(Exception):
    """A file that cannot be read as a list of people. The text says why, in one line."""

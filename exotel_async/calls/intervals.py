"""The default intervals at which Exotel is asked about a call."""

from __future__ import annotations

from typing import Final

FIRST_POLL: Final = 5.0
"""Seconds until a call that is waited for is asked for first."""
FIRST_LOOK: Final = 30.0
"""Seconds between the first look for the call of a lost dial and the second."""

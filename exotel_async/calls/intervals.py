"""The default intervals for polling a call."""

from __future__ import annotations

from typing import Final

FIRST_POLL: Final = 5.0
"""Seconds until the first poll for a call that is waited for."""
FIRST_LOOK: Final = 30.0
"""Seconds between the first and the second search for the call of a lost dial."""

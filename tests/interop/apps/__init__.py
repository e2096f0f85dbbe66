"""Applications: each connects an agent with whom it is asked to call."""

from typing import Final

from exotel_async import RateLimit

SPEED: Final = 30
"""How much faster than time the emulator is: its minute has two seconds."""
BUDGET: Final = RateLimit(40, per=2)

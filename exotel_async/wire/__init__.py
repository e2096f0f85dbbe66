"""Exotel's Voice v1 as values and pure functions: building requests, parsing responses. No I/O."""

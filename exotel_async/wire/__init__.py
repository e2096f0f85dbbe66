"""Exotel's Voice v1 as values and pure functions: requests out, responses in. No I/O."""

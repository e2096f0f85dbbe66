"""Sending one request to Exotel, from its permit to its result."""

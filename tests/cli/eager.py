"""The command, for `fork_server.start`: `call --wait` asks for the end at once, and not after 5 s."""

from __future__ import annotations

import sys

from exotel_async.calls.resource import Calls
from exotel_async.cli import main

Calls.wait.__kwdefaults__["interval"] = 0.1

if __name__ == "__main__":
    sys.exit(main())

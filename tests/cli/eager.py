"""The command, for `fork_server.start`, less patient: it asks for ends and tries again at once."""

from __future__ import annotations

import importlib
import sys
from datetime import timedelta
from typing import Any

from exotel_async import RetryPolicy
from exotel_async.calls.resource import Calls
from exotel_async.cli import main

if __name__ == "__main__":
    wait: Any = Calls.wait
    wait.__kwdefaults__["interval"] = 0.1
    policy: Any = RetryPolicy.__init__
    policy.__kwdefaults__.update(backoff=0.01, backoff_cap=0.01)
    if sys.argv[1:2] == ["dial"]:
        for name in ("exotel_async.calls.reconcile_evidence", "exotel_async.campaigns.in_doubt"):
            module: Any = importlib.import_module(name)
            module.SETTLED_AFTER = timedelta(minutes=2)
    sys.exit(main())

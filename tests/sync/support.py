"""A synchronous session with an emulator, in this process and in programs of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen

from exotel_async.emulator import Emulator
from exotel_async.sync import Exotel
from tests.conftest import SOON, at_its_budget
from tests.support import fork_server

PRELUDE = """
import atexit

# What is registered before the package is imported comes behind the package's own end.
after_all = []
atexit.register(lambda: [what() for what in after_all])

import os, signal, sys, threading, time, warnings

from exotel_async import *
from exotel_async.emulator import *
from exotel_async.sync import Exotel

# From Python 3.12 on, a fork beside a thread is warned of.
warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)

def settings(emulator, **more):
    return {
        "account_sid": emulator.account_sid, "api_key": emulator.api_key,
        "api_token": emulator.api_token, "base_url": emulator.base_url, **more
    }

def dial(exotel, **options):
    return exotel.calls.connect(
        "+919812300001", "+919812300002", caller_id="08030000000", **options
    )

def note(ended, target):
    print("orphan:", type(ended).__name__, target.from_, flush=True)

def until(what):
    while not what():
        time.sleep(0.005)

def ctrl_c_when(what):
    def watch():
        until(what)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=watch, daemon=True).start()

def in_a_child(work):
    # What a forked process does, and how it ends.
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            work()
        finally:
            sys.stdout.flush()
            os._exit(0)
    print("child:", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@frozen
class Ended:
    """What a program has printed."""

    out: str
    err: str
    code: int


async def ran(program: str, folder: Path) -> Ended:
    """Run a program: what it warns of is an error."""
    (folder / "program.py").write_text(PRELUDE + program, encoding="utf-8")
    env = os.environ | {"PYTHONWARNINGS": "error"}
    process = await fork_server.start("program", (), env=env, cwd=str(folder))
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(out.decode(), err.decode(), process.returncode)


def sync_session(emulator: Emulator, **options: Any) -> Exotel:
    """Make a session with an emulator, at its budget."""
    return Exotel(**(at_its_budget(emulator) | options))


def until(what: Callable[[], object]) -> None:
    """Wait for something."""
    latest = time.monotonic() + SOON
    while not what():
        assert time.monotonic() < latest
        time.sleep(0.005)

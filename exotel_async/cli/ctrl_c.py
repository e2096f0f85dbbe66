"""What Ctrl-C does before a command begins its work, and after it: it ends the process at once.

Modules are imported then, and a `KeyboardInterrupt` in the midst of them may come up anywhere: as a
traceback, or in a callback of the import system, which prints it and continues. There is nothing
yet that would have to be tidied up.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # `typing` takes longer to import than Ctrl-C should wait for this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


def ends_the_process() -> None:
    """From here on, Ctrl-C ends the process; unless it is ignored, as in a background job."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def interrupting(work: Callable[[], T]) -> T:
    """Do the work of a command, in which Ctrl-C is a `KeyboardInterrupt` as in any program."""
    if signal.getsignal(signal.SIGINT) is not _end:
        return work()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return work()
    finally:
        signal.signal(signal.SIGINT, _end)


def _end(*_: object) -> None:
    os.write(2, b"exotel-async: interrupted\n")
    os._exit(130)

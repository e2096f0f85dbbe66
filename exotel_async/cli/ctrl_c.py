"""What Ctrl-C does before a command begins its work, and after it: it ends the process at once.

SIGTERM does the same, and is like Ctrl-C while a command works.

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
    """From here on, Ctrl-C or SIGTERM ends the process.

    Unless it is ignored, as Ctrl-C is in a background job.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)


def interrupting(work: Callable[[], T]) -> T:
    """Do the work of a command, in which Ctrl-C is a `KeyboardInterrupt` as in any program.

    So is SIGTERM. What has to end in order lets it cancel its task: see `terminal.end_on_sigterm`.
    """
    handlers: dict[signal.Signals, Callable[..., object]] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: _interrupt,
    }
    ours = {number: how for number, how in handlers.items() if signal.getsignal(number) is _end}
    for number, how in ours.items():
        signal.signal(number, how)
    try:
        return work()
    finally:
        for number in ours:
            signal.signal(number, _end)


def _interrupt(*_: object) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)  # an event loop takes it in its own way


def _end(*_: object) -> None:
    os.write(2, b"exotel-async: interrupted\n")
    os._exit(130)

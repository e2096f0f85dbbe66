"""What Ctrl-C does before and after a command runs: it ends the process at once.

SIGTERM does the same, and acts like Ctrl-C while a command runs.

Modules are imported at that time, and a `KeyboardInterrupt` during an import may surface anywhere:
as a traceback, or in a callback of the import system, which prints it and continues. There is
nothing to clean up yet.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # importing `typing` would delay the handling of Ctrl-C
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


def ends_the_process() -> None:
    """Let Ctrl-C or SIGTERM end the process from now on.

    A signal that is ignored, as Ctrl-C is in a background job, stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)


def interrupting(work: Callable[[], T]) -> T:
    """Run a command's work, during which Ctrl-C and SIGTERM raise `KeyboardInterrupt` as usual.

    Work that must end cleanly lets SIGTERM cancel its task: see `terminal.end_on_sigterm`.
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
    signal.raise_signal(signal.SIGINT)  # so that an event loop handles it as it handles Ctrl-C


def _end(*_: object) -> None:
    os.write(2, b"exotel-async: interrupted\n")
    os._exit(130)

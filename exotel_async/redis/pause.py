"""The gate of a process that shares pauses and probes with all processes of the account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from exotel_async.config import RateLimit
from exotel_async.limiter.pause import PauseGate
from exotel_async.redis.statistics import SECOND


class SharedGate(PauseGate):
    """A gate that asks the ledger before it opens: only one process may send the probe."""

    # It also sets these attributes of `PauseGate`.
    until: float | None
    half_open: bool
    probe_sent: bool
    paused: bool
    epoch: int
    pauses: int

    def __init__(
        self, rate: RateLimit, opened: Callable[[], None], ask: Callable[[], None]
    ) -> None:
        """Create it; `ask` is called when the ledger must be asked for permission to open."""
        super().__init__(rate, opened)
        self._ask = ask
        self._detached = False
        self.awaits_ledger: bool = False
        """Whether it stays shut until the ledger allows it to open."""

    def await_ledger(self, now: float) -> None:
        """Stay shut until the ledger allows it to open."""
        self.half_open = False
        self.until = now
        self.awaits_ledger = True

    @property
    def wants_probe(self) -> bool:
        """Whether a request that waits here should be the probe, if the ledger allows it."""
        unused = self.half_open and not self.probe_sent and self.until is None
        return self.awaits_ledger or unused

    def detach(self) -> None:
        """Decide without the ledger, which cannot be reached."""
        self._detached = True
        if self.awaits_ledger:
            self.half_open = True
            self.probe_sent = False
            self.open()

    def apply_answer(self, state: Mapping[str, Any], now: float) -> None:
        """Apply the gate's state in an answer of the ledger."""
        self._detached = False
        probing = self.half_open and self.probe_sent and state["epoch"] == self.epoch
        self.epoch, self.pauses = state["epoch"], state["row"]
        if state["state"] == "open":
            self._let_all()
        elif state["state"] == "probe":
            self.half_open = True
            self.probe_sent = False
            self.open()
        else:
            self._wait(state["left"] / SECOND, now, probing=probing)
            self.paused = state["paused"]

    def apply_published(self, state: Mapping[str, Any], now: float) -> None:
        """Apply a pause, or the end of one, that the ledger has published."""
        if state["epoch"] < self.epoch:
            return
        if state["epoch"] == self.epoch and self.half_open and state["left"] == 0:
            return  # the message that the pause was cleared came after the permission to probe
        self.epoch, self.pauses = state["epoch"], state["row"]
        if state["left"] < 0:
            self._let_all()
        else:
            self._wait(state["left"] / SECOND, now, probing=False)
            self.paused = state["left"] > 0
            if self.awaits_ledger:  # the pause was cleared
                self._ask()

    def open(self) -> None:
        """Let all requests through, or one probe if it is half open."""
        self.awaits_ledger = False
        super().open()

    def _let_all(self) -> None:
        self.half_open = False
        self.probe_sent = False
        if self.until is not None:
            self.open()

    def _wait(self, left: float, now: float, *, probing: bool) -> None:
        # A process that has sent the probe stays half open, so that its response counts.
        self.half_open = probing
        self.awaits_ledger = left <= 0
        if self.awaits_ledger:
            self.until = now
        else:
            self.shut(now + left)

    def _elapse(self) -> None:
        if self._detached:
            self.half_open = True
            self.open()
            return
        self._timer = None
        self.paused = False
        self.until = asyncio.get_running_loop().time()
        self.awaits_ledger = True
        self._ask()

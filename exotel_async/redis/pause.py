"""The gate of a process whose pauses and probes are those of the whole account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from exotel_async.config import RateLimit
from exotel_async.limiter.pause import PauseGate
from exotel_async.redis.statistics import SECOND


class SharedGate(PauseGate):
    """When it would open by itself it asks: of all processes one may send the probe."""

    # Of a gate's own it sets these, too.
    until: float | None
    half_open: bool
    probe_sent: bool
    paused: bool
    epoch: int
    pauses: int

    def __init__(
        self, rate: RateLimit, opened: Callable[[], None], ask: Callable[[], None]
    ) -> None:
        """Describe it; `ask` is called when the ledger is to be asked for permission."""
        super().__init__(rate, opened)
        self._ask = ask
        self._alone = False
        self.asks: bool = False
        """Whether it is shut until the ledger says otherwise."""

    def wait_for_leave(self, now: float) -> None:
        """Be shut until the ledger says otherwise."""
        self.half_open = False
        self.until = now
        self.asks = True

    @property
    def wants_leave(self) -> bool:
        """Whether a request that waits here is to be the probe, if it may."""
        unused = self.half_open and not self.probe_sent and self.until is None
        return self.asks or unused

    def be_alone(self) -> None:
        """Go by what is known here: there is nobody to ask."""
        self._alone = True
        if self.asks:
            self.half_open = True
            self.probe_sent = False
            self.open()

    def follow(self, word: Mapping[str, Any], now: float) -> None:
        """Apply what the ledger answers."""
        self._alone = False
        probing = self.half_open and self.probe_sent and word["epoch"] == self.epoch
        self.epoch, self.pauses = word["epoch"], word["row"]
        if word["state"] == "open":
            self._let_all()
        elif word["state"] == "probe":
            self.half_open = True
            self.probe_sent = False
            self.open()
        else:
            self._wait(word["left"] / SECOND, now, probing=probing)
            self.paused = word["paused"]

    def hear(self, word: Mapping[str, Any], now: float) -> None:
        """Apply a pause, or its end, that another process's request has caused."""
        if word["epoch"] < self.epoch:
            return
        if word["epoch"] == self.epoch and self.half_open and word["left"] == 0:
            return  # the news that the pause was cleared came after the permit for its probe
        self.epoch, self.pauses = word["epoch"], word["row"]
        if word["left"] < 0:
            self._let_all()
        else:
            self._wait(word["left"] / SECOND, now, probing=False)
            self.paused = word["left"] > 0
            if self.asks:  # somebody has cleared it
                self._ask()

    def open(self) -> None:
        """Let them go: all, or one probe if it is half open."""
        self.asks = False
        super().open()

    def _let_all(self) -> None:
        self.half_open = False
        self.probe_sent = False
        if self.until is not None:
            self.open()

    def _wait(self, left: float, now: float, *, probing: bool) -> None:
        # The process that has sent the probe takes its answer, however often others wait.
        self.half_open = probing
        self.asks = left <= 0
        if self.asks:
            self.until = now
        else:
            self.shut(now + left)

    def _elapse(self) -> None:
        if self._alone:
            self.half_open = True
            self.open()
            return
        self._timer = None
        self.paused = False
        self.until = asyncio.get_running_loop().time()
        self.asks = True
        self._ask()

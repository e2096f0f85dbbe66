"""The permits one process holds, and the messages between it and the ledger.

Nothing here sends or waits. These invariants hold even if messages are lost, late or sent twice,
or a process stops:

- A permit is used only while the lease is valid by this process's own clock, and the lease is
  counted from *before* the message that asked for it was first sent. The ledger counts it from a
  later moment, and does not reassign the permits of a silent process until the lease, the longest
  exchange and a whole window are over.
- A message whose answer was lost is sent again unchanged, under the same number, until an answer
  comes. The ledger applies each number once. The permits that a message gives back are not used
  from the moment it was written.
- Only durations are sent, each counted by the sender from a moment before it is sent: when it is
  read it is too long, never too short.
- The ledger has an epoch. A new one starts with no knowledge, and accepts what a process reports
  that it holds: not from an older message, which may have been in transit for any time, but from
  one written after the process learned of the new epoch. Permits that no process reports stay
  reserved until the last request that may have used them must have left the window.
"""

from __future__ import annotations

import math
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from exotel_async.config import RateLimit
from exotel_async.limiter.window import Window
from exotel_async.redis.statistics import SECOND

VERSION: Final = 2
_DRIFT: Final = 0.98  # of a lease: clocks do not run at exactly the same speed


# A clock that continues while the machine sleeps, if there is one: on macOS it is the second.
_CLOCK: Final[int | None] = next(
    (getattr(time, name) for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC") if hasattr(time, name)),
    None,
)


def lease_clock() -> float:
    """Return the time, in seconds, of the clock by which leases are counted."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


@frozen(kw_only=True)
class LeaseTerms:
    """The durations of the protocol, in seconds. The same in all processes of an account.

    Attributes:
        lease: how long a process may use its permits without an answer from the ledger.
        renewal: after how long it asks for a new lease.
        hold: how long after the end of a lease its requests may still be in the window.
        settle: how long a new ledger waits for reports of processes that hold permits.
    """

    lease: float
    renewal: float
    hold: float
    settle: float

    @classmethod
    def of(cls, rate: RateLimit, exchange: float) -> LeaseTerms:
        """Return the terms for a budget.

        `exchange` is the longest time, in seconds, from the grant of a permit until its request
        has arrived or can no longer arrive.
        """
        per = rate.per
        return cls(
            lease=per / 2,
            renewal=per / 3,
            hold=exchange + per,
            settle=min(2.0, max(0.25, per / 30)),
        )


@frozen(kw_only=True)
class Refusal:
    """A response that asks for a pause.

    Attributes:
        epoch: the gate's epoch when the request was let through.
        status: the HTTP status.
        after: seconds it asks to wait; None: it does not say.
        longest: the longest pause, in seconds, that it may cause.
        pressed: whether requests had to wait for the budget.
    """

    epoch: int
    status: int
    after: float | None
    longest: float
    pressed: bool

    def text(self) -> dict[str, int]:
        """Return it in the form that the ledger reads."""
        return {
            "epoch": self.epoch,
            "status": self.status,
            "after": -1 if self.after is None else _length(self.after),
            "most": _length(self.longest),
            "pressed": self.pressed,
        }


@frozen(kw_only=True)
class StatusReport:
    """What a process reports besides the permits it holds.

    Attributes:
        interactive: requests waiting at interactive priority.
        bulk: requests waiting at bulk priority.
        granted: requests let through so far.
        taken: responses in the last `per` that did not ask for a pause.
        owed: tokens this process still owes for requests that went ahead in other processes.
        refusals: responses that ask for a pause, since the last message.
        answered: the gate's epoch in which a probe opened it; None: none did.
        probe: whether a request waits that could be the probe.
        paused_for: seconds of a pause that are left.
        pauses: consecutive pauses.
        leave: whether the process gives back all permits and leaves.
    """

    interactive: int = 0
    bulk: int = 0
    granted: int = 0
    taken: int = 0
    owed: int = 0
    refusals: Sequence[Refusal] = ()
    answered: int | None = None
    probe: bool = False
    paused_for: float = 0.0
    pauses: int = 0
    leave: bool = False


@frozen(kw_only=True)
class _Message:
    report: StatusReport
    text: Mapping[str, Any] = field(repr=False)
    written: float


class Lease:
    """The permits of one process."""

    def __init__(
        self,
        rate: RateLimit,
        terms: LeaseTerms,
        window: Window,
        *,
        name: str | None,
        clock: Callable[[], float] = lease_clock,
    ) -> None:
        """Create it without any permits.

        The window's times are those of the loop's clock, the lease's those of `clock`, in seconds.
        `name` is the name of the process in statistics; host and process ID by default.
        """
        self.terms: LeaseTerms = terms
        self.id: str = ""
        """The process's ID in the ledger; set with the first message."""
        self._rate = rate
        self._window = window
        self._name = name
        self._clock = clock
        self._epoch = ""
        self._number = 0
        self._valid_until = -math.inf
        self._open: _Message | None = None

    @property
    def epoch(self) -> str:
        """The ledger's epoch; "" before the first contact."""
        return self._epoch

    @property
    def is_valid(self) -> bool:
        """Whether the permits held may be used at this moment."""
        return self._clock() < self._valid_until

    @property
    def valid_for(self) -> float:
        """Seconds for which they may be used without an answer from the ledger."""
        return max(0.0, self._valid_until - self._clock())

    @property
    def message(self) -> Mapping[str, Any] | None:
        """The message that has not been answered yet; None if there is none."""
        return None if self._open is None else self._open.text

    def allow_exchange(self, seconds: float) -> bool:
        """Raise (never lower) the longest time of an exchange. Return whether it was raised."""
        terms = LeaseTerms.of(self._rate, seconds)
        if terms.hold <= self.terms.hold:
            return False
        self.terms = terms
        return True

    def look(self) -> dict[str, Any]:
        """Return the message that asks for the account's statistics and changes nothing."""
        return {
            "version": VERSION,
            "look": True,
            "limit": self._rate.limit,
            "per": _length(self._rate.per),
        }

    def clear_pause(self) -> dict[str, Any]:
        """Return the message that ends the account's pause."""
        return {**self.look(), "clear": True}

    def write(
        self, report: StatusReport, now: float, *, give: int = 0, soonest: bool = False
    ) -> None:
        """Write the next message. The previous one must have been answered.

        Args:
            report: what the message reports.
            now: the time of the loop's clock.
            give: how many permits to give back, as far as they are not in flight.
            soonest: give back those that are free first; else those whose removal leaves the others
                evenly spread.
        """
        self._window.take_back(now)
        back = self._take_out(now, math.inf if report.leave else give, soonest=soonest)
        if report.leave:
            # When requests in flight end is unknown, so their permits stay out for `hold`.
            back += [self.terms.hold] * self._window.in_flight
            self._window.size = 0
        self._write(report, back)

    def apply(self, answer: Mapping[str, Any], now: float) -> bool:
        """Apply the answer. Return False if the message, now rewritten, must be sent again."""
        if self._open is None or answer["seq"] != self._number:
            raise ValueError("this answers no message that is open")
        message = self._open
        self._epoch = answer["epoch"]
        if answer.get("claim"):
            # What that message gave back stays reserved until it must have left the window.
            self._window.take_back(now)
            late = self._clock() - message.written >= self.terms.hold
            gave = 0 if late else len(message.text["back"])
            self._write(message.report, [], claims=True, gave=gave)
            return False
        self._open = None
        self._valid_until = message.written + self.terms.lease * _DRIFT
        # Lua encodes an empty list as {}.
        moments = [now + left / SECOND for left in answer["granted"] or () if left > 0]
        self._window.receive(answer["held"], moments)
        return True

    def _write(
        self, report: StatusReport, back: Sequence[float], *, claims: bool = False, gave: int = 0
    ) -> None:
        written = self._clock()
        if not self.id:  # not earlier: the process may be forked after the limiter is made
            self.id = uuid.uuid4().hex
            self._name = self._name or f"{socket.gethostname()}:{os.getpid()}"
        self._number += 1
        self._open = _Message(
            report=report,
            written=written,
            text={
                **self.look(),
                "look": False,
                "id": self.id,
                "name": self._name or "",
                "seq": self._number,
                "epoch": self._epoch,
                "claims": claims,
                "gave": gave,
                "burst": self._rate.burst,
                "lease": _length(self.terms.lease),
                "hold": _length(self.terms.hold),
                "settle": _length(self.terms.settle),
                "held": self._window.size,
                # On leaving, the permits in flight are given back, too.
                "used": 0 if report.leave else self._window.used,
                # Until then the ledger cannot have given its permits to another process.
                "valid": written < self._valid_until + self.terms.hold * _DRIFT,
                "back": [_length(left) for left in back],
                "interactive": report.interactive,
                "bulk": report.bulk,
                "granted": report.granted,
                "taken": report.taken,
                "owed": report.owed,
                "refusals": [refusal.text() for refusal in report.refusals],
                "answered": -1 if report.answered is None else report.answered,
                "probe": report.probe,
                "shut": _length(report.paused_for),
                "row": report.pauses,
                "leave": report.leave,
            },
        )

    def _take_out(self, now: float, number: float, *, soonest: bool) -> list[float]:
        """Remove permits from the window; return in how many seconds each is free again."""
        window = self._window
        free = max(0, int(min(number, window.free)))
        window.size -= free
        spent = sorted(window.returns)
        taken = min(len(spent), window.size, int(min(number - free, len(spent))))
        if taken > 0:
            step = 1.0 if soonest else len(spent) / taken
            chosen = {int(step * place) for place in range(taken)}
            window.returns[:] = [
                moment for place, moment in enumerate(spent) if place not in chosen
            ]
            window.size -= taken
            return [0.0] * free + [max(0.0, spent[place] - now) for place in sorted(chosen)]
        return [0.0] * free


def _length(seconds: float) -> int:
    return math.ceil(seconds * SECOND)

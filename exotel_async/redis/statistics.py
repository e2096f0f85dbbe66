"""The settings of a shared limiter, and its statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import Attribute, field, frozen

from exotel_async.errors import ConfigurationError
from exotel_async.limiter.protocol import LimiterStatistics
from exotel_async.masking import shown
from exotel_async.models.value import Value
from exotel_async.wire.validation import is_number

SECOND: Final = 1_000_000  # the ledger counts in microseconds


@frozen(kw_only=True)
class Fallback:
    """Continue without the server, with a part of the budget, divided among the processes.

    While the server is down for everybody, the account stays within its budget. If it is only this
    process that cannot reach it, the account may be over by the process's part. A process that has
    never reached the server has no part, and waits: it does not know how many others there are.

    Attributes:
        share: the part of the budget all processes have together, above 0 and up to 1.
        at_once: whether a process that held fewer permits than its part of that takes all of it at
            once. The account may then be over its budget in the first window. Otherwise it keeps to
            what it held until everything the others may have sent before is out of the window.

    Raises:
        ConfigurationError: the share is no such number.
    """

    share: float = field(default=0.25)
    at_once: bool = False

    @share.validator
    def _share_fits(self, _: Attribute[float], value: float) -> None:
        if not is_number(value) or not 0 < value <= 1:
            raise ConfigurationError(f"Fallback(share)={shown(value)}: must be above 0 and up to 1")

    def part_of(self, permits: int, processes: int) -> int:
        """Return how many permits of a budget one of so many processes has: one or more."""
        return max(1, math.floor(permits * self.share / processes))


@frozen(kw_only=True)
class ProcessStatistics(Value):
    """One process of an account, as it last reported to the server.

    Attributes:
        name: what it calls itself.
        granted: requests it has let through so far.
        held: permits it holds.
        used: those of them that are out.
        waiting_interactive: requests waiting in it at interactive priority.
        waiting_bulk: requests waiting in it at bulk priority.
    """

    name: str
    granted: int
    held: int
    used: int
    waiting_interactive: int
    waiting_bulk: int


@frozen(kw_only=True)
class AccountStatistics(Value):
    """All processes of an account at one moment.

    Attributes:
        processes: those that have reported within the last half window.
        window_used: permits that are out, or may be.
        window_size: permits the account has.
        waiting_interactive: requests waiting at interactive priority.
        waiting_bulk: requests waiting at bulk priority.
        paused_for: seconds until the account's pause ends; 0 without one.
        paused_until: when that is, in UTC and by this computer's clock; None without one.
        opens_in: seconds until what no process has claimed is free, after the server has lost
            what it held; else 0.
        learned_limit: requests in `per` that the service has shown to take from the account, where
            that is fewer than its `RateLimit`; None: nothing says so.
    """

    processes: tuple[ProcessStatistics, ...]
    window_used: int
    window_size: int
    waiting_interactive: int
    waiting_bulk: int
    paused_for: float
    paused_until: datetime | None
    opens_in: float
    learned_limit: int | None


@frozen(kw_only=True)
class SharedStatistics(LimiterStatistics):
    """This process, and the whole account as of the last contact with the server.

    What is inherited tells of this process: `window_size` is what it holds, `pace` its own.

    Attributes:
        in_contact: whether the server has answered the last time it was asked.
        valid_for: seconds for which what is held may be used without hearing from the server.
        round_trips: how often the server was asked so far, without `account()`.
        account: the account; None before the first contact.
    """

    in_contact: bool
    valid_for: float
    round_trips: int
    account: AccountStatistics | None


def read_account(account: Mapping[str, Any]) -> AccountStatistics:
    """Read what the ledger says."""
    processes = (
        ProcessStatistics(
            name=one["name"],
            granted=one["granted"],
            held=one["held"],
            used=one["used"],
            waiting_interactive=one["interactive"],
            waiting_bulk=one["bulk"],
        )
        for one in account["processes"] or ()
    )
    paused_for = account["paused"] / SECOND
    return AccountStatistics(
        processes=tuple(sorted(processes, key=lambda one: one.name)),
        window_used=account["used"],
        window_size=account["permits"],
        waiting_interactive=account["interactive"],
        waiting_bulk=account["bulk"],
        paused_for=paused_for,
        paused_until=datetime.now(UTC) + timedelta(seconds=paused_for) if paused_for else None,
        opens_in=account["opens"] / SECOND,
        learned_limit=account["learned"] or None,
    )

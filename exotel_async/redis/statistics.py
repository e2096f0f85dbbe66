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
    """Continue without the server, with a part of the budget that is divided among the processes.

    If the server is down for all processes, the account stays within its budget. If only this
    process cannot reach it, the account may exceed its budget by this process's part. A process
    that has never reached the server has no part, and waits: it does not know how many others
    there are.

    Attributes:
        share: the part of the budget for all processes together, above 0 and up to 1.
        at_once: whether a process that held fewer permits than its part uses the whole part at
            once. The account may then exceed its budget in the first window. Otherwise the process
            keeps to what it held until all that others may have sent before has left the window.

    Raises:
        ConfigurationError: `share` is not such a number.
    """

    share: float = field(default=0.25)
    at_once: bool = False

    @share.validator
    def _share_fits(self, _: Attribute[float], value: float) -> None:
        if not is_number(value) or not 0 < value <= 1:
            raise ConfigurationError(f"Fallback(share)={shown(value)}: must be above 0 and up to 1")

    def part_of(self, permits: int, processes: int) -> int:
        """Return how many of `permits` each of `processes` processes may use: at least one."""
        return max(1, math.floor(permits * self.share / processes))


@frozen(kw_only=True)
class ProcessStatistics(Value):
    """One process of an account, as it last reported to the server.

    Attributes:
        name: its name, by default host and process ID.
        granted: requests it has let through so far.
        held: permits it holds.
        used: those of them in use: in flight, or still in the window.
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
        window_used: permits in use, or possibly in use.
        window_size: permits the account has.
        waiting_interactive: requests waiting at interactive priority.
        waiting_bulk: requests waiting at bulk priority.
        paused_for: seconds until the account's pause ends; 0 without one.
        paused_until: when it ends, in UTC and by this computer's clock; None without one.
        opens_in: after the server has lost its data, seconds until the permits that no process has
            claimed are free; else 0.
        learned_limit: requests per `per` that the service has been seen to accept from the account,
            if fewer than its `RateLimit`; None: it has not been seen to accept fewer.
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

    The inherited attributes describe this process: `window_size` is the number of permits it
    holds, `pace` its own pace.

    Attributes:
        in_contact: whether the server answered the last time it was asked.
        valid_for: seconds for which the permits held may be used without an answer of the server.
        round_trips: how often the server was asked so far, without `account()`.
        account: the account; None before the first contact.
    """

    in_contact: bool
    valid_for: float
    round_trips: int
    account: AccountStatistics | None


def read_account(account: Mapping[str, Any]) -> AccountStatistics:
    """Convert the ledger's JSON of an account."""
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

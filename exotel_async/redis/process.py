"""The part of a shared limiter in one process: its permits, its waiting requests, its messages."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from exotel_async.config import Priority, RateLimit
from exotel_async.errors import ConfigurationError, ExotelError, LimiterUnavailable
from exotel_async.limiter.limiter import Limiter
from exotel_async.limiter.protocol import RequestOutcome
from exotel_async.limiter.window import Window
from exotel_async.redis.lease import LeaseKeeper
from exotel_async.redis.messages import Lease, LeaseTerms, Refusal, StatusReport
from exotel_async.redis.pause import SharedGate
from exotel_async.redis.server import Server
from exotel_async.redis.statistics import SECOND, AccountStatistics, Fallback, read_account

_LEAST_BURST: Final = 1.1  # with 1, a pacer would lose the time by which it is late


class LeasedBucket(Limiter):
    """The limiter of one process, with a share of the account's permits, pauses and pace."""

    def __init__(
        self,
        rate: RateLimit,
        server: Server,
        *,
        exchange: float,
        outage_wait: float,
        on_outage: Fallback | None,
        name: str | None,
        max_in_flight: int | None,
    ) -> None:
        super().__init__(rate, Window(0), max_in_flight)
        self._gate: SharedGate = SharedGate(rate, self._serve, self._call)
        self._outage_wait: Final = outage_wait
        self._on_outage: Final = on_outage
        self._server: Final = server
        self._lease: Final = Lease(rate, LeaseTerms.of(rate, exchange), self._window, name=name)
        self._keeper: Final = LeaseKeeper(
            server,
            self._lease,
            write=self._write,
            on_answer=self._apply_answer,
            on_news=self._apply_published,
            on_outage=self._handle_outage,
            on_failure=self._fail,
        )
        self._problem = ""

        # State for the next message.
        self._refusals: list[Refusal] = []
        self._answered: int | None = None
        self._to_give = 0
        self._known_interactive = self._granted_at_answer = 0
        self._reported_bulk = 0
        self._reported_at = float("-inf")
        # State from the ledger's answers and published messages.
        self._short = False
        self._any_interactive = False
        self._contended = False
        self._more = True
        self._strict = False
        self._processes = 1
        self._known: AccountStatistics | None = None
        self._opens_at = float("-inf")
        # Whether the server cannot be reached and no request may be sent without it.
        self._starving = False
        self._giving_up: asyncio.TimerHandle | None = None

    def _call(self) -> None:
        self._keeper.call()

    @property
    def _limit(self) -> int:
        """The account's limit per `per`, as far as it is known."""
        return self._learned_limit or self.rate.limit

    @property
    def _permits(self) -> int:
        return max(1, self._limit - 1)

    # The window: the permits held may be used while the lease is valid.

    def _reserved_permits(self, priority: Priority, now: float) -> int:
        if not self._lease.is_valid:
            return self._window.size - self._without_lease(now)
        # The next free permit, in any process, goes to an interactive request.
        return 1 if self._short and priority is Priority.BULK else 0

    def _without_lease(self, now: float) -> int:
        """Return how many permits may be in use without a valid lease."""
        lost_at, fallback = self._keeper.lost_at, self._on_outage
        if lost_at is None or fallback is None or not self._lease.epoch:
            return 0
        most = fallback.part_of(self._permits, self._processes)
        terms = self._lease.terms
        if fallback.at_once or now - lost_at >= terms.lease + terms.hold:
            return most
        return min(most, self._window.size)

    def _next_must_wait(self, priority: Priority) -> None:
        if not self._lease.is_valid or (self._gate.awaits_ledger and self._window.free > 0):
            self._call()
        elif priority is Priority.INTERACTIVE:
            self._ask_for(self._queue.waiting(priority))
        elif self._more and self._window.free <= 0:
            self._call()

    def _ask_for(self, waiting: int) -> None:
        """Send a message for interactive requests the ledger does not know of, if it can help."""
        known = max(0, self._known_interactive - (self._granted - self._granted_at_answer))
        if waiting <= known:
            return
        free = max(0, self._window.free)
        # No message if the ledger knows that some wait (it calls when it has more permits), or if
        # there are permits here and only tokens are missing, which come fast enough.
        quick = self._pacer.pace * self.rate.per >= self._limit / 4
        if (free < waiting and (self._more or not known)) or not quick:
            self._call()

    def _finish(self, permit: Any, outcome: RequestOutcome) -> None:
        probing = self._gate.half_open
        super()._finish(permit, outcome)
        if probing and not self._gate.half_open:
            self._answered = permit.epoch
            self._call()
        elif self._contended:
            self._report_if_drained()

    def _take_back(self) -> None:
        super()._take_back()
        if self._can_hand_over:
            self._call()
        elif self._contended:
            self._report_if_drained()

    def _report_if_drained(self) -> None:
        """Send a message if no request waits here and there are permits to give back."""
        if self._queue.first() is not None:
            return
        surplus = self._window.free - math.ceil(self._window.used / 4)
        if self._reported_bulk or surplus >= max(2, self._window.size // 8):
            self._call()

    def _pause(self, permit: Any, outcome: RequestOutcome, now: float) -> None:
        self._gate.pause(permit.epoch, outcome, now)
        self._refusals.append(
            Refusal(
                epoch=permit.epoch,
                status=outcome.status or 0,
                after=outcome.retry_after,
                longest=self._gate.longest_pause(outcome),
                pressed=self._budget_is_short(now),
            )
        )
        self._call()

    def _estimate(self, priority: Priority, now: float) -> float:
        closed = 0.0 if self._gate.probe_sent else self._gate.shut_for(now)
        if not self._lease.is_valid:
            # How long the outage lasts is unknown; it may end before the pause.
            return 0.0 if self._starving else closed
        ahead = self._queue.ahead_of(priority)
        if self._window.size == 0:
            closed = max(closed, self._opens_at - now)
        if priority is Priority.INTERACTIVE or self._window.size == 0:
            # It need not wait for a permit of this process: the ledger may give it another.
            return max(closed, ahead * self.rate.per / self._limit)
        wait = max(closed, ahead / self._pacer.pace)
        known = self._known.window_size - self._known.window_used if self._known else 0
        return wait if known > ahead else max(wait, self._until_free(ahead + 1, now))

    # Callbacks of the lease keeper.

    def _write(self) -> None:
        """Write the next message."""
        now = asyncio.get_running_loop().time()
        window, gate = self._window, self._gate
        interactive = self._queue.waiting(Priority.INTERACTIVE)
        bulk = self._queue.waiting(Priority.BULK)
        give = self._to_give
        if self._can_hand_over:
            give = max(give, 1)
        if interactive + bulk == 0 and (
            self._contended or now - self._reported_at >= self._lease.terms.renewal * 0.9
        ):
            # Keeping a few more than were used in the last window saves round trips.
            give = max(give, window.free - math.ceil(window.used / 4))
        report = StatusReport(
            interactive=interactive,
            bulk=bulk,
            granted=self._granted,
            taken=self._tally.count(now),
            owed=self._pacer.owed,
            refusals=self._refusals,
            answered=self._answered,
            probe=gate.wants_probe and interactive + bulk > 0,
            paused_for=gate.paused_for(now),
            pauses=gate.pauses,
        )
        self._lease.write(report, now, give=give, soonest=self._any_interactive)
        self._refusals, self._answered, self._to_give = [], None, 0
        self._reported_bulk, self._reported_at = bulk, now

    def _apply_answer(self, answer: Mapping[str, Any]) -> None:
        """Apply an answer of the ledger."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._end_starving()
        if self._window.returns:
            self._arm_return_timer()
        self._known_interactive, self._granted_at_answer = answer["waiting"], self._granted
        self._short = answer["short"] > 0
        self._any_interactive, self._more = answer["hurry"], answer["more"]
        self._contended, self._strict = answer["contended"], answer["strict"]
        self._processes = answer["processes"]
        self._note_learned(answer["learned"] or None)
        if "account" in answer:  # not in an answer that is repeated
            self._known = read_account(answer["account"])
            self._opens_at = now + self._known.opens_in
        if answer["pace"] > 0:
            self._set_pace(answer["pace"] * SECOND, answer["burst"])
        self._pacer.allow_without_token(answer["ahead"])
        self._pacer.add_debt(answer["charge"])
        self._to_give = max(self._to_give, answer["give"])
        if not self._refusals:
            self._gate.apply_answer(answer["gate"], now)
        self._serve()

        if self._window.size > 0 or self._queue.first() is not None:
            self._keeper.call_at(now + self._lease.terms.renewal)
        if answer["again"] >= 0:
            self._keeper.call_at(now + answer["again"] / SECOND)
        can_give = self._to_give > 0 and self._window.size > self._window.in_flight
        if self._refusals or self._answered is not None or can_give:
            self._call()
        elif self._can_hand_over:
            # It may get back what it hands over: wait, so as not to loop.
            self._keeper.call_at(now + self.rate.per / self._limit)

    def _apply_published(self, message: Mapping[str, Any]) -> None:
        """Apply a message that the ledger publishes to all processes."""
        if not self._lease.epoch:
            return
        if message["epoch"] != self._lease.epoch:
            self._call()
            return
        self._any_interactive = message["hurry"]
        self._processes = message.get("processes", self._processes)
        if "gate" in message:
            self._gate.apply_published(message["gate"], asyncio.get_running_loop().time())
        if "short" in message:
            self._short = message["short"] > 0
            if self._can_hand_over:
                self._call()
            else:
                self._serve()
        mine = message.get("yield", {}).get(self._lease.id)
        if mine is not None:
            self._to_give = max(self._to_give, mine)
            self._call()
        elif self._lease.id in message.get("call", ()):
            self._more = True
            self._call()

    def _handle_outage(self) -> bool:
        """Handle a failed attempt to reach the server.

        Return whether any permit is held or waited for, so that it must be tried again.
        """
        self._gate.detach()
        if not self._lease.is_valid:
            self._use_fallback()
        window = self._window
        return self._queue.first() is not None or window.size > 0 or window.used != 0

    def _use_fallback(self) -> None:
        """Continue without the server if a fallback allows it; else let waiting requests fail."""
        loop = asyncio.get_running_loop()
        if self._on_outage is not None:
            part = self._on_outage.part_of(self._permits, self._processes) / self._permits
            rate = self.rate
            self._set_pace(self._limit / rate.per * part, max(_LEAST_BURST, rate.burst * part))
            self._serve()
            if self._without_lease(loop.time()) > 0:
                self._end_starving()
                return
        if not self._starving:
            self._starving = True
            waiters = list(self._queue.waiters())
            self._giving_up = loop.call_later(self._outage_wait, self._give_up, waiters)

    def _fail(self, problem: str) -> None:
        """Handle a server that cannot, or will not, hold the budget as configured."""
        self._problem = problem
        self._fail_all(lambda: self._unusable(problem))

    @property
    def _can_hand_over(self) -> bool:
        """Whether a free permit here can go to interactive requests of other processes."""
        if not self._short or self._window.free <= 0:
            return False
        return self._queue.waiting(Priority.INTERACTIVE) == 0

    def _set_pace(self, pace: float, burst: float) -> None:
        if self._pacer.set_pace(pace, burst) and self._pacing is not None:
            self._pacing.cancel()
            self._pacing = None

    def _end_starving(self) -> None:
        self._starving = False
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _give_up(self, waiters: Iterable[asyncio.Future[Any]]) -> None:
        if not self._starving:
            return
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(self._unavailable(self._outage_wait))

    def _fail_all(self, error: Callable[[], ExotelError]) -> None:
        for waiter in self._queue.waiters():
            if not waiter.done():
                waiter.set_exception(error())

    def _is_cut_off(self, *, at_once: bool) -> bool:
        """Return whether a request is refused because of the server, not because of the budget.

        Args:
            at_once: whether it is refused because of an estimate, without having waited.
        """
        now = asyncio.get_running_loop().time()
        if self._without_lease(now) > 0:
            return False
        if self._keeper.lost_at is not None:
            return True
        # Only the server's answer was missing, or it is long overdue.
        return not at_once and (not self._lease.is_valid or self._keeper.is_silent(now))

    def _unavailable(self, waited: float) -> LimiterUnavailable:
        server, problem = self._server, self._keeper.problem
        if self._keeper.lost_at is None:
            what = f"has not answered within {waited:g} s ({server.timeout_text})"
        elif waited > 0:
            what = f"could not be reached for {waited:g} s: {problem}"
        else:
            what = f"cannot be reached: {problem}"
        return LimiterUnavailable(f"the server of the shared limiter, {server.address}, {what}")

    def _unusable(self, problem: str) -> ConfigurationError:
        return ConfigurationError(
            f"the server of the shared limiter, {self._server.address}, cannot be used: {problem}"
        )

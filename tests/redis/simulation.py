"""A simulation: time, the real ledger, and processes in trouble."""

from __future__ import annotations

import heapq
import json
import random
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import redis
from attrs import define, field

from exotel_async import RateLimit
from exotel_async.limiter.window import Window
from exotel_async.redis.messages import Lease, LeaseTerms, StatusReport
from exotel_async.redis.server import SCRIPT
from tests.redis.virtual import at_a_time_of_ours

LIMIT, PER, EXCHANGE = 40, 60.0, 20.0
RATE = RateLimit(LIMIT, per=PER)
TERMS = LeaseTerms.of(RATE, EXCHANGE)
KEY = "exotel_async:{test}:voice"


class Simulation:
    """Time, a server, a service that counts what arrives, and processes."""

    def __init__(self, client: redis.Redis, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = 1_000.0
        self.arrivals: list[float] = []
        self.processes: list[Process] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._client = client
        self._script = client.register_script(at_a_time_of_ours(SCRIPT))
        self._run = "first"
        self._old: bytes | None = None
        self.down_until = 0.0
        client.delete(KEY)

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now + seconds, self._count, event))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = end

    def ask(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """What the server answers at this moment; None: it is down."""
        if self.now < self.down_until:
            return None
        answer = self._script(
            keys=[KEY],
            args=[
                json.dumps(message),
                int(self.now),
                int(self.now % 1 * 1_000_000),
                self._run,
            ],
        )
        return dict(json.loads(answer))

    def remember(self) -> None:
        self._old = self._client.get(KEY)  # type: ignore[assignment]

    def restart(self, down: float, data: str) -> None:
        self._run = f"run{self.now}"
        self.down_until = self.now + down
        if data == "none":
            self._client.delete(KEY)
        elif data == "old" and self._old is not None:
            self._client.set(KEY, self._old)
        # Who was in contact hears that the connection is gone, and tries until it is back.
        for process in self.processes:
            if process.share.epoch:
                self.after(down + self.chance.random(), process.sync)

    def has_survivor(self) -> bool:
        """Whether somebody runs who has a lease of the ledger there is, and something of it."""
        return any(
            process.runs and process.share.is_valid and process.window.size > 0
            for process in self.processes
        )

    @property
    def is_troubled(self) -> bool:
        """Whether messages have trouble. A new ledger must hear of the old one soon."""
        return not self.down_until <= self.now < self.down_until + TERMS.settle

    def held(self) -> int:
        answer = self.ask({**Lease(RATE, TERMS, Window(0), name="").look(), "look": True})
        assert answer
        return sum(one["held"] for one in answer["account"]["processes"] or ())


@define(eq=False)
class Process:
    """A process that sends as much as it may while it has something to send."""

    simulation: Simulation
    name: str
    offset: float = 0.0
    """Seconds its clock is off."""
    drift: float = 1.0
    """How fast the clock of its lease runs. Its windows are right: no limiter can mend those."""
    trouble: float = 0.0
    """How likely something happens to a message."""
    demand: float = 1.0
    """How likely it has something to send."""
    sent: int = 0
    alive: bool = True
    stopped_until: float = 0.0
    window: Window = field(factory=lambda: Window(0))
    share: Lease = field(init=False)
    _busy: bool = False
    _give: int = 0

    def __attrs_post_init__(self) -> None:
        self.share = Lease(RATE, TERMS, self.window, name=self.name, clock=self.clock)
        self.simulation.processes.append(self)
        self.simulation.after(self.simulation.chance.random(), self.tick)
        self.simulation.after(self.simulation.chance.random(), self.send)

    def clock(self) -> float:
        return self.simulation.now * self.drift + self.offset

    @property
    def now(self) -> float:
        return self.simulation.now + self.offset

    def kill(self) -> None:
        self.alive = False
        self.simulation.processes.remove(self)

    @property
    def runs(self) -> bool:
        return self.alive and self.simulation.now >= self.stopped_until

    def when_it_runs(self, event: Callable[[], None]) -> bool:
        """Whether it runs; if it is stopped, the event comes when it runs again."""
        if self.alive and not self.runs:
            self.simulation.after(self.stopped_until - self.simulation.now, event)
        return self.runs

    def send(self) -> None:
        if not self.when_it_runs(self.send):
            return
        simulation = self.simulation
        self.window.take_back(self.now)
        if simulation.chance.random() < self.demand:
            if self.share.is_valid and self.window.free > 0:
                self.window.in_flight += 1
                self.sent += 1
                took = EXCHANGE * simulation.chance.random() ** 3
                on_the_way = took * simulation.chance.random()
                simulation.after(on_the_way, lambda: simulation.arrivals.append(simulation.now))
                simulation.after(took, self.answered)
            else:
                self.sync()
        simulation.after(PER / LIMIT * simulation.chance.uniform(0.2, 1.0), self.send)

    def answered(self) -> None:
        if self.when_it_runs(self.answered):
            self.window.spend(self.now + PER)

    def tick(self) -> None:
        if self.when_it_runs(self.tick):
            self.sync()
            self.simulation.after(
                TERMS.renewal * self.simulation.chance.uniform(0.3, 1.0), self.tick
            )

    def sync(self) -> None:
        simulation = self.simulation
        if self._busy:
            return
        self._busy = True
        if self.share.message is None:
            bulk = (
                1000 if self.demand >= 1 else round(10 * self.demand * simulation.chance.random())
            )
            give = self._give or (self.window.free if bulk == 0 else 0)
            news = StatusReport(
                bulk=bulk,
                interactive=int(simulation.chance.random() < 0.1),
                granted=self.sent,
                probe=True,
                answered=0,
            )
            self.share.write(news, self.now, give=give, soonest=simulation.chance.random() < 0.5)
        self.post()

    def post(self) -> None:
        """Send the message until it is answered."""
        if not self.when_it_runs(self.post):
            return
        simulation, message = self.simulation, dict(self.share.message or {})
        chance = simulation.chance.random
        trouble = self.trouble if simulation.is_troubled else 0.0
        late = chance() * 3 if chance() < trouble else 0.001

        def arrive(hear: Callable[[dict[str, Any] | None], None] | None) -> None:
            answer = simulation.ask(message)
            if hear is not None:
                simulation.after(
                    chance() * 3 if chance() < self.trouble else 0.001, lambda: hear(answer)
                )

        def hear(answer: dict[str, Any] | None) -> None:
            if not self.when_it_runs(lambda: hear(answer)):
                return
            if answer is None:
                simulation.after(0.25, self.post)
                return
            if not self.share.apply(answer, self.now):
                self.post()
                return
            self._busy = False
            self._give = answer["give"]

        if chance() < trouble:  # it never arrives, or not as far as anybody hears
            if chance() < 0.5:
                simulation.after(late, lambda: arrive(None))
            simulation.after(0.25, self.post)
            return
        if chance() < trouble:  # a copy comes again, later than others
            simulation.after(late + chance() * 10, lambda: arrive(None))
        simulation.after(late, lambda: arrive(hear))


def most_in_any_window(times: list[float]) -> int:
    times = sorted(times)
    return max((bisect_right(times, t + PER - 1e-9) - i for i, t in enumerate(times)), default=0)


def member(simulation: Simulation, rate: RateLimit = RATE) -> tuple[Lease, Window]:
    window = Window(0)
    return Lease(rate, TERMS, window, name="", clock=lambda: simulation.now), window


def say(simulation: Simulation, share: Lease, news: StatusReport) -> dict[str, Any]:
    """Say something until it is taken, and return the answer."""
    share.write(news, simulation.now)
    return hear(simulation, share)


def hear(simulation: Simulation, share: Lease) -> dict[str, Any]:
    while True:
        answer = simulation.ask(dict(share.message or {}))
        if answer and share.apply(answer, simulation.now):
            return answer


def saturate(simulation: Simulation, share: Lease, window: Window) -> None:
    """Send as much as one process may, until it holds all but what is for those in a hurry."""
    for _ in range(30):
        window.take_back(simulation.now)
        for _ in range(window.free):
            window.in_flight += 1
            window.spend(simulation.now + PER)
        say(simulation, share, StatusReport(bulk=1000))
        simulation.run(PER / 30)
    assert window.size >= LIMIT - 2

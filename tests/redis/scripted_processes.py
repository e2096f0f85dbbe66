"""The real ledger, and processes whose messages to it the test writes.

The budget is 60 a minute: 59 permits, one token a second.
"""

from __future__ import annotations

import json
from typing import Any

import redis

from exotel_async.redis.messages import VERSION
from tests.redis.simulation import KEY, Simulation

SECOND = 1_000_000
LIMIT, PER, LEASE, HOLD, SETTLE = 60, 60, 30, 70, 2
PERMITS = LIMIT - 1
MESSAGE: dict[str, Any] = {
    "version": VERSION,
    "look": False,
    "limit": LIMIT,
    "per": PER * SECOND,
    "claims": False,
    "gave": 0,
    "burst": 10,
    "lease": LEASE * SECOND,
    "hold": HOLD * SECOND,
    "settle": SETTLE * SECOND,
    "used": 0,
    "valid": True,
    "back": [],
    "interactive": 0,
    "bulk": 0,
    "granted": 0,
    "taken": 0,
    "owed": 0,
    "refusals": [],
    "answered": -1,
    "probe": False,
    "shut": 0,
    "row": 0,
    "leave": False,
}


class ScriptedProcess:
    """A process whose messages the test writes."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        self._simulation = simulation
        self.name = name
        self.epoch = ""
        self.held = 0
        self.seq = 0
        self.answer: dict[str, Any] = {}

    def say(self, **words: Any) -> dict[str, Any]:
        """Say something, and what it holds; return the answer."""
        self.seq += 1
        own = {"id": self.name, "name": self.name, "seq": self.seq, "epoch": self.epoch}
        answer = self._simulation.ask(MESSAGE | own | {"held": self.held} | words)
        assert answer is not None
        self.answer, self.epoch = answer, answer["epoch"]
        self.held = answer.get("held", self.held)
        return answer

    @property
    def granted(self) -> list[float]:
        """In how many seconds the permits of the last answer are free."""
        return [left / SECOND for left in self.answer["granted"] or ()]


class Ledger:
    """A ledger that knows who holds what: nobody anything."""

    def __init__(self, client: redis.Redis, *, limit: int = LIMIT) -> None:
        self.simulation = Simulation(client, seed=0)
        self.one, self.other = (ScriptedProcess(self.simulation, name) for name in ("one", "other"))
        self._limit = limit
        self.one.say(limit=limit, leave=True)
        self.simulation.run(SETTLE)

        self._news = client.pubsub()  # type: ignore[no-untyped-call]
        self._news.subscribe(KEY)
        self.news()

    def news(self) -> list[dict[str, Any]]:
        """What was told to everybody since the last time."""
        told: list[dict[str, Any]] = []
        # The server's answer to this comes after all that was told before.
        self._news.ping()
        while True:
            message = self._news.get_message(timeout=None)
            if message is not None and message["type"] == "pong":
                return told
            if message is not None and message["type"] == "message":
                told.append(json.loads(message["data"]))

    def close(self) -> None:
        self._news.close()

    def account(self) -> dict[str, Any]:
        look = {"version": VERSION, "look": True, "limit": self._limit, "per": PER * SECOND}
        answer = self.simulation.ask(look)
        assert answer is not None
        return dict(answer["account"])


def refusal(ledger: Ledger, **words: Any) -> dict[str, Any]:
    one = {
        "epoch": ledger.one.answer["gate"]["epoch"],
        "status": 429,
        "after": -1,
        "most": 3 * PER * SECOND,
        "pressed": True,
    }
    return one | words


class Learning(Ledger):
    """A ledger that is told by one process what the account takes and refuses."""

    def take(self, number: int, seconds: int = PER) -> int:
        """Say for so long that so many were taken in the last window; return what was learned."""
        for _ in range(seconds // 10):
            self.simulation.run(10)
            self.one.say(taken=number, answered=self.one.answer["gate"]["epoch"])
        return int(self.one.answer["learned"])

    def refuse(self, number: int) -> int:
        """Have one refused when so many were taken."""
        self.one.say(taken=number, refusals=[refusal(self, after=SECOND)])
        return int(self.one.answer["learned"])

    def learn(self, number: int) -> int:
        """Have it refused until something is learned of that."""
        self.refuse(number)
        self.take(number)
        return self.refuse(number)

"""The settings of the demo's campaign, and when its program is killed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from attrs import frozen

from exotel_async import RateLimit
from exotel_async.campaigns import Campaign, Retries, Retry, Schedule
from exotel_async.cli.service import LIMIT
from exotel_async.emulator import Behaviour, Emulator, Scenario

NAME: Final = "demo"
EXOPHONE: Final = "08030000000"
TIME_LIMIT: Final = timedelta(seconds=30)


@frozen(kw_only=True)
class Plan:
    """The settings of the demo. Durations are seconds; the emulator's clock runs in real time.

    The program is killed while calls in progress take all its channels, among them the call whose
    response is held back: no other dial can be in flight then. To create such a moment, as many
    consecutive contacts as there are channels talk for long.

    Attributes:
        contacts: how many people are dialled.
        channels: how many calls may be in progress at once.
        before: how many are dialled before those who talk for long.
        talk: how long the others talk, at least and at most.
        long_talk: how long those who talk for long do so.
        gap: the time from a call that was busy or not answered until the next attempt.
        poll_interval: the `poll_interval` of `Dialer`.
        seed: the emulator's seed, which decides how calls end.
        longest: the longest time the demo may take.
    """

    contacts: int
    channels: int
    before: int
    talk: tuple[int, int]
    long_talk: int
    gap: int
    poll_interval: float
    seed: int
    longest: float = 36.0

    @classmethod
    def usual(cls, seed: int) -> Plan:
        """Return the plan for people to watch."""
        return cls(
            contacts=32,
            channels=10,
            before=10,
            talk=(1, 3),
            long_talk=6,
            gap=2,
            poll_interval=0.5,
            seed=seed,
        )

    @classmethod
    def fast(cls, seed: int) -> Plan:
        """Return the plan for automated runs: it shows the same in a few seconds."""
        return cls(
            contacts=10,
            channels=4,
            before=0,
            talk=(0, 1),
            long_talk=2,
            gap=1,
            poll_interval=0.3,
            seed=seed,
        )

    @property
    def budget(self) -> RateLimit:
        """Exotel's documented rate, with a large burst as the demo takes only half a minute."""
        return RateLimit(LIMIT, burst=120)

    @property
    def numbers(self) -> Sequence[str]:
        """The contacts' phone numbers, all different; only the emulator dials them."""
        return [f"+9198123{index:05d}" for index in range(1, self.contacts + 1)]

    @property
    def dial_with_lost_response(self) -> int:
        """The position, from 1, of the dial whose response is held back until the kill."""
        return self.before + self.channels

    @property
    def campaign(self) -> Campaign:
        """The campaign to run."""
        retry = Retry(1, timedelta(seconds=self.gap))
        return Campaign(
            NAME,
            flow=926,
            caller_ids=EXOPHONE,
            schedule=Schedule(hours="00:00-24:00"),
            retries=Retries(busy=retry, no_answer=retry),
            time_limit=TIME_LIMIT,
        )

    def emulator(self) -> Emulator:
        """Return the emulator on which the demo runs."""
        long = self.numbers[self.before : self.dial_with_lost_response]
        return Emulator(
            rate=LIMIT,
            channels=self.channels,
            exophones=[EXOPHONE],
            seed=self.seed,
            scenario=Scenario(
                busy=0.15,
                no_answer=0.15,
                failed=0.05,
                ring=(0, 1),
                ring_timeout=2,
                talk=self.talk,
                settle=(0, 1),
                numbers={number: Behaviour(talk=self.long_talk) for number in long},
            ),
        )

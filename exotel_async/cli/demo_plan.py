"""What the demo's campaign is like, and when its program is killed."""

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
    """What the demo does. Lengths are seconds; the emulator's clock runs as fast as any.

    The program is killed while calls in progress take all its channels, the call among them whose
    answer is held back: no other dial can be on its way then. So that there is such a moment, some
    contacts in a row, as many as there are channels, talk for long.

    Attributes:
        contacts: how many people are dialled.
        channels: how many calls may be in progress at once.
        before: how many are dialled before those who talk for long.
        talk: how long others talk, at least and at most.
        long_talk: how long those talk.
        gap: from a call that found somebody busy, or not there, until the next one.
        poll_interval: as `Dialer` takes it.
        seed: how calls end.
        longest: when the demo is over at the latest.
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
        """Return the one to look at."""
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
        """Return the one for machines: it shows the same in a few seconds."""
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
        """What Exotel allows an account, and much of it at once: the demo takes half a minute."""
        return RateLimit(LIMIT, burst=120)

    @property
    def numbers(self) -> Sequence[str]:
        """Different phone numbers, which nobody is going to ring."""
        return [f"+9198123{index:05d}" for index in range(1, self.contacts + 1)]

    @property
    def dial_with_lost_response(self) -> int:
        """Which of the dials it is whose response is held back until the program is killed."""
        return self.before + self.channels

    @property
    def campaign(self) -> Campaign:
        """The campaign."""
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
        """Return an emulator on which all this happens."""
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

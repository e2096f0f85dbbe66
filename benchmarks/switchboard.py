"""An emulator in a process of its own, with calls that are over and calls that go on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from benchmarks import child
from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN
from benchmarks.traffic import MINUTE, RATE
from exotel_async.emulator import Dial, Emulator, Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

_LONG: int = 14_000  # seconds: no benchmark takes so long
_LONG_OVER = timedelta(days=1)


@frozen(kw_only=True)
class Switchboard:
    """What the emulator is told; lengths in real seconds.

    Attributes:
        over: calls that are over, and known in all they have cost.
        going_on: calls that go on; those dialled later do as well.
        rate: requests for each `per`.
        per: W, the length of its window.
        response: the length of every response, its own work not counted.
    """

    over: int = 0
    going_on: int = 0
    rate: int = RATE
    per: float = MINUTE
    response: float = 0.0


@frozen
class Open:
    """Where it listens, and the SIDs of its calls."""

    base_url: str
    over: Sequence[str]
    going_on: Sequence[str]


def opened(switchboard: Switchboard) -> AbstractContextManager[Open]:
    """Run the emulator in a child process."""
    return child.running(_emulator, _fill, switchboard)


def _emulator(switchboard: Switchboard) -> Emulator:
    half = switchboard.response / 2
    return Emulator(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        exophones=(EXOPHONE,),
        rate=switchboard.rate,
        per=switchboard.per,
        latency=(lambda _: (half, half)) if half else None,
    )


def _fill(switchboard: Switchboard, ready: Emulator) -> Open:
    dial = Dial(from_="09812300002", to="09812300001", caller_id=EXOPHONE)
    ready.scenario = Scenario.all_answered()
    over = [ready.add_call(dial, ago=_LONG_OVER).sid for _ in range(switchboard.over)]
    ready.scenario = Scenario.all_answered(talk=_LONG)
    going_on = [ready.add_call(dial).sid for _ in range(switchboard.going_on)]
    return Open(ready.base_url, over, going_on)

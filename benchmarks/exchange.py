"""An emulator in a process of its own that takes dials, and what it has counted."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx
from attrs import frozen

from benchmarks import child
from benchmarks.bare import number
from benchmarks.books import PLENTY
from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN, response_time
from benchmarks.traffic import MINUTE, RATE
from exotel_async.emulator import Behaviour, Emulator, Outcome, Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

BUSY: Final = number(199_999_999)
"""Who is busy, whenever they are dialled."""

_PAGE: Final = 1000
_SHORT: Final = Scenario.all_answered(ring=1, talk=2, settle=2)


@frozen(kw_only=True)
class Exchange:
    """What the emulator is told.

    Attributes:
        per: the seconds in which its minute passes, and 200 requests are accepted; None: it accepts
            any number, and its calls are over at once.
        seed: of the response times, and of the calls' lengths.
    """

    per: float | None = None
    seed: int = 0


@frozen(kw_only=True)
class Came:
    """A request that arrived.

    Attributes:
        at: when, in seconds of the emulator's since its start.
        refused: whether there was no room for it in the window.
        dials: who is dialled; None: nobody.
    """

    at: float
    refused: bool
    dials: str | None


@frozen(kw_only=True)
class Counted:
    """What an emulator has counted.

    Attributes:
        requests: all that arrived, in that order.
        started_at: when it was started, by its own clock.
    """

    requests: Sequence[Came]
    started_at: datetime


def opened(exchange: Exchange) -> AbstractContextManager[str]:
    """Run the emulator in a child process. Gives its base URL."""
    return child.running(_emulator, _base_url, exchange)


def counted(base_url: str) -> Counted:
    """Ask an emulator what has arrived."""
    url = f"{base_url}/_emulator"
    came: list[Came] = []
    with httpx.Client(trust_env=False, timeout=60) as client:
        after: str | None = "0"
        while after is not None:
            page: dict[str, Any] = client.get(
                f"{url}/requests", params={"after": after, "limit": _PAGE}
            ).json()
            came += [_came(one) for one in page["items"]]
            after = page["next"]
        clock = client.get(f"{url}/clock").json()
    started_at = datetime.fromisoformat(clock["now"]) - timedelta(seconds=clock["elapsed"])
    return Counted(requests=came, started_at=started_at)


def _came(one: dict[str, Any]) -> Came:
    dials = one["form"].get("From") if one["method"] == "POST" else None
    return Came(at=one["arrived"], refused=one["refused"], dials=dials)


def _emulator(exchange: Exchange) -> Emulator:
    per = exchange.per
    settings: dict[str, Any] = {"rate": PLENTY, "scenario": _SHORT, "speed": 20.0}
    if per is not None:
        settings = {
            "rate": RATE,
            "per": MINUTE,
            "speed": MINUTE / per,
            "latency": partial(response_time, per / MINUTE),
            "scenario": Scenario(
                busy=0,
                no_answer=0,
                failed=0,
                numbers={BUSY: Behaviour(Outcome.BUSY, ring=1)},
            ),
        }
    return Emulator(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        exophones=(EXOPHONE,),
        seed=exchange.seed,
        **settings,
    )


def _base_url(_: Exchange, ready: Emulator) -> str:
    return ready.base_url

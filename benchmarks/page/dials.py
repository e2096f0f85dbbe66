"""Dials whose responses are lost after they were placed: who is rung twice, who is not rung."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import httpx
from attrs import frozen

from benchmarks import exchange
from benchmarks.bare import number
from benchmarks.page import loops
from benchmarks.page.bulk import OURS
from benchmarks.page.figures import Figure, Figures
from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN
from exotel_async import AsyncExotel, Call, CallOutcomeUnknown, Priority, RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.page.settings import Settings

_ONE_IN: Final = 10
_LOST: Final[Sequence[dict[str, Any]]] = (
    {"fault": "act_then_drop"},
    {"fault": "act_then_status", "status": 504},
)
"""In turn: the connection is lost, and a gateway answers in the service's place."""
_TWILIO_RETRIES: Final = 3
_PLENTY: Final = RateLimit(10**6, per=1, burst=10**4)


@frozen
class Rung:
    """What became of the phones, and of what was reported.

    Attributes:
        twice: phones that rang more than once.
        never: phones that did not ring.
        unknown: dials reported as "may have been placed"; None: there is no such report.
    """

    twice: int
    never: int
    unknown: int | None


def measure(settings: Settings) -> Figures:
    """Measure each way, each with an emulator of its own."""
    ways: dict[str, Callable[[str, Sequence[str]], int | None]] = {
        OURS: _ours,
        "loop": _loop,
        "retries": _retries,
        "twilio": _twilio,
        "twilio_retries": _twilio_retries,
    }
    phones = [number(index) for index in range(settings.dials)]
    lost = settings.dials // _ONE_IN
    measured: dict[str, Figures | Figure] = {
        "dials": Figure(settings.dials, "dials"),
        "lost": Figure(lost, "responses lost"),
        "retries": Figure(_TWILIO_RETRIES, "max_retries of Twilio's client"),
    }
    for name, way in ways.items():
        rung = _rung(way, phones, lost)
        figures = {
            "twice": Figure(rung.twice, "phones rung more than once"),
            "never": Figure(rung.never, "phones never rung"),
        }
        if rung.unknown is not None:
            figures["unknown"] = Figure(rung.unknown, "dials reported as of unknown outcome")
        measured[f"by_{name}"] = figures
    return measured


def _rung(
    way: Callable[[str, Sequence[str]], int | None], phones: Sequence[str], lost: int
) -> Rung:
    with exchange.opened(exchange.Exchange()) as base_url:
        control = f"{base_url}/_emulator"
        with httpx.Client(trust_env=False) as client:
            for index in range(lost):
                fault = _LOST[index % len(_LOST)] | {
                    "method": "POST",
                    "path": "Calls/connect",
                    # Each counts what comes before it, but for what another one takes.
                    "after": (index + 1) * (_ONE_IN - 1),
                }
                client.post(f"{control}/faults", json=fault).raise_for_status()
            unknown = way(base_url, phones)
            often = [client.get(f"{control}/rung/{phone}").json()["rung"] for phone in phones]
            if client.get(f"{control}/faults").json() and min(often) > 0:
                raise RuntimeError("not all responses were lost")
    return Rung(sum(times > 1 for times in often), often.count(0), unknown)


def _ours(base_url: str, phones: Sequence[str]) -> int:
    async def main() -> int:
        async with AsyncExotel(
            account_sid=ACCOUNT,
            api_key=KEY,
            api_token=TOKEN,
            base_url=base_url,
            rate_limit=_PLENTY,
        ) as exotel:
            connect = exotel.with_options(priority=Priority.BULK).calls.connect
            ended = await asyncio.gather(
                *(connect(phone, loops.SECOND_PARTY, caller_id=EXOPHONE) for phone in phones),
                return_exceptions=True,
            )
        unknown = sum(isinstance(one, CallOutcomeUnknown) for one in ended)
        if unknown + sum(isinstance(one, Call) for one in ended) != len(phones):
            raise RuntimeError("a dial ended in something else")
        return unknown

    return asyncio.run(main())


def _loop(base_url: str, phones: Sequence[str]) -> None:
    import requests  # noqa: PLC0415 - it needs the extra `bench`

    try:
        for phone in phones:
            loops.dial(base_url, phone)
    except requests.RequestException:
        return  # it ends the loop


def _retries(base_url: str, phones: Sequence[str]) -> None:
    for phone in phones:
        loops.dial_with_retries(base_url, phone)


def _twilio(base_url: str, phones: Sequence[str], max_retries: int | None = None) -> None:
    from benchmarks.page import twilio_client  # noqa: PLC0415 - it needs the extra `bench`

    async def main() -> None:
        async with twilio_client.opened(base_url, max_retries) as client:
            await asyncio.gather(*(_dial(client, phone) for phone in phones))

    asyncio.run(main())


def _twilio_retries(base_url: str, phones: Sequence[str]) -> None:
    _twilio(base_url, phones, _TWILIO_RETRIES)


async def _dial(client: Any, phone: str) -> None:
    import aiohttp  # noqa: PLC0415
    from twilio.base.exceptions import TwilioException  # noqa: PLC0415

    try:
        await client.calls.create_async(to=phone, from_=EXOPHONE, url="http://127.0.0.1/")
    except (aiohttp.ClientError, TwilioException):
        return  # what counts is what rang

"""The program that is killed: it runs campaigns until each contact has its outcome."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from exotel_async import AsyncExotel, RateLimit, Timeouts
from exotel_async.calls import reconcile_evidence, wait
from exotel_async.campaigns import dialing, feeding, following, in_doubt, state
from exotel_async.campaigns.dialer import Dialer
from exotel_async.config import RetryPolicy
from exotel_async.http.pipeline import Pipeline
from exotel_async.webhooks import ExotelWebhooks
from exotel_async.wire.request import Request
from tests.webhooks.serving import serving

SECRET = "nobody-guesses-this-one"


@attrs.frozen(kw_only=True)
class Options:
    """What the program is told. Lengths are seconds."""

    base_url: str
    account_sid: str
    api_key: str
    api_token: str = attrs.field(repr=False)
    ledger: str
    campaigns: tuple[str, ...]
    log: str
    """The file it writes its log to."""
    rate: int
    """Requests in a second."""
    channels: int | None = None
    port: int | None = None
    """Where it takes callbacks; None: nowhere."""
    exchange: float = 1.5
    """What one exchange with Exotel may take."""
    send_within: float = 1.0
    """In which time after its intent a dial leaves, or never."""
    settled_after: float = 2.0
    """In which time after its end Exotel tells all of a call, instead of a quarter of an hour."""
    lease: float = 60.0
    poll_interval: float = 0.1
    think: float = 0.0
    """For how long each dial waits between its intent and its first byte."""
    asks: float | None = None
    """How long it waits from one interactive request to the next; None: it makes none."""
    clock: str | None = None
    """A file with the seconds by which the machine's clock is wrong."""


def run(options: Options) -> None:
    """Run it in this process, to its end."""
    logging.basicConfig(
        filename=options.log,
        level=logging.INFO,
        format=f"%(asctime)s {Path(options.log).stem} %(process)d %(levelname)s %(message)s",
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # A shell has its background jobs ignore it, and they pass that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _hurry(options)
    if options.think:
        _think(options.think)
    if options.clock is not None:
        _misread(Path(options.clock))
    try:
        asyncio.run(_main(options))
    except KeyboardInterrupt:
        sys.exit(130)
    except BaseException:
        logging.getLogger().exception("The program has failed")
        raise


async def _main(options: Options) -> None:
    exotel = AsyncExotel(
        account_sid=options.account_sid,
        api_key=options.api_key,
        api_token=options.api_token,
        base_url=options.base_url,
        rate_limit=RateLimit(options.rate, per=1),
        retry=RetryPolicy(backoff=0.05, backoff_cap=0.2),
        timeout=Timeouts(connect=1, write=1, read=1, exchange=options.exchange),
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(exotel)
        dialer = Dialer(
            exotel,
            options.ledger,
            channels=options.channels,
            poll_interval=options.poll_interval,
        )
        await stack.enter_async_context(dialer)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, dialer.stop)
        if options.port is not None:
            hooks = ExotelWebhooks(SECRET, base_url=f"http://127.0.0.1:{options.port}")
            hooks.forward_to(dialer)
            await stack.enter_async_context(serving(hooks, bound=_bound(options.port)))
        if options.asks is not None:
            asking = asyncio.create_task(_ask(exotel, options.asks))
            stack.callback(asking.cancel)
        async with dialer.run(*options.campaigns) as outcomes:
            async for _ in outcomes:
                pass


async def _ask(exotel: AsyncExotel, wait: float) -> None:
    while True:
        await exotel.account.balance()
        await asyncio.sleep(wait)


def callback_url(port: int) -> str:
    """Return the URL of the status callbacks of a program at that port."""
    return f"http://127.0.0.1:{port}/{SECRET}/status_callback"


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _hurry(options: Options) -> None:
    """Let all that is known of a call be known after seconds, and leases be as short as that.

    Everything else is as it always is: this Exotel's clock runs as fast as ours.
    """
    settled = timedelta(seconds=options.settled_after)
    for module in (reconcile_evidence, in_doubt, following, wait):
        vars(module)["SETTLED_AFTER"] = settled
    vars(wait)["_SETTLING"] = options.settled_after
    for module in (in_doubt, dialing, feeding):
        vars(module)["SEND_WITHIN"] = options.send_within
    for module in (state, feeding):
        vars(module)["LEASE"] = options.lease
    vars(feeding)["_RENEWAL"] = min(vars(feeding)["_RENEWAL"], options.lease / 6)
    vars(feeding)["_LEDGER_POLL"], vars(feeding)["_HOLDER_POLL"] = 0.3, 0.1


def _think(seconds: float) -> None:
    send = Pipeline.send

    async def send_later(self: Pipeline, request: Request, *args: Any, **named: Any) -> Any:
        if request.dials:
            await asyncio.sleep(seconds)
        return await send(self, request, *args, **named)

    Pipeline.send = send_later  # type: ignore[method-assign]


def _misread(clock: Path) -> None:
    """Have the machine's clock be wrong by as many seconds as a file says."""
    right = time.time

    def wrong() -> float:
        return right() + float(clock.read_text() or 0)

    class _IsADate(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class WrongDate(datetime, metaclass=_IsADate):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(wrong(), tz)

    time.time = wrong
    for name, module in list(sys.modules.items()):
        if name.startswith("exotel_async.") and vars(module).get("datetime") is datetime:
            vars(module)["datetime"] = WrongDate

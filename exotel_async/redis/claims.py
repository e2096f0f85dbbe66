"""A claim store on a Valkey or Redis server, for all processes of an application."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from hashlib import blake2b
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Self

from exotel_async.errors import ClaimsUnavailable, ConfigurationError
from exotel_async.masking import shown
from exotel_async.redis.connection import (
    Connection,
    Script,
    Unreachable,
    Unusable,
    check_seconds,
    check_word,
)
from exotel_async.webhooks.deduplication import REMEMBERED_FOR, Claim

if TYPE_CHECKING:
    from types import TracebackType

    from redis.asyncio import Redis

_SCRIPT: Final = Script(
    files("exotel_async.redis").joinpath("claims.lua").read_text(encoding="utf-8")
)
_STATES: Final = {1: Claim.TAKEN, 2: Claim.HELD, 3: Claim.DONE}
_LONGEST: Final = timedelta(days=36_500)
_CLOSING: Final = 5.0
"""Seconds `aclose` waits for steps in progress. A step takes less, unless many are queued."""

logger: Final = logging.getLogger("exotel_async")


class ValkeyClaims:
    """A `ClaimStore` for several processes and machines, on a Valkey or Redis server.

    With it each event is handled once, whichever process receives it. Every step is one script,
    which the server runs atomically. Leases expire by the server's clock: if a process is killed
    while it handles an event, another one handles the next delivery after the lease. The store
    connects on first use, and belongs to the event loop of that first use until it is closed.
    `async with` opens it again::

        claims = ValkeyClaims("redis://localhost", name="shop")
        hooks = ExotelWebhooks(secret, claims=claims)

        async with claims:  # in the lifespan of the application
            ...

    While the server cannot be reached, events are answered 500, so that Exotel sends them again.
    """

    def __init__(
        self,
        url_or_client: str | Redis,
        *,
        name: str,
        remember: timedelta = REMEMBERED_FOR,
        socket_timeout: float | None = None,
    ) -> None:
        """Create the store; nothing is sent yet.

        Args:
            url_or_client: the server: ``redis://[[user]:password@]host[:port][/database]``,
                ``rediss://`` or ``unix://``, where ``?timeout=1`` sets `socket_timeout`; or a
                redis-py asyncio client, which you still close yourself. The store opens its own
                connections with the client's settings, but uses the client itself if its pool is
                of another class, as with Sentinel: then the client's retries and connection limit
                apply, too. Redis Cluster is not supported.
            name: the application's name: the same in all its processes, and different for each
                application that shares the server. If two applications used one name, an event
                handled by one would count as handled by the other: a heartbeat's key does not
                identify its receiver.
            remember: how long a handled event is remembered; longer than Exotel sends it again.
            socket_timeout: seconds the server may take to answer; by default ``?timeout=`` of the
                URL, else 0.25. A step may take four times as long, as it may have to connect, and
                as long again if it waits for other steps of this process.

        Raises:
            ConfigurationError: an argument is not valid.
        """
        if not isinstance(remember, timedelta) or not timedelta() < remember <= _LONGEST:
            raise ConfigurationError(
                f"remember={shown(remember)}: must be a timedelta above 0 and up to a century"
            )
        if socket_timeout is not None:
            check_seconds("socket_timeout", socket_timeout)
        self._remember = _milliseconds(remember.total_seconds())
        self._prefix = f"exotel_async:claims:{check_word('name', name)}:"
        self._connect = partial(
            Connection, url_or_client, timeout=socket_timeout, user="claim store"
        )
        self._connection = self._connect()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._is_away = False
        self._steps: set[asyncio.Future[None]] = set()

    @property
    def address(self) -> str:
        """The server's address for display, without credentials."""
        return self._connection.address

    async def claim(self, key: str, owner: str, lease: float) -> Claim:
        """Claim an event. If the owner has already claimed it, the lease starts again.

        Raises:
            ClaimsUnavailable: the server cannot be reached. The claim may have been made: it ends
                with its lease, if it is not released.
            ConfigurationError: the server cannot hold claims; the store belongs to another event
                loop, or is closed.
        """
        return await self._run("claim", key, _milliseconds(lease), owner)

    async def done(self, key: str) -> None:
        """Record that the event was handled.

        Raises:
            ClaimsUnavailable: the server cannot be reached.
            ConfigurationError: as `claim`.
        """
        await self._run("done", key, self._remember, "")

    async def release(self, key: str, owner: str) -> None:
        """Release the claim of this owner.

        Raises:
            ClaimsUnavailable: the server cannot be reached.
            ConfigurationError: as `claim`.
        """
        await self._run("release", key, 0, owner)

    async def aclose(self) -> None:
        """Close the connections once the steps in progress have ended. Claims are kept.

        Close the `ExotelWebhooks` first: a handler that ends later cannot record that it did.

        Raises:
            ConfigurationError: the store belongs to another event loop.
        """
        if self._is_closed:
            return
        self._bind()
        self._is_closed = True
        if self._steps:
            await asyncio.wait(self._steps, timeout=_CLOSING)
        await self._connection.aclose()

    async def __aenter__(self) -> Self:
        """Contact the server. If it cannot be reached, that is only logged: it may be back later.

        Raises:
            ConfigurationError: the server cannot hold claims; or the store is in use in another
                event loop.
        """
        if self._is_closed:
            self._connection, self._loop, self._is_closed = self._connect(), None, False
        self._bind()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.aclose)
            try:
                # Together these two need every permission the store uses, whatever other clients
                # do meanwhile: the first EVAL, GET and SET, the second EVALSHA and DEL.
                key, owner = secrets.token_hex(8), secrets.token_hex(8)
                await self._run("claim", key, _milliseconds(1.0), owner, with_text=True)
                await self.release(key, owner)
            except ClaimsUnavailable:
                pass  # it has been logged
            stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # If `__init__` failed, the half-made object may be printed with the error.
        connection = getattr(self, "_connection", None)
        return f"<ValkeyClaims {connection and connection.address}>"

    def __reduce__(self) -> Any:
        raise TypeError("a claim store is not pickled: it holds connections and a password")

    async def _run(
        self, step: str, key: str, stays: int, owner: str, *, with_text: bool = False
    ) -> Claim:
        if self._is_closed:
            raise ConfigurationError("this claim store is closed")
        self._bind()
        # The key contains the call's SID and other data of the sender: the server gets only a hash.
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        in_progress = asyncio.get_running_loop().create_future()
        self._steps.add(in_progress)
        try:
            # Repeating a claim, a release or a record with the same owner changes nothing.
            state = await self._connection.run(
                _SCRIPT,
                self._prefix + digest,
                step,
                stays,
                owner,
                read=_STATES.get,
                concurrent=True,
                idempotent=True,
                with_text=with_text,
            )
        except Unreachable as problem:
            if not self._is_away:
                self._is_away = True
                logger.warning(
                    "The server of the claim store, %s, cannot be reached: %s",
                    self.address,
                    problem,
                )
            raise ClaimsUnavailable(
                f"the server of the claim store, {self.address}, cannot be reached: {problem}"
            ) from None
        except Unusable as problem:
            raise ConfigurationError(
                f"the server of the claim store, {self.address}, cannot be used: {problem}"
            ) from None
        finally:
            self._steps.discard(in_progress)
            in_progress.set_result(None)
        if self._is_away:
            self._is_away = False
            logger.info("The server of the claim store is back")
        return state

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ConfigurationError(
                "this claim store belongs to another event loop: make one for each loop"
            )


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))

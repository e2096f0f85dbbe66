"""The server of a shared limiter: messages to its ledger, and those it publishes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from redis import exceptions as failures

from exotel_async.redis.connection import Connection, Script, Unusable

if TYPE_CHECKING:
    from redis.asyncio import Redis

SCRIPT: Final = files("exotel_async.redis").joinpath("ledger.lua").read_text(encoding="utf-8")
_LEDGER: Final = Script(SCRIPT)
_SILENCE: Final = 15.0  # seconds without a message after which the connection is pinged


def is_cancelled() -> bool:
    """Return whether the current task is being cancelled, even if a library swallowed that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Server(Connection):
    """A Valkey or Redis server that has the ledger of one account."""

    def __init__(
        self, url_or_client: str | Redis, *, account: str, category: str, timeout: float | None
    ) -> None:
        super().__init__(url_or_client, timeout=timeout, user="shared limiter")
        # In a cluster, the part in braces decides the slot.
        self._key = f"exotel_async:{{{account}}}:{category}"

    async def ask(self, message: Mapping[str, Any], *, concurrent: bool = False) -> dict[str, Any]:
        """Send a message to the ledger and return its answer.

        With `concurrent`, other messages may be in flight, so that it may have to open a new
        connection first.

        Raises:
            Unreachable: no answer came. The ledger may have applied the message, or may still.
            Unusable: the server cannot hold a ledger.
        """
        text = json.dumps(message, separators=(",", ":"))
        return await self.run(_LEDGER, self._key, text, read=_read, concurrent=concurrent)

    async def listen(
        self, receive: Callable[[Mapping[str, Any]], None], begin: Callable[[], None]
    ) -> None:
        """Receive what the ledger publishes to all processes, until the connection fails.

        Messages are passed to `receive`. Once `begin` has been called, none is missed.

        Raises:
            Unusable: the server does not permit the subscription.
        """
        listener = self._client.pubsub()
        try:
            await listener.subscribe(self._key)
            silent = False
            while not is_cancelled():
                message = await listener.get_message(timeout=_SILENCE)
                if message is None:
                    if silent:
                        return
                    await listener.ping()
                elif message["type"] == "subscribe":
                    begin()
                elif message["type"] == "message":
                    receive(_read(message["data"]))
                silent = message is None
        except failures.NoPermissionError as error:
            problem = self._error_text(error)
        except (failures.RedisError, OSError):
            return
        finally:
            await listener.aclose()  # type: ignore[no-untyped-call]
        raise Unusable(problem)


def _read(text: Any) -> dict[str, Any]:
    """Decode a JSON object; return {} if the text is not one."""
    try:
        read = json.loads(text)
    except (ValueError, TypeError):
        return {}
    return read if isinstance(read, dict) else {}

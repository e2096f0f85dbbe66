"""The server of a shared limiter: messages sent to its ledger, and those that it publishes."""

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
_SILENCE: Final = 15.0  # seconds after which the connection has to show that it is still there


def is_cancelled() -> bool:
    """Return whether the running task is to end, even if a client of another's has lost that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Server(Connection):
    """A Valkey or Redis server, and the ledger of one account in it."""

    def __init__(
        self, url_or_client: str | Redis, *, account: str, category: str, timeout: float | None
    ) -> None:
        super().__init__(url_or_client, timeout=timeout, user="shared limiter")
        # The part in braces decides where in a cluster it is.
        self._key = f"exotel_async:{{{account}}}:{category}"

    async def ask(self, message: Mapping[str, Any], *, concurrent: bool = False) -> dict[str, Any]:
        """Send a message to the ledger and return its answer.

        If it is `concurrent` with other messages, it uses another connection, which may have to be
        made first.

        Raises:
            Unreachable: no answer came. The ledger may have taken the message, or may yet.
            Unusable: the server cannot hold a ledger.
        """
        text = json.dumps(message, separators=(",", ":"))
        return await self.run(_LEDGER, self._key, text, read=_read, concurrent=concurrent)

    async def listen(
        self, hear: Callable[[Mapping[str, Any]], None], begin: Callable[[], None]
    ) -> None:
        """Receive what the ledger publishes to all processes, until the connection fails.

        From when `begin` is called on, no message is missed.

        Raises:
            Unusable: it does not let us listen.
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
                    hear(_read(message["data"]))
                silent = message is None
        except failures.NoPermissionError as error:
            problem = self._words(error)
        except (failures.RedisError, OSError):
            return
        finally:
            await listener.aclose()  # type: ignore[no-untyped-call]
        raise Unusable(problem)


def _read(text: Any) -> dict[str, Any]:
    """Read an object; {} where it is none."""
    try:
        read = json.loads(text)
    except (ValueError, TypeError):
        return {}
    return read if isinstance(read, dict) else {}

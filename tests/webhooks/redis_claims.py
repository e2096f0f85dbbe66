"""A `ClaimStore` in Redis or Valkey, as somebody would write it: the protocol must bear one."""

from __future__ import annotations

from typing import Any

from exotel_async.webhooks import Claim

REMEMBERED = 86_400
_DONE = b"done"
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"


class RedisClaims:
    """One key for each event: its owner while it is handled, then `done`."""

    def __init__(self, client: Any, prefix: str = "webhooks:") -> None:
        self._client = client
        self._prefix = prefix

    async def claim(self, key: str, owner: str, lease: float) -> Claim:
        name = self._prefix + key
        if await self._client.set(name, owner, nx=True, px=int(lease * 1000)):
            return Claim.TAKEN
        # Gone meanwhile: it is asked for again in a moment.
        return Claim.DONE if await self._client.get(name) == _DONE else Claim.HELD

    async def done(self, key: str) -> None:
        await self._client.set(self._prefix + key, _DONE, ex=REMEMBERED)

    async def release(self, key: str, owner: str) -> None:
        await self._client.eval(_RELEASE, 1, self._prefix + key, owner)

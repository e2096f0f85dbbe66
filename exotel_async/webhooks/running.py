"""How handlers run: each event once, each question within its time, whoever leaves meanwhile.

They run in tasks of their own. A request that is cancelled, or whose client has gone, leaves the
handling of its event to go on and to settle its claim; an answer that comes too late keeps nobody
waiting.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any, Final, Protocol

from exotel_async.webhooks.claims import Claim, ClaimStore
from exotel_async.webhooks.replies import Reply
from exotel_async.webhooks.routes import Route

logger: Final = logging.getLogger("exotel_async")

_LOOK_AGAIN: Final = 0.2
"""Seconds, while another process handles an event."""
_STORE_SECONDS: Final = 5.0
"""What a store may take to be told how it went."""
_SETTLING: Final = 1.0
"""What a request waits longer than its handler may take, for the claim to be settled."""
_LEASE_MORE: Final = 2 * _STORE_SECONDS
"""What a claim lives longer than its handler, so that it is never over before it was settled."""


class Event(Protocol):
    """What is handled once."""

    @property
    def sid(self) -> str:
        """The call's SID."""
        ...

    @property
    def key(self) -> str:
        """What names it."""
        ...


class Running:
    """The handlers of one application that are under way."""

    def __init__(self, store: ClaimStore, *, event_seconds: float, answer_seconds: float) -> None:
        self._store = store
        self._event_seconds = event_seconds
        self._answer_seconds = answer_seconds
        self._events: dict[str, asyncio.Task[bool]] = {}
        self._answers: set[asyncio.Task[object]] = set()
        self._process = secrets.token_hex(8)
        self._attempts = count()

    async def handle(self, route: Route, event: Event) -> bool:
        """Have an event handled, unless it was. Tells whether it is; if not, it is to come again.

        One that is being handled already is not handled a second time: both get its outcome.
        """
        key = f"{route.kind}:{event.key}"
        task = self._events.get(key)
        if task is None:
            task = asyncio.create_task(self._handle(route, event, key))
            self._events[key] = task
            task.add_done_callback(partial(self._handled, key))
        # A handler that does not let itself be cancelled keeps its claim, but no request.
        await asyncio.wait((task,), timeout=self._event_seconds + _SETTLING)
        return task.done() and not task.cancelled() and task.result()

    async def answer(self, route: Route, request: Any) -> Reply | None:
        """Have a question answered; with the fall-back if the handler fails or is late.

        None: there is no fall-back either.
        """
        task = asyncio.create_task(route.call(request))
        self._answers.add(task)
        task.add_done_callback(self._answered)
        try:
            await asyncio.wait((task,), timeout=self._answer_seconds)
        finally:
            late = task.cancel()
        if late:
            logger.error("The handler %s took too long; call %s", route.tail, request.sid)
            return route.fallback
        try:
            return route.reply(task.result())
        except (Exception, asyncio.CancelledError):  # its own: ours would have come at the wait
            logger.exception("The handler %s has failed; call %s", route.tail, request.sid)
            return route.fallback

    async def drain(self, grace: float) -> None:
        """Wait for handlers under way; after `grace` seconds cancel them, and see them end."""
        tasks = {*self._events.values(), *self._answers}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_STORE_SECONDS)

    async def _handle(self, route: Route, event: Event, key: str) -> bool:
        owner = f"{self._process}-{next(self._attempts)}"
        limit = asyncio.timeout(self._event_seconds)
        try:
            async with limit:
                if not await self._claim(key, owner):
                    return True
                await route.call(event)
        except BaseException as error:
            await self._settle(partial(self._store.release, key, owner))
            if not isinstance(error, Exception):
                raise
            if isinstance(error, TimeoutError) and limit.expired():
                logger.error("Handling %s took too long; call %s", route.tail, event.sid)  # noqa: TRY400
            else:
                logger.exception("Handling %s has failed; call %s", route.tail, event.sid)
            return False
        await self._settle(partial(self._store.done, key))
        return True

    async def _claim(self, key: str, owner: str) -> bool:
        """Claim an event, once nobody else handles it. False: it was handled."""
        while True:
            claim = await self._store.claim(key, owner, self._event_seconds + _LEASE_MORE)
            if claim is not Claim.HELD:
                return claim is Claim.TAKEN
            await asyncio.sleep(_LOOK_AGAIN)

    async def _settle(self, step: Callable[[], Awaitable[None]]) -> None:
        """Tell the store how it went, whoever cancels meanwhile."""
        try:
            await self._tell(step)
        except asyncio.CancelledError:
            await self._tell(step)
            raise

    async def _tell(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await step()
        except Exception:
            logger.exception("The store of claims was not told how the handling of an event went")

    def _handled(self, key: str, task: asyncio.Task[bool]) -> None:
        del self._events[key]
        if not task.cancelled():
            task.exception()  # was logged, or ends the loop by itself

    def _answered(self, task: asyncio.Task[object]) -> None:
        self._answers.discard(task)
        if not task.cancelled():
            task.exception()  # was logged, or came too late to be of use

"""How handlers run: each event once, each question within its time, whoever leaves meanwhile.

They run in tasks of their own. A request that is cancelled, or whose client has gone, leaves the
handling of its event to go on and to settle its claim; an answer that comes too late keeps nobody
waiting.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from itertools import count
from typing import Any, Final

from exotel_async.webhooks.attempt import Attempt, Event
from exotel_async.webhooks.deduplication import ClaimStore
from exotel_async.webhooks.response import Reply
from exotel_async.webhooks.routes import Route

logger: Final = logging.getLogger("exotel_async")

_CLEAN_UP: Final = 5.0
"""Seconds for handlers to end once they are cancelled."""


class Running:
    """The handlers of one application that are under way."""

    def __init__(self, store: ClaimStore, *, event_seconds: float, answer_seconds: float) -> None:
        self._store = store
        self._event_seconds = event_seconds
        self._answer_seconds = answer_seconds
        self._events: dict[str, Attempt] = {}
        self._answers: set[asyncio.Task[object]] = set()
        self._process = secrets.token_hex(8)
        self._attempts = count()

    async def handle(self, route: Route, event: Event) -> bool:
        """Have an event handled, unless it was. Tells whether it is; if not, it is to come again.

        One that is being handled already is not handled a second time: both get its outcome.
        """
        key = f"{route.kind}:{event.key}"
        attempt = self._events.get(key)
        if attempt is None:
            attempt = self._events[key] = Attempt(
                self._store,
                route,
                event,
                key=key,
                owner=f"{self._process}-{next(self._attempts)}",
                seconds=self._event_seconds,
                over=self._events.__delitem__,
            )
        return await attempt.outcome()

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
        except BaseException as error:  # its own: our cancellation would have come at the wait
            logger.exception("The handler %s has failed; call %s", route.tail, request.sid)
            if isinstance(error, SystemExit | KeyboardInterrupt):
                raise
            return route.fallback

    async def drain(self, grace: float) -> None:
        """Wait for handlers under way; after `grace` seconds cancel them, and see them end."""
        tasks = {*(attempt.task for attempt in self._events.values()), *self._answers}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_CLEAN_UP)

    def _answered(self, task: asyncio.Task[object]) -> None:
        self._answers.discard(task)
        if not task.cancelled():
            task.exception()  # was logged, or came too late to be of use

"""The task that maintains a process's lease: it sends each message until it is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import anyio

from exotel_async.logs import log_fields
from exotel_async.redis.connection import Unreachable, Unusable
from exotel_async.redis.messages import Lease, StatusReport
from exotel_async.redis.server import Server, is_cancelled
from exotel_async.redis.statistics import SECOND
from exotel_async.redis.subscriber import Listener

_FIRST_RETRY: Final = 0.05  # seconds; it doubles
_LAST_RETRY: Final = 0.5
_LAST_WORDS: Final = 0.5  # seconds in which a limiter that closes may give back its permits
_HICCUP: Final = 0.05  # seconds by which an answer may be late

logger: Final = logging.getLogger("exotel_async")


class LeaseKeeper:
    """Sends the messages of one process when called, and receives those of the ledger."""

    def __init__(
        self,
        server: Server,
        lease: Lease,
        *,
        write: Callable[[], None],
        on_answer: Callable[[Mapping[str, Any]], None],
        on_news: Callable[[Mapping[str, Any]], None],
        on_outage: Callable[[], bool],
        on_failure: Callable[[str], None],
    ) -> None:
        """Prepare it; nothing is sent.

        Args:
            server: the server that has the ledger.
            lease: the lease to maintain.
            write: writes the lease's next message.
            on_answer: applies an answer of the ledger.
            on_news: applies a message that the ledger publishes to all processes.
            on_outage: called each time the server could not be reached. Returns whether to try
                again, which is so if permits are held or waited for.
            on_failure: called when the server cannot, or will not, hold the budget as configured.
        """
        self._server = server
        self._lease = lease
        self._write = write
        self._on_answer = on_answer
        self._on_outage = on_outage
        self._on_failure = on_failure
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._listener: Final = Listener(server, on_news, self.call)
        self._next: asyncio.TimerHandle | None = None
        self._first: asyncio.Future[None] | None = None
        self._has_begun = False
        self._closed = False
        self.lost_at: float | None = None
        """Since when the server cannot be reached, by the loop's clock; None: it can be reached."""
        self.problem: str = ""
        """Why it could not be reached the last time it failed."""
        self._asked_at: float | None = None
        self._took = 0.0
        self.round_trips: int = 0
        """How often the server was asked."""

    def call(self) -> None:
        """Send a message, as soon as the previous one is answered."""
        if self._closed:
            return
        self._wake.set()
        if self._task is None or self._task.done():  # an application may cancel all tasks
            self._task = asyncio.get_running_loop().create_task(self._keep())

    def call_at(self, when: float) -> None:
        """Send a message at a moment of the loop's clock, or earlier."""
        if self._next is not None:
            if self._next.when() <= when:
                return
            self._next.cancel()
        self._next = asyncio.get_running_loop().call_at(when, self._call_now)

    async def begin(self) -> None:
        """Send a message, and wait until it is answered or has failed."""
        if self._first is None or self._first.done():
            self._first = asyncio.get_running_loop().create_future()
        self.call()
        await asyncio.shield(self._first)

    async def aclose(self) -> None:
        """Give back the permits held, and close the connections."""
        again, self._closed = self._closed, True
        if self._next is not None:
            self._next.cancel()
        if self._task is not None:
            if not again:
                self._task.cancel()
            await asyncio.wait({self._task})
        await self._server.aclose()

    def _call_now(self) -> None:
        self._next = None
        self.call()

    async def _keep(self) -> None:
        try:
            while not is_cancelled():
                await self._wake.wait()
                await self._exchange()
        finally:
            self._finish_begin()
            await self._shut_down()

    async def _shut_down(self) -> None:
        """Give back the permits when the limiter or the loop ends, even if cancelled meanwhile."""
        loop = asyncio.get_running_loop()
        while True:
            leaving = loop.create_task(self._leave())
            while not leaving.done():
                # Further cancellations are ignored: it soon ends by itself (see `_give_back`).
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({leaving})
            if not leaving.cancelled():  # else all tasks of the loop were: once more
                return

    async def _exchange(self) -> None:
        """Send one message until it is answered, or nothing depends on it any longer."""
        self._wake.clear()
        self._listener.start()
        if not self._has_begun:
            # A message published before the listener is ready would be missed.
            with anyio.move_on_after(self._server.timeout):
                await self._listener.settled.wait()
            if self._listener.problem:
                self._fail(self._listener.problem)
                return
        delay = _FIRST_RETRY
        while True:
            self._wake.clear()
            if self._lease.message is None:
                self._write()
            try:
                answer = await self._ask()
            except (Unreachable, Unusable) as error:
                if isinstance(error, Unusable) and not self._has_begun:
                    await self._listener.stop()
                    self._fail(str(error))
                    return
                try_again = self._handle_outage(str(error))
            else:
                if self._apply(answer):
                    return
                continue
            self._finish_begin()
            if not try_again:
                return
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LAST_RETRY, self._lease.terms.settle / 2)

    async def _ask(self) -> dict[str, Any]:
        message = self._lease.message
        if message is None:
            raise AssertionError("there is nothing to ask")
        self.round_trips += 1
        time = asyncio.get_running_loop().time
        self._asked_at = began = time()
        try:
            answer = await self._server.ask(message)
        finally:
            self._asked_at = None
        self._took = time() - began
        return answer

    def is_silent(self, now: float) -> bool:
        """Return whether the server takes much longer to answer than the last time."""
        return self._asked_at is not None and now - self._asked_at > 2 * self._took + _HICCUP

    def _apply(self, answer: Mapping[str, Any]) -> bool:
        """Apply an answer. Return False if the message, now rewritten, must be sent again."""
        if "refused" in answer:
            self._fail(_refusal(answer))
            return True
        if self.lost_at is not None:
            logger.info("The server of the shared limiter is back")
            self.lost_at = None
        self._has_begun = True
        # The answer may bring what the calls so far asked for.
        self._wake.clear()
        if not self._lease.apply(answer, asyncio.get_running_loop().time()):
            return False
        self._on_answer(answer)
        self._finish_begin()
        return True

    def _handle_outage(self, problem: str) -> bool:
        self.problem = problem
        if self.lost_at is None:
            logger.warning(
                "The server of the shared limiter, %s, cannot be reached: %s",
                self._server.address,
                problem,
                extra=log_fields(server=self._server.address),
            )
            self.lost_at = asyncio.get_running_loop().time()
        return self._on_outage()

    def _fail(self, problem: str) -> None:
        self._finish_begin()
        self._on_failure(problem)

    def _finish_begin(self) -> None:
        if self._first is not None and not self._first.done():
            self._first.set_result(None)

    async def _leave(self) -> None:
        await self._listener.stop()
        if self._lease.epoch or self._lease.message is not None:
            await self._give_back()
        await self._server.aclose()

    async def _give_back(self) -> None:
        loop = asyncio.get_running_loop()
        leaving = False
        with anyio.move_on_after(max(_LAST_WORDS, self._server.timeout)):
            while True:
                if self._lease.message is None:
                    self._lease.write(StatusReport(leave=True), loop.time())
                    leaving = True
                try:
                    answer = await self._ask()
                except Unreachable:
                    await asyncio.sleep(_FIRST_RETRY)
                    continue
                except Unusable:
                    return
                if "refused" in answer:
                    return
                if self._lease.apply(answer, loop.time()) and leaving:
                    return


def _refusal(answer: Mapping[str, Any]) -> str:
    if answer["refused"] == "rate":
        limit, per = answer["limit"], answer["per"] / SECOND
        return (
            f"the account's other processes share RateLimit({limit}, per={per:g}): "
            "an account has one budget, and all its processes must use the same RateLimit"
        )
    if answer["refused"] == "stale":
        return (
            "another process uses this limiter's identity: a limiter must not be copied or forked"
        )
    return (
        "the account's other processes use another version of exotel_async, with which this one "
        "cannot share a budget"
    )

"""The task that keeps a process's lease: it sends each message until it is answered."""

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
_LAST_WORDS: Final = 0.5  # seconds in which a process that ends gives back what it holds
_HICCUP: Final = 0.05  # seconds an answer may be late

logger: Final = logging.getLogger("exotel_async")


class LeaseKeeper:
    """Sends the messages of one process, and receives the ledger's. It sends when called."""

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
        """Describe it; nothing is sent.

        Args:
            server: where the ledger is.
            lease: what is kept.
            write: writes its next message.
            on_answer: applies what the ledger answers.
            on_news: applies what the ledger publishes to all processes.
            on_outage: called each time the server could not be reached. Returns
                whether anything is held or waited for, so that it is to be tried again.
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
        """Since when the server cannot be reached, by the loop's clock; None: it can."""
        self.problem: str = ""
        """Why not."""
        self._asked_at: float | None = None
        self._took = 0.0
        self.round_trips: int = 0
        """How often the server was asked."""

    def call(self) -> None:
        """Have a message sent, as soon as the last one is answered."""
        if self._closed:
            return
        self._wake.set()
        if self._task is None or self._task.done():  # somebody may cancel all tasks
            self._task = asyncio.get_running_loop().create_task(self._keep())

    def call_at(self, when: float) -> None:
        """Have a message sent at a moment of the loop's clock, or before."""
        if self._next is not None:
            if self._next.when() <= when:
                return
            self._next.cancel()
        self._next = asyncio.get_running_loop().call_at(when, self._call_now)

    async def begin(self) -> None:
        """Have a message sent, and wait until it is answered or has failed."""
        if self._first is None or self._first.done():
            self._first = asyncio.get_running_loop().create_future()
        self.call()
        await asyncio.shield(self._first)

    async def aclose(self) -> None:
        """Give back what is held, and end."""
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
            self._end_first()
            await self._part()

    async def _part(self) -> None:
        """Give back the permits, when the limiter or the loop ends: nothing else does it."""
        loop = asyncio.get_running_loop()
        while True:
            parting = loop.create_task(self._leave())
            while not parting.done():
                # Even if it is cancelled twice it does so: that takes half a second at most.
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({parting})
            if not parting.cancelled():  # with all tasks of the loop
                return

    async def _exchange(self) -> None:
        """Send one message until it is answered, or nothing depends on it any more."""
        self._wake.clear()
        self._listener.start()
        if not self._has_begun:
            # A message published before it listens would be missed.
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
                try_again = self._lose(str(error))
            else:
                if self._take(answer):
                    return
                continue
            self._end_first()
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
        """Whether the server takes much longer to answer than the last time."""
        return self._asked_at is not None and now - self._asked_at > 2 * self._took + _HICCUP

    def _take(self, answer: Mapping[str, Any]) -> bool:
        """Apply an answer. False: the message has to be sent again, as it is now."""
        if "refused" in answer:
            self._fail(_refusal(answer))
            return True
        if self.lost_at is not None:
            logger.info("The server of the shared limiter is back")
            self.lost_at = None
        self._has_begun = True
        # What was lacking may be there now.
        self._wake.clear()
        if not self._lease.apply(answer, asyncio.get_running_loop().time()):
            return False
        self._on_answer(answer)
        self._end_first()
        return True

    def _lose(self, problem: str) -> bool:
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
        self._end_first()
        self._on_failure(problem)

    def _end_first(self) -> None:
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

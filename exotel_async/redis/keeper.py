"""The task that keeps a process's lease: it says what there is to say, until it is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

import anyio

from exotel_async.redis.server import Server, Unfit, Unreachable, is_cancelled
from exotel_async.redis.share import News, Share

_FIRST_RETRY: Final = 0.05  # seconds; it doubles
_LAST_RETRY: Final = 0.5
_LAST_WORDS: Final = 0.5  # seconds in which a process that ends gives back what it holds

logger: Final = logging.getLogger("exotel_async")


class Owner(Protocol):
    """Whose lease it is."""

    def write(self, share: Share) -> None:
        """Write the next message."""

    def take(self, answer: Mapping[str, Any]) -> None:
        """Do what the ledger answers."""

    def hear(self, told: Mapping[str, Any]) -> None:
        """Do what the ledger tells everybody."""

    def lose(self) -> None:
        """Take note that the server could not be reached, each time it could not."""

    def fail(self, problem: str) -> None:
        """Take note that the server cannot, or will not, hold the budget as it is asked to."""

    def has_time(self) -> bool:
        """Whether nothing is held or waited for, so that an outage may last."""


class Keeper:
    """Sends the messages of one process and hears what the ledger tells. It sends when called."""

    def __init__(self, server: Server, share: Share, owner: Owner) -> None:
        self._server = server
        self._share = share
        self._owner = owner
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._listens = asyncio.Event()
        self._deaf = ""
        self._next: asyncio.TimerHandle | None = None
        self._first: asyncio.Future[None] | None = None
        self._has_begun = False
        self._closed = False
        self.lost_at: float | None = None
        """Since when the server cannot be reached, by the loop's clock; None: it can."""
        self.problem = ""
        """Why not."""
        self.round_trips = 0
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
        """Have a message sent, and wait until it is answered or was to no avail."""
        if self._first is None or self._first.done():
            self._first = asyncio.get_running_loop().create_future()
        self.call()
        await asyncio.shield(self._first)

    async def aclose(self) -> None:
        """Give back what is held, and end."""
        self._closed = True
        if self._next is not None:
            self._next.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._server.aclose()

    def _call_now(self) -> None:
        self._next = None
        self.call()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = loop.create_task(self._listen())
        try:
            while not is_cancelled():
                await self._wake.wait()
                await self._exchange()
        finally:
            self._listener.cancel()
            # It ends with its limiter, or with the loop: then nobody else will do it.
            with anyio.CancelScope(shield=True):
                await asyncio.wait({self._listener})
                await self._leave()
                await self._server.aclose()

    async def _exchange(self) -> None:
        """Send one message until it is answered, or is not worth it any more."""
        self._wake.clear()
        if not self._has_begun:
            # What is told before it listens would be missed.
            with anyio.move_on_after(_FIRST_RETRY * 4):
                await self._listens.wait()
            if self._deaf:
                self._fail(self._deaf)
                return
        delay = _FIRST_RETRY
        while True:
            self._wake.clear()
            if self._share.message is None:
                self._owner.write(self._share)
            try:
                answer = await self._ask()
            except Unreachable as error:
                self._lose(str(error))
            except Unfit as error:
                if not self._has_begun:
                    self._fail(str(error))
                    return
                self._lose(str(error))
            else:
                if self._take(answer):
                    return
                continue
            self._end_first()
            if self._owner.has_time():
                return
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LAST_RETRY, self._share.terms.settle / 2)

    async def _ask(self) -> dict[str, Any]:
        message = self._share.message
        if message is None:
            raise AssertionError("there is nothing to ask")
        self.round_trips += 1
        return await self._server.ask(message)

    def _take(self, answer: Mapping[str, Any]) -> bool:
        """Do what is answered. False: the message has to be sent again, as it is now."""
        if "refused" in answer:
            self._fail(_refusal(answer))
            return True
        if self.lost_at is not None:
            logger.info("The server of the shared budget is back")
            self.lost_at = None
        self._has_begun = True
        # What was lacking may be there now.
        self._wake.clear()
        if not self._share.apply(answer, asyncio.get_running_loop().time()):
            return False
        self._owner.take(answer)
        self._end_first()
        return True

    def _lose(self, problem: str) -> None:
        self.problem = problem
        if self.lost_at is None:
            logger.warning(
                "The server of the shared budget, %s, cannot be reached: %s",
                self._server.address,
                problem,
            )
            self.lost_at = asyncio.get_running_loop().time()
        self._owner.lose()

    def _fail(self, problem: str) -> None:
        self._end_first()
        self._owner.fail(problem)

    def _end_first(self) -> None:
        if self._first is not None and not self._first.done():
            self._first.set_result(None)

    async def _listen(self) -> None:
        delay = _FIRST_RETRY

        def begin() -> None:
            nonlocal delay
            delay = _FIRST_RETRY
            if self._listens.is_set():  # it is not the first time: something may have been missed
                self.call()
            self._listens.set()

        while not is_cancelled():
            try:
                await self._server.listen(self._owner.hear, begin)
            except Unfit as error:
                if not self._has_begun:
                    self._deaf = str(error)
                    self._listens.set()
                    return
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LAST_RETRY)

    async def _leave(self) -> None:
        if not self._share.epoch and self._share.message is None:
            return
        loop = asyncio.get_running_loop()
        leaving = False
        with anyio.move_on_after(_LAST_WORDS):
            while True:
                if self._share.message is None:
                    self._share.write(News(leave=True), loop.time())
                    leaving = True
                try:
                    answer = await self._ask()
                except Unreachable:
                    await asyncio.sleep(_FIRST_RETRY)
                    continue
                except Unfit:
                    return
                if "refused" in answer:
                    return
                if self._share.apply(answer, loop.time()) and leaving:
                    return


def _refusal(answer: Mapping[str, Any]) -> str:
    if answer["refused"] == "rate":
        limit, per = answer["limit"], answer["per"] / 1_000_000
        return (
            f"the account's other processes share RateLimit({limit}, per={per:g}): "
            "an account has one budget, and all its processes have to name the same"
        )
    if answer["refused"] == "stale":
        return "another process says that it is this one: a limiter is not to be copied or forked"
    return (
        "the account's other processes use another version of exotel_async, with which this one "
        "cannot share a budget"
    )

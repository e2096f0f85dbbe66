"""Sends status callbacks: when, in which order, and with which faults (VOICE_V1 6.3, 6.4)."""

from __future__ import annotations

import asyncio
import logging
import time
from asyncio import Task, TimerHandle
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import attrs
import httpx

from exotel_async.emulator import callback_payload
from exotel_async.emulator.calls import EmulatedCall, Event
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.documents import CallDocuments
from exotel_async.emulator.encoding import Encoding, encode
from exotel_async.emulator.faults import CallbackFault, Faults
from exotel_async.emulator.http_client import ApplicationClient
from exotel_async.emulator.rendering import Document
from exotel_async.emulator.settings import Settings

logger: Final = logging.getLogger("exotel_async.emulator")

_MOST_REPORTED: Final = 20
_KEPT = 200
"""Characters of a response that are kept."""


@attrs.frozen(kw_only=True)
class SentCallback:
    """One attempt at one status callback."""

    sid: str
    url: str
    event: Event
    """The event it reports; only the long payload names it."""
    document: Document
    """The fields as JSON would carry them, whatever the encoding was."""
    content_type: str
    attempt: int
    """From 1."""
    sent: float
    """When it was sent, in emulator seconds since the start."""
    status: int | None
    """Of the response; None if none came."""
    error: str | None
    """The kind of failure if no response came."""
    took: float
    """Real seconds until the response, or the failure."""
    answer: str = ""
    """The beginning of the response's body: at most 200 characters."""


@attrs.frozen(kw_only=True, eq=False)
class _Notice:
    """A callback to be sent; its content is fixed by the moment it reports."""

    call: EmulatedCall
    url: str
    event: Event
    age: float
    """The call's age it is due at."""
    last: bool


@attrs.define
class _CallQueue:
    """The unsent callbacks of one call, which are sent one after the other."""

    waiting: dict[_Notice, TimerHandle] = attrs.field(factory=dict)
    held: _Notice | None = None
    """Held back by a fault until the next one."""
    tail: Task[None] | None = None


class Callbacks:
    """Sends each call's status callbacks when they are due by its clock."""

    def __init__(
        self, settings: Settings, clock: Clock, faults: Faults, documents: CallDocuments
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._faults = faults
        self._documents = documents
        self._queues: dict[str, _CallQueue] = defaultdict(_CallQueue)
        self._timers: set[TimerHandle] = set()
        self._tasks: set[Task[None]] = set()
        self._client = ApplicationClient()
        self.sent: list[SentCallback] = []
        self._reported: set[tuple[str, str | None]] = set()

    def schedule(self, call: EmulatedCall) -> None:
        """Set the timers for the callbacks of a call just dialled."""
        url = call.dial.status_callback
        if url is None:
            return
        due = callback_payload.due_moments(call)
        for number, (event, age) in enumerate(due, start=1):
            last = number == len(due)
            notice = _Notice(call=call, url=url, event=event, age=age, last=last)
            delay = self._clock.real(age - call.age)
            timer = self._later(delay, self._release, notice)
            self._queues[call.sid].waiting[notice] = timer

    def send_now(self, call: EmulatedCall, event: Event, age: float) -> None:
        """Send an event that has just happened, of a call that is decided while it runs."""
        url = call.dial.status_callback
        if url is not None and callback_payload.is_sent(call, event):
            last = event is Event.TERMINAL
            self._release(_Notice(call=call, url=url, event=event, age=age, last=last))

    async def hurry(self) -> None:
        """Send all waiting callbacks now, and wait until each was tried once."""
        for queue in list(self._queues.values()):
            for notice, timer in list(queue.waiting.items()):
                timer.cancel()
                self._timers.discard(timer)
                self._release(notice)
        await self.idle()

    async def idle(self) -> None:
        """Wait for the callbacks that are being sent."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def clear(self) -> None:
        """Forget the callbacks sent, and cancel all others."""
        self.sent.clear()
        self._reported.clear()
        self._stop()

    def _stop(self) -> list[Task[None]]:
        """Cancel all timers and deliveries; return the tasks that are ending."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._queues.clear()
        for task in self._tasks:
            task.cancel()
        self._client.renew()
        return list(self._tasks)

    async def aclose(self) -> None:
        """Cancel all timers and deliveries, and close the client."""
        await asyncio.gather(*self._stop(), return_exceptions=True)
        await self._client.aclose()

    def _later(self, delay: float, act: Callable[..., None], *args: object) -> TimerHandle:
        def fire() -> None:
            self._timers.discard(timer)
            act(*args)

        timer = asyncio.get_running_loop().call_later(max(0.0, delay), fire)
        self._timers.add(timer)
        return timer

    def _start(self, work: Coroutine[object, object, None]) -> Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _release(self, notice: _Notice) -> None:
        """Send a callback that is due, in the way a fault demands if it meets one."""
        queue = self._queues[notice.call.sid]
        queue.waiting.pop(notice, None)
        movable = not notice.last and queue.held is None
        fault = self._faults.take_for_callback(notice.url, movable=movable)
        kind = None if fault is None else fault.callback
        if fault is None:
            self._enqueue(notice)
        elif kind is CallbackFault.LATE:
            self._later(fault.seconds or 0.0, self._enqueue, notice)
        elif kind is CallbackFault.DUPLICATED:
            for _ in range(fault.copies):
                self._enqueue(notice)
        elif kind is CallbackFault.REORDERED:
            queue.held = notice
            return
        if queue.held is not None:
            held, queue.held = queue.held, None
            self._enqueue(held)
        if notice.last:
            del self._queues[notice.call.sid]

    def _enqueue(self, notice: _Notice) -> None:
        """Send a callback once the earlier ones of its call have been tried."""
        queue = self._queues.get(notice.call.sid)
        before = None if queue is None else queue.tail
        task = self._start(self._deliver(notice, before, 1))
        if queue is not None:
            queue.tail = task

    async def _deliver(self, notice: _Notice, before: Task[None] | None, attempt: int) -> None:
        if before is not None:
            await asyncio.wait([before])
        document = callback_payload.document(
            notice.call, notice.event, notice.age, self._settings, self._documents
        )
        async with self._client.turns:
            sent = await self._post(notice, document, attempt)
        self.sent.append(sent)
        acknowledged = sent.status is not None and 200 <= sent.status < 300
        pauses = list(self._settings.callback_retries)
        if not acknowledged:
            self._report(sent)
        if not acknowledged and attempt <= len(pauses):
            delay = self._clock.real(pauses[attempt - 1])
            self._later(delay, self._retry, notice, attempt + 1)

    def _report(self, sent: SentCallback) -> None:
        """Log a failed callback, once for each host and reason."""
        url = urlsplit(sent.url)
        # The path usually contains a secret, and the query data about a caller.
        place = f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
        reason = sent.error if sent.status is None else f"HTTP {sent.status}"
        if (place, reason) not in self._reported and len(self._reported) < _MOST_REPORTED:
            self._reported.add((place, reason))
            logger.warning("a status callback to a URL of %s failed: %s", place, reason)

    def _retry(self, notice: _Notice, attempt: int) -> None:
        self._start(self._deliver(notice, None, attempt))

    async def _post(self, notice: _Notice, document: Document, attempt: int) -> SentCallback:
        as_json = notice.call.dial.json_callback
        encoding: Encoding = "json" if as_json else self._settings.callback_encoding
        content_type, body = encode(document, encoding, boundary=uuid4().hex)
        status, error, text, sent = None, None, "", self._clock.elapsed()
        began = time.monotonic()
        try:
            answer = await self._client.get().post(
                notice.url,
                content=body,
                headers={"Content-Type": content_type},
                timeout=self._settings.callback_timeout,
            )
            status, text = answer.status_code, answer.content.decode("utf-8", "replace")[:_KEPT]
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as failure:
            error = type(failure).__name__
        return SentCallback(
            sid=notice.call.sid,
            url=notice.url,
            event=notice.event,
            document=document,
            content_type=content_type,
            attempt=attempt,
            sent=sent,
            status=status,
            error=error,
            took=time.monotonic() - began,
            answer=text,
        )

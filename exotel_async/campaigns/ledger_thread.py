"""The thread in which the operations of a ledger run, most urgent first."""

from __future__ import annotations

import asyncio
import enum
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

from exotel_async.campaigns.errors import LedgerBusy, LedgerUnavailable
from exotel_async.errors import ConfigurationError, ExotelError

PATIENCE: Final = 15.0  # seconds for which an operation waits while others lock the database
_LONGEST_END: Final = 30.0  # seconds to finish pending operations when closing
_PAUSE: Final = 0.2  # seconds between tries to undo


class Urgency(enum.IntEnum):
    """The order in which waiting operations run."""

    INTENT = 0
    CHANGE = 1
    CLAIM = 2
    OTHER = 3


_DATABASE_FAILURES: Final = (LedgerUnavailable, ConfigurationError)
"""Errors that concern the whole database, not one operation."""
_TOGETHER: Final = (Urgency.INTENT, Urgency.CHANGE)
"""All waiting operations of such an urgency are committed in one transaction."""

P = ParamSpec("P")
T = TypeVar("T")

Run = Callable[[Connection, list[Any]], list[Any]]
"""An operation: takes the arguments of several callers, and returns a result for each."""
Undo = Callable[[Connection, Any, Any], None]
"""Undoes an operation, if it was done. It takes the caller's argument, and the result or None if
that is not known."""


class _Work:
    """One caller's operation."""

    def __init__(
        self, urgency: Urgency, run: Run, wanted: Any, seconds: float, undo: Undo | None
    ) -> None:
        self.urgency = urgency
        self.run = run
        self.wanted = wanted
        self.deadline = time.monotonic() + seconds
        self.undo = undo
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.result: Any = None
        self.error: Exception | None = None
        self.is_done = False
        self.is_abandoned = False

    def deliver(self) -> None:
        """Pass the result or error to the caller. Runs in the caller's event loop."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Database(Protocol):
    """What the two kinds of database implement."""

    def connect(self, *, to_read: bool) -> Connection:
        """Return a connection for the calling thread; `to_read`: one that never blocks others."""

    def failure(self, error: Exception) -> ExotelError | None:
        """Return the error that users get for one of the database; None: it is not one of these."""


class LedgerThread:
    """A thread with one connection, in which operations run one after another."""

    def __init__(self, name: str, database: Database, *, to_read: bool) -> None:
        self._database = database
        self._to_read = to_read
        self._connection: Connection | None = None
        self._changed = threading.Condition()
        self._waiting: dict[Urgency, deque[_Work]] = {one: deque() for one in Urgency}
        self._undo: deque[Callable[[Connection], None]] = deque()
        self._is_closed = True
        self._name = name
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread. It may be started again after it was closed."""
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Finish the pending operations, and wait for the thread to end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        thread, self._thread = self._thread, None
        if thread is not None:
            # The wait is limited, as a server may hang: the daemon thread ends with the process.
            await asyncio.to_thread(thread.join, _LONGEST_END)

    async def do(
        self,
        urgency: Urgency,
        operation: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        """Run an operation of one caller, as `call` does."""
        result: T = await self.call(
            urgency, lambda connection, wanted: [operation(connection, *args, **named)]
        )
        return result

    async def call(
        self,
        urgency: Urgency,
        run: Run,
        wanted: Any = None,
        *,
        within: float | None = None,
        undo: Undo | None = None,
    ) -> Any:
        """Run an operation in a transaction. Return its result once that is durable.

        Args:
            urgency: its place in the order of operations.
            run: the operation. For operations that are committed together, the first one's `run` is
                called once with the arguments of all callers.
            wanted: the argument of this caller.
            within: seconds it may take; None: the database may be locked for `PATIENCE`.
            undo: undoes the operation, if its caller no longer waits for it.

        Raises:
            LedgerBusy: it could not be done in that time.
            LedgerUnavailable: the database cannot be read or written.
        """
        work = _Work(urgency, run, wanted, PATIENCE if within is None else within, undo)
        with self._changed:
            if self._is_closed:
                raise LedgerUnavailable("the ledger is not open")
            self._waiting[urgency].append(work)
            self._changed.notify()
        try:
            await asyncio.wait({work.future}, timeout=within)
            if work.future.done() or not self._abandon(work):
                return await work.future
        except asyncio.CancelledError:
            self._abandon(work, even_if_done=True)
            raise
        raise LedgerBusy(f"the ledger's database did not take it within {within} s")

    def _abandon(self, work: _Work, *, even_if_done: bool = False) -> bool:
        """Cancel an operation that has no waiter any more, or have it undone."""
        with self._changed:
            if work.is_done:
                if even_if_done:
                    self._undo_later(work)
                return False
            work.is_abandoned = True
            work.future.cancel()
            return True

    def _undo_later(self, work: _Work) -> None:
        undo = work.undo
        if undo is not None:
            self._undo.append(lambda connection: undo(connection, work.wanted, work.result))
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._is_closed or self._undo or any(self._waiting.values())):
                    self._changed.wait()
                works = self._next()
                if not works and self._is_closed:
                    # What cannot be undone now is in doubt for the next dialer, as after a crash.
                    self._run_undo()
                    break
            if works:
                self._perform(works)
            elif not self._run_undo():
                with self._changed:
                    if not any(self._waiting.values()):
                        self._changed.wait(_PAUSE)
        self._disconnect()

    def _next(self) -> list[_Work]:
        for urgency, works in self._waiting.items():
            while works and works[0].is_abandoned:
                works.popleft()
            if works and urgency in _TOGETHER:
                together = [work for work in works if not work.is_abandoned]
                works.clear()
                return together
            if works:
                return [works.popleft()]
        return []

    def _run_undo(self) -> bool:
        try:
            self._transact(lambda connection: None)
        except Exception as error:  # noqa: BLE001 - it is retried
            self._translate(error)
            return False
        return True

    def _perform(self, works: list[_Work]) -> None:
        run, wanted = works[0].run, [work.wanted for work in works]
        was_connected = self._connection is not None
        try:
            results = self._transact(lambda connection: run(connection, wanted))
        except Exception as error:  # noqa: BLE001 - passed to the callers
            meaning = self._translate(error)
            if isinstance(meaning, LedgerBusy):
                self._try_again(works, meaning)
            elif self._to_read and was_connected and self._connection is None:
                self._perform(works)  # the connection may have been lost while idle
            elif isinstance(meaning, _DATABASE_FAILURES) or len(works) == 1:
                self._failed(works, meaning)
            else:
                for work in works:  # one of them fails: run each separately
                    self._perform([work])
        else:
            self._done(works, results)

    def _transact(self, run: Callable[[Connection], Any]) -> Any:
        if self._connection is None:
            self._connection = self._database.connect(to_read=self._to_read)
        with self._changed:
            undo = list(self._undo)
        try:
            with self._connection.begin():
                for one in undo:
                    one(self._connection)
                results = run(self._connection)
        except BaseException:
            with suppress(Exception):  # SQLAlchemy does not roll back a failed commit
                self._connection.connection.rollback()
            raise
        with self._changed:
            for _ in undo:
                self._undo.popleft()
        return results

    def _translate(self, error: Exception) -> Exception:
        meaning = self._database.failure(error) or error
        if isinstance(meaning, _DATABASE_FAILURES) and not isinstance(meaning, LedgerBusy):
            self._disconnect()
        return meaning

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()
            connection.engine.dispose()

    def _try_again(self, works: list[_Work], error: LedgerBusy) -> None:
        now = time.monotonic()
        overdue = [work for work in works if work.deadline <= now]
        with self._changed:
            self._waiting[works[0].urgency].extendleft(
                work for work in reversed(works) if work.deadline > now
            )
        self._failed(overdue, error)

    def _done(self, works: list[_Work], results: Iterable[Any]) -> None:
        with self._changed:
            for work, result in zip(works, results, strict=True):
                work.result = result
                work.is_done = True
                if work.is_abandoned:
                    self._undo_later(work)
        _deliver(works)

    def _failed(self, works: list[_Work], error: Exception) -> None:
        with self._changed:
            for work in works:
                work.error = error
                work.is_done = True
                # If the connection was lost, the commit may have succeeded.
                if isinstance(error, LedgerUnavailable) and not isinstance(error, LedgerBusy):
                    self._undo_later(work)
        _deliver(works)


def _deliver(works: list[_Work]) -> None:
    for loop in {work.loop for work in works}:
        own = [work for work in works if work.loop is loop]
        with suppress(RuntimeError):  # the loop is closed: it has no waiters
            loop.call_soon_threadsafe(_deliver_all, own)


def _deliver_all(works: list[_Work]) -> None:
    for work in works:
        work.deliver()

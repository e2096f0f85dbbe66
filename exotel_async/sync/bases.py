"""What the generated classes rest on: how each kind of method reaches the loop."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
)
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, Protocol, Self, TypeVar

from exotel_async.calls.streams import ResultStream
from exotel_async.errors import ConfigurationError
from exotel_async.http.closing import CLOSED
from exotel_async.models import Call
from exotel_async.sync.listeners import Progress
from exotel_async.sync.loop_thread import loop_thread, may_wait
from exotel_async.sync.session import OwnSession, Session, View
from exotel_async.sync.turn import Turn, thread_of, wait_for

if TYPE_CHECKING:
    from exotel_async.config import RequestOptions
    from exotel_async.limiter.protocol import LimiterStatistics, RateLimiter
    from exotel_async.sync.feed import Feed

A = TypeVar("A")
C = TypeVar("C", bound="AsyncClosing")
S = TypeVar("S", bound="AsyncBlock")
R = TypeVar("R", bound="ResultStream[Any]")
T = TypeVar("T")

_END: Final = object()


class AsyncBlock(Protocol):
    """A stream in the loop."""

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *error: object) -> None: ...

    async def __anext__(self) -> Any: ...


class AsyncClosing(Protocol):
    """What can be closed in the loop."""

    async def aclose(self) -> None: ...


class SyncSession:
    """What an `Exotel` is besides its resources."""

    _session: Session

    def _open(self, **arguments: Any) -> None:
        self._use(OwnSession(**arguments))

    def _use(self, session: Session) -> None:
        """Make the resources."""
        raise NotImplementedError

    def _view(self, options: RequestOptions) -> Self:
        view = object.__new__(type(self))
        view._use(View(self._session, options))
        return view

    def __enter__(self) -> Self:
        may_wait()  # refused at the end, it would take the place of the program's own error
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session.close(1.5)

    def __repr__(self) -> str:
        session = getattr(self, "_session", None)  # of one that could not be made
        return "<Exotel>" if session is None else repr(session.now()).replace("Async", "", 1)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session is not pickled: it holds connections and the API token")


class Resource(Generic[A]):
    """A part of a session."""

    def __init__(self, session: Session, part: Callable[[Any], A]) -> None:
        self._session = session
        self._part = part

    def _here(self) -> A:
        """Return the part of the session of this process. Called in the loop."""
        return self._part(self._session.here())

    def _await(self, work: Callable[[A], Awaitable[T]]) -> T:
        return wait_for(lambda: work(self._here()), abandon=self._report)

    def _ask(self, work: Callable[[A], T]) -> T:
        async def asked() -> T:
            return work(self._here())

        return wait_for(asked)

    def _report(self, result: object) -> None:
        """Report the call of a dial whose thread was interrupted when the answer came."""
        if isinstance(result, Call) and result.target is not None:
            parts = self._session.now().calls.parts()
            parts.pipeline.orphans.tell(result, result.target)


class Limiter:
    """The limiter of a session's requests. It can be asked in any thread."""

    def __init__(self, session: Session, limiter: Callable[[Any], RateLimiter]) -> None:
        self._resource = Resource(session, limiter)

    def statistics(self) -> LimiterStatistics:
        """Return what it is doing at this moment.

        Raises:
            ConfigurationError: the session is closed.
        """
        return self._resource._ask(lambda limiter: limiter.statistics())  # noqa: SLF001


class Held(Generic[A]):
    """Something in the loop, which belongs to this process."""

    def __init__(self, session: Session, make: Callable[[], A]) -> None:
        async def made() -> A:
            return make()

        self._session = session  # which is not closed while this is used
        self._loop = loop_thread().loop
        self._held = wait_for(made)

    def _await(
        self, work: Callable[[A], Awaitable[T]], abandon: Callable[[T], object] | None = None
    ) -> T:
        return Turn(thread_of(self._loop), lambda: work(self._held), abandon).wait()

    def _ask(self, work: Callable[[A], T]) -> T:
        async def asked(held: A) -> T:
            return work(held)

        return self._await(asked)

    def _iterate(self, begin: Callable[[A], AsyncIterator[T]]) -> Generator[T, None, None]:
        # Now, for what is wrong with it; and read, when the generator is.
        return _read(self, self._loop, self._ask(begin))


class Closing(Held[C]):
    """A list that reads ahead, so that it can be closed."""

    def close(self) -> None:
        """End all reading ahead."""
        self._await(lambda held: held.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _read(
    holder: Held[Any], loop: asyncio.AbstractEventLoop, items: AsyncIterator[T]
) -> Generator[T, None, None]:
    """Read an iterator of the loop.

    One that is left early is closed by the loop, as it does with each async generator that is not
    referenced any more.
    """
    while True:
        item: Any = Turn(thread_of(loop), lambda: anext(items, _END)).wait()
        if item is _END:
            del holder  # until here: its session is not closed
            return
        yield item


class Entered:
    """A stream whose block was entered, as the loop leaves it when no thread does."""

    def __init__(self, held: AsyncBlock, session: object, feed: Feed[Any] | None) -> None:
        self._held = held
        self._feed = feed
        self.session: Final = session

    async def leave(self) -> None:
        """Leave it."""
        await self._held.__aexit__(None, None, None)

    async def close(self) -> None:
        """Leave it before its session is closed, and have its reader hear of that."""
        if isinstance(self._held, ResultStream):  # else the session itself closes it
            self._held._error = self._held._error or ConfigurationError(CLOSED)  # noqa: SLF001
            if self._feed is not None:
                self._feed.end()
            await self.leave()


class Block(Held[S], Generic[S, T]):
    """A stream that is read in its own block."""

    _feed: Feed[Any] | None = None
    _entered: Entered | None = None

    def __enter__(self) -> Self:
        thread = thread_of(self._loop)

        async def enter(held: S) -> Entered:
            entered = Entered(held, self._session.now().calls.parts().pipeline, self._feed)
            await held.__aenter__()
            thread.blocks.add(entered)
            return entered

        def abandon(entered: Entered) -> None:
            thread.start(thread.leave(entered))

        self._entered = self._await(enter, abandon)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        thread, entered = thread_of(self._loop), self._entered
        if entered is not None:
            self._await(lambda _: thread.leave(entered))

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._entered is None:
            raise RuntimeError("use it in `with`")
        item = self._take()
        if item is _END:
            raise StopIteration
        return item  # type: ignore[no-any-return]

    def _take(self) -> Any:
        return self._await(lambda held: anext(held, _END))


class Results(Block[R, T]):
    """A stream of what comes of many."""

    def __init__(
        self,
        session: Session,
        make: Callable[[], R],
        feed: Feed[Any],
        progress: Progress[Any] | None = None,
    ) -> None:
        super().__init__(session, make)
        self._feed: Feed[Any] = feed
        self._progress = progress

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._feed.close()
        super().__exit__(exc_type, exc, traceback)

    def _take(self) -> Any:
        async def take() -> object:
            # Behind the first step of this: a result that is there comes before reading on.
            attend = self._loop.call_soon(self._feed.attend, turn.inbox)
            try:
                item = await anext(self._held, _END)
            finally:
                attend.cancel()
                self._feed.attend(None)
            if self._progress is not None:
                turn.inbox.put(self._progress.tell)
            return item

        turn = Turn(thread_of(self._loop), take, self._abandon)
        return turn.wait()

    def _abandon(self, item: object) -> None:
        """Report what was taken out of the stream, and does not get to its reader."""
        if item is not _END:
            self._held._abandon([item])  # noqa: SLF001

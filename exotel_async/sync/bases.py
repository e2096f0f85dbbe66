"""Base classes of the generated classes: how each kind of method reaches the loop."""

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
from exotel_async.limiter.protocol import RateLimiter
from exotel_async.models import Call
from exotel_async.sync.listeners import Progress
from exotel_async.sync.loop_call import LoopCall, run_in_loop, thread_of
from exotel_async.sync.loop_thread import check_may_block, loop_thread
from exotel_async.sync.session import ForkSafeSession, Session, SessionWithOptions

if TYPE_CHECKING:
    from exotel_async.config import RequestOptions
    from exotel_async.limiter.protocol import LimiterStatistics
    from exotel_async.sync.source_reader import SourceReader

A = TypeVar("A")
C = TypeVar("C", bound="AsyncClosable")
S = TypeVar("S", bound="AsyncStream")
R = TypeVar("R", bound="ResultStream[Any]")
T = TypeVar("T")

_END: Final = object()


class AsyncStream(Protocol):
    """A stream in the loop."""

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *error: object) -> None: ...

    async def __anext__(self) -> Any: ...


class AsyncClosable(Protocol):
    """An object that can be closed in the loop."""

    async def aclose(self) -> None: ...


class SyncSession:
    """The base class of `Exotel`: everything but its resources."""

    _session: Session

    def _open(self, **arguments: Any) -> None:
        self._use(ForkSafeSession(**arguments))

    def _use(self, session: Session) -> None:
        """Make the resources of the session."""
        raise NotImplementedError

    def _view(self, options: RequestOptions) -> Self:
        view = object.__new__(type(self))
        view._use(SessionWithOptions(self._session, options))
        return view

    def __enter__(self) -> Self:
        check_may_block()  # not only at the end, where the error would hide the program's own
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session.close(1.5)

    def __repr__(self) -> str:
        session = getattr(self, "_session", None)  # missing if the constructor failed
        return "<Exotel>" if session is None else repr(session.current()).replace("Async", "", 1)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session is not pickled: it holds connections and the API token")


class Resource(Generic[A]):
    """A part of a session."""

    def __init__(self, session: Session, part: Callable[[Any], A]) -> None:
        self._session = session
        self._part = part

    def _in_loop(self) -> A:
        """Return the part of the session of this process. Called in the loop."""
        return self._part(self._session.in_loop())

    def _await_in_loop(self, work: Callable[[A], Awaitable[T]]) -> T:
        return run_in_loop(lambda: work(self._in_loop()), abandon=self._report)

    def _call_in_loop(self, work: Callable[[A], T]) -> T:
        async def asked() -> T:
            return work(self._in_loop())

        return run_in_loop(asked)

    def _report(self, result: object) -> None:
        """Report the call of a dial whose thread was interrupted when the response came."""
        if isinstance(result, Call) and result.target is not None:
            parts = self._session.current().calls.parts()
            parts.pipeline.orphans.report(result, result.target)


class Limiter(Resource[RateLimiter]):
    """The limiter of a session's requests, for any thread that does not run an event loop."""

    def statistics(self) -> LimiterStatistics:
        """Return its current state.

        Raises:
            ConfigurationError: the session is closed, or this thread runs an event loop.
        """
        return self._call_in_loop(lambda limiter: limiter.statistics())


class LoopObject(Generic[A]):
    """An object in the loop of this process."""

    def __init__(self, session: Session, make: Callable[[], A]) -> None:
        async def made() -> A:
            return make()

        self._session = session  # keeps it from being closed while this is used
        self._loop = loop_thread().loop
        self._held = run_in_loop(made)

    def _await_in_loop(
        self, work: Callable[[A], Awaitable[T]], abandon: Callable[[T], object] | None = None
    ) -> T:
        return LoopCall(thread_of(self._loop), lambda: work(self._held), abandon).wait()

    def _call_in_loop(self, work: Callable[[A], T]) -> T:
        async def asked(held: A) -> T:
            return work(held)

        return self._await_in_loop(asked)

    def _iterate(self, begin: Callable[[A], AsyncIterator[T]]) -> Generator[T, None, None]:
        # Called now, so that argument errors are raised here; it reads only when iterated.
        return _SyncIterator(self, self._loop, self._call_in_loop(begin))


class ClosableList(LoopObject[C]):
    """A list that reads ahead, so that it can be closed."""

    def close(self) -> None:
        """Stop reading ahead."""
        self._await_in_loop(lambda held: held.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _SyncIterator(Generator[T, None, None]):
    """A synchronous iterator over an asynchronous one. After an error, the next step continues.

    An iterator that is abandoned early is closed by the loop, like any async generator that is no
    longer referenced.
    """

    def __init__(
        self, holder: LoopObject[Any], loop: asyncio.AbstractEventLoop, items: AsyncIterator[T]
    ) -> None:
        self._loop = loop
        # Until its end it keeps a reference to its holder, whose session is not closed meanwhile.
        self._left: tuple[LoopObject[Any], AsyncIterator[T]] | None = (holder, items)

    def send(self, value: None) -> T:
        if self._left is None:
            raise StopIteration
        _, items = self._left
        item: Any = LoopCall(thread_of(self._loop), lambda: anext(items, _END)).wait()
        if item is _END:
            self._left = None
            raise StopIteration
        return item  # type: ignore[no-any-return]

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> T:
        self._left = None
        error = typ if val is None else val
        raise (error() if isinstance(error, type) else error).with_traceback(tb)

    def close(self) -> None:
        self._left = None


class Entered:
    """A stream whose block was entered, for the loop to leave it if no thread does."""

    def __init__(self, held: AsyncStream, pipeline: object, feed: SourceReader[Any] | None) -> None:
        self._held = held
        self._feed = feed
        self.pipeline: Final = pipeline

    async def leave(self) -> None:
        """Leave its block."""
        await self._held.__aexit__(None, None, None)

    async def close(self) -> None:
        """Leave its block before its session is closed, and let its reader raise an error."""
        if isinstance(self._held, ResultStream):  # other streams are closed by the session itself
            self._held._error = self._held._error or ConfigurationError(CLOSED)  # noqa: SLF001
            if self._feed is not None:
                self._feed.end()
            await self.leave()


class SyncStream(LoopObject[S], Generic[S, T]):
    """A stream that is read within a `with` block."""

    _feed: SourceReader[Any] | None = None
    _entered: Entered | None = None

    def __enter__(self) -> Self:
        thread = thread_of(self._loop)

        async def enter(held: S) -> Entered:
            entered = Entered(held, self._session.current().calls.parts().pipeline, self._feed)
            await held.__aenter__()
            thread.blocks.add(entered)
            return entered

        def abandon(entered: Entered) -> None:
            thread.start(thread.leave(entered))

        self._entered = self._await_in_loop(enter, abandon)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._feed is not None:
            self._feed.close()
        thread, entered = thread_of(self._loop), self._entered
        if entered is not None:
            self._await_in_loop(lambda _: thread.leave(entered))

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
        return self._await_in_loop(lambda held: anext(held, _END))


class SyncResultStream(SyncStream[R, T]):
    """A stream of the results for many inputs."""

    def __init__(
        self,
        session: Session,
        make: Callable[[], R],
        feed: SourceReader[Any],
        progress: Progress[Any] | None = None,
    ) -> None:
        super().__init__(session, make)
        self._feed: SourceReader[Any] = feed
        self._progress = progress

    def _take(self) -> Any:
        async def take() -> object:
            # Called after the first step of `anext`: an available result has priority over reading.
            handle = self._loop.call_soon(self._feed.set_inbox, turn.inbox)
            try:
                item = await anext(self._held, _END)
            finally:
                handle.cancel()
                self._feed.set_inbox(None)
            if self._progress is not None:
                turn.inbox.put(self._progress.tell)
            return item

        turn = LoopCall(thread_of(self._loop), take, self._abandon)
        return turn.wait()

    def _abandon(self, item: object) -> None:
        """Report an item that was taken out of the stream but did not reach its reader."""
        if item is not _END:
            self._held._abandon([item])  # noqa: SLF001

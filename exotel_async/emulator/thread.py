"""An event loop in a thread of its own, for code that has no event loop, or a different one."""

from __future__ import annotations

import asyncio
import inspect
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine, ItemsView, Iterator, Mapping, ValuesView
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from functools import partial, wraps
from operator import attrgetter
from typing import Any, ParamSpec, TypeVar, cast

import attrs

P = ParamSpec("P")
K = TypeVar("K")
T = TypeVar("T")

_loop_of: Callable[[object], AbstractEventLoop | None] = attrgetter("_loop")
_OTHER_LOOP = (
    "the emulator runs in another event loop: await this in the loop of its `async with`, or begin "
    "the emulator with `with`: it then runs in a thread of its own, and any loop may await this"
)
_NOT_ASYNCIO = (
    "this can be awaited under asyncio alone: elsewhere have another thread call `emulator.run`"
)
_NO_THREAD = (
    "the emulator runs in no thread of its own now: begin it with `with`, or await this in the "
    "loop of its `async with`"
)
_IN_A_LOOP = "an event loop runs here, and would stand still: await this instead"


class ThreadLoop(asyncio.SelectorEventLoop):
    """Runs in a thread of its own from `begin` to `end`, within a context manager, its guest.

    It is not an anyio portal: an error that is not an `Exception`, as from `pytest.fail`, would end
    that midway. It would then, and when its start is interrupted, cancel the guest's `__aexit__`.
    """

    def __init__(self, guest: AbstractAsyncContextManager[object], name: str) -> None:
        super().__init__()
        self._guest = guest
        self._begun: Future[None] = Future()
        self._over = asyncio.Event()
        self._crashes: list[BaseException] = []
        self._accepts_work = True
        self._gate = threading.Lock()
        """Held to accept work, and to stop accepting it: accepted work starts before the end."""
        # A daemon, so that a program that never calls `end` can exit all the same.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.set_exception_handler(self._record_crash)

    def begin(self) -> None:
        """Start, and wait until the guest is entered. Raises what prevented that."""
        try:
            self._thread.start()
            self._begun.result()
        except BaseException:
            self.end()
            raise

    def end(self) -> BaseException | None:
        """Exit the guest, cancel what is still running, and wait until the thread has ended.

        Return the first error in it that was not raised anywhere.
        """
        with self._gate:
            if self._accepts_work:
                self.call_soon_threadsafe(self._over.set)
        if self._thread.is_alive():  # if not, it was interrupted before it ran, and ends unaided
            self._thread.join()
        return self._crashes[0] if self._crashes else None

    def submit(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Future[T] | None:
        """Start work here, from another thread. Return None within this loop, or after its end."""
        if running_loop() is self:
            return None
        with self._gate:
            return asyncio.run_coroutine_threadsafe(work(), self) if self._accepts_work else None

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self) as runner:
            try:
                runner.run(self._host())
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for it
                if self._begun.done():
                    self._crashes.append(error)
                else:
                    self._begun.set_exception(error)
            with self._gate:
                self._accepts_work = False
            runner.run(asyncio.sleep(0))  # accepted work starts, and the runner cancels it

    async def _host(self) -> None:
        async with self._guest:
            self._begun.set_result(None)
            await self._over.wait()

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Do not wait for it: a DNS lookup may be in progress there."""

    def _record_crash(self, _: AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            self._crashes.append(error)
        else:
            self.default_exception_handler(context)


def runs_in_own_loop(method: Callable[P, T]) -> Callable[P, T]:
    """Make a method run in the `_loop` of its object, if that is a `ThreadLoop`, from any thread.

    A coroutine method raises RuntimeError outside asyncio, and if `_loop` is any other loop than
    the one running. None: the object has not started.
    """

    @wraps(method)
    async def awaited(*args: P.args, **keywords: P.kwargs) -> Any:
        work: Callable[[], Any] = partial(method, *args, **keywords)
        loop, running, future = _loop_of(args[0]), running_loop(), None
        if running is None:
            raise RuntimeError(_NOT_ASYNCIO)
        if isinstance(loop, ThreadLoop):
            future = loop.submit(work)
        elif loop not in {None, running}:
            raise RuntimeError(_OTHER_LOOP)
        return await (work() if future is None else asyncio.wrap_future(future))

    @wraps(method)
    def called(*args: P.args, **keywords: P.kwargs) -> T:
        async def work() -> T:
            return method(*args, **keywords)

        loop = _loop_of(args[0])
        future = loop.submit(work) if isinstance(loop, ThreadLoop) else None
        return method(*args, **keywords) if future is None else future.result()

    return cast("Callable[P, T]", awaited) if inspect.iscoroutinefunction(method) else called


def run_in(loop: AbstractEventLoop | None, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a `ThreadLoop` from code that is not async.

    Raises RuntimeError if the loop is not one, or has ended, or an event loop runs in this thread.
    """
    future = None
    if running_loop() is None and isinstance(loop, ThreadLoop):
        future = loop.submit(lambda: coroutine)
    if future is None:
        coroutine.close()
        raise RuntimeError(_NO_THREAD if running_loop() is None else _IN_A_LOOP)
    try:
        return future.result()
    except BaseException:
        future.cancel()  # interrupted
        raise


def running_loop() -> AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


@attrs.frozen
class SyncOrAsyncContext:
    """A context manager made of two coroutine functions, for `async with`, and for `with` by a
    function that runs them."""

    _begin: Callable[[], Coroutine[Any, Any, None]]
    _end: Callable[[], Coroutine[Any, Any, None]]
    _run: Callable[[Coroutine[Any, Any, None]], None]

    async def __aenter__(self) -> None:
        await self._begin()

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    def __enter__(self) -> None:
        self._run(self._begin())

    def __exit__(self, *_: object) -> None:
        self._run(self._end())


class SteadyView(Mapping[K, T]):
    """A live view of a dict that can be iterated while the dict changes."""

    def __init__(self, changing: Mapping[K, T]) -> None:
        self._changing = changing

    def __getitem__(self, key: K) -> T:
        return self._changing[key]

    def __len__(self) -> int:
        return len(self._changing)

    def __iter__(self) -> Iterator[K]:
        return iter(dict(self._changing))

    def values(self) -> ValuesView[T]:
        """Return the current values."""
        return dict(self._changing).values()

    def items(self) -> ItemsView[K, T]:
        """Return the current pairs."""
        return dict(self._changing).items()

    def __repr__(self) -> str:
        return repr(dict(self._changing))

"""The emulator itself: all its parts wired together, on a socket."""

from __future__ import annotations

import asyncio
from asyncio import Task
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import attrs

from exotel_async.emulator.account_pages import AccountPages
from exotel_async.emulator.api import Api
from exotel_async.emulator.app import App
from exotel_async.emulator.available_numbers import AvailableNumbers
from exotel_async.emulator.call_store import CallBook
from exotel_async.emulator.callbacks import Callbacks
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.control.app import Control
from exotel_async.emulator.control.guard import Guard
from exotel_async.emulator.documents import CallDocuments
from exotel_async.emulator.exophones import ExoPhones
from exotel_async.emulator.flow_engine.app_client import Fetcher
from exotel_async.emulator.flow_engine.line import FlowServices
from exotel_async.emulator.flow_engine.live_calls import FlowRuns
from exotel_async.emulator.manual_calls import ManualCalls
from exotel_async.emulator.operations import Operations
from exotel_async.emulator.pages import EXOPHONES, NEWER_EXOPHONES, VOICE, Endpoints
from exotel_async.emulator.recordings import Recordings
from exotel_async.emulator.server import Listener, bind
from exotel_async.emulator.settings import host_in_urls
from exotel_async.emulator.thread import SyncOrAsyncContext, ThreadLoop, run_in, runs_in_own_loop
from exotel_async.emulator.tls import Tls
from exotel_async.emulator.whitelist import Whitelist

T = TypeVar("T")


@attrs.define(kw_only=True, eq=False, slots=False)
class Emulator(Operations):
    """A local Exotel Voice v1 on a real socket, in the running event loop, or in a thread.

    Every setting is a keyword argument, described in `Settings`. An emulator can be used once; what
    it has recorded stays readable after its end::

        async with Emulator(rate=200, speed=60) as emulator:
            ...  # any client, at emulator.base_url
        assert emulator.rung("09812300001") == 1

    Code that is not async starts it with `with`. It then has a thread and an event loop of its own,
    its methods may be called from any thread, and its coroutines awaited in any asyncio loop::

        with Emulator() as emulator:
            ...
            emulator.run(emulator.finish_calls())
    """

    _listener: Listener = attrs.field(init=False, repr=False)
    _tls: Tls | None = attrs.field(init=False, repr=False)
    _outages: set[Task[None]] = attrs.field(factory=set, init=False, repr=False)

    async def __aenter__(self) -> Self:
        """Start listening.

        Raises:
            OSError: the port is taken.
            ValueError: `certfile`, `keyfile`, `ca_file`, or `host` with `tls`, cannot be used.
            ModuleNotFoundError: `tls` is set, but the extra of that name is not installed.
        """
        if self.base_url:
            raise RuntimeError("an emulator can be used once: make another one")
        self._loop = asyncio.get_running_loop()
        self.clock: Clock = Clock(self.speed, self.now)
        bound = bind(self.host, self.port)
        try:
            self._tls = Tls.of(self)
        except BaseException:
            bound.close()
            raise
        self.ca_file = None if self._tls is None else self._tls.ca_file
        scheme = "http" if self._tls is None else "https"
        self.base_url: str = f"{scheme}://{host_in_urls(self)}:{bound.getsockname()[1]}"
        self._book = CallBook(
            self.clock,
            seed=self.seed,
            account_sid=self.account_sid,
            fixed_sids=self.fixed_sids,
        )
        documents = CallDocuments(self, self.base_url)
        self._callbacks = Callbacks(self, self.clock, self.faults, documents)
        services = FlowServices(
            settings=self,
            book=self._book,
            documents=documents,
            fetcher=Fetcher(),
            outbox=self._outbox,
        )
        self._runs = FlowRuns(services, self._callbacks.schedule)
        self._whitelist = Whitelist(self.clock)
        self._manual_calls = ManualCalls(self, self._book, self._callbacks, self._runs)
        api = Api(
            settings=self,
            clock=self.clock,
            book=self._book,
            documents=documents,
            callbacks=self._callbacks,
            runs=self._runs,
            whitelist=self._whitelist,
            manual_calls=self._manual_calls,
        )
        account = AccountPages(self, self.clock, self._book, self._whitelist)
        exophones = ExoPhones(self)
        self._recordings = Recordings(self, self.clock, self._book, documents, self.faults)
        self._app = App(
            settings=self,
            clock=self.clock,
            windows=self._new_windows(),
            faults=self.faults,
            endpoints={
                VOICE: Endpoints(api.endpoints(), account.endpoints()),
                EXOPHONES: Endpoints(exophones.endpoints(), AvailableNumbers(self).endpoints()),
                NEWER_EXOPHONES: Endpoints(exophones.newer_endpoints()),
            },
            recordings=self._recordings,
            control=Guard(Control(self, self._start_outage), self),
        )
        self._listener = Listener(
            self._app, bound, None if self._tls is None else self._tls.context
        )
        await self._listener.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop at once: connections are reset, callbacks not sent yet never will be, and flows end
        where they are."""
        for outage in self._outages:
            outage.cancel()
        await asyncio.gather(*self._outages, return_exceptions=True)
        await self._listener.close()  # first: a request could restart what is stopped below
        self._manual_calls.clear()
        await self._runs.aclose()
        await self._callbacks.aclose()
        if self._tls is not None:
            self._tls.close()

    @property
    def loopback_only(self) -> bool:
        """Whether only this computer can reach it. Known once it has started."""
        return self._listener.loopback_only

    def __enter__(self) -> Self:
        """Start listening, in a thread of its own. Raises OSError if the port is taken."""
        ThreadLoop(self, "exotel-emulator").begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop as `__aexit__` does. What other threads still await of it is cancelled.

        Raises an error of the emulator itself, if there was one; if the block has raised, adds it
        to that error as a note.
        """
        crash = self._loop.end() if isinstance(self._loop, ThreadLoop) else None
        if crash is not None and error is None:
            raise crash
        if crash is not None and error is not None:
            error.add_note(f"Meanwhile, in the emulator's thread: {crash!r}")

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one of its coroutines from code that is not async, and return its result.

        For example `emulator.run(emulator.finish_calls())`, or `emulator.run(call.over())`. Raises
        RuntimeError if it was not started with `with`, or an event loop runs in this thread.
        """
        return run_in(self._loop, coroutine)

    def unreachable(self) -> SyncOrAsyncContext:
        """Refuse connections within a block, and reset the open ones. The port stays the same.

        Use it with `async with`, or with `with` if the emulator was started that way.
        """
        return SyncOrAsyncContext(self._suspend, self._resume, self.run)

    @runs_in_own_loop
    async def _suspend(self) -> None:
        await self._listener.suspend()

    @runs_in_own_loop
    async def _resume(self) -> None:
        await self._listener.resume()

    async def _start_outage(self, seconds: float) -> None:
        """Become unreachable for that many real seconds, without waiting for their end."""

        async def be_unreachable() -> None:
            async with self.unreachable():
                await asyncio.sleep(seconds)

        # In a task of its own: resetting the connections cancels the request that asked for it.
        outage = asyncio.create_task(be_unreachable())
        self._outages.add(outage)
        outage.add_done_callback(self._outages.discard)


async def serve(
    emulator: Emulator, *, on_ready: Callable[[Emulator], object] | None = None
) -> None:
    """Run an emulator until the task is cancelled, as Ctrl-C does under `asyncio.run`.

    `on_ready` is called once it listens and `base_url` is known.
    """
    async with emulator:
        if on_ready is not None:
            on_ready(emulator)
        await asyncio.Event().wait()

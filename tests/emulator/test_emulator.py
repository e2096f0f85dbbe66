"""The emulator as a guest in a loop and as a server of its own: start, end, latency, processes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import json
import logging
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from random import Random
from urllib.parse import urlencode

import httpx
import pytest

from exotel_async.emulator import Emulator, Fault, Flow, Greeting, serve, server
from tests.conftest import SOON
from tests.emulator.support import (
    CUSTOMER,
    EXOPHONE,
    TO_FLOW,
    TWO_NUMBERS,
    client_of,
    dial,
    until,
)

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_the_end_is_prompt_and_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """With idle, stalled and half-sent requests, pending callbacks and a late fault."""
    caplog.set_level(logging.INFO)
    before = asyncio.all_tasks()
    async with Emulator(rate=1000) as emulator:
        emulator.faults.add(Fault.act_then_stall(), path="connect", after=1)
        emulator.faults.add(Fault.delay_before(60), path="Balance")
        client = client_of(emulator)
        callback = f"{emulator.base_url}/never"
        await dial(client, StatusCallback=callback)
        hanging = [
            asyncio.create_task(client.post("Calls/connect.json", data=TWO_NUMBERS)),
            asyncio.create_task(client.get("Balance.json")),
        ]
        address = emulator.base_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(address[0], int(address[1]))
        writer.write(b"POST /v1/Accounts/acme1/Calls/connect HTTP/1.1\r\nContent-Length: 9\r\n")
        await until(lambda: len(emulator.requests) >= 3)
        started = time.monotonic()
    assert time.monotonic() - started < SOON
    for task in hanging:
        with pytest.raises(httpx.TransportError):
            await task
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    await client.aclose()
    assert asyncio.all_tasks() == before
    assert [r.name for r in caplog.records if r.name.startswith("uvicorn")] == []
    gc.collect()  # an unclosed socket would warn here, and warnings are errors


async def test_the_port_is_free_again_at_once() -> None:
    async with Emulator() as first:
        port = int(first.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            await Emulator(port=port).__aenter__()
    async with Emulator(port=port) as second:
        assert second.base_url == first.base_url


async def test_it_is_used_once_and_stays_readable() -> None:
    async with Emulator() as emulator, client_of(emulator) as client:
        await dial(client)
    with pytest.raises(RuntimeError, match="once"):
        await emulator.__aenter__()
    assert emulator.statistics().requests == 1
    assert len(emulator.calls) == 1


@pytest.mark.parametrize("path", ["/v1/Accounts/acme1/Balance", "/exotelrecordings/acme1/x.mp3"])
async def test_what_an_answer_was_shows_before_it_arrives(path: str) -> None:
    """Or a client in another thread may look for it too early."""
    seen: list[int | None] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: object) -> None:
        seen.extend(request.status for request in emulator.requests)
        seen.extend(download.status for download in emulator.downloads)
        seen.append(emulator.statistics().accepted)

    scope = {"method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    key = base64.b64encode(b"emulator-key:emulator-token")
    async with Emulator() as emulator:
        headers = [(b"authorization", b"Basic " + key)]
        state = {"transport": None}
        await emulator._app({**scope, "headers": headers, "state": state}, receive, send)
    assert seen == ([200, 1] * 2 if emulator.requests else [404, 0] * 2)


async def test_an_offer_of_http_2_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """Java's client makes one with its first request, and curl when told to."""
    offer = {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAEAAEAA",
    }
    async with Emulator() as emulator, client_of(emulator) as client:
        for _ in range(2):
            answer = await client.post("Calls/connect.json", data=TWO_NUMBERS, headers=offer)
            assert answer.status_code == 200, answer.text
            assert (await client.get("Balance.json", headers=offer)).status_code == 200
        field = {**TWO_NUMBERS, "CustomField": "\r\nUpgrade: now"}
        await client.post("Calls/connect", content=urlencode(field, safe="\r\n: "), headers=FORM)
        assert emulator.requests[-1].form["CustomField"] == "\r\nUpgrade: now"
    assert not caplog.records


async def test_what_arrives_at_the_end_does_not_begin_after_it() -> None:
    """A dial to a flow, so many turns of the loop before it."""
    flow = Flow(926, start=Greeting(text="x" * 9000))
    before = asyncio.all_tasks()
    for turns in range(4):
        async with Emulator(flows=[flow], exophone_flows={EXOPHONE: 926}) as emulator:
            await emulator.incoming_call(CUSTOMER, EXOPHONE)
            host, port = emulator.base_url.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            await until(lambda: bool(emulator._listener._state.connections))
            writer.write(_dial_to(TO_FLOW))
            for _ in range(turns):
                await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        writer.close()


def _dial_to(parameters: dict[str, str], *others: str) -> bytes:
    """A dial as it is sent, with other fields in its head."""
    key = base64.b64encode(b"emulator-key:emulator-token").decode()
    body = urlencode(parameters)
    fields = (
        "Host: x",
        f"Authorization: Basic {key}",
        f"Content-Length: {len(body)}",
        "Content-Type: application/x-www-form-urlencoded",
        *others,
    )
    head = "\r\n".join(["POST /v1/Accounts/acme1/Calls/connect HTTP/1.1", *fields])
    return f"{head}\r\n\r\n{body}".encode()


@pytest.mark.parametrize("cuts", [(9,), (-1,), (-2,), (-3,), (-4,), (2, 5, -3)])
async def test_such_an_offer_may_come_in_pieces(
    cuts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pieces: list[bytes] = []
    take = server._Protocol.data_received

    def note(self: server._Protocol, data: bytes) -> None:
        pieces.append(data)
        take(self, data)

    def arrived(sent: bytes) -> bool:
        return b"".join(pieces) == sent

    monkeypatch.setattr(server._Protocol, "data_received", note)
    request = _dial_to(TWO_NUMBERS, "Connection: Upgrade", "Upgrade: h2c")
    name, body = request.index(b"\r\nUpgrade:"), request.index(b"\r\n\r\n") + 4
    places = [name + cut if cut > 0 else body + cut for cut in cuts]
    async with Emulator() as emulator:
        host, port = emulator.base_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for _ in range(2):  # what is kept of one request is not left to the next one
            pieces.clear()
            for first, last in zip([0, *places], [*places, None], strict=True):
                writer.write(request[first:last])
                await until(partial(arrived, request[:last]))
            assert len(pieces) > len(cuts)
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            await reader.readuntil(b"</TwilioResponse>")
        writer.close()
    assert [request.form for request in emulator.requests] == [TWO_NUMBERS] * 2
    assert not caplog.records


async def test_a_body_that_looks_like_such_an_offer_stays_as_it_is() -> None:
    body = b"GET /here HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"
    async with Emulator() as emulator, client_of(emulator) as client:

        async def on_its_own() -> AsyncIterator[bytes]:
            await until(lambda: bool(emulator._app._serving))  # the head has come
            yield body

        headers = {**FORM, "Content-Length": str(len(body))}
        await client.post("Calls/connect", content=on_its_own(), headers=headers)
    assert [request.body for request in emulator.requests] == [body]


async def test_it_leaves_signals_and_loggers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    handler, level = signal.getsignal(signal.SIGINT), logging.getLogger("uvicorn.error").level
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "propagate", True)
    async with Emulator():
        assert signal.getsignal(signal.SIGINT) is handler
        assert logging.getLogger("uvicorn.error").level == level
        assert logging.getLogger("uvicorn.access").propagate


async def test_two_at_once_do_not_meet() -> None:
    async with Emulator() as one, Emulator() as two, client_of(one) as client:
        await dial(client)
        assert (len(one.calls), len(two.calls)) == (1, 0)


async def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    async with Emulator(host="::1") as emulator, client_of(emulator) as client:
        await dial(client)


async def test_answers_leave_without_nagle() -> None:
    """Each exchange would take the 40 ms of a delayed ACK."""
    took = []
    async with Emulator(rate=1000) as emulator, client_of(emulator) as client:
        for _ in range(100):
            began = time.monotonic()
            await client.get("Balance.json")
            took.append(time.monotonic() - began)
    # Not those at first: the kernel acknowledges them at once. Any may have been held up.
    assert min(took[50:]) < 0.04


@pytest.mark.slow
async def test_a_thousand_connections_at_once() -> None:
    """They all connect before the loop takes the first of them."""
    async with Emulator() as emulator:
        host, port = emulator.base_url.removeprefix("http://").split(":")
        clients = []
        for _ in range(1000):
            client = socket.create_connection((host, int(port)))
            client.sendall(b"GET /_emulator/statistics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            clients.append(client)
        for client in clients:
            reader, writer = await asyncio.open_connection(sock=client)
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            writer.close()


async def test_latency_before_arrival_and_after() -> None:
    drawn: list[float] = []

    def latency(random: Random) -> tuple[float, float]:
        drawn.append(random.random())
        return 0.1, 0.2

    async with (
        Emulator(latency=latency, seed=4) as emulator,
        client_of(emulator) as client,
    ):
        started = emulator.clock.elapsed()
        await client.get("Balance.json")
        (request,) = emulator.requests
        assert request.arrived - started >= 0.1
        assert emulator.clock.elapsed() - request.arrived >= 0.2
    assert drawn == [Random(4).random()]


async def test_the_wall_clock_is_what_it_is_told_to_be() -> None:
    now = datetime(2020, 1, 1, tzinfo=UTC)
    async with Emulator(now=now, speed=10) as emulator, client_of(emulator) as client:
        answer = await client.get("Balance.json")
        assert answer.headers["date"].startswith("Wed, 01 Jan 2020 00:")
        date = answer.json()["Account"]["BalanceData"]["DateUpdated"]
        assert date.startswith("2020-01-01 05:3"), (
            "midnight in Greenwich is half past five in India"
        )
    with pytest.raises(ValueError, match="time zone"):
        await Emulator(now=now.replace(tzinfo=None)).__aenter__()
    with pytest.raises(ValueError, match="speed"):
        await Emulator(speed=0).__aenter__()


async def test_serve_runs_until_cancelled() -> None:
    ready: asyncio.Future[Emulator] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(Emulator(), on_ready=ready.set_result))
    emulator = await ready
    async with client_of(emulator) as client:
        await dial(client)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(httpx.ConnectError):
            await client.get("Balance.json")


PROGRAM = """
import asyncio
from exotel_async.emulator import Emulator, serve
asyncio.run(serve(Emulator(), on_ready=lambda emulator: print(emulator.base_url, flush=True)))
"""


@pytest.mark.slow
def test_in_a_process_of_its_own_until_ctrl_c() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}/_emulator/statistics", timeout=5) as answer:  # noqa: S310
            assert json.load(answer)["requests"] == 0
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SOON)
        assert "never" not in errors
        assert "ResourceWarning" not in errors

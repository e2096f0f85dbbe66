"""Every fault of an answer, as a client meets it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import httpx
import pytest

from exotel_async.emulator import Emulator, Fault, Garbage
from tests.emulator.support import AGENT, TWO_NUMBERS, client_of, dial, until

CONNECT = "Calls/connect.json"


async def connect(client: httpx.AsyncClient, timeout: float = 5) -> httpx.Response:
    return await client.post(CONNECT, data=TWO_NUMBERS, timeout=timeout)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(("make", "rung"), [(Fault.drop_before, 0), (Fault.act_then_drop, 1)])
async def test_a_dropped_connection(
    emulator: Emulator, client: httpx.AsyncClient, make: type[Fault], rung: int, reset: bool
) -> None:
    emulator.faults.add(make(reset=reset))
    with pytest.raises(httpx.ReadError if reset else httpx.RemoteProtocolError):
        await connect(client)
    assert emulator.rung(AGENT) == rung
    assert emulator.requests[-1].status is None
    assert (await connect(client)).status_code == 200


@pytest.mark.parametrize("reset", [False, True])
async def test_cut_in_the_middle_of_the_body(
    emulator: Emulator, client: httpx.AsyncClient, reset: bool
) -> None:
    emulator.faults.add(Fault.act_then_cut(reset=reset))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await connect(client)
    assert emulator.rung(AGENT) == 1


@pytest.mark.parametrize("status", [302, 408, 500, 502, 503, 504, 599])
async def test_act_then_any_status(
    emulator: Emulator, client: httpx.AsyncClient, status: int
) -> None:
    emulator.faults.add(Fault.act_then_status(status))
    answer = await connect(client)
    assert answer.status_code == status
    assert answer.json()["RestException"]["Status"] == status
    assert emulator.rung(AGENT) == 1


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (partial(Fault.answer, 99), "'status' must be >= 200: 99"),
        (partial(Fault.act_then_status, 600), "'status' must be <= 599: 600"),
        (partial(Fault.act_then_body, b"", status=101), "'status' must be >= 200: 101"),
        (partial(Fault.act_then_stall, -1), "'seconds' must be >= 0: -1"),
        (partial(Fault.delay_before, -1), "'delay' must be >= 0.0: -1"),
        (partial(Fault.repeated_rows, -1), "'rows' must be >= 0: -1"),
        (partial(Fault.callback_duplicated, 0), "'copies' must be >= 1: 0"),
    ],
)
def test_what_no_answer_can_be_is_refused_at_once(make: Callable[[], Fault], rule: str) -> None:
    with pytest.raises(ValueError, match=f"^{rule}$"):
        make()


async def test_any_status_without_acting(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.faults.add(Fault.answer(503, message="Platform limit", retry_after=3))
    answer = await connect(client)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert answer.json()["RestException"]["Message"] == "Platform limit"
    assert emulator.rung(AGENT) == 0
    emulator.faults.add(Fault.answer(502, body=b"", content_type="text/html"))
    answer = await connect(client)
    assert (answer.status_code, answer.content) == (502, b"")
    assert answer.headers["content-type"] == "text/html"


@pytest.mark.parametrize(
    ("retry_after", "header"),
    [
        (None, None),
        (2, "2"),
        (0.5, "0.5"),
        (datetime(2026, 3, 2, 5, 50, 5, tzinfo=UTC), "Mon, 02 Mar 2026 05:50:05 GMT"),
        ("soon", "soon"),
    ],
)
async def test_429_with_and_without_retry_after(
    emulator: Emulator,
    client: httpx.AsyncClient,
    retry_after: float | datetime | str | None,
    header: str | None,
) -> None:
    emulator.faults.add(Fault.too_many_requests(retry_after=retry_after), times=2)
    for _ in range(2):
        answer = await connect(client)
        assert answer.status_code == 429
        assert answer.headers.get("retry-after") == header
    assert (await connect(client)).status_code == 200
    assert emulator.rung(AGENT) == 1
    assert emulator.refused == 0, "the rate window did not refuse them"


@pytest.mark.parametrize("kind", list(Garbage))
async def test_act_then_garbage(
    emulator: Emulator, client: httpx.AsyncClient, kind: Garbage
) -> None:
    emulator.faults.add(Fault.act_then_garbage(kind))
    answer = await connect(client)
    assert answer.status_code == 200
    assert emulator.rung(AGENT) == 1
    if kind is Garbage.LIST:
        assert answer.json() == [1, 2, 3]
        return
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        answer.json()
    if kind is Garbage.XML:
        (sid,) = emulator.calls
        assert f"<Sid>{sid}</Sid>" in answer.text
    assert (answer.content == b"") == (kind is Garbage.EMPTY)


async def test_act_then_given_bytes(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.faults.add(Fault.act_then_body(b"\x00\x01", content_type="application/x", status=207))
    answer = await connect(client)
    assert (answer.status_code, answer.content) == (207, b"\x00\x01")
    assert answer.headers["content-type"] == "application/x"


async def test_an_answer_that_never_comes(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.faults.add(Fault.act_then_stall())
    with pytest.raises(httpx.ReadTimeout):
        await connect(client, timeout=0.3)
    assert emulator.rung(AGENT) == 1


async def test_an_answer_that_comes_late(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.faults.add(Fault.act_then_stall(0.2))
    started = time.monotonic()
    assert (await connect(client)).status_code == 200
    assert time.monotonic() - started >= 0.2


async def test_a_body_that_drips(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.faults.add(Fault.act_then_drip(0.0005))
    async with client.stream("POST", CONNECT, data=TWO_NUMBERS) as answer:
        chunks = [chunk async for chunk in answer.aiter_raw()]
    assert len(chunks) > 50
    assert json.loads(b"".join(chunks))["Call"]["Sid"] in emulator.calls


@pytest.mark.slow
async def test_a_delayed_request_acts_even_if_the_client_has_gone(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.faults.add(Fault.delay_before(1.5))
    with pytest.raises(httpx.ReadTimeout):
        await connect(client, timeout=0.3)
    assert emulator.rung(AGENT) == 0
    await until(lambda: emulator.rung(AGENT) == 1)


async def test_a_request_delayed_for_ever_does_nothing(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.faults.add(Fault.delay_before(None))
    with pytest.raises(httpx.ReadTimeout):
        await connect(client, timeout=0.3)
    assert emulator.rung(AGENT) == 0


async def test_unreachable_and_back_on_the_same_port(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    assert (await connect(client)).status_code == 200
    async with emulator.unreachable():
        for _ in range(3):
            with pytest.raises(httpx.ConnectError):
                await connect(client)
    assert (await connect(client)).status_code == 200
    assert emulator.rung(AGENT) == 2


async def test_a_fault_waits_for_its_request(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.faults.add(Fault.answer(500), method="POST", path="Calls/connect", after=1, times=2)
    statuses = []
    for _ in range(5):
        statuses.append((await connect(client)).status_code)
        assert (await client.get("Calls.json")).status_code == 200
    assert statuses == [200, 500, 500, 200, 200]
    assert emulator.faults.pending == []


async def test_faults_queue_up_and_can_be_for_ever(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.faults.add(Fault.answer(500))
    emulator.faults.add(Fault.answer(502))
    emulator.faults.add(Fault.answer(504), times=None)
    statuses = [(await connect(client)).status_code for _ in range(5)]
    assert statuses == [500, 502, 504, 504, 504]
    emulator.faults.clear()
    await dial(client)


async def test_strangers_and_refused_requests_take_no_fault() -> None:
    async with (
        Emulator(rate=1, per=3600) as emulator,
        httpx.AsyncClient(base_url=emulator.base_url, trust_env=False) as client,
    ):
        auth = (emulator.api_key, emulator.api_token)
        page = "/v1/Accounts/acme1/Balance.json"
        assert (await client.get(page, auth=auth)).status_code == 200
        emulator.faults.add(Fault.answer(500))
        assert (await client.get(page)).status_code == 401
        assert (await client.get(page, auth=auth)).status_code == 429
        assert len(emulator.faults.pending) == 1


async def test_a_fault_of_a_request_that_is_refused_anyway(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.faults.add(Fault.act_then_status(500))
    answer = await client.post(CONNECT, data={"From": AGENT})
    assert answer.status_code == 400


async def test_a_request_keeps_what_became_of_it() -> None:
    """The fault it met, and the reason an error gives; a fault's error is no reason of ours."""
    async with Emulator(rate=4, per=3600) as emulator, client_of(emulator) as ours:
        fault = Fault.answer(503)
        emulator.faults.add(fault, path="Calls/connect")
        for _ in range(2):
            await ours.post(CONNECT, data=TWO_NUMBERS)
        await ours.post(CONNECT, data={"From": AGENT})
        await ours.get("Calls/none.json")
        await ours.get("Balance.json")
        kept = [(r.status, r.fault, r.reason) for r in emulator.requests]
    assert kept == [
        (503, fault, None),
        (200, None, None),
        (400, None, "CallerId is a required parameter"),
        (404, None, "The call was not found"),
        (429, None, "Too many requests: at most 4 per 3600 s"),
    ]

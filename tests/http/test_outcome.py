"""What an answer, or none, says of a dial: nobody is rung twice, no other call is taken for it."""

from __future__ import annotations

import asyncio
import gzip
import importlib
import zlib
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from exotel_async import (
    AsyncExotel,
    Call,
    CallOutcomeUnknown,
    ConnectionFailed,
    DecodeError,
    DialTarget,
    PermissionDenied,
    RequestTimeout,
    RetryPolicy,
    Timeouts,
)
from exotel_async.emulator import Emulator, Fault
from exotel_async.http.inflate import Inflater, UnreadableBody
from exotel_async.http.server_clock import ServerClock
from exotel_async.wire.party import Party
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, session
from tests.support.raw_server import CERTIFICATE, GIVEN, Connection, answer, call, raw_server

DIAL = "Calls/connect"
SOON = RetryPolicy(backoff=0.01, backoff_cap=0.01)
LOST = ["ReadTimeout", "ReadError", "WriteError", "RemoteProtocolError"]
NOT_CONNECTED = ["ConnectError", "ConnectTimeout", "ProxyError"]
each_library = pytest.mark.usefixtures("library")
only_httpx = pytest.mark.parametrize("library", ["httpx"], indirect=True)  # as respx has it


async def dial(exotel: AsyncExotel, **options: Any) -> Call:
    return await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE, **options)


async def leave(exotel: AsyncExotel, emulator: Emulator) -> None:
    """Cancel a dial when the emulator has the request."""
    before = len(emulator.calls)
    dialling = asyncio.create_task(dial(exotel))
    while len(emulator.calls) == before:
        await asyncio.sleep(0.01)
    dialling.cancel()
    await asyncio.wait({dialling})


async def dial_flow(exotel: AsyncExotel, **options: Any) -> Call:
    return await exotel.calls.connect_to_flow(CUSTOMER, flow=926, caller_id=EXOPHONE, **options)


# Silence proves nothing


@only_httpx
@pytest.mark.parametrize("error", LOST)
async def test_a_mock_of_httpcore_that_loses_the_answer(library: ModuleType, error: str) -> None:
    lost = getattr(library, error)("lost")
    with respx.mock:
        route = respx.post(path__regex="/Calls/connect.json$").mock(side_effect=lost)
        async with AsyncExotel(**GIVEN, retry=SOON) as exotel:
            with pytest.raises(CallOutcomeUnknown):
                await dial(exotel)
        assert route.call_count == 1


@pytest.mark.parametrize("error", [*LOST, "ValueError"])
async def test_a_mock_of_httpx_that_loses_the_answer(
    library: ModuleType, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def lose(_: object, request: object) -> Any:
        asked.append(request)
        raise getattr(library, error, ValueError)("lost")

    monkeypatch.setattr(library.AsyncHTTPTransport, "handle_async_request", lose)
    async with AsyncExotel(**GIVEN, retry=SOON) as exotel:
        with pytest.raises(CallOutcomeUnknown):
            await dial_flow(exotel)
    assert len(asked) == 1


@pytest.mark.parametrize("error", [*LOST, *NOT_CONNECTED])
async def test_a_client_of_the_users_own_that_tells_nothing(
    library: ModuleType, error: str
) -> None:
    asked = []

    def lose(request: object) -> Any:
        asked.append(request)
        raise getattr(library, error)("lost")

    async with (
        library.AsyncClient(transport=library.MockTransport(lose)) as client,
        AsyncExotel(**GIVEN, http_client=client, retry=SOON) as exotel,
    ):
        with pytest.raises(CallOutcomeUnknown):
            await dial(exotel)
        assert exotel.limiter.statistics().window_used == 1
    assert len(asked) == 1


@only_httpx
@pytest.mark.parametrize("error", NOT_CONNECTED)
async def test_what_happened_before_there_was_a_connection_is_certain(
    library: ModuleType, error: str
) -> None:
    refused = getattr(library, error)("refused")
    with respx.mock:
        route = respx.post(path__regex="/Calls/connect.json$").mock(side_effect=refused)
        async with AsyncExotel(**GIVEN, retry=SOON) as exotel:
            with pytest.raises(ConnectionFailed):
                await dial(exotel)
            assert exotel.limiter.statistics().window_used == 0
        assert route.call_count == SOON.attempts


@pytest.mark.parametrize("error", NOT_CONNECTED)
async def test_a_mock_of_httpx_that_does_not_connect(
    library: ModuleType, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def refuse(_: object, request: object) -> Any:
        asked.append(request)
        raise getattr(library, error)("refused")

    monkeypatch.setattr(library.AsyncHTTPTransport, "handle_async_request", refuse)
    async with AsyncExotel(**GIVEN, retry=SOON) as exotel:
        with pytest.raises(ConnectionFailed):
            await dial(exotel)
    assert len(asked) == SOON.attempts


# Another call's answer

OTHER = call(Sid="f" * 32, From="09812399991", To="09812399992")
SHOWN_AS: list[dict[str, object]] = [
    call(From="09812300002", To="09812300001"),
    call(From="919812300002", To="+919812300001"),
    call(From=None, To=""),
    call(From="XXXXXX0002", To="sip:agent7f3a"),
    call(),
]


def test_the_parties_are_those_of_the_examples() -> None:
    assert (AGENT, CUSTOMER) == ("+919812300002", "+919812300001")


@pytest.mark.parametrize("document", SHOWN_AS)
async def test_a_call_whose_parties_may_be_ours_is_ours(document: dict[str, object]) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer(document))

    async with raw_server(serve) as server, server.session() as exotel:
        assert (await dial(exotel)).sid == "0a1b2c3d4e5f60718293a4b5c6d71a3j"


@pytest.mark.parametrize(
    "other",
    [
        OTHER,
        call(From="09812300002", To="09812399992"),
        call(From="09812399991", To="09812300001"),
        call(From="09812300001", To="09812300002"),
    ],
)
async def test_the_answer_of_another_call_is_not_ours(other: dict[str, object]) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer(other))

    async with raw_server(serve) as server, server.session() as exotel:
        with pytest.raises(CallOutcomeUnknown, match="another call") as caught:
            await dial(exotel)
        assert caught.value.sid is None
        assert caught.value.status == 200
        assert len(server.requests) == 1


async def test_damaged_answers_of_another_call_give_no_sid() -> None:
    document = (
        "<TwilioResponse><Call><Sid>ffffffffffffffffffffffffffffffff</Sid>"
        "<To>09812399992</To><From>09812399991</From></Call></TwilioResponse>"
    )
    for body in (document.encode(), answer(OTHER).split(b"\r\n\r\n")[1][:-3]):

        async def serve(connection: Connection, body: bytes = body) -> None:
            await connection.request()
            await connection.say(answer(body=body))

        async with raw_server(serve) as server, server.session() as exotel:
            with pytest.raises(CallOutcomeUnknown) as caught:
                await dial(exotel)
        assert caught.value.sid is None


async def test_a_flow_shows_the_exophone_where_the_second_party_is() -> None:
    async def serve(connection: Connection) -> None:
        for to in (EXOPHONE, None, "09812399992"):
            await connection.request()
            await connection.say(answer(call(From="09812300001", To=to)))
        await connection.request()
        await connection.say(answer(call(From=EXOPHONE, To="09812300001")))

    async with raw_server(serve) as server, server.session() as exotel:
        for _ in range(3):
            assert (await dial_flow(exotel)).sid
        with pytest.raises(CallOutcomeUnknown, match="another call"):
            await dial_flow(exotel)


@given(st.from_regex(r"\+91[6-9][0-9]{9}", fullmatch=True))
def test_a_party_is_shown_as_itself_however_it_is_written(number: str) -> None:
    party, bare = Party(number), number[3:]
    for shown in (number, number[1:], bare, f"0{bare}", f"091{bare}", f"0091{bare}", f"+91 {bare}"):
        assert party.is_shown_as(shown) is True


# More than one answer


@each_library
async def test_what_came_behind_an_answer_is_not_the_next_one() -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(
            answer({"Account": {"BalanceData": {"Balance": "1"}}}),
            answer({"RestException": {"Status": 403, "Message": "no"}}, status="403 Forbidden"),
        )
        await connection.request()
        await connection.say(answer(call(From=AGENT, To=CUSTOMER)))

    async with raw_server(serve) as server, server.session(retry=RetryPolicy.never()) as exotel:
        with pytest.raises(RequestTimeout, match="more than one answer came"):
            await exotel.account.balance()
        # On the connection there was, the 403 would have been the answer to this dial.
        server_first = list(server.connections)
        dialling = asyncio.create_task(dial(exotel))
        while len(server.connections) == len(server_first):
            await asyncio.sleep(0)
        dialling.cancel()
        await asyncio.gather(dialling, return_exceptions=True)
    assert len(server.connections[0].requests) == 1


async def test_nobody_takes_the_connection_before_what_came_too_much_is_seen(
    library: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        if server.connections[0] is connection:
            await connection.say(answer({}))
            await connection.request()
            refused = answer({"RestException": {}}, status="403 Forbidden")
            await connection.say(answer({}), refused)
            await connection.request()
        await connection.say(answer(call(From=AGENT, To=CUSTOMER)))

    close = library.Response.aclose
    others: list[asyncio.Task[Call]] = []

    async def close_and_let_others_in(response: object) -> None:
        await close(response)
        # As the loop might, when the connection is back in the pool.
        if len(server.requests) == 2:
            others.append(asyncio.create_task(dial(exotel)))
            await asyncio.wait(others)

    monkeypatch.setattr(library.Response, "aclose", close_and_let_others_in)
    async with raw_server(serve) as server, server.session(retry=RetryPolicy.never()) as exotel:
        with pytest.raises(DecodeError):  # the limiter's first request goes alone
            await exotel.account.balance()
        with pytest.raises(RequestTimeout, match="more than one answer came"):
            await exotel.account.balance()
        assert others[0].result().status == "in-progress"
    assert [len(one.requests) for one in server.connections] == [2, 1]


@each_library
async def test_of_two_answers_to_a_dial_neither_is_believed() -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(
            answer({"RestException": {"Status": 403, "Message": "no"}}, status="403 Forbidden"),
            answer(call(From=AGENT, To=CUSTOMER)),
        )

    async with raw_server(serve) as server, server.session() as exotel:
        with pytest.raises(CallOutcomeUnknown, match="more than one answer came") as caught:
            await dial(exotel)
        assert caught.value.sid is None
        assert len(server.requests) == 1


@each_library
@pytest.mark.parametrize("writes", ["one record", "records of their own"])
async def test_over_tls_what_came_behind_an_answer_is_not_the_next_one(
    writes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 429 that is not ours would have the dial sent a second time."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    rung: list[bytes] = []

    async def serve(connection: Connection) -> None:
        while request := await connection.request():
            if b"Balance" not in request:
                rung.append(request)
                await connection.say(answer(call(From=AGENT, To=CUSTOMER)))
                continue
            said = answer({"Account": {"BalanceData": {"Balance": "1"}}})
            stale = answer({}, status="429 Too Many", headers="Retry-After: 0\r\n")
            if writes == "one record":
                await connection.say(said, stale)
            else:
                connection.writer.write(said)
                connection.writer.write(stale)
                await connection.writer.drain()

    options: dict[str, Any] = {"retry": RetryPolicy(attempts=1)}
    async with raw_server(serve, tls=True) as server, server.session(**options) as exotel:
        for _ in range(5):
            await asyncio.gather(exotel.account.balance(), return_exceptions=True)
            assert (await dial(exotel)).status == "in-progress"
        assert exotel.limiter.statistics().refused == 0
    assert len(rung) == 5


@each_library
async def test_a_connection_that_ends_with_its_answer_has_nothing_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The good-bye of TLS comes in the same segment, and is no answer."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))

    async def serve(connection: Connection) -> None:
        await connection.request()
        connection.writer.write(answer(call(From=AGENT, To=CUSTOMER)))
        connection.writer.close()

    async with raw_server(serve, tls=True) as server, server.session() as exotel:
        for _ in range(5):
            assert (await dial(exotel)).status == "in-progress"
    assert len(server.connections) == 5


@each_library
async def test_over_tls_a_connection_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))

    async def serve(connection: Connection) -> None:
        while await connection.request():
            await connection.say(answer(call(From=AGENT, To=CUSTOMER)))

    async with raw_server(serve, tls=True) as server, server.session() as exotel:
        await dial(exotel)
        for connection in exotel._pipeline.transport._made._transport._pool.connections:  # type: ignore[union-attr]
            connection._connection._expire_at += 60  # however slow this machine is
        await dial(exotel)
    assert len(server.connections) == 1


@each_library
async def test_an_answer_that_waited_before_the_request_is_not_taken() -> None:
    waiting = asyncio.Event()

    async def serve(connection: Connection) -> None:
        if await connection.request() and b"Balance" in connection.requests[0]:
            await connection.say(answer({"Account": {"BalanceData": {"Balance": "1"}}}))
            await asyncio.sleep(0)
            await connection.say(answer({"RestException": {}}, status="403 Forbidden"))
            waiting.set()
            await connection.request()
            raise AssertionError("the connection was used again")
        await connection.say(answer(call(From=AGENT, To=CUSTOMER)))

    async with raw_server(serve) as server, server.session(retry=RetryPolicy.never()) as exotel:
        await asyncio.gather(exotel.account.balance(), return_exceptions=True)
        await waiting.wait()
        assert (await dial(exotel)).status == "in-progress"
    assert len(server.connections) == 2


@each_library
async def test_empty_lines_between_answers_mean_nothing() -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer(call(From=AGENT, To=CUSTOMER)), b"\r\n\r\n")

    async with raw_server(serve) as server, server.session() as exotel:
        assert (await dial(exotel)).status == "in-progress"
        assert (await dial(exotel)).status == "in-progress"
    assert len(server.connections) == 2


@each_library
async def test_a_dial_takes_no_connection_that_was_idle_for_a_second() -> None:
    async def serve(connection: Connection) -> None:
        while await connection.request():
            await connection.say(answer(call(From=AGENT, To=CUSTOMER)))

    async with raw_server(serve) as server, server.session() as exotel:
        await dial(exotel)
        (connection,) = exotel._pipeline.transport._made._transport._pool.connections  # type: ignore[union-attr]
        inner = connection._connection
        assert inner._expire_at - asyncio.get_running_loop().time() <= 1.0
        inner._expire_at -= 1.0  # a second later
        await dial(exotel)
    assert [len(one.requests) for one in server.connections] == [1, 1]


# What only takes note


@pytest.mark.parametrize(
    "date",
    ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "Sat, 01 Jan 0000 00:00:00",
     "Fri, 31 Dec 9999 23:59:59 -2359", "Thu, 01 Jan 1970 00:00:00 GMT", "soon", ""],
)  # fmt: skip
async def test_no_date_of_an_answer_replaces_an_outcome(date: str) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(
            answer({"Account": {"BalanceData": {"Balance": "1"}}}, headers=f"Date: {date}\r\n")
        )
        await connection.request()

    async with raw_server(serve) as server, server.session() as exotel:
        await exotel.account.balance()
        for _ in range(2):
            with pytest.raises(CallOutcomeUnknown):
                await dial(exotel, time_limit=14_400)


@given(st.text(max_size=40) | st.datetimes().map(lambda t: t.strftime("%a, %d %b %Y %H:%M:%S GMT")))
def test_any_date_leaves_a_clock_that_can_be_asked(date: str) -> None:
    clock = ServerClock()
    clock.saw(date)
    now = clock.now()
    assert now is None or 2000 <= now.year <= 2100


@pytest.mark.slow
async def test_listeners_that_fail_change_no_outcome(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    async with session(emulator, on_orphaned_call=fail) as exotel:
        await dial(exotel)  # sets the session's own listeners
        pipeline = exotel._pipeline
        pipeline.dials.on_lost = pipeline.dials.on_late_answer = fail
        emulator.faults.add(Fault.act_then_drop(), path=DIAL, times=None)
        with pytest.raises(CallOutcomeUnknown):
            await dial(exotel)
        emulator.faults.clear()
        emulator.latency = lambda _: (0.0, 1.5)
        with pytest.raises(CallOutcomeUnknown):
            await dial(exotel, timeout=1)
    failures = [record for record in caplog.records if record.exc_info]
    assert len(failures) == 4  # two lost dials, a late answer, an orphan
    assert all("has failed" in record.getMessage() for record in failures)


async def test_a_report_has_a_second_of_its_own(emulator: Emulator) -> None:
    saved = []

    async def save(ended: Call | CallOutcomeUnknown, _: DialTarget) -> None:
        for _turn in range(3):
            await asyncio.sleep(0.01)
        saved.append(ended)

    emulator.faults.add(Fault.act_then_stall(), path=DIAL)
    exotel = session(emulator, on_orphaned_call=save)
    await leave(exotel, emulator)
    await exotel.aclose(grace=0.1)
    (lost,) = saved
    assert isinstance(lost, CallOutcomeUnknown)
    assert emulator.rung(CUSTOMER) == 1


async def test_a_report_has_its_second_when_the_closing_is_cancelled(emulator: Emulator) -> None:
    saved = []

    async def save(ended: Call | CallOutcomeUnknown, _: DialTarget) -> None:
        await asyncio.sleep(0.01)
        saved.append(ended)

    emulator.faults.add(Fault.act_then_stall(), path=DIAL)
    exotel = session(emulator, on_orphaned_call=save)
    await leave(exotel, emulator)
    closing = asyncio.create_task(exotel.aclose(grace=60))
    while exotel._pipeline._lifetime._closing is None:
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    assert len(saved) == 1


@pytest.mark.slow(1)
async def test_reports_that_fail_or_do_not_end_are_logged(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(ended: Call | CallOutcomeUnknown, _: DialTarget) -> None:
        await asyncio.sleep(0)
        if isinstance(ended, Call):
            raise ZeroDivisionError
        await asyncio.Event().wait()

    def said() -> list[str]:
        messages = [record.getMessage() for record in caplog.records]
        return [message for message in messages if message.startswith("on_orphaned_call")]

    emulator.latency = lambda _: (0.0, 0.1)
    exotel = session(emulator, on_orphaned_call=fail)
    await leave(exotel, emulator)
    while not said():
        await asyncio.sleep(0.01)
    emulator.faults.add(Fault.act_then_stall(), path=DIAL)
    await leave(exotel, emulator)
    await exotel.aclose(grace=0.1)
    assert said() == [
        "on_orphaned_call has failed",
        "on_orphaned_call was cancelled when the session was closed",
    ]


# Bodies that unfold


def layers(body: bytes, *encodings: Callable[[bytes], bytes]) -> bytes:
    for encode in encodings:
        body = encode(body)
    return body


@cache
def bomb(*encodings: Callable[[bytes], bytes]) -> bytes:
    """64 MiB of zeros; made when it is used, which takes half a second."""
    return layers(bytes(2**26), *encodings)


@each_library
@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP, identity", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("identity", lambda data: data),
    ],
)
async def test_one_layer_is_taken_off(encoding: str, encode: Callable[[bytes], bytes]) -> None:
    document = answer(call(From=AGENT, To=CUSTOMER)).split(b"\r\n\r\n")[1]

    async def serve(connection: Connection) -> None:
        asked = await connection.request()
        assert b"Accept-Encoding: gzip, deflate\r\n" in asked
        await connection.say(
            answer(body=encode(document), headers=f"Content-Encoding: {encoding}\r\n")
        )

    async with raw_server(serve) as server, server.session() as exotel:
        assert (await dial(exotel)).status == "in-progress"


BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: bomb(gzip.compress),
    "gzip, gzip": lambda: bomb(gzip.compress, gzip.compress),
    "deflate": lambda: bomb(zlib.compress),
    "deflate, gzip": lambda: bomb(zlib.compress, gzip.compress),
    "br": lambda: b"\x1b\x00",
    "gzip ": lambda: b"no gzip at all",
    " gzip": lambda: gzip.compress(b"{}")[:-4],
    "gzip,": lambda: gzip.compress(b"{}") + b"more",
}


@pytest.mark.slow(3)
@each_library
@pytest.mark.parametrize("encoding", BOMBS)
async def test_what_unfolds_beyond_measure_is_not_unfolded(encoding: str) -> None:
    async def serve(connection: Connection) -> None:
        while await connection.request():
            await connection.say(
                answer(body=BOMBS[encoding](), headers=f"Content-Encoding: {encoding}\r\n")
            )

    async with raw_server(serve) as server, server.session() as exotel:
        with pytest.raises(CallOutcomeUnknown):
            await dial(exotel)
        with pytest.raises(DecodeError):
            await exotel.account.balance()
    assert len(server.requests) == 2


def test_a_bomb_is_never_held_in_memory() -> None:
    inflater = Inflater("gzip", 1000)
    sent, given = bomb(gzip.compress), 0
    with pytest.raises(UnreadableBody, match="longer"):
        for start in range(0, len(sent), 64):
            given += len(inflater.feed(sent[start : start + 64]))
    assert given <= 1001


@given(
    body=st.binary(max_size=3000),
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=20),
    encoding=st.sampled_from(["gzip", "deflate", "raw", ""]),
)
def test_any_body_comes_out_as_it_went_in(body: bytes, sizes: list[int], encoding: str) -> None:
    encoders: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "raw": lambda data: zlib.compress(data, wbits=-15),
        "": bytes,
    }
    sent = encoders[encoding](body)
    inflater, out, place = Inflater(encoding.replace("raw", "deflate"), 3000 + 64), b"", 0
    while place < len(sent):
        size = sizes[place % len(sizes)]
        out += inflater.feed(sent[place : place + size])
        place += size
    inflater.end()
    assert out == body


@given(st.binary(max_size=500), st.sampled_from(["gzip", "deflate", "identity", "x", "gzip,gzip"]))
def test_any_bytes_are_read_or_refused(data: bytes, encoding: str) -> None:
    try:
        inflater = Inflater(encoding, 100)
        assert len(inflater.feed(data)) <= 101 or encoding == "identity"
        inflater.end()
    except UnreadableBody:
        return


async def test_a_hook_that_has_read_the_answer_is_no_hindrance(
    library: ModuleType, emulator: Emulator
) -> None:
    async def read(response: Any) -> None:
        await response.aread()

    client = library.AsyncClient(event_hooks={"response": [read]})
    async with client, session(emulator, http_client=client) as exotel:
        assert (await dial(exotel)).sid in emulator.calls


@pytest.mark.parametrize("other", ["httpx", "httpx2"])
async def test_what_others_answer_a_hook_says_nothing_of_a_dial(
    library: ModuleType, emulator: Emulator, other: str
) -> None:
    others = importlib.import_module(other)
    busy = others.Response(429, headers={"Retry-After": "0"})
    audit = others.AsyncClient(transport=others.MockTransport(lambda _: busy))

    async def note(_: object) -> None:
        (await audit.post("https://audit.example/calls")).raise_for_status()

    client = library.AsyncClient(event_hooks={"response": [note]})
    async with audit, client, session(emulator, http_client=client) as exotel:
        with pytest.raises(CallOutcomeUnknown):
            await dial(exotel)
        assert exotel.limiter.statistics().refused == 0
    assert emulator.rung(CUSTOMER) == 1


# Cookies


async def test_cookies_are_neither_kept_nor_sent(library: ModuleType) -> None:
    async def serve(connection: Connection) -> None:
        count = 0
        while await connection.request():
            count += 1
            said = f"Set-Cookie: session-{count}=tenant; Path=/\r\n"
            await connection.say(
                answer({"Account": {"BalanceData": {"Balance": "1"}}}, headers=said)
            )

    async with raw_server(serve) as server:
        async with server.session() as exotel:
            for _ in range(3):
                await exotel.account.balance()
        client = library.AsyncClient(cookies={"theirs": "kept"})
        async with client, server.session(http_client=client) as exotel:
            for _ in range(3):
                await exotel.account.balance()
            assert dict(client.cookies) == {"theirs": "kept"}
    assert len(server.requests) == 6
    for request in server.requests:
        assert b"cookie" not in request.lower()


async def test_a_slow_answer_of_a_patched_transport_is_unknown(
    library: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stall(*_: object) -> None:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(library.AsyncHTTPTransport, "handle_async_request", stall)
    async with AsyncExotel(**GIVEN, timeout=Timeouts(exchange=0.2), retry=SOON) as exotel:
        with pytest.raises(CallOutcomeUnknown):
            await dial(exotel)


async def test_a_refusal_is_still_a_refusal() -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(
            answer({"RestException": {"Status": 403, "Message": "NDNC"}}, status="403 Forbidden")
        )

    async with raw_server(serve) as server, server.session() as exotel:
        with pytest.raises(PermissionDenied):
            await dial(exotel)

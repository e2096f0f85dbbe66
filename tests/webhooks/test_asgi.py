"""Bodies that are too long, too slow, too deep or made of nonsense, on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from exotel_async.emulator.encoding import encode
from exotel_async.webhooks import ExotelWebhooks, StatusCallback
from tests.conftest import SOON
from tests.webhooks.payloads import LONG, PASSTHRU, SHORT, SID, as_json, query
from tests.webhooks.serving import SECRET, Served, new_hooks, path, serving

ENDED = path("status_callback")
BODY_SECONDS = 0.4
HUNDRED_MEGABYTES = 100_000_000


@pytest.fixture
def seen() -> list[StatusCallback]:
    return []


@pytest.fixture
def hooks(seen: list[StatusCallback]) -> ExotelWebhooks:
    hooks = new_hooks(body_timeout=BODY_SECONDS)
    hooks.status_callback(seen.append)
    hooks.passthru("check")(lambda request: None)
    return hooks


@pytest.fixture(params=["h11", "httptools"])
async def served(request: pytest.FixtureRequest, hooks: ExotelWebhooks) -> AsyncIterator[Served]:
    if request.param == "httptools":
        pytest.importorskip("httptools")
    async with serving(hooks, http=request.param) as served:
        yield served


def head(*headers: str, target: str = ENDED, content_type: str = "application/json") -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: x", f"Content-Type: {content_type}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


async def pour(served: Served, start: bytes, piece: bytes, most: int) -> tuple[int, bytes]:
    """Send a start and then a piece over and over, until the server has had enough.

    Returns how many bytes it took, and what it said.
    """
    reader, writer = await asyncio.open_connection(*served.address)
    answer = asyncio.create_task(reader.read())
    poured = 0
    try:
        async with asyncio.timeout(SOON):
            with contextlib.suppress(ConnectionError):
                writer.write(start)
                while poured < most and not answer.done():
                    writer.write(piece)
                    poured += len(piece)
                    await writer.drain()
            with contextlib.suppress(ConnectionError):
                return poured, await answer
            return poured, b""
    finally:
        answer.cancel()
        writer.close()


@pytest.mark.parametrize("target", [ENDED, "/not-the-secret-at-all/status_callback"])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_hundred_megabytes(
    served: Served, seen: list[StatusCallback], chunked: bool, target: str
) -> None:
    block = b"x" * 65_536
    if chunked:
        start = head("Transfer-Encoding: chunked", target=target)
        piece = b"10000\r\n" + block + b"\r\n"
    else:
        start, piece = head(f"Content-Length: {HUNDRED_MEGABYTES}", target=target), block
    poured, answer = await pour(served, start, piece, HUNDRED_MEGABYTES)
    # What the kernel buffers on both sides, and no more.
    assert poured < HUNDRED_MEGABYTES / 5
    # The connection was reset in the middle of sending: the answer may have been lost with it.
    assert answer == b"" or answer.split()[1] == (b"413" if target == ENDED else b"404")
    assert not seen
    # The server is as well as before.
    assert (await served.client.post(ENDED, json=LONG)).status_code == 200


@pytest.mark.parametrize("length", ["100000000", "9" * 19, "9" * 30, "9" * 5000, "65537"])
async def test_a_length_beyond_the_limit_is_refused_at_once(served: Served, length: str) -> None:
    answer = await served.raw(head(f"Content-Length: {length}"))
    # Beyond 64 bits it is the server that refuses.
    assert answer.split()[1] == (b"413" if len(length) < 20 else answer.split()[1])
    assert answer.split()[1] in {b"413", b"400"}


async def test_the_limit_itself(served: Served, seen: list[StatusCallback]) -> None:
    padded = as_json(SHORT).ljust(65_536)
    for content in (padded, _in_pieces(padded)):
        headers = {"content-type": "application/json"}
        got = await served.client.post(ENDED, content=content, headers=headers)
        assert got.status_code == 200
    # Nothing more is sent than has to be read: else the connection may be reset before the answer.
    for start in (head("Content-Length: 65537"), head("Transfer-Encoding: chunked") + b"10001\r\n"):
        body = b"" if b"Length" in start else padded + b" "
        assert (await served.raw(start + body)).split()[1] == b"413"
    assert len(seen) == 1
    query_at_limit = f"CallSid={SID}&a="
    query_at_limit += "x" * (2_000 - len(query_at_limit))
    small = new_hooks(max_body=2_000)
    small.passthru("check")(lambda request: None)
    async with serving(small) as other:
        target = path("passthru", "check")
        assert (await other.client.get(f"{target}?{query_at_limit}")).status_code == 200
        assert (await other.client.get(f"{target}?{query_at_limit}x")).status_code == 414


async def _in_pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 4_096):
        yield content[at : at + 4_096]


@pytest.mark.slow(2)
@pytest.mark.parametrize("bytes_at_once", [0, 1])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_dripping_body(
    served: Served, seen: list[StatusCallback], bytes_at_once: int, chunked: bool
) -> None:
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection(*served.address)
    framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 500"
    began = loop.time()
    writer.write(head(framing))
    # Not to the end of the connection: one that is still written to is reset at its end.
    answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    try:
        async with asyncio.timeout(SOON):
            while not answer.done():
                if bytes_at_once:
                    writer.write(b"1\r\n{\r\n" if chunked else b"{")
                await asyncio.wait([answer], timeout=0.02)
        told = await answer
    finally:
        writer.close()
    assert told.split()[1] == b"408"
    assert b"connection: close" in told.lower()
    assert loop.time() - began >= BODY_SECONDS
    assert not seen


async def test_a_client_that_leaves_in_the_middle(
    served: Served, seen: list[StatusCallback], caplog: pytest.LogCaptureFixture
) -> None:
    for request in (head("Content-Length: 500") + b"{", head("Transfer-Encoding: chunked")):
        reader, writer = await asyncio.open_connection(*served.address)
        writer.write(request)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert await reader.read() == b""
    assert (await served.client.post(ENDED, json=SHORT)).status_code == 200
    assert len(seen) == 1
    assert not caplog.records or "Traceback" not in caplog.text


DEEP = 15_000
NONSENSE: list[tuple[str, bytes]] = [
    ("application/json", b""),
    ("application/json", b"{"),
    ("application/json", b"[" * 65_536),
    ("application/json", b'{"a":' * (DEEP // 2) + b"1" + b"}" * (DEEP // 2)),
    ("application/json", b"[" * DEEP + b"]" * DEEP),
    ("application/json", b'{"CallSid":' + b"[" * 9 + b"]" * 9 + b"}"),
    ("application/json", b'{"CallSid":"' + SID.encode() + b'","a":' + b"[" * 9 + b"]" * 9 + b"}"),
    ("application/json", b'{"CallSid":"' + SID.encode() + b'","a":[' + b"1," * 1_000 + b"1]}"),
    ("application/json", b'{"CallSid":"../../etc/passwd"}'),
    ("application/json", b'{"CallSid":["a"]}'),
    ("application/json", b'{"CallSid":' + b"9" * 60_000 + b"}"),
    ("application/json", b'"\xff\xfe"'),
    ("application/json", as_json(LONG).decode().encode("utf-16")),
    ("application/x-www-form-urlencoded", b""),
    ("application/x-www-form-urlencoded", f"CallSid={SID}&a{'[b]' * 20_000}=c".encode()),
    ("application/x-www-form-urlencoded", f"CallSid={SID}&a{'[b]' * 8}=c".encode()),
    ("application/x-www-form-urlencoded", f"CallSid={SID}{'&a=b' * 1_000}".encode()),
    ("application/x-www-form-urlencoded", b"CallSid=%00"),
    ("multipart/form-data", b""),
    ("multipart/form-data; boundary=b", b""),
    ("multipart/form-data; boundary=b", b"--b" * 20_000),
    ("multipart/form-data; boundary=b", b"--b\r\n" * 10_000 + b"--b--\r\n"),
    ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n"),
    ("multipart/form-data; boundary=b", b"--b\r\n" + b"A: b\r\n" * 9_000),
    ("multipart/form-data; boundary=" + "b" * 20_000, b"--b--"),
]


@pytest.mark.slow(3)
@pytest.mark.parametrize(("content_type", "body"), NONSENSE)
async def test_nonsense_is_a_bad_request(
    served: Served, seen: list[StatusCallback], content_type: str, body: bytes
) -> None:
    got = await served.client.post(ENDED, content=body, headers={"content-type": content_type})
    assert (got.status_code, got.content) == (400, b"")
    assert not seen


async def test_of_what_comes_twice_the_last_counts(
    served: Served, seen: list[StatusCallback]
) -> None:
    first, last = "a" * 32, "b" * 32
    form = urlencode([("CallSid", first), ("Status", "busy"), ("CallSid", last)])
    part = '--b\r\nContent-Disposition: form-data; name="CallSid"\r\n\r\n{}\r\n'
    bodies = {
        "application/json": f'{{"CallSid":"{first}","Status":"busy","CallSid":"{last}"}}',
        "application/x-www-form-urlencoded": form,
        "multipart/form-data; boundary=b": part.format(first) + part.format(last) + "--b--\r\n",
    }
    for content_type, body in bodies.items():
        headers = {"content-type": content_type}
        got = await served.client.post(ENDED, content=body, headers=headers)
        assert got.status_code == 200
    assert [event.sid for event in seen] == [last] * len(seen)
    got = await served.client.get(f"{path('passthru', 'check')}?{query(PASSTHRU)}&CallSid=")
    assert got.status_code == 400


async def test_two_content_types_are_no_way_around(
    served: Served, seen: list[StatusCallback]
) -> None:
    content_type, body = encode(LONG, "multipart", boundary="b")
    for first, second in (("text/plain", content_type), (content_type, "text/plain")):
        request = head(
            f"Content-Type: {second}", f"Content-Length: {len(body)}", "Connection: close",
            content_type=first,
        )  # fmt: skip
        answer = await served.raw(request + body)
        assert answer.split()[1] == (b"200" if second == content_type else b"415")
    assert len(seen) == 1


async def test_expect_continue(served: Served, seen: list[StatusCallback]) -> None:
    """A client that asks before it sends is told no without sending anything."""
    body = as_json(LONG)
    length = f"Content-Length: {len(body)}"
    wrong = head(length, "Expect: 100-continue", target=f"/{SECRET[::-1]}/status_callback")
    assert (await served.raw(wrong)).split()[1] == b"404"
    reader, writer = await asyncio.open_connection(*served.address)
    try:
        async with asyncio.timeout(SOON):
            writer.write(head(length, "Expect: 100-continue"))
            assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"100"
            writer.write(body)
            assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"200"
    finally:
        writer.close()
    assert len(seen) == 1

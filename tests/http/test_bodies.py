"""Whatever comes over the socket, only our own errors come out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exotel_async import AsyncExotel, Balance, Call, ExotelError, RateLimit, RetryPolicy, Timeouts
from tests.conftest import AGENT, CUSTOMER, EXOPHONE

GOOD = b'{"Call":{"Sid":"0a1b2c3d4e5f60718293a4b5c6d71a3j","Status":"in-progress"}}'

bodies = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([GOOD, GOOD[:40], b"", b"null", b"[]", b"\xff\xfe{", b"<html>", b"<a><b>"]),
    st.just(b"[" * 50_000),
    st.just(b'{"Call":{"Sid":' + b"9" * 50_000 + b"}}"),
    st.just(b"x" * 1_000_000),
)
heads = st.one_of(
    st.tuples(
        st.integers(100, 999),
        st.sampled_from([b"application/json", b"text/html; charset=klingon", b"", b"\xe9"]),
        st.sampled_from([b"", b"Content-Encoding: gzip\r\n", b"Retry-After: \xff\r\n"]),
        st.sampled_from(["exact", "short", "long", "chunked", "none"]),
    ),
    st.binary(max_size=60),
)


def response(head: tuple[int, bytes, bytes, str] | bytes, body: bytes) -> bytes:
    if isinstance(head, bytes):
        return head + body
    status, kind, more, length = head
    declared = {
        "exact": b"Content-Length: %d\r\n" % len(body),
        "short": b"Content-Length: %d\r\n" % max(0, len(body) - 3),
        "long": b"Content-Length: %d\r\n" % (len(body) + 3),
        "chunked": b"Transfer-Encoding: chunked\r\n",
        "none": b"",
    }[length]
    return b"HTTP/1.1 %d X\r\nContent-Type: %b\r\n%b%b\r\n%b" % (status, kind, more, declared, body)


@asynccontextmanager
async def answering(raw: bytes) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.slow(7)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(head=heads, body=bodies)
def test_only_our_own_errors_come_out_of_a_socket(
    head: tuple[int, bytes, bytes, str] | bytes, body: bytes
) -> None:
    async def main() -> None:
        async with answering(response(head, body)) as base_url:
            exotel = AsyncExotel(
                account_sid="acme1",
                api_key="key",
                api_token="token",
                base_url=base_url,
                retry=RetryPolicy.never(),
                rate_limit=RateLimit(1000, per=1),
                timeout=Timeouts(connect=1, read=1, write=1, exchange=2),
            )
            async with exotel:
                with suppress(ExotelError):
                    dialled = await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
                    assert isinstance(dialled, Call)
                with suppress(ExotelError):
                    assert isinstance(await exotel.account.balance(), Balance)

    asyncio.run(main())

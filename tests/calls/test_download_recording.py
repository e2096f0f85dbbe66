"""Recordings: a file that is whole or not there, and credentials that go nowhere else."""

from __future__ import annotations

import asyncio
import base64
import gc
import gzip
import logging
import os
import re
import socket
import stat
import tempfile
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import httpx
import pytest
from attrs import evolve

from exotel_async import (
    AnsweredBy,
    APIError,
    AsyncExotel,
    AuthenticationError,
    Call,
    CallDetails,
    CallStatus,
    ConfigurationError,
    ConnectionFailed,
    DecodeError,
    Direction,
    ExotelError,
    InvalidRequest,
    PermissionDenied,
    RateLimited,
    RequestTimeout,
    RetryPolicy,
    ServerError,
    Timeouts,
)
from exotel_async.emulator import Dial, Emulator, Fault, Scenario
from exotel_async.errors import NoRecording, RecordingNotReady
from exotel_async.http import download
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, SOON, session

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment,unused-ignore]

RECORDED = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE, record=True)
BASIC = base64.b64encode(b"canary-key:canary-token").decode()
GIVEN: dict[str, Any] = {
    "account_sid": "acme1",
    "api_key": "canary-key",
    "api_token": "canary-token",
    # Of this computer, as the hosts of these tests are.
    "base_url": "http://127.0.0.1:1",
    "retry": RetryPolicy(backoff=0.01, backoff_cap=0.05),
}
AUDIO = bytes(range(256)) * 400
LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


async def save(exotel: AsyncExotel, call: Call, path: Any) -> Path:
    """Download as `exotel.calls.download_recording` does."""
    return await exotel.calls.download_recording(call, path)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """A local Exotel where everybody answers."""
    async with Emulator(speed=30, scenario=Scenario.all_answered(talk=40)) as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def names_known(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The names there are, and their addresses: no test depends on a real server of names."""
    known: dict[str, list[str]] = {}

    async def look_up(_: object, name: str, *__: object, **___: object) -> list[tuple[Any, ...]]:
        if name not in known:
            raise socket.gaierror
        return [(2, 1, 6, "", (address, 0)) for address in known[name]]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)
    return known


@pytest.fixture
async def call(emulator: Emulator, exotel: AsyncExotel) -> Call:
    """A call of an hour ago that was recorded, with both its links."""
    sid = emulator.add_call(RECORDED, ago=timedelta(hours=1)).sid
    return await exotel.calls.get(sid)


def with_links(url: str | None, signed: str | None = None, **fields: Any) -> Call:
    """A call of an hour ago whose recording is anywhere."""
    known: dict[str, Any] = {"status": CallStatus.COMPLETED, "ended_at": LONG_AGO, **fields}
    return Call(sid="a1", recording_url=url, presigned_recording_url=signed, **known)


class Host:
    """A host that is none of Exotel's, and keeps what it was asked."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.answer: Callable[[asyncio.StreamWriter], Awaitable[object]] = self.whole
        self.url = ""

    @staticmethod
    async def whole(writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        writer.write(head % len(AUDIO) + AUDIO)

    def saw_credentials(self) -> list[bool]:
        return ["authorization: basic" in head.lower() for head in self.heads]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await self.answer(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def host() -> AsyncIterator[Host]:
    made = Host()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


def saying(answer: bytes, *, then_wait: float = 0.0) -> Any:
    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        await asyncio.sleep(then_wait)

    return say


def leading_to(location: str, status: int = 302) -> Any:
    return saying(f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\n\r\n".encode())


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def tasks() -> set[asyncio.Task[Any]]:
    """Return the tasks there are of our own, those of servers aside."""
    return {
        task
        for task in asyncio.all_tasks()
        if "RecordingFetcher.download.<locals>" in repr(task.get_coro())
    }


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.005)


# A file


@pytest.mark.usefixtures("library")
async def test_by_the_signed_link_and_without_credentials(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path
) -> None:
    target = tmp_path / "call.mp3"
    target.write_bytes(b"another")
    assert await save(exotel, call, str(target)) == target
    assert target.read_bytes() == emulator.recording(call.sid)
    assert names(tmp_path) == {"call.mp3"}
    assert [(made.authorization, made.signed) for made in emulator.downloads] == [(False, True)]


async def test_by_the_plain_link_and_with_credentials(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path
) -> None:
    plain = evolve(call, presigned_recording_url=None)
    target = await save(exotel, plain, tmp_path / "call.mp3")
    assert target.read_bytes() == emulator.recording(call.sid)
    assert [(made.authorization, made.signed) for made in emulator.downloads] == [(True, False)]


async def test_a_redirect_to_a_signed_link_leaves_the_credentials_behind(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path
) -> None:
    emulator.recording_redirect = True
    plain = evolve(call, presigned_recording_url=None)
    target = await save(exotel, plain, tmp_path / "call.mp3")
    assert target.read_bytes() == emulator.recording(call.sid)
    seen = [(made.authorization, made.signed, made.status) for made in emulator.downloads]
    assert seen == [(True, False, 302), (False, True, 200)]


async def test_a_signed_link_that_has_expired(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path
) -> None:
    assert call.presigned_recording_url is not None
    expired = evolve(call, presigned_recording_url=f"{call.presigned_recording_url}0")
    target = await save(exotel, expired, tmp_path / "call.mp3")
    assert target.read_bytes() == emulator.recording(call.sid)
    seen = [(made.authorization, made.signed, made.status) for made in emulator.downloads]
    assert seen == [(False, True, 403), (True, False, 200)]
    with pytest.raises(PermissionDenied) as caught:
        await save(exotel, evolve(expired, recording_url=None), tmp_path / "other.mp3")
    assert str(caught.value) == (
        f"HTTP 403: the recording link does not open: Forbidden (call SID {call.sid})"
    )
    assert not (tmp_path / "other.mp3").exists()


async def test_a_download_is_no_request_to_the_api(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path
) -> None:
    granted, requests = exotel.limiter.statistics().granted, len(emulator.requests)
    made = [save(exotel, call, tmp_path / f"{n}.mp3") for n in range(20)]
    for target in await asyncio.gather(*made):
        assert target.read_bytes() == emulator.recording(call.sid)
    assert exotel.limiter.statistics().granted == granted
    assert len(emulator.requests) == requests
    assert len(names(tmp_path)) == 20


async def test_few_at_a_time_so_that_requests_have_their_connections(tmp_path: Path) -> None:
    async with Emulator() as emulator, host() as slow:
        slow.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", then_wait=60)
        async with session(emulator, max_in_flight=2) as exotel:
            waiting = [
                asyncio.ensure_future(save(exotel, with_links(slow.url), tmp_path / f"{n}"))
                for n in range(10)
            ]
            await until(lambda: len(names(tmp_path)) == 4)
            assert (await exotel.account.balance()).currency == "INR"
            await asyncio.sleep(0.05)
            assert len(slow.heads) == 4
        ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(error) for error in ended} == {ConfigurationError}
    assert not names(tmp_path)


# What goes wrong on the way


@pytest.mark.parametrize(
    "fault",
    [
        Fault.drop_before(),
        Fault.drop_before(reset=True),
        Fault.act_then_drop(),
        Fault.act_then_cut(),
        Fault.act_then_cut(reset=True),
        Fault.answer(500),
        Fault.answer(503, retry_after=0.01),
        Fault.answer(408),
        Fault.too_many_requests(),
        Fault.too_many_requests(retry_after=0.01),
    ],
)
async def test_it_is_fetched_afresh(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path, fault: Fault
) -> None:
    emulator.faults.add(fault, path="exotelrecordings", times=3)
    target = await save(exotel, call, tmp_path / "call.mp3")
    assert target.read_bytes() == emulator.recording(call.sid)
    assert names(tmp_path) == {"call.mp3"}
    assert len(emulator.downloads) == 4


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.act_then_cut(), RequestTimeout),
        (Fault.act_then_drop(), RequestTimeout),
        (Fault.act_then_stall(), RequestTimeout),
        (Fault.answer(503), ServerError),
        (Fault.too_many_requests(), RateLimited),
    ],
)
async def test_what_never_comes_whole_leaves_nothing(
    emulator: Emulator, call: Call, tmp_path: Path, fault: Fault, kind: type[ExotelError]
) -> None:
    emulator.faults.add(fault, path="exotelrecordings", times=None)
    target = tmp_path / "call.mp3"
    target.write_bytes(b"of yesterday")
    async with session(emulator, timeout=Timeouts(read=0.1)) as exotel:
        with pytest.raises(kind) as caught:
            await save(exotel, call, target)
    assert getattr(caught.value, "attempts", None) == 4
    assert names(tmp_path) == {"call.mp3"}
    assert target.read_bytes() == b"of yesterday"
    assert len(emulator.downloads) == 4


async def test_it_is_tried_as_often_as_the_policy_says(
    emulator: Emulator, call: Call, tmp_path: Path
) -> None:
    emulator.faults.add(Fault.act_then_cut(), path="exotelrecordings", times=None)
    async with session(emulator, retry=RetryPolicy.never()) as exotel:
        with pytest.raises(
            RequestTimeout, match=r"could not be downloaded from 127\.0\.0\.1:\d+: "
        ):
            await save(exotel, call, tmp_path / "call.mp3")
    assert len(emulator.downloads) == 1
    emulator.faults.clear()
    emulator.faults.add(Fault.answer(503, retry_after=100), path="exotelrecordings", times=None)
    async with session(emulator, retry=RetryPolicy(total=5)) as exotel:
        with pytest.raises(ServerError):
            await save(exotel, call, tmp_path / "call.mp3")
    assert len(emulator.downloads) == 2


async def test_a_host_that_is_away(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path
) -> None:
    async with emulator.unreachable():
        with pytest.raises(ConnectionFailed, match="could not be downloaded from ") as caught:
            await save(exotel, call, tmp_path / "call.mp3")
    host = emulator.base_url.removeprefix("http://")
    assert f" from {host}: " in str(caught.value)
    assert (caught.value.host, caught.value.attempts) == (host, 4)
    assert call.sid in str(caught.value)


async def test_a_file_shorter_than_it_was_said_to_be(library: ModuleType, tmp_path: Path) -> None:
    def answer(_: object) -> Any:
        return library.Response(200, headers={"Content-Length": "9"}, content=b"short")

    async with library.AsyncClient(transport=library.MockTransport(answer)) as client:
        exotel = AsyncExotel(**GIVEN, http_client=client)
        with pytest.raises(RequestTimeout, match="the file is incomplete"):
            await save(exotel, with_links("https://x.example/"), tmp_path / "call.mp3")
        await exotel.aclose()
    assert not names(tmp_path)


async def test_a_page_is_no_recording(tmp_path: Path) -> None:
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        other.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Type: Text/HTML\r\n\r\n<html>log in")
        with pytest.raises(DecodeError, match="it is a page of text"):
            await save(exotel, with_links(other.url), tmp_path / "call.mp3")
    assert not names(tmp_path)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"Recording not found"),
        ("TEXT/Plain; charset=utf-8", b"Recording not found"),
        ("text/csv", b"a,b"),
        ("application/xhtml+xml", b"<html>log in"),
        ("application/xml;charset=utf-8", b"<Error/>"),
        ("application/json", b"[]"),
        ("application/problem+json ; charset=utf-8", b"{}"),
        (None, b"<html>log in</html>"),
        (None, b'{"error": "gone"}'),
        (None, b"\xef\xbb\xbf \r\n\t<!DOCTYPE html>"),
        ("", b"\n<Error><Code>AccessDenied</Code></Error>"),
    ],
)
async def test_what_else_is_a_page(tmp_path: Path, content_type: str | None, body: bytes) -> None:
    said = "" if content_type is None else f"Content-Type: {content_type}\r\n"
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        other.answer = saying(f"HTTP/1.1 200 OK\r\n{said}\r\n".encode() + body)
        with pytest.raises(DecodeError, match="it is a page of text") as caught:
            await save(exotel, with_links(other.url), tmp_path / "call.mp3")
        assert caught.value.status == 200
        assert len(other.heads) == 1
    assert not names(tmp_path)


@pytest.mark.parametrize(
    "content_type",
    [
        *("audio/mpeg", "Audio/x-wav", "application/octet-stream", "binary/octet-stream"),
        *("video/mp4", "application/ogg", "", None),
    ],
)
@pytest.mark.parametrize(
    "begin", [b"ID3\x04", b"RIFF\x24", b"\xff\xfb\x90", b"OggS", b" ", b"\xef"]
)
async def test_a_recording_of_any_other_type_is_taken(
    tmp_path: Path, content_type: str | None, begin: bytes
) -> None:
    said = "" if content_type is None else f"Content-Type: {content_type}\r\n"
    head = f"HTTP/1.1 200 OK\r\n{said}Connection: close\r\n\r\n".encode()
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        other.answer = saying(head + begin)
        target = await save(exotel, with_links(other.url), tmp_path / "call.mp3")
        assert target.read_bytes() == begin
        other.answer = saying(head + begin + AUDIO)
        await save(exotel, with_links(other.url), target)
    assert target.read_bytes() == begin + AUDIO


# What a hostile or broken host sends


BOMB = gzip.compress(bytes(2_000_000))


@pytest.mark.parametrize("encoding", ["gzip", "GZip", "deflate", "br", "identity, gzip", "x"])
async def test_a_compressed_recording_is_refused(tmp_path: Path, encoding: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(BOMB)}"
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        other.answer = saying(f"{head}\r\n\r\n".encode() + BOMB)
        with pytest.raises(DecodeError, match="compressed, though it was asked for as it is"):
            await save(exotel, with_links(other.url), tmp_path / "call.mp3")
        assert len(other.heads) == 1
        assert "accept-encoding: identity" in other.heads[0].lower()
    assert not names(tmp_path)


async def test_what_is_encoded_as_it_is_is_taken(tmp_path: Path) -> None:
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        other.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n\r\n" + AUDIO)
        target = await save(exotel, with_links(other.url), tmp_path / "call.mp3")
    assert target.read_bytes() == AUDIO


@pytest.mark.parametrize("encoding", ["gzip", None])
async def test_a_hook_of_the_users_client_that_has_read_the_answer(
    library: ModuleType, tmp_path: Path, encoding: str | None
) -> None:
    async def read(response: Any) -> None:
        await response.aread()

    said = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    body = BOMB if encoding else AUDIO
    client = library.AsyncClient(event_hooks={"response": [read]})
    async with host() as other, client, AsyncExotel(**GIVEN, http_client=client) as exotel:
        other.answer = saying(f"HTTP/1.1 200 OK\r\n{said}\r\n".encode() + body)
        making = save(exotel, with_links(other.url), tmp_path / "call.mp3")
        if encoding:
            with pytest.raises(DecodeError):
                await making
            assert not names(tmp_path)
        else:
            assert (await making).read_bytes() == AUDIO
        assert len(other.heads) == 1


@pytest.mark.parametrize(
    ("options", "length", "shown"),
    [
        ({}, 2**30 + 1, "max_size=1,073,741,824 bytes"),
        ({"max_size": 9}, 10, "max_size=9 bytes"),
        ({"max_size": 1}, 10**19, "max_size=1 bytes"),
    ],
)
async def test_one_that_says_it_is_too_large_is_not_fetched(
    tmp_path: Path, options: dict[str, int], length: int, shown: str
) -> None:
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length
        other.answer = saying(head, then_wait=60)
        with pytest.raises(DecodeError, match=shown):
            await exotel.calls.download_recording(
                with_links(other.url), tmp_path / "call.mp3", **options
            )
        assert len(other.heads) == 1
    assert not names(tmp_path)


@pytest.mark.usefixtures("library")
async def test_one_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(AUDIO)
            await writer.drain()

    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        other.answer = endless
        with pytest.raises(DecodeError, match="max_size=1,000,000 bytes"):
            await exotel.calls.download_recording(
                with_links(other.url), tmp_path / "call.mp3", max_size=1_000_000
            )
        assert len(other.heads) == 1
        assert not names(tmp_path)
        other.answer = Host.whole
        for most in (len(AUDIO), None):
            await exotel.calls.download_recording(
                with_links(other.url), tmp_path / "call.mp3", max_size=most
            )
    assert (tmp_path / "call.mp3").read_bytes() == AUDIO


async def dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\nab")
    while True:
        writer.write(b"c")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_one_that_drips_does_not_keep_its_place(tmp_path: Path) -> None:
    async with host() as slow, host() as other, AsyncExotel(**GIVEN) as exotel:
        slow.answer = dripping
        made = [
            asyncio.ensure_future(
                exotel.calls.download_recording(
                    with_links(slow.url), tmp_path / f"{n}", idle_timeout=0.2
                )
            )
            for n in range(8)
        ]
        await until(lambda: len(slow.heads) == 4)
        async with asyncio.timeout(30):
            await save(exotel, with_links(other.url), tmp_path / "call.mp3")
            for ended in await asyncio.gather(*made, return_exceptions=True):
                assert isinstance(ended, RequestTimeout)
                assert ended.attempts == 4
                assert "bytes in 0.2 s, and no more" in str(ended)
    assert names(tmp_path) == {"call.mp3"}


@pytest.mark.slow(1)
async def test_one_that_comes_steadily_may_take_longer(tmp_path: Path) -> None:
    async def steadily(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(AUDIO))
        for begin in range(0, len(AUDIO), 5_000):
            writer.write(AUDIO[begin : begin + 5_000])
            await writer.drain()
            await asyncio.sleep(0.05)

    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        other.answer = steadily
        await exotel.calls.download_recording(
            with_links(other.url), tmp_path / "call.mp3", idle_timeout=0.5
        )
        assert len(other.heads) == 1
    assert (tmp_path / "call.mp3").read_bytes() == AUDIO


async def test_one_that_is_silent_through_a_client_that_waits_for_ever(
    library: ModuleType, tmp_path: Path
) -> None:
    class Stalled(library.AsyncByteStream):  # type: ignore[misc, name-defined]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"ab"
            await asyncio.Event().wait()

    transport = library.MockTransport(lambda _: library.Response(200, stream=Stalled()))
    async with library.AsyncClient(transport=transport, timeout=library.Timeout(None)) as client:
        settings = GIVEN | {"retry": RetryPolicy.never(), "http_client": client}
        async with AsyncExotel(**settings, timeout=Timeouts(read=0.1)) as exotel:
            with pytest.raises(RequestTimeout, match=r"2 bytes in 0\.1 s"):
                await save(exotel, with_links("http://127.0.0.1/"), tmp_path / "x")
    assert not names(tmp_path)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("max_size", bad) for bad in (0, -1, 1.5, True, "9", float("nan"))]
    + [("idle_timeout", bad) for bad in (0, -1, True, "9", float("nan"), float("inf"))],
)
async def test_bounds_that_are_none(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path, argument: str, value: Any
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await exotel.calls.download_recording(call, tmp_path / "x", **{argument: value})
    assert caught.value.argument == argument
    assert not emulator.downloads


# Where links may lead


WORLD = GIVEN | {"base_url": "https://api.exotel.com"}
PRIVATE = [
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "localhost",
    "LOCALHOST.",
    "x.localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "169.254.169.254",
    "[fe80::1]",
    "10.0.0.1",
    "metadata.google.internal",
    "emulator",
    "0.0.0.0",  # noqa: S104 - nothing is bound to it
    "224.0.0.1",
]


@pytest.mark.parametrize(
    "there",
    [one for one in PRIVATE if one != "0177.0.0.1"],  # which httpx refuses
)
async def test_a_redirect_into_a_private_network_is_not_followed(
    tmp_path: Path, there: str
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        location = f"http://{there}/latest/meta-data?X-Amz-Signature=canary"
        return httpx.Response(302, headers={"Location": location})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        async with AsyncExotel(**WORLD, http_client=client) as exotel:
            with pytest.raises(APIError, match="points into a private network") as caught:
                await save(exotel, with_links("https://x.example/"), tmp_path / "x")
            assert caught.value.status == 302
            assert "canary" not in f"{caught.value} {vars(caught.value)}"
        assert asked == ["x.example"]
    assert not names(tmp_path)


async def test_a_link_into_a_private_network_is_not_followed(tmp_path: Path) -> None:
    async with host() as inside, AsyncExotel(**WORLD) as exotel:
        port = inside.url.rpartition(":")[2]
        for name in PRIVATE[:9]:
            link = f"http://{name}:{port}/?Signature=canary"
            for call in (with_links(link), with_links(None, link), with_links(link, link)):
                with pytest.raises(InvalidRequest, match="points into a private network") as caught:
                    await save(exotel, call, tmp_path / "x")
                assert caught.value.argument == "call"
                assert "canary" not in f"{caught.value} {vars(caught.value)}"
        assert not inside.heads
    assert not names(tmp_path)


async def test_a_name_that_leads_into_a_private_network(
    tmp_path: Path, names_known: dict[str, list[str]]
) -> None:
    names_known["inside.example"] = ["93.184.216.34", "10.1.2.3"]
    names_known["world.example"] = ["93.184.216.34"]
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(200, content=AUDIO)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        async with AsyncExotel(**WORLD, http_client=client) as exotel:
            with pytest.raises(InvalidRequest, match="private network"):
                await save(exotel, with_links("https://inside.example/"), tmp_path / "x")
            # One nobody knows here may be known to a proxy.
            for name in ("world.example", "unknown.example"):
                await save(exotel, with_links(f"https://{name}/"), tmp_path / "x")
        names_known["home.example"] = ["10.9.9.9"]
        at_home = WORLD | {"base_url": "https://home.example", "http_client": client}
        async with AsyncExotel(**at_home) as exotel:
            for name in ("home.example", "inside.example"):
                await save(exotel, with_links(f"https://{name}/"), tmp_path / "x")
    assert asked == ["world.example", "unknown.example", "home.example", "inside.example"]


async def test_one_link_into_the_world_is_enough(tmp_path: Path) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=AUDIO)

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client,
        AsyncExotel(**WORLD, http_client=client) as exotel,
    ):
        call = with_links("https://x.example/", "http://10.0.0.1/")
        assert (await save(exotel, call, tmp_path / "x")).read_bytes() == AUDIO


# The disk


async def test_what_the_disk_says_comes_out_as_it_is(
    exotel: AsyncExotel, call: Call, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await save(exotel, call, tmp_path / "missing" / "call.mp3")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        await save(exotel, call, tmp_path / "folder")
    assert names(tmp_path) == {"folder"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such files")
async def test_only_a_regular_file_is_replaced(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"of yesterday")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "stdout").symlink_to("/dev/stdout")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/socket")
    there = names(tmp_path)
    downloads = len(emulator.downloads)
    for name in there - {"file"}:
        with pytest.raises(FileExistsError, match="not a regular file") as caught:
            await save(exotel, call, tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)
    for device in ("/dev/null", "/dev/stdout"):
        with pytest.raises(FileExistsError):
            await save(exotel, call, device)
    assert names(tmp_path) == there
    assert (tmp_path / "file").read_bytes() == b"of yesterday"
    assert len(emulator.downloads) == downloads
    await save(exotel, call, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == emulator.recording(call.sid)


@pytest.mark.skipif(resource is None, reason="a disk cannot be made small here")
async def test_a_disk_that_is_full(exotel: AsyncExotel, call: Call, tmp_path: Path) -> None:
    assert resource is not None
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            await save(exotel, call, tmp_path / "call.mp3")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not names(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="there are no such permissions")
async def test_it_is_for_its_owners_eyes_from_the_first_byte(
    exotel: AsyncExotel, tmp_path: Path
) -> None:
    (tmp_path / "call.mp3").touch(0o644)
    before = os.umask(0)
    try:
        async with host() as slow:
            slow.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", then_wait=60)
            making = asyncio.ensure_future(
                save(exotel, with_links(slow.url), tmp_path / "call.mp3")
            )
            await until(lambda: len(names(tmp_path)) == 2)
            (part,) = names(tmp_path) - {"call.mp3"}
            assert re.fullmatch(r"call\.mp3\.\w{8,}\.part", part)
            assert stat.S_IMODE((tmp_path / part).stat().st_mode) == 0o600
            making.cancel()
            with pytest.raises(asyncio.CancelledError):
                await making
            slow.answer = Host.whole
            await save(exotel, with_links(slow.url), tmp_path / "call.mp3")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "call.mp3").stat().st_mode) == 0o600


async def test_no_link_in_the_place_of_a_part_is_followed(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"of yesterday")
    (tmp_path / "call.mp3.part").symlink_to(precious)
    target = await save(exotel, call, tmp_path / "call.mp3")
    assert target.read_bytes() == emulator.recording(call.sid)
    assert precious.read_bytes() == b"of yesterday"
    assert (tmp_path / "call.mp3.part").is_symlink()


async def test_many_at_a_time_to_one_path(exotel: AsyncExotel, tmp_path: Path) -> None:
    """The last one wins, whole, whatever the others are about."""
    sizes = [300_000, 7, 80_000, 200_000, 1, 40_000]
    coming = cycle(sizes)

    def content(size: int) -> bytes:
        return f"{size % 7}".encode() * size

    async def slowly(writer: asyncio.StreamWriter) -> None:
        size = next(coming)
        # Without "close" the next download may take a connection that is about to be closed.
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        writer.write(head % size)
        for begin in range(0, size, 20_000):
            writer.write(content(size)[begin : begin + 20_000])
            await writer.drain()
            await asyncio.sleep(0.002)

    async with host() as other:
        other.answer = slowly
        made = [
            asyncio.ensure_future(save(exotel, with_links(other.url), tmp_path / "call.mp3"))
            for _ in range(12)
        ]
        looks = 0
        while not all(task.done() for task in made):
            with suppress(FileNotFoundError):
                seen = (tmp_path / "call.mp3").read_bytes()
                assert len(seen) in sizes
                assert seen == content(len(seen))
                looks += 1
            await asyncio.sleep(0.001)
        assert await asyncio.gather(*made) == [tmp_path / "call.mp3"] * 12
    assert looks
    assert names(tmp_path) == {"call.mp3"}


async def test_one_that_fails_does_not_disturb_another_to_the_same_path(
    exotel: AsyncExotel, tmp_path: Path
) -> None:
    async with host() as cut, host() as slow:
        cut.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
        slow.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", then_wait=60)
        waiting = asyncio.ensure_future(save(exotel, with_links(slow.url), tmp_path / "x"))
        await until(lambda: names(tmp_path))
        with pytest.raises(RequestTimeout):
            await save(exotel, with_links(cut.url), tmp_path / "x")
        assert len(names(tmp_path)) == 1
        slow.answer = Host.whole
        await save(exotel, with_links(slow.url), tmp_path / "x")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert (tmp_path / "x").read_bytes() == AUDIO
    assert names(tmp_path) == {"x"}


@pytest.mark.parametrize("path", ["", b"call.mp3", None, 7, "\x00", "call.mp3\x00.txt", "\ud800"])
async def test_a_path_that_is_none(exotel: AsyncExotel, call: Call, path: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await save(exotel, call, path)
    assert caught.value.argument == "path"


# Where the credentials go


async def test_a_foreign_host_never_sees_the_credentials(tmp_path: Path) -> None:
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        for call in (with_links(other.url), with_links(None, other.url)):
            target = await save(exotel, call, tmp_path / "call.mp3")
            assert target.read_bytes() == AUDIO
    assert other.saw_credentials() == [False, False]
    assert BASIC not in "".join(other.heads)


@pytest.mark.usefixtures("library")
async def test_credentials_are_decided_on_at_every_hop(tmp_path: Path) -> None:
    async with host() as home, host() as other:
        home.answer = leading_to(f"{other.url}/there")
        answers = iter([leading_to(f"{home.url}/back", 307), Host.whole])
        back = iter([leading_to(other.url, 308), leading_to("/here?Signature=x"), Host.whole])

        async def at_home(writer: asyncio.StreamWriter) -> None:
            await next(back)(writer)

        async def elsewhere(writer: asyncio.StreamWriter) -> None:
            await next(answers)(writer)

        home.answer, other.answer = at_home, elsewhere
        async with AsyncExotel(**GIVEN | {"base_url": home.url}) as exotel:
            target = await save(exotel, with_links(home.url), tmp_path / "call.mp3")
        assert target.read_bytes() == AUDIO
        assert home.saw_credentials() == [True, True, False]
        assert other.saw_credentials() == [False]


@pytest.mark.parametrize(
    ("links", "asked"),
    [
        ({"url": "https://recordings.exotel.com/a"}, [("https://recordings.exotel.com/a", True)]),
        ({"url": "http://recordings.exotel.com/a"}, [("http://recordings.exotel.com/a", False)]),
        ({"url": "https://x.example/a"}, [("https://x.example/a", False)]),
        (
            {"url": "https://api.exotel.com/a?Signature=x"},
            [("https://api.exotel.com/a?Signature=x", False)],
        ),
        (
            {"url": None, "signed": "https://api.exotel.com/a"},
            [("https://api.exotel.com/a", False)],
        ),
        (
            {"url": "https://api.exotel.com/down"},
            [("https://api.exotel.com/down", True), ("http://api.exotel.com/end", False)],
        ),
        (
            {"url": "https://x.example/?to=http://home.example/end"},
            [
                ("https://x.example/?to=http://home.example/end", False),
                ("http://home.example/end", False),
            ],
        ),
        ({"url": "http://home.example/end"}, [("http://home.example/end", True)]),
    ],
)  # fmt: skip
async def test_which_hosts_see_the_credentials(
    tmp_path: Path, links: dict[str, Any], asked: list[tuple[str, bool]]
) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.userinfo == b""
        assert "cookie" not in request.headers
        seen.append((str(request.url), "authorization" in request.headers))
        if request.url.path == "/down":
            return httpx.Response(301, headers={"Location": "http://api.exotel.com/end"})
        if "to" in request.url.params:
            return httpx.Response(303, headers={"Location": request.url.params["to"]})
        return httpx.Response(200, content=AUDIO)

    # What a client of the user's own brings along is for the service alone.
    client = httpx.AsyncClient(
        transport=httpx.MockTransport(answer),
        auth=("canary-key", "canary-token"),
        headers={"Authorization": f"Basic {BASIC}", "Cookie": "tenant=one"},
        cookies={"session": "canary"},
        follow_redirects=True,
    )
    async with client:
        home = {"base_url": "http://home.example", "allow_http": True}
        exotel = AsyncExotel(**GIVEN | home, http_client=client)
        target = await save(exotel, with_links(**links), tmp_path / "call.mp3")
        await exotel.aclose()
    assert target.read_bytes() == AUDIO
    assert seen == asked


async def test_the_wrong_token(emulator: Emulator, call: Call, tmp_path: Path) -> None:
    plain = evolve(call, presigned_recording_url=None)
    async with session(emulator, api_token="wrong") as exotel:
        with pytest.raises(AuthenticationError):
            await save(exotel, plain, tmp_path / "call.mp3")
    assert len(emulator.downloads) == 1


@pytest.mark.parametrize("location", ["/", "ftp://x.example/canary", "file:///canary", "//["])
async def test_redirects_that_lead_nowhere(tmp_path: Path, location: str) -> None:
    async with host() as other, AsyncExotel(**GIVEN | {"base_url": other.url}) as exotel:
        other.answer = leading_to(location)
        with pytest.raises(APIError) as caught:
            await save(exotel, with_links(other.url), tmp_path / "call.mp3")
    assert caught.value.status == 302
    assert "redirected more than 5 times" in str(caught.value) or "not a web address" in str(
        caught.value
    )
    assert len(other.heads) == (6 if location == "/" else 1)
    assert "canary" not in f"{vars(caught.value)}"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x.example/", "/x.mp3", "https://a@b"])
async def test_links_that_are_none(exotel: AsyncExotel, tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await save(exotel, with_links(url, url), tmp_path / "call.mp3")
    assert (caught.value.argument, caught.value.sid) == ("call", with_links(url).sid)
    assert url not in str(caught.value)
    assert not names(tmp_path)


async def test_one_link_that_is_one_is_enough(tmp_path: Path) -> None:
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        await save(exotel, with_links(other.url, "s3:x"), tmp_path / "call.mp3")


@pytest.mark.parametrize("call", [None, "", "a b", b"a1", {"sid": "a1"}])
async def test_what_is_no_call(exotel: AsyncExotel, tmp_path: Path, call: Any) -> None:
    with pytest.raises(InvalidRequest, match="call="):
        await save(exotel, call, tmp_path / "call.mp3")


async def test_nothing_secret_shows(
    library: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    core = library.__name__.replace("httpx", "httpcore")
    for name in ("exotel_async", library.__name__, f"{core}.http11", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    async with host() as home:
        retry = RetryPolicy(attempts=2, backoff=0.001)
        async with AsyncExotel(**GIVEN | {"retry": retry, "base_url": home.url}) as exotel:
            answers = [
                b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncanary",
                b"HTTP/1.1 403 No\r\nX-Echo: canary-token 09898767654\r\nX: %b\r\n\r\n"
                % BASIC.encode(),
                b"HTTP/1.1 302 No\r\nLocation: https://canary@x.example/09898767654\r\n\r\n",
                b"garbage canary 09898767654\r\n\r\n",
            ]
            for answer in answers:
                home.answer = saying(answer)
                link = f"{home.url}/canary/09898767654.mp3?canary"
                call = with_links(link, f"{link}&Signature=canary")
                with pytest.raises(ExotelError) as caught:
                    await save(exotel, call, tmp_path / "call.mp3")
                error = caught.value
                shown = "".join(traceback.format_exception(error))
                kept = str(vars(error))
                for text in (shown, kept, str(error.args), str(call)):
                    assert "canary-token" not in text
                    assert BASIC not in text
                    assert text is kept or "9898767654" not in text
                    assert "Signature" not in text
    assert "canary" not in caplog.text
    assert "9898767654" not in caplog.text


# Not there


def call_of(age: timedelta | None, **fields: Any) -> Call:
    if age is not None:
        fields["ended_at"] = datetime.now(UTC) - age
    known: dict[str, Any] = {"status": CallStatus.COMPLETED, **fields}
    return Call(sid="a1", **known)


@pytest.mark.parametrize(
    "make",
    [
        lambda: call_of(None, status=CallStatus.IN_PROGRESS),
        lambda: call_of(None, status=CallStatus("on-hold")),
        lambda: call_of(None, status=None),
        lambda: call_of(timedelta(hours=5), status=CallStatus.IN_PROGRESS),
        lambda: call_of(timedelta(minutes=14)),
        lambda: call_of(timedelta(0), status=CallStatus.BUSY),
        lambda: call_of(timedelta(minutes=-3)),
        lambda: call_of(None),
        lambda: call_of(None, updated_at=datetime.now(UTC)),
        lambda: call_of(None, created_at=datetime.now(UTC) - timedelta(minutes=10)),
        lambda: call_of(timedelta(minutes=1), created_at=LONG_AGO, updated_at=LONG_AGO),
    ],
)
async def test_not_ready_yet(exotel: AsyncExotel, tmp_path: Path, make: Callable[[], Call]) -> None:
    call = make()
    with pytest.raises(RecordingNotReady) as caught:
        await save(exotel, call, tmp_path / "call.mp3")
    assert caught.value.sid == call.sid
    ended = call.ended_at or call.updated_at or call.created_at
    due = ended + timedelta(minutes=15) if ended and call.is_final else None
    assert caught.value.available_by == due
    assert caught.value.available_by is None or caught.value.available_by.tzinfo is UTC


@pytest.mark.parametrize(
    "call",
    [
        call_of(timedelta(minutes=16)),
        call_of(timedelta(days=90), status=CallStatus.NO_ANSWER),
        call_of(None, updated_at=LONG_AGO),
        call_of(None, created_at=LONG_AGO),
        call_of(timedelta(hours=1), updated_at=datetime.now(UTC)),
    ],
)
async def test_no_recording(exotel: AsyncExotel, tmp_path: Path, call: Call) -> None:
    with pytest.raises(NoRecording, match="call a1 has no recording") as caught:
        await save(exotel, call, tmp_path / "call.mp3")
    assert caught.value.sid == "a1"


def unanswered(status: CallStatus = CallStatus.BUSY, **fields: Any) -> Call:
    """A call of a minute ago, between two numbers if it is not said otherwise."""
    known: dict[str, Any] = {
        "from_": AGENT,
        "to": CUSTOMER,
        "exophone": EXOPHONE,
        "direction": Direction.OUTBOUND_API,
    }
    return call_of(timedelta(minutes=1), status=status, **(known | fields))


SETTLED: dict[str, Any] = {"duration": timedelta(seconds=20), "price": Decimal("0.000")}
TO_A_FLOW: list[dict[str, Any]] = [{"to": None}, {"to": EXOPHONE}, {"to": f"+91{EXOPHONE[1:]}"}]


@pytest.mark.parametrize(
    "call",
    [
        *(
            unanswered(status, **SETTLED)
            for status in CallStatus
            if status.is_final and status is not CallStatus.COMPLETED
        ),
        *(unanswered(**to) for to in TO_A_FLOW),
        unanswered(details=CallDetails(leg1_status=CallStatus.NO_ANSWER)),
        unanswered(**SETTLED, answered_by=AnsweredBy.NOT_APPLICABLE),
    ],
)
async def test_no_recording_where_nobody_has_answered(
    exotel: AsyncExotel, tmp_path: Path, call: Call
) -> None:
    with pytest.raises(NoRecording):
        await save(exotel, call, tmp_path / "call.mp3")


@pytest.mark.parametrize(
    "call",
    [
        unanswered(),
        unanswered(CallStatus.COMPLETED, **SETTLED),
        # The first party was on the line while the second one rang.
        unanswered(**(SETTLED | {"price": Decimal("0.5")})),
        unanswered(**SETTLED, details=CallDetails(leg1_status=CallStatus.COMPLETED)),
        unanswered(**SETTLED, answered_by=AnsweredBy.HUMAN),
        unanswered(to=None, answered_by=AnsweredBy.MACHINE),
        # A caller who did not reach the agent may have spoken to a machine.
        unanswered(direction=Direction.INBOUND, to=EXOPHONE),
        unanswered(to=None, exophone=None),
    ],
)
async def test_a_recording_may_come_where_somebody_may_have_answered(
    exotel: AsyncExotel, tmp_path: Path, call: Call
) -> None:
    with pytest.raises(RecordingNotReady):
        await save(exotel, call, tmp_path / "call.mp3")


async def test_no_recording_of_a_call_that_was_busy(
    emulator: Emulator, exotel: AsyncExotel, tmp_path: Path
) -> None:
    emulator.scenario = Scenario(busy=1.0, no_answer=0.0, failed=0.0, settle=(1, 1))
    made = await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE, record=True)
    await emulator.finish_calls()
    call = await exotel.calls.wait(made.sid, settled=True, interval=0.05)
    assert call.status is CallStatus.BUSY
    with pytest.raises(NoRecording):
        await save(exotel, call, tmp_path / "call.mp3")


NOT_FOUND = b"HTTP/1.1 404 Not Found\r\n\r\n"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\nsoon"
GONE = b"HTTP/1.1 410 Gone\r\n\r\n"


@pytest.mark.parametrize("answer", [NOT_FOUND, FORBIDDEN, EMPTY, NO_CONTENT, ACCEPTED, GONE])
@pytest.mark.parametrize("signed", [True, False])
async def test_a_link_that_leads_to_nothing(tmp_path: Path, answer: bytes, *, signed: bool) -> None:
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        other.answer = saying(answer)
        link = f"{other.url}/?Signature=x" if signed else other.url
        links = {"presigned_recording_url" if signed else "recording_url": link}
        going_on = {"status": CallStatus.IN_PROGRESS}
        for recent in (call_of(timedelta(minutes=14), **links), call_of(None, **links | going_on)):
            with pytest.raises(RecordingNotReady):
                await save(exotel, recent, tmp_path / "call.mp3")
        with pytest.raises(PermissionDenied if answer is FORBIDDEN else NoRecording):
            await save(exotel, call_of(timedelta(minutes=16), **links), tmp_path / "call.mp3")
        assert len(other.heads) == 3
    assert not names(tmp_path)


async def test_an_empty_file_at_the_first_link(tmp_path: Path) -> None:
    async with host() as empty, host() as other, AsyncExotel(**GIVEN) as exotel:
        empty.answer = saying(EMPTY)
        call = with_links(other.url, empty.url)
        target = await save(exotel, call, tmp_path / "call.mp3")
    assert target.read_bytes() == AUDIO


async def test_a_page_at_the_first_link(tmp_path: Path) -> None:
    async with host() as login, host() as other, AsyncExotel(**GIVEN) as exotel:
        login.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>")
        target = await save(exotel, with_links(other.url, login.url), tmp_path / "call.mp3")
    assert target.read_bytes() == AUDIO


async def test_a_recording_becomes_ready(
    emulator: Emulator, exotel: AsyncExotel, tmp_path: Path
) -> None:
    emulator.recording_ready = 180
    made = await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE, record=True)
    with pytest.raises(RecordingNotReady, match="was not over"):
        await save(exotel, made, tmp_path / "call.mp3")
    await emulator.finish_calls()
    call = await exotel.calls.get(made.sid)
    assert call.recording_url is not None
    with pytest.raises(RecordingNotReady, match="15 minutes"):
        await save(exotel, call, tmp_path / "call.mp3")
    emulator.recording_ready = 0
    await save(exotel, call, tmp_path / "call.mp3")


async def test_it_goes_by_the_clock_of_the_service(exotel: AsyncExotel, tmp_path: Path) -> None:
    exotel._pipeline.server_clock.saw("Mon, 02 Mar 2026 06:05:05 GMT")
    ended = datetime(2026, 3, 2, 5, 50, 6, tzinfo=UTC)
    with pytest.raises(RecordingNotReady):
        await save(exotel, call_of(None, ended_at=ended + timedelta(minutes=1)), tmp_path / "x")
    with pytest.raises(NoRecording):
        await save(exotel, call_of(None, ended_at=ended - timedelta(minutes=1)), tmp_path / "x")


# Leaving


@pytest.mark.usefixtures("library")
async def test_cancelled_in_the_middle(emulator: Emulator, tmp_path: Path) -> None:
    async with host() as slow, session(emulator) as exotel:
        slow.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", then_wait=60)
        target = tmp_path / "call.mp3"
        for _ in range(40):  # as many as the pool has connections
            made = asyncio.ensure_future(save(exotel, with_links(slow.url), target))
            await until(lambda: names(tmp_path))
            made.cancel()
            with pytest.raises(asyncio.CancelledError):
                await made
            assert not names(tmp_path)
            assert not tasks()
        slow.answer = Host.whole
        await save(exotel, with_links(slow.url), target)
        assert (await exotel.account.balance()).currency == "INR"


async def test_a_deadline_of_the_callers_own(tmp_path: Path) -> None:
    async with host() as slow, AsyncExotel(**GIVEN) as exotel:
        slow.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", then_wait=60)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await save(exotel, with_links(slow.url), tmp_path / "call.mp3")
        assert not names(tmp_path)
        with anyio.move_on_after(0.1) as scope:
            await save(exotel, with_links(slow.url), tmp_path / "call.mp3")
        assert scope.cancelled_caught
        assert not names(tmp_path)
        assert not tasks()


async def cut_off_here_and_there(exotel: AsyncExotel, call: Call, folder: Path) -> None:
    """Start more than there are places for, and leave after another while each time."""
    for n in range(40):
        made = [asyncio.ensure_future(save(exotel, call, folder / f"{m}")) for m in range(12)]
        for _ in range(n):
            await asyncio.sleep(0)
        if n % 4 == 0:
            await asyncio.sleep(n / 2000)
        for leaving in made:
            leaving.cancel()
        ended = await asyncio.gather(*made, return_exceptions=True)
        assert all(isinstance(end, Path | asyncio.CancelledError) for end in ended)
        assert "part" not in f"{names(folder)}"
    await until(lambda: not tasks())
    assert "part" not in f"{names(folder)}"


@pytest.mark.slow
async def test_cancelled_at_any_moment(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path
) -> None:
    await cut_off_here_and_there(exotel, call, tmp_path)
    for name in names(tmp_path):
        assert (tmp_path / name).read_bytes() == emulator.recording(call.sid)


@pytest.mark.slow
async def test_cancelled_at_any_moment_on_few_connections(
    library: ModuleType, emulator: Emulator, call: Call, tmp_path: Path
) -> None:
    """In a pool that is full a cancelled request may take a connection with it."""
    client = library.AsyncClient(limits=library.Limits(max_connections=2))
    async with client, session(emulator, http_client=client, max_in_flight=1) as exotel:
        await cut_off_here_and_there(exotel, call, tmp_path)
        pool = client._transport._pool
        assert [held for held in pool.connections if not held.is_idle()] == []
        async with asyncio.timeout(SOON):
            await save(exotel, call, tmp_path / "call.mp3")


@pytest.mark.slow(1)
async def test_a_caller_does_not_wait_for_an_answer_it_does_not_want(tmp_path: Path) -> None:
    async with host() as silent, AsyncExotel(**GIVEN, timeout=Timeouts(read=1.0)) as exotel:
        silent.answer = saying(b"", then_wait=60)
        made = asyncio.ensure_future(save(exotel, with_links(silent.url), tmp_path / "x"))
        await until(lambda: silent.heads)
        made.cancel()
        with pytest.raises(asyncio.CancelledError):
            await made
        assert len(tasks()) == 1
        await until(lambda: not tasks())
    assert len(silent.heads) == 1


async def test_how_one_ends_that_was_left_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(NOT_FOUND)

    async with host() as silent, AsyncExotel(**GIVEN) as exotel:
        silent.answer = late
        made = asyncio.ensure_future(save(exotel, with_links(silent.url), tmp_path / "x"))
        await until(lambda: silent.heads)
        made.cancel()
        with pytest.raises(asyncio.CancelledError):
            await made
        assert len(tasks()) == 1
        go_on.set()
        await until(lambda: not tasks())
        gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_closing_the_session_ends_a_download(tmp_path: Path) -> None:
    async with host() as slow, host() as silent:
        slow.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", then_wait=60)
        silent.answer = saying(b"", then_wait=60)
        exotel = AsyncExotel(**GIVEN)
        made = [
            asyncio.ensure_future(save(exotel, with_links(url), tmp_path / name))
            for url, name in ((slow.url, "a"), (silent.url, "b"))
        ]
        await until(lambda: names(tmp_path) and silent.heads)
        await exotel.aclose(grace=0.1)
        for ended in await asyncio.gather(*made, return_exceptions=True):
            assert isinstance(ended, ConfigurationError)
        assert not names(tmp_path)
        assert not tasks()
        with pytest.raises(ConfigurationError, match="closed"):
            await save(exotel, with_links(slow.url), tmp_path / "a")


async def test_a_client_that_was_closed(library: ModuleType, tmp_path: Path) -> None:
    client = library.AsyncClient(transport=library.MockTransport(lambda _: library.Response(200)))
    exotel = AsyncExotel(**GIVEN, http_client=client)
    await client.aclose()
    with pytest.raises(ConnectionFailed, match="HTTP client is closed"):
        await save(exotel, with_links("https://x.example/"), tmp_path / "call.mp3")
    await exotel.aclose()


async def test_a_part_that_is_begun_when_it_is_discarded_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing a session cuts a download off while a thread makes its file."""
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()
    make: Callable[..., tuple[int, str]] = tempfile.mkstemp

    def slow(**options: Any) -> tuple[int, str]:
        begun.set()
        go_on.wait(SOON)
        return make(**options)

    def write(part: download.PartialFile, chunk: bytes) -> None:
        written(part, chunk)
        done.set()

    written = download.PartialFile._write
    monkeypatch.setattr(tempfile, "mkstemp", slow)
    monkeypatch.setattr(download.PartialFile, "_write", write)
    part = download.PartialFile(tmp_path / "call.mp3")
    writing = asyncio.create_task(part.write(b"audio"))
    await asyncio.to_thread(begun.wait, SOON)
    writing.cancel()
    discarding = asyncio.create_task(part.discard())
    await asyncio.sleep(0.05)  # what does not wait for the thread is done by then
    go_on.set()
    await asyncio.to_thread(done.wait, SOON)
    await asyncio.wait({writing, discarding})
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - which blocks no longer than this

"""Recordings as they come, and recordings by what else names them: an SID, or a link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from exotel_async import (
    APIError,
    AsyncExotel,
    Call,
    CallStatus,
    ConfigurationError,
    DecodeError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Recording,
    RequestTimeout,
)
from exotel_async.emulator import Emulator, Fault
from exotel_async.errors import NoRecording, RecordingNotReady
from tests.calls.test_download_recording import (
    ACCEPTED,
    AUDIO,
    EMPTY,
    FORBIDDEN,
    GIVEN,
    GONE,
    NO_CONTENT,
    NOT_FOUND,
    RECORDED,
    WORLD,
    call,
    emulator,
    host,
    leading_to,
    names_known,
    saying,
    tasks,
    until,
    with_links,
)
from tests.conftest import SOON

__all__ = ["call", "emulator", "names_known"]


async def whole(recording: Recording) -> bytes:
    async with recording:
        return b"".join([chunk async for chunk in recording])


# A stream


async def test_it_comes_as_it_is(emulator: Emulator, exotel: AsyncExotel, call: Call) -> None:
    audio = emulator.recording(call.sid)
    async with exotel.calls.open_recording(call) as recording:
        assert (recording.content_type, recording.size) == ("audio/mpeg", len(audio))
        assert b"".join([chunk async for chunk in recording]) == audio
        assert [chunk async for chunk in recording] == []
    assert [(made.authorization, made.signed) for made in emulator.downloads] == [(False, True)]
    assert not tasks()


async def test_its_host_need_not_say_what_it_is() -> None:
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        other.answer = saying(b"HTTP/1.1 200 OK\r\n\r\n" + AUDIO)
        async with exotel.calls.open_recording(with_links(other.url)) as recording:
            assert (recording.content_type, recording.size) == (None, None)
            assert b"".join([chunk async for chunk in recording]) == AUDIO


async def test_nothing_is_read_ahead() -> None:
    pulled = 0

    class Long(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            nonlocal pulled
            while True:
                pulled += 1
                yield AUDIO

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Long()))
    async with (
        httpx.AsyncClient(transport=transport) as client,
        AsyncExotel(**GIVEN, http_client=client) as exotel,
        exotel.calls.open_recording(with_links("http://127.0.0.1/")) as recording,
    ):
        for taken in range(1, 10):
            assert await anext(recording) == AUDIO
            for _ in range(20):
                await asyncio.sleep(0)
            assert pulled <= taken + 1


@pytest.mark.parametrize(
    "answer", [EMPTY, NOT_FOUND, b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>"]
)
async def test_the_next_link_is_tried_as_long_as_nothing_came(answer: bytes) -> None:
    async with host() as first, host() as other, AsyncExotel(**GIVEN) as exotel:
        first.answer = saying(answer)
        made = exotel.calls.open_recording(with_links(other.url, first.url))
        assert await whole(made) == AUDIO


async def test_it_is_tried_again_as_long_as_nothing_came(
    emulator: Emulator, exotel: AsyncExotel, call: Call
) -> None:
    emulator.faults.add(Fault.answer(503), path="exotelrecordings", times=2)
    emulator.faults.add(Fault.act_then_drop(), path="exotelrecordings")
    assert await whole(exotel.calls.open_recording(call)) == emulator.recording(call.sid)
    assert len(emulator.downloads) == 4


async def test_what_breaks_off_is_told_and_not_begun_again() -> None:
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        other.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
        came = b""
        async with exotel.calls.open_recording(with_links(other.url, other.url)) as recording:
            with pytest.raises(RequestTimeout, match="the recording of call a1 could not"):
                async for chunk in recording:
                    came += chunk
        assert came == b"ab"
        assert len(other.heads) == 1
        assert not tasks()


async def test_its_bounds_hold() -> None:
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        other.answer = saying(b"HTTP/1.1 200 OK\r\n\r\n" + AUDIO)
        with pytest.raises(DecodeError, match="max_size=10 bytes"):
            await whole(exotel.calls.open_recording(with_links(other.url), max_size=10))
        other.answer = saying(b"HTTP/1.1 200 OK\r\n\r\nab", then_wait=60)
        with pytest.raises(RequestTimeout, match=r"2 bytes in 0\.1 s"):
            await whole(exotel.calls.open_recording(with_links(other.url), idle_timeout=0.1))
        for bad in ({"max_size": 0}, {"idle_timeout": -1}):
            with pytest.raises(InvalidRequest, match=next(iter(bad))):
                exotel.calls.open_recording(with_links(other.url), **bad)


async def test_what_is_not_there_is_told_at_the_door(exotel: AsyncExotel) -> None:
    for missing, kind in (
        (with_links(None), NoRecording),
        (with_links(None, status=CallStatus.IN_PROGRESS), RecordingNotReady),
    ):
        with pytest.raises(kind):
            async with exotel.calls.open_recording(missing):
                pytest.fail("it is open")
    assert not tasks()


async def test_leaving_early_leaves_nothing() -> None:
    async with host() as slow, AsyncExotel(**GIVEN) as exotel:
        slow.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", then_wait=60)
        for _ in range(6):  # more than may run at a time
            async with exotel.calls.open_recording(with_links(slow.url)) as recording:
                assert await anext(recording) == b"ab"
            assert not tasks()
        with pytest.raises(RuntimeError, match="was left"):
            await anext(recording)
        opening = asyncio.ensure_future(whole(exotel.calls.open_recording(with_links(slow.url))))
        await until(lambda: len(slow.heads) == 7)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await until(lambda: not tasks())


async def test_another_task_does_not_take_a_part_for_the_whole() -> None:
    async with host() as slow, AsyncExotel(**GIVEN) as exotel:
        slow.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", then_wait=60)
        async with exotel.calls.open_recording(with_links(slow.url)) as recording:
            assert await anext(recording) == b"ab"
            reading = asyncio.ensure_future(anext(recording))
            for _ in range(20):
                await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="was left"):
            await reading


async def test_closing_the_session_ends_it() -> None:
    async with host() as slow:
        slow.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", then_wait=60)
        exotel = AsyncExotel(**GIVEN)
        async with exotel.calls.open_recording(with_links(slow.url)) as recording:
            assert await anext(recording) == b"ab"
            reading = asyncio.ensure_future(anext(recording))
            await asyncio.sleep(0)
            await exotel.aclose(grace=0)
            async with asyncio.timeout(SOON):
                for ended in (reading, anext(recording)):
                    with pytest.raises(ConfigurationError, match="closed"):
                        await ended
        with pytest.raises(ConfigurationError, match="closed"):
            async with exotel.calls.open_recording(with_links(slow.url)):
                pytest.fail("it is open")


async def test_it_is_read_once_and_in_its_block(exotel: AsyncExotel, call: Call) -> None:
    recording = exotel.calls.open_recording(call)
    with pytest.raises(RuntimeError, match="async with"):
        await anext(recording)
    with pytest.raises(RuntimeError, match="async with"):
        assert recording.size
    await whole(recording)
    with pytest.raises(RuntimeError, match="read once"):
        await whole(recording)


# By an SID, or a link


async def test_by_its_sid(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path
) -> None:
    requests = len(emulator.requests)
    audio = emulator.recording(call.sid)
    assert await whole(exotel.calls.open_recording(call.sid)) == audio
    target = await exotel.calls.download_recording(call.sid, tmp_path / "call.mp3")
    assert target.read_bytes() == audio
    assert len(emulator.requests) == requests + 2
    for made in (exotel.calls.open_recording("0" * 32),):
        with pytest.raises(NotFound, match="call was not found"):
            await whole(made)


@pytest.mark.parametrize("signed", [True, False])
async def test_by_a_link(
    emulator: Emulator, exotel: AsyncExotel, call: Call, tmp_path: Path, *, signed: bool
) -> None:
    requests = len(emulator.requests)
    link = call.presigned_recording_url if signed else call.recording_url
    assert link is not None
    target = await exotel.calls.download_recording(link, tmp_path / "call.mp3")
    assert target.read_bytes() == emulator.recording(call.sid)
    assert await whole(exotel.calls.open_recording(link)) == emulator.recording(call.sid)
    seen = [(made.authorization, made.signed) for made in emulator.downloads]
    assert seen == [(not signed, signed)] * 2
    assert len(emulator.requests) == requests


async def test_a_link_elsewhere_does_not_see_the_credentials(tmp_path: Path) -> None:
    async with host() as home, host() as other:
        home.answer = leading_to(other.url)
        async with AsyncExotel(**GIVEN | {"base_url": home.url}) as exotel:
            for link in (other.url, f"{home.url}/a", f"{home.url}/a?X-Amz-Signature=x"):
                await exotel.calls.download_recording(link, tmp_path / "call.mp3")
                assert await whole(exotel.calls.open_recording(link)) == AUDIO
    assert other.saw_credentials() == [False] * 6
    assert home.saw_credentials() == [True, True, False, False]


@pytest.mark.parametrize("there", ["127.0.0.1", "169.254.169.254", "localhost", "[::1]"])
async def test_a_link_into_a_private_network_is_not_followed(tmp_path: Path, there: str) -> None:
    link = f"http://{there}/09812300001?Signature=canary"

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "x.example"
        return httpx.Response(302, headers={"Location": link})

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client,
        AsyncExotel(**WORLD, http_client=client) as exotel,
    ):
        for asked, kind in ((link, InvalidRequest), ("https://x.example/", APIError)):
            for made in (
                whole(exotel.calls.open_recording(asked)),
                exotel.calls.download_recording(asked, tmp_path / "x"),
            ):
                with pytest.raises(kind, match="private network") as caught:
                    await made
                assert "canary" not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.parametrize(
    "link",
    [
        "file:///etc/canary",
        "ftp://x.example/canary",
        "/canary.mp3",
        "https://canary@b",
        "s3:canary",
    ],
)
async def test_what_is_no_link(exotel: AsyncExotel, tmp_path: Path, link: str) -> None:
    with pytest.raises(InvalidRequest, match="call=") as caught:
        exotel.calls.open_recording(link)
    assert "canary" not in f"{caught.value} {vars(caught.value)}"
    with pytest.raises(InvalidRequest, match="call="):
        await exotel.calls.download_recording(link, tmp_path / "x")


@pytest.mark.parametrize(
    ("answer", "status"),
    [(NOT_FOUND, 404), (EMPTY, 200), (NO_CONTENT, 204), (ACCEPTED, 202), (GONE, 410)],
)
async def test_a_link_that_leads_to_nothing(answer: bytes, status: int) -> None:
    """Of the call nothing is known: whether a recording may come, neither."""
    async with host() as other, AsyncExotel(**GIVEN) as exotel:
        other.answer = saying(answer)
        with pytest.raises(NotFound, match="the recording link does not open") as caught:
            await whole(exotel.calls.open_recording(f"{other.url}/09812300001"))
        assert caught.value.status == status
        other.answer = saying(FORBIDDEN)
        with pytest.raises(PermissionDenied):
            await whole(exotel.calls.open_recording(other.url))


async def test_the_link_a_passthru_brings(emulator: Emulator, exotel: AsyncExotel) -> None:
    sid = emulator.add_call(RECORDED).sid
    await emulator.finish_calls()
    link = (await exotel.calls.get(sid)).recording_url
    from exotel_async.webhooks import PassthruRequest  # noqa: PLC0415 - as an application has it

    query = str(httpx.QueryParams({"CallSid": sid, "RecordingUrl": link or ""}))
    request = PassthruRequest.from_query(query)
    assert request.recording_url is not None
    assert await whole(exotel.calls.open_recording(request.recording_url)) == emulator.recording(
        sid
    )

"""Recordings: who may have one, when it is there, and what goes wrong with a download."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from exotel_async.emulator import Dial, Download, Emulator, Fault, Scenario
from tests.conftest import TLS
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, StoppedClock, dial

RECORDED = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE, record=True)
FRAME = 36


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """One whose rate window has room for nothing but what shows a recording's URL."""
    async with Emulator(rate=3, per=3600, scenario=Scenario.all_answered()) as running:
        yield running


@pytest.fixture
async def stranger() -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials."""
    async with httpx.AsyncClient(trust_env=False, verify=TLS) as running:
        yield running


async def shown(client: httpx.AsyncClient, sid: str, **query: str) -> tuple[str, str]:
    """The plain URL and the pre-signed one of a call's recording."""
    answer = await client.get(f"Calls/{sid}.json", params=query)
    call = answer.json()["Call"]
    return call["RecordingUrl"], call["PreSignedRecordingUrl"]


def add(emulator: Emulator, *, hours: float = 1) -> str:
    return emulator.add_call(RECORDED, ago=timedelta(hours=hours)).sid


def told(download: Download) -> tuple[bool, bool, int | None]:
    return download.authorization, download.signed, download.status


async def test_with_credentials_or_by_signature(
    emulator: Emulator, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    sid = add(emulator)
    plain, signed = await shown(client, sid)
    for answer in (await client.get(plain), await stranger.get(signed)):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "audio/mpeg"
        assert answer.content == emulator.recording(sid)
    assert (await stranger.get(plain)).status_code == 401
    assert (await client.get(plain, auth=("who", "knows"))).status_code == 401
    assert (await client.get(signed)).status_code == 400, "one mechanism only, says S3"
    assert {download.sid for download in emulator.downloads} == {sid}
    assert [told(download) for download in emulator.downloads] == [
        (True, False, 200),
        (False, True, 200),
        (False, False, 401),
        (True, False, 401),
        (True, True, 400),
    ]


async def test_downloads_are_no_requests_for_the_api(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    plain, _ = await shown(client, add(emulator))
    for _ in range(10):
        assert (await client.get(plain)).status_code == 200
    assert len(emulator.requests) == emulator.statistics().requests == 1
    assert emulator.refused == 0
    emulator.reset()
    assert list(emulator.downloads) == []


async def test_its_frames_are_mpeg_and_as_long_as_the_talk(emulator: Emulator) -> None:
    """16,000 samples a second, 576 of them in each frame."""
    for talk, seconds in ((7, 7), (30, 30), (90, 60)):
        emulator.scenario = Scenario.all_answered(talk=talk)
        audio = emulator.recording(add(emulator))
        frames = [audio[start : start + FRAME] for start in range(0, len(audio), FRAME)]
        # Sync, MPEG-2 Layer III without CRC; 8 kbit/s at 16 kHz; mono
        assert {frame[:4] for frame in frames} == {b"\xff\xf3\x18\xc0"}
        assert {len(frame) for frame in frames} == {FRAME}
        assert abs(len(frames) * 576 / 16_000 - seconds) < 0.1


@pytest.mark.parametrize(("query", "seconds"), [({}, 300), ({"RecordingUrlValidity": "7"}, 420)])
async def test_a_signature_expires_by_the_emulators_clock(
    emulator: Emulator,
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    query: dict[str, str],
    seconds: int,
) -> None:
    clock = StoppedClock(emulator)
    sid = add(emulator)
    _, signed = await shown(client, sid, **query)
    clock.seconds += seconds - 2  # the date in the URL has whole seconds
    assert (await stranger.get(signed)).status_code == 200
    clock.seconds += 2
    assert (await stranger.get(signed)).status_code == 403
    _, again = await shown(client, sid)
    assert (await stranger.get(again)).status_code == 200


async def test_a_signature_opens_what_it_was_made_for(
    emulator: Emulator, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    sid, other = add(emulator), add(emulator)
    _, signed = await shown(client, sid)
    forged = [
        signed.replace(sid, other),
        signed.replace("X-Amz-Expires=300", "X-Amz-Expires=3600"),
        signed.replace("X-Amz-Date=20", "X-Amz-Date=21"),
        signed[:-1] + ("0" if signed[-1] != "0" else "1"),
        signed.partition("?")[0] + "?X-Amz-Signature=",
    ]
    for url in forged:
        assert (await stranger.get(url)).status_code == 403, url


async def test_the_url_shows_before_the_recording_is_there(
    emulator: Emulator, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    """Values settle 120 s after the end, and this recording takes 180."""
    emulator.recording_ready = 180
    sid = await dial(client, Record="true")
    await emulator.finish_calls()
    plain, signed = await shown(client, sid)
    assert (await client.get(plain)).status_code == 404
    assert (await stranger.get(signed)).status_code == 404
    call = emulator.calls[sid]
    call.run_ahead(call.timeline.ended + 180)
    assert (await client.get(plain)).status_code == 200
    assert (await stranger.get(signed)).status_code == 200


async def test_what_is_no_recording_is_404(emulator: Emulator, client: httpx.AsyncClient) -> None:
    sid = add(emulator)
    plain, _ = await shown(client, sid)
    silent = emulator.add_call(
        Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE), ago=timedelta(hours=1)
    ).sid
    for url in (
        plain.replace(sid, silent),
        plain.replace(sid, "unknown"),
        plain.replace("acme1", "other1"),
        plain.removesuffix(".mp3"),
        f"{emulator.base_url}/exotelrecordings/",
    ):
        assert (await client.get(url)).status_code == 404, url
    assert (await client.get(plain)).status_code == 200
    emulator.forget(sid)
    assert (await client.get(plain)).status_code == 404


async def test_the_plain_url_may_lead_on_to_the_signed_one(
    emulator: Emulator, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    emulator.recording_redirect = True
    sid = add(emulator)
    plain, signed = await shown(client, sid)
    answer = await client.get(plain)
    assert answer.status_code == 302
    followed = await stranger.get(answer.headers["location"])
    assert followed.content == (await stranger.get(signed)).content == emulator.recording(sid)
    careless = await client.get(plain, follow_redirects=True)
    assert careless.status_code == 400, "it has taken its credentials along"
    assert (await stranger.get(plain)).status_code == 401


async def test_faults_of_downloads(emulator: Emulator, client: httpx.AsyncClient) -> None:
    sid = add(emulator)
    plain, _ = await shown(client, sid)

    def order(fault: Fault) -> None:
        emulator.faults.add(fault, path="exotelrecordings")

    order(Fault.drop_before())
    assert (await client.get("Balance.json")).status_code == 200
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(plain)
    assert emulator.downloads[-1].status is None

    order(Fault.act_then_cut())
    got = b""
    with pytest.raises(httpx.RemoteProtocolError):
        async with client.stream("GET", plain) as answer:
            async for chunk in answer.aiter_raw():
                got += chunk
    assert 0 < len(got) < len(emulator.recording(sid))

    order(Fault.answer(503, retry_after=3))
    answer = await client.get(plain)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")

    order(Fault.act_then_stall())
    with pytest.raises(httpx.ReadTimeout):
        await client.get(plain, timeout=0.1)
    order(Fault.delay_before(0.2))
    started = time.monotonic()
    assert (await client.get(plain)).content == emulator.recording(sid)
    assert time.monotonic() - started >= 0.2
    assert emulator.faults.pending == []


async def test_a_download_without_leave_meets_no_fault(
    emulator: Emulator, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    plain, _ = await shown(client, add(emulator))
    emulator.faults.add(Fault.answer(500), path="exotelrecordings")
    assert (await stranger.get(plain)).status_code == 401
    assert len(emulator.faults.pending) == 1

"""Ranges of recordings: reading `Range` (RFC 9110, 14), and what a download brings by it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import anyio.to_thread
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.emulator import Dial, Emulator, Fault, Scenario
from exotel_async.emulator.byte_range import Unsatisfiable, read_range
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE

SIZES = st.integers(1, 1000)
PLACES = st.integers(0, 1200)


@given(size=SIZES, first=PLACES, length=st.none() | st.integers(1, 1200))
def test_a_range_from_a_place_on(size: int, first: int, length: int | None) -> None:
    """To a last byte, or to the end: what a slice is, and nothing where that is empty."""
    data = bytes(n % 256 for n in range(size))
    last = "" if length is None else str(first + length - 1)
    expected = data[first : None if length is None else first + length]
    if not expected:
        with pytest.raises(Unsatisfiable):
            read_range(f"bytes={first}-{last}", size)
        return
    found = read_range(f"bytes={first}-{last}", size)
    assert found is not None
    assert data[found.start : found.stop] == expected


@given(size=SIZES, length=PLACES)
def test_a_range_of_the_last_bytes(size: int, length: int) -> None:
    data = bytes(n % 256 for n in range(size))
    if not length:
        with pytest.raises(Unsatisfiable):
            read_range("bytes=-0", size)
        return
    found = read_range(f"bytes=-{length}", size)
    assert found is not None
    assert data[found.start : found.stop] == data[-length:]


@given(header=st.text() | st.from_regex(r"bytes=[0-9,\- ]*"), size=SIZES)
def test_no_header_reaches_beyond_the_recording(header: str, size: int) -> None:
    try:
        found = read_range(header, size)
    except Unsatisfiable:
        return
    assert found is None or 0 <= found.start < found.stop <= size


@pytest.mark.parametrize(
    "header", ["bytes=5-4", "bytes=-", "bytes=a-b", "bytes", "pages=1-2", "bytes=0-1,3-4", ""]
)
def test_what_is_no_single_range_is_ignored(header: str) -> None:
    assert read_range(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=1-3", "Bytes=1-3", " bytes = 1-3 "])
def test_how_it_may_be_written(header: str) -> None:
    assert read_range(header, 10) == range(1, 4)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(scenario=Scenario.all_answered()) as running:
        yield running


@pytest.fixture
def recording(emulator: Emulator) -> str:
    """The URL of one."""
    call = emulator.add_call(
        Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE, record=True), ago=timedelta(hours=1)
    )
    return f"{emulator.base_url}/exotelrecordings/acme1/{call.sid}.mp3"


async def test_a_download_in_parts(
    emulator: Emulator, client: httpx.AsyncClient, recording: str
) -> None:
    async def get(wanted: str) -> httpx.Response:
        return await client.get(recording, headers={"Range": wanted})

    whole = await client.get(recording)
    assert whole.headers["accept-ranges"] == "bytes"
    audio, size = whole.content, len(whole.content)
    parts = [await get("bytes=0-99"), await get("bytes=100-")]
    assert [part.status_code for part in parts] == [206, 206]
    assert b"".join(part.content for part in parts) == audio
    assert parts[0].headers["content-range"] == f"bytes 0-99/{size}"
    assert parts[1].headers["content-range"] == f"bytes 100-{size - 1}/{size}"
    assert {part.headers["content-type"] for part in parts} == {"audio/mpeg"}
    beyond = await get(f"bytes={size}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    ignored = await get("bytes=9-1")
    assert (ignored.status_code, ignored.content) == (200, audio)
    assert [download.status for download in emulator.downloads] == [200, 206, 206, 416, 200]


async def test_head_knows_no_range(client: httpx.AsyncClient, recording: str) -> None:
    whole = await client.get(recording)
    head = await client.head(recording, headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "accept-ranges"):
        assert head.headers[name] == whole.headers[name]
    assert "content-range" not in head.headers


async def test_a_recording_is_read_only(client: httpx.AsyncClient, recording: str) -> None:
    answer = await client.post(recording)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert (await client.post(recording.replace(".mp3", ".wav"))).status_code == 404


async def test_curl_goes_on_with_a_download_that_broke_off(
    emulator: Emulator, recording: str, tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    file = tmp_path / "call.mp3"

    def curl() -> int:
        options = ["-sS", "--noproxy", "*", "-u", f"{emulator.api_key}:{emulator.api_token}"]
        run = ["curl", *options, "-C", "-", "-o", str(file), recording]
        return subprocess.run(run, check=False, stderr=subprocess.DEVNULL).returncode

    emulator.faults.add(Fault.act_then_cut())
    assert await anyio.to_thread.run_sync(curl) != 0
    assert await anyio.to_thread.run_sync(curl) == 0
    sid = emulator.downloads[0].sid
    assert file.read_bytes() == emulator.recording(sid)
    assert [download.status for download in emulator.downloads] == [200, 206]

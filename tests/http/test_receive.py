"""A file as it comes: its bounds, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exotel_async.http.receive import Refused, receive
from tests.support.virtual_time import run

Piece = tuple[float, int]
"""Seconds it takes to come, and its bytes."""

PIECES = st.lists(st.tuples(st.integers(0, 60).map(float), st.integers(1, 100_000)), max_size=20)


async def coming(pieces: list[Piece]) -> AsyncIterator[bytes]:
    for seconds, size in pieces:
        await asyncio.sleep(seconds)
        yield bytes(size)


def got(pieces: list[Piece], *, most: int | None, idle: float, writing: float = 0.0) -> int:
    """Receive them, each written for so many seconds; return how many bytes."""
    written = 0

    async def write(piece: bytes) -> None:
        nonlocal written
        written += len(piece)
        await asyncio.sleep(writing)

    size = run(receive(coming(pieces), write, most=most, idle=idle))
    assert size == written
    return size


@given(PIECES)
@example([(30.0, 30 * 1024)])
@settings(max_examples=60)
def test_what_comes_is_what_is_written_if_it_comes_fast_enough(pieces: list[Piece]) -> None:
    waited, came = 0.0, 0
    for seconds, size in pieces:
        waited, came = waited + seconds, came + size
        if waited > 30.5:
            with pytest.raises(TimeoutError, match=r"bytes in 30 s"):
                got(pieces, most=None, idle=30)
            return
        if waited > 29.5:
            return  # too close to tell
        if came >= 30 * 1024:
            waited, came = 0.0, 0
    assert got(pieces, most=None, idle=30) == sum(size for _, size in pieces)


@given(PIECES, st.integers(1, 400_000))
@settings(max_examples=60)
def test_never_more_is_written_than_the_bound(pieces: list[Piece], most: int) -> None:
    whole = sum(size for _, size in pieces)
    if whole > most:
        with pytest.raises(Refused, match="max_size"):
            got(pieces, most=most, idle=86_400)
    else:
        assert got(pieces, most=most, idle=86_400) == whole


def handed_on(*pieces: bytes, sniff: bool = True) -> list[bytes]:
    """Return what is written of such pieces of a file without a content type."""
    written: list[bytes] = []

    async def come() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def write(piece: bytes) -> None:
        written.append(piece)

    run(receive(come(), write, most=None, idle=30, sniff=sniff))
    return written


@pytest.mark.parametrize("page", [b"<html>", b"{}", b"\xef\xbb\xbf\r\n <?xml", b"\t" * 900 + b"<"])
def test_a_page_is_recognised_however_it_is_cut(page: bytes) -> None:
    for pieces in ([page], [page[n : n + 1] for n in range(len(page))]):
        with pytest.raises(Refused, match="it is a page of text"):
            handed_on(*pieces)
        assert handed_on(*pieces, sniff=False) == pieces


def test_a_file_that_is_no_page_is_handed_on_as_it_is() -> None:
    assert handed_on(b"ID3", b"<html>") == [b"ID3", b"<html>"]
    assert handed_on(b" ", b"\n", b"ab", b"{") == [b" \nab", b"{"]
    assert handed_on(b" ", b"\n") == [b" \n"]
    assert handed_on() == []
    # One that only begins is not kept in memory for ever.
    assert handed_on(*[b" "] * 1024, b"<") == [b" " * 1024, b"<"]


def test_a_slow_disk_is_not_the_hosts_fault() -> None:
    assert got([(1, 10)] * 5, most=None, idle=6, writing=60) == 50


def test_what_came_at_first_is_no_credit() -> None:
    with pytest.raises(TimeoutError, match=r"^9 bytes in 10 s"):
        got([(0, 10**7), *[(1.0, 1)] * 100], most=None, idle=10)

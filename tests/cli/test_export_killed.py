"""`exotel-async export`, killed at any moment: nothing is lost, and nothing is doubled."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from io import FileIO
from pathlib import Path
from random import Random
from typing import Any

import pytest

from exotel_async import Call
from exotel_async.cli.export_filters import Selection
from exotel_async.cli.export_sink import State
from exotel_async.cli.export_text import TextFile
from exotel_async.emulator import Emulator
from tests.cli.support import QUICK, fill, left_in, pointing_at, ran, started

pytestmark = pytest.mark.slow(60)

COMMAND = ("export", *QUICK)


def content(file: Path) -> object:
    """What is in a finished export."""
    if file.suffix != ".db":
        return file.read_bytes()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT * FROM calls ORDER BY rowid").fetchall()


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("name", "times"), [("calls.jsonl", 20), ("calls.csv", 5), ("calls.db", 20)]
)
async def test_killed_at_random_moments_it_is_as_if_nothing_had_been(
    busy: Emulator, tmp_path: Path, name: str, times: int
) -> None:
    calls = 200 * times  # pages of ten for all kills
    fill(busy, calls)
    whole, file = tmp_path / "whole" / name, tmp_path / "killed" / name
    whole.parent.mkdir()
    file.parent.mkdir()
    env = pointing_at(busy)
    ended = await ran(*COMMAND, "-o", str(whole), env=env)
    assert ended.code == 0, ended

    random = Random(name)
    arguments = (*COMMAND, "--page-size", "10", "-o", str(file), "--resume")
    kills = 0
    while not file.exists():
        async with started(*arguments, env=env) as running:
            # The first ones at a moment of the start, all others when some requests were made.
            enough = len(busy.requests) + random.randint(1, 15)
            deadline = time.monotonic() + random.uniform(0.1, 0.9)
            while kills < times and running.process.returncode is None:
                if (kills < 3 and time.monotonic() >= deadline) or len(busy.requests) >= enough:
                    break
                await asyncio.sleep(0.001)
            if kills < times and running.process.returncode is None:
                running.process.kill()
                kills += 1
            await running.process.communicate()
    assert kills == times
    assert content(file) == content(whole)
    assert left_in(file.parent) == [name]
    # What was read is not read again.
    assert len(busy.requests) < 1.25 * (calls / 10 + calls / 100) + times * 30


class Died(BaseException):
    """A process that is no more."""


def calls(page: int) -> Sequence[Call]:
    """Some calls."""
    return [Call(sid=f"{page}-{n}", raw={"Sid": f"{page}-{n}"}) for n in range(3)]


def run(file: Path) -> None:
    """Export four pages, or what is left of them, by the state alone."""
    sink = TextFile(file, lambda page: "".join(f"{call.sid}\n" for call in page), "head\n")
    try:
        left = sink.unfinished()
        if left is None:
            sink.begin(State(account="a", selection=Selection()))
        else:
            sink.resume(left)
        if not sink.state.whole:
            for page in range(int(sink.state.token or 0), 4):
                sink.add(calls(page), sink.state.advanced(3, page, str(page + 1)))
        sink.finish()
    finally:
        sink.close()


def test_dead_before_or_in_the_middle_of_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = "head\n" + "".join(f"{page}-{n}\n" for page in range(4) for n in range(3))
    steps_left = 0

    def step(do: Callable[..., Any], half: Callable[..., Any] | None = None) -> Any:
        def stepping(*arguments: Any, **options: Any) -> Any:
            nonlocal steps_left
            steps_left -= 1
            if steps_left == 0:
                if half is not None:
                    half(*arguments)
                raise Died
            return do(*arguments, **options)

        return stepping

    class File(FileIO):
        write = step(FileIO.write, lambda file, data: FileIO.write(file, data[: len(data) // 2]))
        truncate = step(FileIO.truncate)

    monkeypatch.setattr("exotel_async.cli.export_text.io.FileIO", File)
    monkeypatch.setattr(os, "fsync", step(os.fsync))
    monkeypatch.setattr(os, "open", step(os.open))
    for name in ("replace", "unlink"):
        monkeypatch.setattr(Path, name, step(getattr(Path, name)))
    deaths = 0
    for first in range(1, 60):
        file = tmp_path / f"{first}"
        # Dead at one step, and then twice at others: while it is gone on with, too.
        for second in (first, 1 + first % 7, 1 + first % 5):
            steps_left = second
            try:
                if not file.exists():
                    run(file)
            except Died:
                deaths += 1
        steps_left = 0
        if not file.exists():
            run(file)
        elif (state := TextFile(file, str).unfinished()) is not None:
            pytest.fail(f"{state} is left")
        assert file.read_text() == expected
    assert deaths > 100

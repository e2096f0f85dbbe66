"""`exotel-async get`."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path

import pytest

from exotel_async.emulator import Emulator, Fault
from exotel_async.emulator.calls import Dial
from tests.cli.support import (
    EXOPHONE,
    FIRST,
    QUICK,
    SECOND,
    environment,
    fill,
    pointing_at,
    ran,
    started,
)
from tests.conftest import SOON

pytestmark = pytest.mark.slow


async def test_calls_are_printed_in_the_order_they_were_named(busy: Emulator) -> None:
    sids = fill(busy, 5)
    named = [sids[3], sids[0], sids[3], sids[4]]
    ended = await ran("get", *named, "--details", env=pointing_at(busy))
    assert ended.code == 0, ended
    head, *rows = ended.out.splitlines()
    assert head.split()[:5] == ["sid", "status", "created", "(IST)", "from"]
    assert [row.split()[0] for row in rows] == named
    for row in rows:
        assert re.search(r"\d\d-\d\d \d\d:\d\d:\d\d  \*{7}\d{4} ", row)
        assert re.search(r" \d+:\d\d +\d+\.\d{3}  \d+:\d\d ", row)
    assert not re.search(r"9812300|98123 ?0", ended.out)
    assert len(busy.requests) == 1
    assert ended.err == ""


async def test_numbers_are_whole_where_that_is_asked_for(busy: Emulator) -> None:
    (sid,) = fill(busy, 1)
    ended = await ran("get", sid, "--numbers", env=pointing_at(busy))
    assert ended.code == 0, ended
    assert f"  09812300000    {SECOND} " in ended.out


async def test_what_is_not_known_is_named_and_the_others_are_printed(busy: Emulator) -> None:
    (sid,) = fill(busy, 1)
    wanted = ("nosuch", sid, "a/b", FIRST)
    ended = await ran("get", *wanted, env=pointing_at(busy))
    assert ended.code == 1, ended
    assert [line.split()[0] for line in ended.out.splitlines()] == ["sid", sid]
    assert sorted(ended.error_lines) == [
        "exotel-async: +********0001: no such call",
        "exotel-async: a/b: must be 1 to 128 characters without spaces, control characters, "
        "/, \\, ?, #, % or .., and not a dot alone",
        "exotel-async: nosuch: no such call",
    ]


async def test_json_is_one_object_in_each_line_errors_too(busy: Emulator) -> None:
    (sid,) = fill(busy, 1)
    ended = await ran("get", "--json", sid, "nosuch", env=pointing_at(busy))
    assert ended.code == 1, ended
    found, missing = map(json.loads, ended.out.splitlines())
    assert found["sid"] == sid
    assert found["from"] == "09812300000"  # the user's own data
    assert found["created_at"].endswith("+05:30")
    assert missing == {"sid": "nosuch", "error": {"type": "NotFound", "text": "no such call"}}
    assert ended.error_lines == ["exotel-async: nosuch: no such call"]


async def test_a_file_of_hundreds_takes_a_few_requests(busy: Emulator, tmp_path: Path) -> None:
    sids = fill(busy, 450)
    file = tmp_path / "sids"
    file.write_text("\ufeff# what we want\r\n\n  " + "\r\n".join(sids), encoding="utf-8")
    ended = await ran("get", "--file", str(file), "--json", *QUICK, env=pointing_at(busy))
    assert ended.code == 0, ended
    assert sorted(json.loads(line)["sid"] for line in ended.out.splitlines()) == sorted(sids)
    assert len(busy.requests) == 5
    assert ended.err == "450 found, 0 not found, 0 failed, in 5 requests\n"


async def test_sids_are_read_from_stdin_as_they_come(busy: Emulator) -> None:
    first, second = fill(busy, 2)
    arguments = ("get", "--json", "--file", "-", *QUICK)
    async with started(*arguments, env=pointing_at(busy), stdin=asyncio.subprocess.PIPE) as running:
        stdin = running.process.stdin
        assert stdin is not None
        stdin.write(f"{first}\n".encode())
        await running.line(first)  # while more may come
        stdin.write(second[:10].encode())
        await stdin.drain()
        stdin.write(second[10:].encode())  # no line break at the end
        stdin.close()
        await running.line(second)
        assert (await running.end()).code == 0


async def test_ctrl_c_while_it_waits_for_more_says_how_far_it_came(busy: Emulator) -> None:
    (sid,) = fill(busy, 1)
    async with started(
        *("get", "--file", "-", *QUICK), env=pointing_at(busy), stdin=asyncio.subprocess.PIPE
    ) as running:
        assert running.process.stdin is not None
        running.process.stdin.write(f"{sid}\n".encode())
        await running.line(sid)
        running.process.send_signal(signal.SIGINT)
        # It does not wait for the end of its input.
        assert await asyncio.wait_for(running.process.wait(), SOON) == 130
        assert running.process.stderr is not None
        told = (await running.process.stderr.read()).decode().splitlines()
    assert told == ["exotel-async: interrupted", "1 found, 0 not found, 0 failed, in 1 request"]


async def test_an_old_call_is_looked_for_in_its_months() -> None:
    async with Emulator(rate=1_000_000) as emulator:
        sids = fill(emulator, 20, days=100)
        env = pointing_at(emulator)
        ended = await ran("get", *sids, "--since", "101d", *QUICK, env=env)
    assert ended.code == 0, ended
    assert len(ended.out.splitlines()) == 21
    assert len(emulator.requests) <= 5  # a probe of the clock, and four months


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"EXOTEL_API_TOKEN": "wrong"}, "HTTP 401"),
        ({"EXOTEL_ACCOUNT_SID": "wrong"}, "the account in EXOTEL_ACCOUNT_SID"),
        (
            {"EXOTEL_SUBDOMAIN": "http://127.0.0.1:1"},
            "exotel-async: 127.0.0.1:1 cannot be reached: Connection refused",
        ),
    ],
)
async def test_what_concerns_all_is_said_once(
    busy: Emulator, changes: dict[str, str], words: str
) -> None:
    ended = await ran("get", "a", "b", "c", env=pointing_at(busy, **changes))
    assert ended.code == 1, ended
    (line,) = ended.error_lines
    assert words in line
    assert ended.out == ""


async def test_where_none_is_known_it_asks_about_the_account(busy: Emulator) -> None:
    ended = await ran("get", "a", "b", env=pointing_at(busy))
    assert ended.code == 1, ended
    assert "check the account" in ended.error_lines[-1]


async def test_one_that_fails_does_not_spoil_the_others(busy: Emulator) -> None:
    # Live calls are asked for one by one, and one of them is refused.
    sids = [busy.add_call(Dial(from_=FIRST, to=SECOND, caller_id=EXOPHONE)).sid for _ in range(3)]
    busy.faults.add(Fault.answer(400), path=f"Calls/{sids[1]}")
    ended = await ran("get", *sids, *QUICK, env=pointing_at(busy))
    assert ended.code == 1, ended
    assert [line.split()[0] for line in ended.out.splitlines()] == ["sid", sids[0], sids[2]]
    (line,) = ended.error_lines
    assert line.startswith(f"exotel-async: {sids[1]}: ")


async def test_input_that_is_none(emulator: Emulator, tmp_path: Path) -> None:
    ended = await ran("get", env=pointing_at(emulator))
    assert (ended.code, ended.err) == (2, "exotel-async: give at least one SID, or --file\n")
    ended = await ran("get", "--file", str(tmp_path / "none"), env=pointing_at(emulator))
    assert ended.code == 1
    assert (
        ended.err == f"exotel-async: cannot read {tmp_path / 'none'}: No such file or directory\n"
    )
    ended = await ran("get", "--file", "-", env=pointing_at(emulator))
    assert (ended.code, ended.err) == (0, "No SID was given.\n")
    ended = await ran("get", "sid", env=environment())
    assert ended.code == 1
    assert "are not set" in ended.err
    assert not emulator.requests


async def test_what_has_no_lines_is_given_up(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "long").write_text("x" * 200_000)
    (tmp_path / "pipe").mkdir()
    for file, why in (
        (tmp_path / "long", "a line has more than 65,536 characters"),
        ("/dev/zero", "a line has more than 65,536 characters"),
        (tmp_path / "pipe", "Is a directory"),
    ):
        if not Path(file).exists():  # noqa: ASYNC240
            continue
        ended = await ran("get", "--file", str(file), env=pointing_at(emulator))
        assert (ended.code, ended.err) == (1, f"exotel-async: cannot read {file}: {why}\n")
    assert not emulator.requests


@pytest.mark.skipif(not Path("/dev/urandom").exists(), reason="there is no /dev/urandom")
async def test_ctrl_c_ends_a_file_that_has_no_end(busy: Emulator) -> None:
    async with started("get", "--file", "/dev/urandom", *QUICK, env=pointing_at(busy)) as running:
        assert running.process.stderr is not None
        await running.process.stderr.readline()
        ended = await running.end(signal.SIGINT)
    assert ended.code == 130
    assert "exotel-async: interrupted" in ended.error_lines

"""`exotel-async emulator`."""

from __future__ import annotations

import json
import signal
import socket

import pytest

from exotel_async import AsyncExotel
from tests.cli.support import EXOPHONE, FIRST, SECOND, TOKEN, environment, ran, started

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_a_signal_and_prints_totals(by: signal.Signals) -> None:
    arguments = ("--port", "0", "--account", "ours", "--key", "k", "--speed", "20")
    async with started("emulator", *arguments, env=environment()) as running:
        line = await running.line("export EXOTEL_SUBDOMAIN=")
        base_url = line.partition("=")[2].strip()
        async with AsyncExotel(
            account_sid="ours", api_key="k", api_token="emulator-token", base_url=base_url
        ) as exotel:
            call = await exotel.calls.connect(FIRST, SECOND, caller_id=EXOPHONE)
            assert (await exotel.calls.get(call.sid)).sid == call.sid
        ended = await running.end(by)
    assert ended.code == 0, ended
    assert "RateLimit(200, per=3); and the commands of exotel-async: --rate 4000" in ended.out
    assert f"curl -u 'k:emulator-token' {base_url}/v1/Accounts/ours/Calls/connect" in ended.out
    assert "requests  2, 0 of them refused (429)" in ended.out
    assert "calls     1 (1 " in ended.out


async def test_a_token_of_ones_own_is_not_shown() -> None:
    async with started("emulator", "--port", "0", "--token", TOKEN) as running:
        await running.line("_emulator/statistics")
        ended = await running.end(signal.SIGINT)
    assert ended.code == 0  # and `end` has looked for the token
    assert "<the token you gave>" in ended.out


async def test_a_program_is_told_where_it_listens() -> None:
    async with started("emulator", "--port", "0", "--token", TOKEN, "--json") as running:
        told = json.loads(await running.line("base_url"))
        assert told["base_url"].startswith("http://127.0.0.1:")
        assert told["api_token"] is None  # it was given
        ended = await running.end(signal.SIGINT)
    assert ended.code == 0
    assert json.loads(ended.out.splitlines()[-1])["requests"] == 0


async def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = await ran("emulator", "--port", str(port))
    assert ended.code == 1
    (line,) = ended.error_lines
    assert f"cannot listen on 127.0.0.1:{port}" in line
    assert ended.out == ""

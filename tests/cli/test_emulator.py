"""`exotel-async emulator`."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
from pathlib import Path

import pytest

from exotel_async import AsyncExotel
from tests.cli.support import EXOPHONE, FIRST, SECOND, TOKEN, environment, ran, started

pytestmark = pytest.mark.slow

ANY = "0.0.0.0"  # noqa: S104 - that is what is tested


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
        assert told["ca_file"] is None  # it is plain HTTP
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


async def test_https_says_whom_to_trust_and_who_can_reach_it() -> None:
    async with started("emulator", "--port", "0", "--tls", "--host", ANY) as running:
        base_url = (await running.line("listens at")).partition(" at ")[2].partition(". ")[0]
        file = Path((await running.line("curl --cacert")).split()[2])
        context = ssl.create_default_context(cafile=file)
        port = int(base_url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("localhost", port, ssl=context)
        writer.close()
        ended = await running.end(signal.SIGINT)
    assert ended.code == 0
    assert "Other computers can reach it: it listens at 0.0.0.0." in ended.err
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        assert f"export {name}={file}" in ended.out
    assert f"curl --cacert {file} -u " in ended.out
    with pytest.raises(FileNotFoundError):
        ssl.create_default_context(cafile=file)


async def test_a_certificate_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    ended = await ran("emulator", "--port", "0", "--certfile", str(tmp_path / "none.pem"))
    assert ended.code == 2
    (line,) = ended.error_lines
    assert f"--certfile {tmp_path / 'none.pem'}: No such file or directory" in line

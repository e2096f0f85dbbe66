"""`exotel-async emulator`."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import socket
import ssl
from pathlib import Path

import httpx
import pytest

from exotel_async import AsyncExotel, RetryPolicy, ServerError
from exotel_async.cli import main
from exotel_async.cli.emulator_options import TOKEN as EMULATORS
from exotel_async.cli.emulator_options import EmulatorOptions
from exotel_async.cli.links import TUTORIAL
from exotel_async.emulator.control.config import config_schema
from tests.cli.support import EAGER, EXOPHONE, FIRST, SECOND, TOKEN, environment, ran, started
from tests.conftest import SOON

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
    assert "  in the SDK: rate_limit=RateLimit(200, per=3)\n" in ended.out
    assert "  for the commands of exotel-async: --rate 4000\n" in ended.out
    assert f"curl -u 'k:emulator-token' {base_url}/v1/Accounts/ours/Calls/connect" in ended.out
    assert f"in a browser: {base_url}/_emulator/\n" in ended.out
    assert "requests  2, 0 of them refused (429)" in ended.out
    assert "calls     1 (1 " in ended.out


async def test_it_names_a_next_step_that_works_as_it_stands() -> None:
    async with started("emulator", "--port", "0", "--speed", "60", env=environment()) as running:
        await running.line("Next, in another terminal")
        step = shlex.split(await running.line("exotel-async call "))
        exports = dict(re.findall(r"export (\w+)='?([^'\n]+)", running.seen))
        called = await ran(*step[1:], command=EAGER, env=environment(**exports))
        ended = await running.end(signal.SIGINT)
    assert called.code == 0, called  # with its seed the first one is answered
    assert ended.err.endswith(f"Next: the tutorial, {TUTORIAL}\n")


async def test_a_callback_that_does_not_arrive_is_shown_without_its_secret() -> None:
    async with started("emulator", "--port", "0", "--speed", "60", env=environment()) as running:
        base_url = (await running.line("export EXOTEL_SUBDOMAIN=")).partition("=")[2].strip()
        async with AsyncExotel(
            account_sid="acme1", api_key="emulator-key", api_token=EMULATORS, base_url=base_url
        ) as exotel:
            for _ in range(2):
                await exotel.calls.connect(
                    FIRST,
                    SECOND,
                    caller_id=EXOPHONE,
                    status_callback="http://127.0.0.1:1/a-long-secret/status_callback?phone=98123",
                    status_callback_events=["terminal"],
                )
        async with asyncio.timeout(SOON), httpx.AsyncClient(base_url=base_url) as page:
            while len((await page.get("/_emulator/callbacks")).json()["items"]) < 2:
                await asyncio.sleep(0.05)
            async for line in running.error_lines():
                assert line == (
                    "a status callback to a URL of http://127.0.0.1:1 failed: ConnectError\n"
                )
                break
        ended = await running.end(signal.SIGINT)
    assert ended.err.count("status callback") == 1


async def test_a_token_of_ones_own_is_not_shown() -> None:
    async with started("emulator", "--port", "0", "--token", TOKEN) as running:
        await running.line("_emulator/docs")
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
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; try another --port" in line
    assert ended.out == ""


def test_a_host_that_is_not_here_is_told_without_advice_about_ports(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["emulator", "--host", "192.0.2.1", "--port", "0"]) == 1
    told = capsys.readouterr().err.replace("\n", " ")
    assert "cannot listen on 192.0.2.1:0" in told
    assert "try another --host" in told
    assert "try another --port" not in told


def test_an_exophone_may_be_written_in_groups() -> None:
    options = EmulatorOptions(exophone=("080 3000-0000", "+91 80 3000 0001"))
    assert options.settings() == {"exophones": ("08030000000", "+918030000001")}


async def test_https_says_whom_to_trust_and_who_can_reach_it() -> None:
    options = ("--port", "0", "--tls", "--host", ANY, "--speed", "60")
    async with started("emulator", *options) as running:
        base_url = (await running.line("listens at")).partition(" at ")[2].partition(". ")[0]
        assert base_url.startswith("https://127.0.0.1:")  # 0.0.0.0 is an address of nobody's
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
    prose = [line for line in ended.out.splitlines() if f"{base_url}/" not in line]
    # A terminal of 80 columns breaks none of them.
    assert [line for line in prose if len(line.replace(str(file), "ca.pem")) > 80] == []
    with pytest.raises(FileNotFoundError):
        ssl.create_default_context(cafile=file)


async def test_a_certificate_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    ended = await ran("emulator", "--port", "0", "--certfile", str(tmp_path / "none.pem"))
    assert ended.code == 2
    (line,) = ended.error_lines
    assert f"--certfile {tmp_path / 'none.pem'}: No such file or directory" in line


CONFIG = """
account_sid = "ours"
port = 0
rate = 7
exophones = ["08030000000", "08030000001"]
callers."09812300009" = { keys = ["1"], patience = 20 }
exophone_flows."08030000001" = "main"

[scenario]
busy = 0

[[flows]]
id = "main"
start = { applet = "menu", text = "Press 1", keys = { 1 = { applet = "hangup" } } }

[[faults]]
fault = "answer"
status = 503
path = "Balance"
"""


async def test_a_file_sets_everything_and_options_win(tmp_path: Path) -> None:
    file = tmp_path / "exotel.toml"
    file.write_text(CONFIG)
    arguments = ("--config", str(file), "--rate", "9", "--token", TOKEN)
    async with started("emulator", *arguments, "--json") as running:
        told = json.loads(await running.line("base_url"))
        assert (told["account_sid"], told["rate"]) == ("ours", 9)
        assert told["exophones"] == ["08030000000", "08030000001"]
        async with AsyncExotel(
            account_sid="ours",
            api_key="emulator-key",
            api_token=TOKEN,
            base_url=told["base_url"],
            retry=RetryPolicy(attempts=1),
        ) as exotel:
            with pytest.raises(ServerError):
                await exotel.account.balance()
            await exotel.account.balance()
        ended = await running.end(signal.SIGINT)
    assert json.loads(ended.out.splitlines()[-1])["requests"] == 2


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.toml", "rate = 0", "rate: must be >= 1: 0"),
        ("a.json", '{"flows": [{"id": 1}]}', "flows[0].start: is missing"),
        ("a.json", "{", "it is not JSON: Expecting property name"),
        ("a.toml", "rate =", "it is not TOML: Invalid value (at end of document)"),
        ("a.yaml", "rate: 1", "it ends neither in .toml nor in .json"),
        (
            "a.toml",
            'exophone_flows = {"08030000000" = 9}',
            "exophone_flows: *******0000 is assigned to flow 9, which is not known",
        ),
    ],
)
def test_a_wrong_file_is_one_clear_error(
    name: str, content: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.write_text(content)
    assert main(["emulator", "--config", str(file), "--json"]) == 2
    told = capsys.readouterr()
    assert f"{file}: " in told.err.replace("\n", "")
    error = json.loads(told.out)["error"]
    assert error["type"] == "InvalidRequest"
    assert problem in error["text"]
    assert main(["emulator", "--config", str(tmp_path / "gone.toml")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_the_schema_of_such_a_file_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulator", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == config_schema()

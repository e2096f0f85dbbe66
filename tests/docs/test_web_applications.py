"""The pages on click to call and on incoming calls: their applications, served as they say."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from exotel_async.emulator import Emulator, Fault, Scenario
from exotel_async.emulator.control.config import read_config
from tests.conftest import SOON
from tests.docs.pages import blocks, files, put_in
from tests.docs.programs import SPEED, environment, running
from tests.support.ports import free_port

pytestmark = pytest.mark.slow(10)

CLICKS = "how-to/click-to-call"
LINE = "how-to/incoming-calls"


def exports(block: str, port: int) -> dict[str, str]:
    """The application's own variables, which a block of a page exports."""
    block = re.sub(r"(?<=127\.0\.0\.1:)\d+", str(port), block)
    return dict(re.findall(r"^export (HOOKS_SECRET|PUBLIC_URL)=(\S+)$", block, re.MULTILINE))


def serving(block: str, port: int) -> list[str]:
    """The command of a block that serves an application."""
    program, *arguments = shlex.split(block.splitlines()[0])
    if "--port" in arguments:
        del arguments[arguments.index("--port") :]
    return [str(Path(sys.executable).with_name(program)), *arguments, "--port", str(port)]


async def until_up(browser: httpx.AsyncClient) -> None:
    async with asyncio.timeout(SOON):
        while True:
            with suppress(httpx.TransportError):
                await browser.get("/")
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("framework", ["FastAPI", "Django", "Flask"])
async def test_a_click_calls_and_the_page_learns_of_the_end(framework: str, tmp_path: Path) -> None:
    ((name, text),) = files(CLICKS, framework).items()
    (tmp_path / name).write_text(text, encoding="utf-8")
    port = free_port()
    (shared,) = (block for block in blocks(CLICKS, "sh") if "HOOKS_SECRET" in block)
    block = blocks(CLICKS, "sh", framework)[-1]
    async with (
        Emulator(speed=SPEED, scenario=Scenario.all_answered(talk=20)) as emulator,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as browser,
    ):
        # What is sent second, that the agent has answered or the customer, comes last.
        emulator.faults.add(Fault.callback_reordered(), after=1)
        env = environment(emulator, PYTHONWARNINGS="default", **exports(shared, port))
        command = serving(block, port)
        async with running(*command, log=tmp_path / "web.log", cwd=tmp_path, env=env):
            await until_up(browser)
            answer = await browser.post("/call/+919812300002")
            assert answer.status_code == 200, answer.text
            sid = answer.json()["sid"]
            async with asyncio.timeout(20):
                while (await browser.get(f"/status/{sid}")).json() != {"status": "completed"}:
                    await asyncio.sleep(0.05)
                while len(emulator.callbacks) < (0 if framework == "Flask" else 3):
                    await asyncio.sleep(0.05)
            assert (await browser.get(f"/status/{sid}")).json() == {"status": "completed"}
            for wrong in ("98x", "12345"):  # refused here, and by Exotel
                assert (await browser.post(f"/call/{wrong}")).status_code == 422
            assert (await browser.get("/status/0")).json() == {"status": "unknown"}
        assert list(emulator.calls) == [sid]
        if framework != "Flask":  # it asks
            came = [callback.event.value for callback in emulator.callbacks]
            assert came == ["answered", "terminal", "answered"]
            assert {callback.status for callback in emulator.callbacks} == {200}
    assert "Traceback" not in (tmp_path / "web.log").read_text(encoding="utf-8")


async def test_views_without_async_in_forked_workers(tmp_path: Path) -> None:
    ((name, text),) = files("how-to/sync", "Django").items()
    (tmp_path / name).write_text(text, encoding="utf-8")
    port = free_port()
    (block,) = blocks("how-to/sync", "sh", "Django")
    async with (
        Emulator(speed=SPEED) as emulator,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            timeout=20,
            limits=httpx.Limits(max_keepalive_connections=0),  # each worker gets some
        ) as browser,
    ):
        program, *arguments = shlex.split(block.splitlines()[0])
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        env = environment(emulator, HOME=str(tmp_path), PYTHONWARNINGS="default")
        command += ["--bind", f"127.0.0.1:{port}"]
        async with running(*command, log=tmp_path / "web.log", cwd=tmp_path, env=env):
            await until_up(browser)
            answers = await asyncio.gather(
                *(browser.post(f"/call/+9198123000{n:02}") for n in range(10, 30))
            )
            assert {answer.json()["sid"] for answer in answers} == {*emulator.calls}
            sid = answers[0].json()["sid"]
            assert (await browser.get(f"/status/{sid}")).json()["status"] != "unknown"
            assert (await browser.get("/status/0")).json() == {"status": "unknown"}
            assert (await browser.post("/call/98x")).status_code == 422
    assert len(emulator.calls) == 20
    assert "Traceback" not in (tmp_path / "web.log").read_text(encoding="utf-8")


async def test_the_phone_line_answers_those_who_call(tmp_path: Path) -> None:
    (program,) = files(LINE).keys() - {"line.toml"}
    (tmp_path / program).write_text(files(LINE)[program], encoding="utf-8")
    port = free_port()
    serve, _, calls = blocks(LINE, "sh")
    (flow,) = blocks(LINE, "toml")
    config = read_config(tomllib.loads(put_in(flow, "127.0.0.1:8001", f"127.0.0.1:{port}")))
    async with (
        Emulator(**{**config.settings, "speed": SPEED, "port": 0}) as emulator,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as browser,
    ):
        *_, command = serve.splitlines()
        env = environment(emulator, **exports(serve, port))
        async with running(
            *serving(command, port), log=tmp_path / "web.log", cwd=tmp_path, env=env
        ):
            await until_up(browser)
            script = put_in(calls, "127.0.0.1:8020", emulator.base_url)
            script = script.replace("curl ", "curl --silent --show-error --fail --noproxy '*' ")
            shell = await asyncio.create_subprocess_exec("sh", "-ec", script)
            assert await shell.wait() == 0
            known, stranger = emulator.calls.values()
            await asyncio.gather(known.over(), stranger.over())
            log = (tmp_path / "web.log").read_text(encoding="utf-8")
    assert "says 'Welcome back.'" in str(known.transcript)
    assert "they talked for 20 s" in str(known.transcript)
    assert "says 'Welcome to the shop.'" in str(stranger.transcript)
    assert emulator.rung("09812300009") == 1
    assert re.search(r"^a message: http\S+\.mp3$", log, re.MULTILINE)
    assert "a-long-secret" not in log

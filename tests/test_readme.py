"""The README: each example in it is a program that runs."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import tomllib
from ast import literal_eval
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from exotel_async import IST
from exotel_async.emulator import Behaviour, Dial, Emulator, Fault, Scenario
from exotel_async.emulator.control.config import read_config
from tests.support import fork_server
from tests.support.ports import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPEED = 60
SHARED = "Several workers, one account"  # its examples need a Valkey: tests/redis/test_readme.py
CAMPAIGNS = "Campaigns"  # runs in calling hours, and is killed
PAST = Dial(from_="+919812300001", to="+919812300002", caller_id="08030000000")
# The emulator's clock runs faster than ours, and so must the pauses of an example.
PRELUDE = f"""
import asyncio
_sleep = asyncio.sleep
asyncio.sleep = lambda seconds, *result: _sleep(seconds / {SPEED}, *result)
"""


def blocks(language: str) -> list[str]:
    """The README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def heading_of(block: str) -> str:
    """The heading a block stands under; "" above the first section."""
    above = README[: README.index(block)]
    headings: list[str] = re.findall(r"^##+ (.*)$", above, re.MULTILINE)
    return headings[-1] if headings else ""


async def started(block: str, emulator: Emulator, folder: Path) -> fork_server.Process:
    """Start an example against an emulator."""
    (folder / "example.py").write_text(PRELUDE + block, encoding="utf-8")
    return await fork_server.start(
        "example",
        (),
        env={
            **os.environ,
            "PYTHONWARNINGS": "error",
            "EXOTEL_SUBDOMAIN": emulator.base_url,
            "EXOTEL_ACCOUNT_SID": emulator.account_sid,
            "EXOTEL_API_KEY": emulator.api_key,
            "EXOTEL_API_TOKEN": emulator.api_token,
            "EXOTEL_RATE_LIMIT_URL": "",
            "PORT": str(free_port()),
        },
        cwd=str(folder),
    )


async def output_of(block: str, emulator: Emulator, folder: Path) -> str:
    """What an example prints, run against an emulator."""
    process = await started(block, emulator, folder)
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b, id=heading_of(b))
        for b in blocks("python")
        if heading_of(b) not in {SHARED, CAMPAIGNS}
    ],
)
async def test_an_example_runs(block: str, tmp_path: Path) -> None:
    async with Emulator(speed=SPEED) as emulator:
        for days in range(1, 11):  # for those that read what was before
            emulator.add_call(PAST, ago=timedelta(days=days))
        out = await output_of(block, emulator, tmp_path)
    assert out, "it prints nothing"
    assert not re.search(r"may have rung|refused:|nothing was sent|busy:", out)
    assert all(request.status and request.status < 300 for request in emulator.requests)


async def test_the_example_for_what_goes_wrong_finds_a_lost_call(tmp_path: Path) -> None:
    block = next(b for b in blocks("python") if heading_of(b) == "When something goes wrong")
    block = block.replace("timeout=600", "timeout=600, interval=0.2")  # the clock is fast here
    over_at_once = Scenario(numbers={"+919812300001": Behaviour("busy", ring=0)})
    async with Emulator(speed=SPEED, scenario=over_at_once) as emulator:
        emulator.faults.add(Fault.act_then_drop(), path="Calls/connect")
        assert (await output_of(block, emulator, tmp_path)).startswith("placed")
        assert emulator.rung("+919812300001") == 1


async def test_the_example_for_many_dials_can_be_interrupted(tmp_path: Path) -> None:
    """By an impatient Ctrl-C, with dials in flight; test_connect_many_resume.py does it often."""
    block = next(b for b in blocks("python") if heading_of(b) == "Dialling within your channels")
    # No call ends before the Ctrl-C, so that there are dials left.
    endless, usual = Scenario.all_answered(talk=14_400), Scenario()
    async with Emulator(speed=SPEED, latency=lambda _: (0.0, 0.2), scenario=endless) as emulator:
        process = await started(block, emulator, tmp_path)
        while len(emulator.calls) < 2:
            await asyncio.sleep(0.01)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        assert b"'in flight'" not in out
        assert b"'to dial'" in out
        assert b"interrupted: start it again" in out
        assert b"Traceback" not in err
        emulator.scenario = usual
        states = dict(literal_eval(await output_of(block, emulator, tmp_path)))
        # A second Ctrl-C cuts off what is in flight, if it comes before the answer.
        assert states.keys() <= {"placed", "unknown"}
        assert sum(states.values()) == 10
        assert all(emulator.rung(f"+91{9812300000 + n}") == 1 for n in range(1, 11))


async def test_the_example_for_campaigns_is_killed_and_goes_on(tmp_path: Path) -> None:
    (block,) = (b for b in blocks("python") if heading_of(b) == CAMPAIGNS)
    block = block.replace("channels=10", "channels=10, poll_interval=0.1")  # the clock is fast here
    morning = datetime(2026, 3, 2, 11, tzinfo=IST)
    answered = Scenario.all_answered(talk=20)
    async with Emulator(speed=SPEED, now=morning, scenario=answered) as emulator:
        for calls in (3, 12):
            process = await started(block, emulator, tmp_path)
            while len(emulator.calls) < calls:
                await asyncio.sleep(0.01)
            process.kill()
            await process.communicate()
        out = await output_of(block, emulator, tmp_path)
        assert "reached=20," in out
        assert [emulator.rung(f"+91{9812300000 + n}") for n in range(1, 21)] == [1] * 20


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_the_emulators_file_and_the_commands_for_it() -> None:
    """Those that curl is given, each with an answer that is none of an error."""
    (file,) = blocks("toml")
    (commands,) = (block for block in blocks("sh") if "/_emulator/" in block)
    async with Emulator(**read_config(tomllib.loads(file)).settings) as emulator:
        script = commands.replace("127.0.0.1:8020", emulator.base_url)
        script = script.replace("curl ", "curl --silent --show-error --fail --noproxy '*' ")
        shell = await asyncio.create_subprocess_exec("sh", "-ec", script)
        assert await shell.wait() == 0
        assert len(emulator.faults.pending) == len(emulator.calls) == 1
        assert all(call.ended for call in emulator.calls.values())


def test_the_commands_and_extras_it_names_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"pip install -e '\.\[([a-z,]+)\]'", README)
    extras = {extra for extras in named for extra in extras.split(",")}
    assert extras == {
        "campaigns",
        "cli",
        "emulator",
        "fast",
        "postgres",
        "redis",
        "test",
        "tls",
        "webhooks",
    }
    assert extras <= set(project["optional-dependencies"])
    commands = set(re.findall(r"exotel-async ([a-z]+)", README))
    assert commands == {
        "demo",
        "emulator",
        "dial",
        "campaign",
        "call",
        "get",
        "export",
        "number",
        "doctor",
    }


def test_the_first_two_commands_do_their_own_set_up() -> None:
    demo, tests = blocks("sh")[:2]
    assert demo == "pip install -e '.[cli]' && exotel-async demo\n"
    assert tests == "pip install -e '.[test]' && pytest -n 6\n"

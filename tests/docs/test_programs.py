"""Each program of the documentation runs, as it stands, on an emulator."""

from __future__ import annotations

import asyncio
import re
import signal
from ast import literal_eval
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from exotel_async import IST
from exotel_async.emulator import Behaviour, Dial, Emulator, Fault, Scenario
from tests.docs.pages import BLOCKS, Block, blocks, put_in
from tests.docs.programs import SPEED, output_of, started

PAST = Dial(from_="+919812300001", to="+919812300002", caller_id="08030000000")
ELSEWHERE = {
    ("how-to/campaigns", "python"): "test_programs.py",  # runs in calling hours, and is killed
    ("how-to/click-to-call", "py"): "test_web_applications.py",
    ("how-to/emulator", "py"): "../test_pytest_plugin.py",
    ("how-to/emulator", "toml"): "test_emulator_page.py",
    ("how-to/incoming-calls", "py"): "test_web_applications.py",
    ("how-to/incoming-calls", "toml"): "test_web_applications.py",
    ("how-to/notebook", "python"): "test_notebook.py",  # in cells
    ("how-to/queues", "py"): "test_several_workers.py",
    ("how-to/several-workers", "py"): "test_several_workers.py",
    ("how-to/several-workers", "python"): "test_several_workers.py",  # with a Valkey
    ("how-to/sync", "py"): "test_web_applications.py",
    **{("how-to/testing", language): "test_testing.py" for language in ("java", "js", "php", "py")},
}
"""What runs the blocks of pages that are no programs to be run as they stand."""


def name(block: Block) -> str:
    return f"{block.page}-{block.file or block.heading}"


@pytest.mark.slow(12)
@pytest.mark.parametrize(
    "block",
    [b for b in BLOCKS if b.language == "python" and (b.page, "python") not in ELSEWHERE],
    ids=name,
)
async def test_a_program_runs(block: Block, tmp_path: Path) -> None:
    short = Scenario(ring=(1, 5), talk=(5, 20))
    async with Emulator(speed=SPEED, scenario=short) as emulator:
        for days in range(1, 11):  # for those that read what was before
            emulator.add_call(PAST, ago=timedelta(days=days))
        out = await output_of(block.text, emulator, tmp_path)
    assert out, "it prints nothing"
    assert not re.search(r"may have rung|refused:|nothing was sent|busy:", out)
    assert all(request.status and request.status < 300 for request in emulator.requests)


def test_each_block_is_run_by_a_test() -> None:
    """Those of shells are read in test_commands.py, and run where they belong to a program."""
    found = {(b.page, b.language) for b in BLOCKS if b.language not in {"python", "sh"}}
    assert found == {place for place in ELSEWHERE if place[1] != "python"}
    for (page, language), test in ELSEWHERE.items():
        text = (Path(__file__).parent / test).read_text(encoding="utf-8")
        assert page.rpartition("/")[2] in text, (page, language, test)
    # These tests take files by their names, or else they take all blocks of a page.
    nameless = {b.page for b in BLOCKS if b.language == "py" and not b.file}
    assert nameless == {"how-to/testing", "how-to/emulator"}
    assert {(b.page, b.heading, b.file) for b in BLOCKS if b.language == "py" and b.file} == {
        ("how-to/click-to-call", "FastAPI", "shop_fastapi.py"),
        ("how-to/click-to-call", "Django", "shop_django.py"),
        ("how-to/click-to-call", "Flask", "shop_flask.py"),
        (
            "how-to/incoming-calls",
            "Take incoming calls: flows and your application",
            "phone_line.py",
        ),
        ("how-to/queues", "Celery", "tasks.py"),
        ("how-to/queues", "Celery", "enqueue.py"),
        ("how-to/queues", "taskiq", "dialing.py"),
        ("how-to/queues", "taskiq", "campaign.py"),
        ("how-to/several-workers", "A web application", "web.py"),
        ("how-to/several-workers", "Callbacks to several workers", "events.py"),
        ("how-to/sync", "Django", "shop_django_sync.py"),
    }


@pytest.mark.slow(1)
async def test_the_example_for_what_goes_wrong_finds_a_lost_call(tmp_path: Path) -> None:
    (block,) = blocks("how-to/handle-errors", "python")
    block = put_in(block, "timeout=600", "timeout=600, interval=0.2")
    over_at_once = Scenario(numbers={"+919812300001": Behaviour("busy", ring=0)})
    # The clock may not run away from what is known of it before the answer is lost.
    async with Emulator(speed=5, scenario=over_at_once) as emulator:
        emulator.faults.add(Fault.act_then_drop(), path="Calls/connect")
        assert (await output_of(block, emulator, tmp_path)).startswith("placed")
        assert emulator.rung("+919812300001") == 1


@pytest.mark.slow(2)
async def test_the_example_for_many_dials_can_be_interrupted(tmp_path: Path) -> None:
    """By an impatient Ctrl-C, with dials in flight; test_connect_many_resume.py does it often."""
    (block,) = blocks("how-to/connect-many", "python")
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


@pytest.mark.slow(1)
async def test_the_example_for_many_dials_dials_later_what_could_not_be_sent(
    tmp_path: Path,
) -> None:
    (block,) = blocks("how-to/connect-many", "python")
    async with Emulator(speed=SPEED) as emulator:
        emulator.faults.add(Fault.answer(401), path="Calls/connect", times=3)
        states = dict(literal_eval(await output_of(block, emulator, tmp_path)))
        assert states == {"to dial": 3, "placed": 7}
        states = dict(literal_eval(await output_of(block, emulator, tmp_path)))
        assert states == {"placed": 10}
        assert [emulator.rung(f"+91{9812300000 + n}") for n in range(1, 11)] == [1] * 10


@pytest.mark.slow
async def test_the_example_for_many_dials_cannot_write_down_an_end(tmp_path: Path) -> None:
    """As on a full disk: what is not known to be placed is not dialled again."""
    (block,) = blocks("how-to/connect-many", "python")
    failing = put_in(
        block,
        '            note(number, "placed", ended.sid)\n',
        '            if number.endswith("03"):\n'
        '                raise sqlite3.OperationalError("database or disk is full")\n'
        '            note(number, "placed", ended.sid)\n',
    )
    async with Emulator(speed=SPEED) as emulator:
        process = await started(failing, emulator, tmp_path)
        _, err = await process.communicate()
        assert process.returncode == 1
        assert b"database or disk is full" in err
        states = dict(literal_eval(await output_of(block, emulator, tmp_path)))
        assert states.keys() == {"placed", "unknown"}
        assert sum(states.values()) == 10
        assert max(emulator.rung(f"+91{9812300000 + n}") for n in range(1, 11)) == 1


@pytest.mark.slow(4)
async def test_the_example_for_campaigns_is_killed_and_continues(tmp_path: Path) -> None:
    (block,) = blocks("how-to/campaigns", "python")
    # The clock is fast here.
    block = put_in(block, "channels=10", "channels=7, poll_interval=0.1")
    morning = datetime(2026, 3, 2, 11, tzinfo=IST)
    # None ends before the kill, so that the channels are taken, and no other dial has begun.
    endless = Scenario.all_answered(talk=14_400)
    async with Emulator(speed=SPEED, now=morning, scenario=endless) as emulator:
        for calls in (7, 14):
            process = await started(block, emulator, tmp_path)
            while len(emulator.calls) < calls:
                await asyncio.sleep(0.01)
            process.kill()
            await process.communicate()
            await emulator.finish_calls()
        emulator.scenario = Scenario.all_answered(talk=20)
        out = await output_of(block, emulator, tmp_path)
        assert "reached=20," in out
        assert [emulator.rung(f"+91{9812300000 + n}") for n in range(1, 21)] == [1] * 20


async def test_the_nightly_job_reads_each_call_once(tmp_path: Path) -> None:
    (block,) = blocks("how-to/nightly-sync", "python")
    async with Emulator(speed=SPEED) as emulator:
        for days in (2, 1):
            emulator.add_call(PAST, ago=timedelta(days=days))
        assert await output_of(block, emulator, tmp_path) == "2 new or changed\n"
        assert await output_of(block, emulator, tmp_path) == "0 new or changed\n"

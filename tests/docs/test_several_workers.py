"""The pages on several workers and on queues: their files, served by their own commands."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from exotel_async import RateLimit
from exotel_async.emulator import Emulator
from exotel_async.redis import SharedTokenBucket
from tests.conftest import SOON
from tests.docs.pages import blocks, files, put_in
from tests.docs.programs import environment, output_of, running
from tests.support.ports import free_port

pytestmark = pytest.mark.slow(20)

# The emulator's minute has two seconds, and so must have the budget the examples name.
SPEED, BUDGET = 30, RateLimit(40, per=2.0)
CALLS = 30  # of each kind; together more than the budget
SERVER = '"redis://localhost'


def write_files(folder: Path, valkey: str) -> None:
    """The files of the pages, with the budget, the server and the number of calls of a test."""
    texts = files("how-to/several-workers") | files("how-to/queues", "taskiq")
    assert set(texts) == {"web.py", "events.py", "dialing.py", "campaign.py"}
    budget = f"AsyncExotel(rate_limit=RateLimit({BUDGET.limit}, per={BUDGET.per}))"
    for name in ("web.py", "dialing.py"):
        texts[name] = put_in(texts[name], "AsyncExotel()", budget)
        texts[name] = re.sub(
            r"import (\(\s*)?AsyncExotel,", r"import \1AsyncExotel, RateLimit,", texts[name]
        )
    texts["dialing.py"] = put_in(texts["dialing.py"], SERVER, f'"{valkey}')
    texts["campaign.py"] = put_in(texts["campaign.py"], "range(1, 11)", f"range(1, {CALLS + 1})")
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def command(word: str) -> list[str]:
    """The command of the pages that begins with a word, as a shell would run it."""
    pages = (*blocks("how-to/several-workers", "sh"), *blocks("how-to/queues", "sh", "taskiq"))
    lines = [line for block in pages for line in block.splitlines()]
    (line,) = (line for line in lines if line.startswith(f"{word} "))
    _, *arguments = shlex.split(line, comments=True)
    program = sys.executable if word == "python" else str(Path(sys.executable).with_name(word))
    return [program, *arguments]


def children(pid: int) -> Iterator[int]:
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, tasks.read_text().split()):
            yield child
            yield from children(child)


def pids(names: set[str]) -> set[int]:
    """Whose names in the statistics these are: host and process number."""
    return {int(name.rpartition(":")[2]) for name in names if ":" in name}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
async def test_a_web_application_and_a_queue_keep_to_one_budget(
    server: str, valkey: str, tmp_path: Path
) -> None:
    # Ten processes start at once: the server may have to wait for its turn.
    patient = f"{valkey}?timeout={SOON:g}"
    write_files(tmp_path, valkey)
    port = free_port()
    where = {"uvicorn": ["--port", f"{port}"], "gunicorn": ["--bind", f"127.0.0.1:{port}"]}[server]
    names: set[str] = set()
    async with (
        Emulator(rate=BUDGET.limit, speed=SPEED) as emulator,
        SharedTokenBucket(patient, BUDGET, account=emulator.account_sid, name="watch") as watch,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            timeout=20,
            # Each call may then come to another worker.
            limits=httpx.Limits(max_keepalive_connections=0),
        ) as browser,
    ):
        options: dict[str, Any] = {
            "cwd": tmp_path,
            "env": environment(
                emulator,
                HOME=str(tmp_path),  # gunicorn has a socket there
                EXOTEL_RATE_LIMIT_URL=patient,
                PYTHONWARNINGS="default",  # libraries of others have some
            ),
        }

        async def look() -> None:
            while True:
                names.update(process.name for process in (await watch.account()).processes)
                await asyncio.sleep(BUDGET.per / 20)

        async def click(number: int) -> None:
            async with users:
                answer = await browser.post("/call", json={"number": f"09812400{number:03}"})
            assert answer.status_code == 200, answer.text
            assert answer.json()["sid"] in emulator.calls

        users = asyncio.Semaphore(20)
        async with (
            running(*command(server), *where, log=tmp_path / "web.log", **options) as web,
            running(*command("taskiq"), log=tmp_path / "queue.log", **options) as queue,
            asyncio.TaskGroup() as tasks,
        ):
            looking = tasks.create_task(look())
            while True:
                with suppress(httpx.TransportError):
                    if (await browser.get("/openapi.json")).status_code == 200:
                        break
                await asyncio.sleep(0.1)
            # Else one of them has done it all before the other has begun.
            while (tmp_path / "queue.log").read_text(encoding="utf-8").count("Listening") < 2:
                await asyncio.sleep(0.1)
            campaign = await asyncio.create_subprocess_exec(*command("python"), **options)
            assert await campaign.wait() == 0
            await asyncio.gather(*(click(number) for number in range(CALLS)))
            assert (await browser.post("/call", json={"number": "98x"})).status_code == 422
            while len(emulator.calls) < 2 * CALLS:
                await asyncio.sleep(0.1)
            workers = {"web": set(children(web.pid)), "queue": set(children(queue.pid))}
            looking.cancel()
        # All of them have said good-bye.
        assert {process.name for process in (await watch.account()).processes} <= {"watch"}

    assert len(pids(names) & workers["web"]) >= 2
    assert len(pids(names) & workers["queue"]) == 2
    assert emulator.refused == 0
    assert emulator.busiest_window() <= BUDGET.limit
    for number in range(1, CALLS + 1):
        assert emulator.rung(f"+9198123000{number:02}") == 1
    for log in ("web.log", "queue.log"):
        written = (tmp_path / log).read_text(encoding="utf-8")
        assert "Traceback" not in written
        assert "0981240" not in written  # as in an access log


async def test_the_example_with_a_limiter_of_its_own_runs(valkey: str, tmp_path: Path) -> None:
    (block,) = blocks("how-to/several-workers", "python")
    async with Emulator(speed=SPEED) as emulator:
        shown = await output_of(put_in(block, f'{SERVER}"', f'"{valkey}"'), emulator, tmp_path)
    assert re.match(r"1 of 199 used, 0 wait\n.*:\d+ holds \d+\n$", shown)
    assert len(emulator.requests) == 1


async def test_four_workers_handle_each_callback_once(valkey: str, tmp_path: Path) -> None:
    (tmp_path / "events.py").write_text(
        put_in(files("how-to/several-workers")["events.py"], f'{SERVER}"', f'"{valkey}?timeout=20"')
    )
    page = (Path(__file__).parents[2] / "docs/how-to/several-workers.md").read_text("utf-8")
    (line,) = re.findall(r"`(uvicorn events:app .*)`", page)
    program, *arguments = shlex.split(line)
    port, log = free_port(), tmp_path / "events.log"
    secret = "a-long-secret-of-your-own"
    async with running(
        str(Path(sys.executable).with_name(program)),
        *arguments,
        "--port",
        f"{port}",
        log=log,
        cwd=tmp_path,
        env={**os.environ, "HOOKS_SECRET": secret},
    ):
        while log.read_text(encoding="utf-8").count("Application startup complete") < 4:
            await asyncio.sleep(0.1)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/exotel/{secret}",
            timeout=20,
            # Each callback may then come to another worker.
            limits=httpx.Limits(max_keepalive_connections=0, max_connections=40),
        ) as exotel:
            sids = [f"call-{number}" for number in range(CALLS)]
            answers = await asyncio.gather(
                *(
                    exotel.post("/status_callback", json={"CallSid": sid, "Status": "completed"})
                    for sid in sids * 4
                )
            )
    assert {answer.status_code for answer in answers} == {200}
    shown = log.read_text(encoding="utf-8")
    assert sorted(re.findall(r"handled: (\S+) completed", shown)) == sorted(sids)
    assert "Traceback" not in shown


async def test_celery_dials_each_once(valkey: str, tmp_path: Path) -> None:
    for name, text in files("how-to/queues", "Celery").items():
        (tmp_path / name).write_text(text.replace(SERVER, f'"{valkey}'), encoding="utf-8")
    worker, enqueue = blocks("how-to/queues", "sh", "Celery")[-1].splitlines()
    async with Emulator(speed=SPEED) as emulator:
        env = environment(
            emulator,
            EXOTEL_RATE_LIMIT_URL=f"{valkey}?timeout={SOON:g}",
            PYTHONWARNINGS="default",  # libraries of others have some
        )
        program = str(Path(sys.executable).with_name("celery"))
        arguments = shlex.split(worker)[1:]
        async with running(program, *arguments, log=tmp_path / "celery.log", cwd=tmp_path, env=env):
            queued = await asyncio.create_subprocess_exec(
                sys.executable,
                *shlex.split(enqueue)[1:],
                cwd=tmp_path,
                env=env,
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await queued.communicate()
    assert queued.returncode == 0
    assert sorted(out.decode().split()) == sorted(emulator.calls)
    assert [emulator.rung(f"+9198123000{n:02}") for n in range(1, 11)] == [1] * 10

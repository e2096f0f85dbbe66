"""Four processes serve one application: each event is handled once, even if one of them dies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import frozen

from tests.conftest import SOON
from tests.redis.claims_worker import HANGS
from tests.support import fork_server
from tests.support.ports import free_port
from tests.webhooks.payloads import LONG
from tests.webhooks.serving import SECRET, path

pytestmark = pytest.mark.slow(3)

WORKERS, CALLS = 4, 60
EVENT_TIMEOUT, LEASE_MORE = 2.0, 0.3


@frozen
class Workers:
    """Four processes, and what they have noted."""

    processes: list[fork_server.Process]
    clients: list[httpx.AsyncClient]
    log: Path

    async def post(self, worker: int, sid: str, **more: Any) -> int:
        payload = LONG | {"CallSid": sid} | more
        return (await self.clients[worker].post(path("status_callback"), json=payload)).status_code

    def noted(self, word: str) -> list[tuple[int, str]]:
        """The process and the call of each line that begins with a word."""
        text = self.log.read_text("utf-8") if self.log.exists() else ""
        lines = (line.split() for line in text.splitlines())
        return [(int(pid), sid) for first, pid, sid in lines if first == word]


@pytest.fixture
async def workers(valkey: str, tmp_path: Path) -> AsyncIterator[Workers]:
    log, ports = tmp_path / "handled.log", [free_port() for _ in range(WORKERS)]
    async with AsyncExitStack() as stack:
        processes = []
        for port in ports:
            options = {
                "valkey": f"{valkey}?timeout={SOON:g}",
                "secret": SECRET,
                "port": port,
                "log": log,
                "event-timeout": EVENT_TIMEOUT,
                "lease-more": LEASE_MORE,
            }
            process = await fork_server.start(
                "tests.redis.claims_worker",
                [f"--{name}={value}" for name, value in options.items()],
                env={**os.environ, "PYTHONWARNINGS": "error"},
                cwd=str(Path(__file__).parents[2]),
            )
            stack.push_async_callback(process.communicate)
            stack.callback(process.kill)
            processes.append(process)
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=SOON)
            )
            for port in ports
        ]
        async with asyncio.timeout(SOON):
            for client in clients:
                while True:
                    with suppress(httpx.TransportError):
                        await client.get("/")
                        break
                    await asyncio.sleep(0.05)
        yield Workers(processes, clients, log)
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            _, err = await process.communicate()
            assert b"Traceback" not in err, err.decode()


async def test_what_comes_to_all_of_them_is_handled_once(workers: Workers) -> None:
    sids = [f"call-{number}" for number in range(CALLS)]
    chance = random.Random(1)
    asked = [(worker, sid) for sid in sids for worker in range(WORKERS) for _ in range(2)]
    chance.shuffle(asked)
    statuses = await asyncio.gather(*(workers.post(worker, sid) for worker, sid in asked))
    assert Counter(statuses) == {200: len(asked)}
    assert Counter(sid for _, sid in workers.noted("handled")) == dict.fromkeys(sids, 1)
    assert workers.noted("begins") != []
    assert len(workers.noted("begins")) == CALLS
    # It was no single one of them that did it all.
    assert len({pid for pid, _ in workers.noted("handled")}) > 1
    # Later it is the same: also in those that did not handle it.
    again = await asyncio.gather(*(workers.post(n, sid) for n in range(WORKERS) for sid in sids))
    assert Counter(again) == {200: len(again)}
    assert len(workers.noted("begins")) == CALLS


async def test_what_one_that_is_killed_had_begun_is_handled_by_another(workers: Workers) -> None:
    first = asyncio.create_task(workers.post(0, "call-1", CustomField=HANGS))
    async with asyncio.timeout(SOON):
        while not workers.noted("begins"):
            await asyncio.sleep(0.01)
        assert workers.noted("begins") == [(workers.processes[0].pid, "call-1")]
        workers.log.with_suffix(".killed").touch()
        workers.processes[0].kill()
        with pytest.raises(httpx.TransportError):
            await first
        # As Exotel repeats it: first the claim is still held, and then it is over.
        statuses = [await workers.post(1, "call-1", CustomField=HANGS)]
        while statuses[-1] != 200:
            statuses.append(await workers.post(len(statuses) % 3 + 1, "call-1", CustomField=HANGS))
    assert set(statuses) <= {200, 500}
    ((pid, _),) = workers.noted("handled")
    assert pid in {process.pid for process in workers.processes[1:]}
    assert [begun for begun, _ in workers.noted("begins")] == [workers.processes[0].pid, pid]
    # And from now on it is handled.
    assert [await workers.post(n, "call-1", CustomField=HANGS) for n in (1, 2, 3)] == [200] * 3
    assert len(workers.noted("handled")) == 1

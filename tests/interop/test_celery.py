"""Celery's prefork workers: a session that was made before they were forked."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from celery import Celery

from exotel_async.emulator import Emulator
from tests.conftest import SOON
from tests.docs.programs import environment, running
from tests.interop.apps import BUDGET, SPEED

pytestmark = pytest.mark.slow(8)

APP = "tests.interop.apps.celery_app"
TASKS = 45  # more than the budget


async def test_its_processes_dial_by_sessions_of_their_own(valkey: str, tmp_path: Path) -> None:
    queue = Celery(broker=valkey, backend=valkey)
    async with (
        Emulator(rate=BUDGET.limit, speed=SPEED) as emulator,
        running(
            sys.executable,
            *("-m", "celery", "--app", APP, "worker"),
            *("--pool", "prefork", "--concurrency", "3", "--loglevel", "warning"),
            log=tmp_path / "worker.log",
            cwd=Path(__file__).parents[2],
            env=environment(
                emulator,
                BROKER=valkey,
                EXOTEL_RATE_LIMIT_URL=f"{valkey}?timeout={SOON:g}",
                PYTHONWARNINGS="default",
            ),
        ),
    ):
        sent = [queue.send_task("call", [f"+919812310{n:03}"]) for n in range(TASKS)]
        results = await asyncio.gather(
            *(asyncio.to_thread(task.get, timeout=2 * SOON) for task in sent)
        )
        assert {sid for sid, _ in results} == set(emulator.calls)
        assert len(emulator.calls) == TASKS
        assert 1 < len({process for _, process in results}) <= 3
        assert not [request for request in emulator.requests if request.status == 429]
    queue.close()

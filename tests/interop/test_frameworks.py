"""Applications of several frameworks, each served by its own server, and many users at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from exotel_async.emulator import Behaviour, Emulator, Scenario
from tests.conftest import SOON
from tests.docs.programs import environment, running
from tests.interop.apps import BUDGET, SPEED
from tests.support.ports import free_port

pytestmark = pytest.mark.slow(12)

ROOT = Path(__file__).parents[2]
APPS = "tests.interop.apps"
USERS = 45  # more than the budget
GUNICORN = ("gunicorn", "--workers", "2", "--threads", "8", "--preload", "--bind")
SERVERS = {
    "flask": (*GUNICORN, "127.0.0.1:{port}", f"{APPS}.flask_app:app"),
    "django, WSGI": (*GUNICORN, "127.0.0.1:{port}", f"{APPS}.django_app:wsgi"),
    "django, ASGI": ("uvicorn", "--port", "{port}", f"{APPS}.django_app:asgi"),
    "aiohttp": (f"{APPS}.aiohttp_app", "{port}"),
    "litestar": ("uvicorn", "--port", "{port}", f"{APPS}.litestar_app:app"),
}
"""How each is served: by `python -m`."""


@asynccontextmanager
async def served(
    name: str, emulator: Emulator, folder: Path, **variables: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an application, until the block ends."""
    port = free_port()
    command = [word.format(port=port) for word in SERVERS[name]]
    variables |= {"PUBLIC_URL": f"http://127.0.0.1:{port}", "HOME": str(folder)}
    async with (
        running(
            sys.executable,
            "-m",
            *command,
            log=folder / "app.log",
            cwd=ROOT,
            env=environment(emulator, PYTHONWARNINGS="default", **variables),
        ),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=SOON) as browser,
    ):
        async with asyncio.timeout(SOON):
            while True:
                with suppress(httpx.TransportError):
                    await browser.get("/")
                    break
                await asyncio.sleep(0.02)
        yield browser


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("flask", ""),
        ("django, WSGI", ""),
        ("django, ASGI", ""),
        ("django, ASGI", "/async"),
        ("aiohttp", ""),
        ("litestar", ""),
    ],
)
async def test_many_users_at_once_are_each_called_once(
    name: str, prefix: str, valkey: str, tmp_path: Path
) -> None:
    """Workers that were forked share the account's budget through a server."""
    numbers = [f"+919812310{n:03}" for n in range(USERS)]
    shared = {"EXOTEL_RATE_LIMIT_URL": f"{valkey}?timeout={SOON:g}"}
    async with (
        Emulator(rate=BUDGET.limit, speed=SPEED) as emulator,
        served(name, emulator, tmp_path, **shared) as browser,
    ):
        answers = await asyncio.gather(
            *(browser.post(f"{prefix}/call/{number}") for number in numbers)
        )
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["sid"] for answer in answers} == set(emulator.calls)
        assert len(emulator.calls) == USERS
        assert not [request for request in emulator.requests if request.status == 429]
        wrong = await browser.post(f"{prefix}/call/12")
        assert wrong.status_code == 422
        assert "must" in wrong.json()["error"]


@pytest.mark.parametrize("name", ["aiohttp", "litestar"])
async def test_a_callback_ends_the_wait_for_a_call(name: str, tmp_path: Path) -> None:
    busy = Scenario(numbers={"+919812300001": Behaviour("busy", ring=1)})
    async with (
        Emulator(speed=SPEED, scenario=busy) as emulator,
        served(name, emulator, tmp_path) as browser,
    ):
        sid = (await browser.post("/call/+919812310001")).json()["sid"]
        assert (await browser.get(f"/end/{sid}")).json() == {"ended": True}

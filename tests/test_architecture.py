"""The contracts in pyproject.toml: a wrong import of each kind breaks one of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow(1)

ROOT = Path(__file__).parents[1]
LAYERS = "A folder stands above what it imports"
EMULATOR = "The emulator shares no code with the SDK"
HTTPX = "Only the transport, its client and the emulator know httpx"
REDIS = "Only redis/ knows redis-py"
TELEMETRY = "Only otel.py knows OpenTelemetry"
DATABASES = "Only campaigns/ knows SQLAlchemy"
CIRCLES = "No folders and no modules import each other in circles"


def broken(root: Path) -> list[str]:
    """Return the names of the contracts that the package at `root` breaks."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    return re.findall(r"^(.+) BROKEN\b", done.stdout, flags=re.MULTILINE)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / "exotel_async", tmp_path / "exotel_async", ignore=shutil.ignore_patterns("*.pyc")
    )
    return tmp_path


def test_the_contracts_are_kept() -> None:
    assert broken(ROOT) == []


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("wire/request.py", "from exotel_async.http import pipeline", LAYERS),
        ("limiter/window.py", "from exotel_async.wire import request", LAYERS),
        ("webhooks/enums.py", "from exotel_async.http import retry", LAYERS),
        ("calls/seen.py", "from exotel_async import client", LAYERS),
        ("client.py", "from exotel_async.sync import feed", LAYERS),
        ("new_room.py", "", LAYERS),
        ("emulator/clock.py", "from exotel_async import masking", EMULATOR),
        ("emulator/clock.py", "from exotel_async.wire import responses", LAYERS),
        ("http/retry.py", "import httpx", HTTPX),
        ("cli/doctor.py", "from httpx import URL", HTTPX),
        ("http/receive.py", "import httpx2", HTTPX),
        ("emulator/callbacks.py", "from httpx2 import URL", HTTPX),
        ("limiter/pacer.py", "import redis", REDIS),
        ("calls/seen.py", "import sqlalchemy", DATABASES),
        ("http/reports.py", "from opentelemetry import trace", TELEMETRY),
        ("calls/seen.py", "from exotel_async.campaigns import words", LAYERS),
        ("calls/seen.py", "from exotel_async.calls import reconcile_claims", CIRCLES),
        ("emulator/flows/caller.py", "from exotel_async.emulator.flow_engine import walk", CIRCLES),
        ("emulator/clock.py", "from exotel_async.emulator.flow_engine import walk", CIRCLES),
    ],
)
def test_a_wrong_import_breaks_its_contract(
    copy: Path, module: str, line: str, contract: str
) -> None:
    path = copy / "exotel_async" / module
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{text}\n{line}\n", encoding="utf-8")
    assert contract in broken(copy)

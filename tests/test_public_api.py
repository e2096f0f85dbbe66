"""The public names are the ones that are listed."""

from __future__ import annotations

import subprocess
import sys
import types

import exotel_async
import exotel_async.emulator
import exotel_async.redis
import exotel_async.sync


def test_all_is_honest() -> None:
    for package in (exotel_async, exotel_async.emulator, exotel_async.redis, exotel_async.sync):
        public = {
            name
            for name in dir(package)
            if not name.startswith("_") and not isinstance(getattr(package, name), types.ModuleType)
        }
        assert public == {name for name in package.__all__ if not name.startswith("_")}


def test_it_says_its_version() -> None:
    assert exotel_async.__version__.count(".") == 2


def test_the_core_imports_none_of_its_extras() -> None:
    extras = ("starlette", "uvicorn", "python_multipart", "cyclopts", "redis", "opentelemetry")
    program = f"import sys, exotel_async; print([m for m in {extras!r} if m in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"

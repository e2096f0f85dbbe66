"""What an import brings with it, each in a process of its own. How long it takes is a benchmark."""

from __future__ import annotations

import ast
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import exotel_async
from exotel_async.cli.emulator_options import EmulatorOptions
from exotel_async.emulator import RateWindow

pytestmark = pytest.mark.slow(0.3)

SDK = {"calls", "client", "http", "limiter", "redis", "resources"}
DEPENDENCIES = {"httpx", "attrs", "cattrs", "aiolimiter", "anyio"}
PUBLIC: list[str] = vars(exotel_async)["__all__"]  # which type checkers do not read
EXTRAS = {"starlette", "uvicorn", "python_multipart", "cyclopts", "redis", "httpx2"}


def imported(program: str) -> set[str]:
    """Run a program; return the names of the modules that are there in the end."""
    program += "\nimport json, sys; print(json.dumps([*sys.modules]))"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(ended.stdout.splitlines()[-1]))


def ours(modules: set[str]) -> set[str]:
    """Return what is the package's."""
    return {name for name in modules if name.partition(".")[0] == "exotel_async"}


def folders(modules: set[str]) -> set[str]:
    """Return the folders and modules of the package's top that are among them."""
    return {name.split(".")[1] for name in ours(modules) if "." in name}


def test_the_package_alone_imports_nothing() -> None:
    modules = imported("import exotel_async")
    assert ours(modules) == {"exotel_async"}
    assert not modules & (DEPENDENCIES | EXTRAS)


def test_a_name_imports_what_it_is_made_of() -> None:
    modules = imported("from exotel_async import ConfigurationError, normalize_number, __version__")
    assert folders(modules) == {"errors", "masking", "phone", "version"}


def test_a_session_comes_without_what_few_programs_use() -> None:
    modules = imported("from exotel_async import AsyncExotel")
    assert modules >= DEPENDENCIES
    assert not modules & EXTRAS
    unused = {"calls.connect_many", "calls.get_many", "calls.list", "calls.reconcile", "calls.wait"}
    unused |= {"emulator", "events", "http.receive", "redis", "webhooks"}
    assert not modules & {f"exotel_async.{name}" for name in unused}


def test_a_session_imports_httpx2_only_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("EXOTEL_HTTP", raising=False)
    program = (
        "import httpx\nfrom exotel_async import AsyncExotel\n"
        "given = {'account_sid': 'acme1', 'api_key': 'key', 'api_token': 'token'}\n"
        "AsyncExotel(**given), AsyncExotel(**given, http_client=httpx.AsyncClient())\n"
    )
    assert "httpx2" not in imported(program)
    assert "httpx2" in imported(f"{program}AsyncExotel(**given, http_client='httpx2')")


def test_webhooks_come_without_the_client() -> None:
    modules = imported("from exotel_async.webhooks import ExotelWebhooks")
    assert not folders(modules) & (SDK | {"cli", "emulator"})
    assert not modules & (DEPENDENCIES - {"attrs"})


def test_the_emulator_comes_without_the_sdk() -> None:
    modules = imported("import exotel_async.emulator")
    assert folders(modules) == {"emulator"}
    assert not modules & {"cattrs", "starlette.routing"}, "they are for the control API"
    assert "exotel_async.emulator.control.reading" not in modules


def test_the_command_begins_with_next_to_nothing() -> None:
    modules = imported("import exotel_async.cli") - imported("from __future__ import annotations")
    assert modules == {"exotel_async", "exotel_async.cli"}


def test_the_commands_are_described_without_what_they_do() -> None:
    modules = imported("import exotel_async.cli.app")
    assert not folders(modules) & (SDK | {"emulator", "models", "webhooks"})
    assert not modules & {"httpx", "cattrs", "starlette", "uvicorn"}


def test_the_emulator_command_knows_all_rate_windows() -> None:
    words, none = get_args(get_type_hints(EmulatorOptions)["window"])
    assert get_args(words) == tuple(window.value for window in RateWindow)
    assert none is type(None)


def test_what_type_checkers_read_is_what_a_program_gets() -> None:
    tree = ast.parse(Path(exotel_async.__file__).read_text(encoding="utf-8"))
    read = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module != "importlib"
        for alias in node.names
        if alias.asname == alias.name
    }
    told = ast.literal_eval(
        next(
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_NAMES"
        )
    )
    assert read == {name: module for module, names in told.items() for name in names}
    assert read.keys() == set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(exotel_async, name) is vars(exotel_async)[name]


def test_dir_and_star_tell_all_before_any_is_used() -> None:
    program = """
import exotel_async
assert {*exotel_async.__all__} <= {*dir(exotel_async)}
assert "AsyncExotel" not in vars(exotel_async)
assert "TYPE_CHECKING" not in dir(exotel_async)
from exotel_async import *
assert {*exotel_async.__all__} <= {*globals()}
"""
    assert "exotel_async.client" in imported(program)


def test_what_is_no_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'exotel_async' has no attribute 'Cal'"):
        _ = exotel_async.Cal  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="Cal"):
        exec("from exotel_async import Cal")  # noqa: S102


def test_a_value_is_unpickled_where_nothing_is_imported_yet() -> None:
    call = exotel_async.Call(sid="sid-1", status=exotel_async.CallStatus.COMPLETED)
    program = f"import pickle; call = pickle.loads({pickle.dumps(call)!r}); assert call.is_final"
    assert "exotel_async.client" not in imported(program)

"""What the documentation has to have: names, options, exit codes and variables of the package."""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from cyclopts import App

import exotel_async
from exotel_async.cli.app import app
from exotel_async.http import environment
from exotel_async.models.value import Value

MODULES: Final = (
    "exotel_async",
    "exotel_async.campaigns",
    "exotel_async.emulator",
    "exotel_async.events",
    "exotel_async.otel",
    "exotel_async.redis",
    "exotel_async.sync",
    "exotel_async.webhooks",
)
PARTS: Final = {
    "calls": "exotel_async.calls.resource.Calls",
    "numbers": "exotel_async.resources.numbers.Numbers",
    "account": "exotel_async.resources.account.Account",
    "exophones": "exotel_async.resources.exophones.ExoPhones",
}
"""Classes that users reach by an attribute of a session."""
_OURS: Final = {
    "Applet": {"needs_caller", "one_of", "own_exits"},
    "Calls": {"parts", "with_defaults"},
    "Faults": {"take_for_callback", "take_for_request"},
    "SharedTokenBucket": {"allow_exchange", "allow_in_flight"},
    "TokenBucket": {"allow_in_flight"},
}
"""Methods that other parts of the package call, and users do not."""
_PACKAGE: Final = Path(exotel_async.__file__).parent
_OF_RICH: Final = {"NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS"}
"""What the command line's output goes by, through the package rich."""


def names() -> Iterator[tuple[str, str]]:
    """All public names, each with its module."""
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            yield module, name
    dependencies = importlib.import_module("exotel_async.webhooks.fastapi")
    for name in vars(dependencies):
        if name in {"status_callback", "dial_event", "heartbeat"} or name.endswith("_request"):
            yield "exotel_async.webhooks.fastapi", name
    yield "exotel_async.pytest_plugin", "exotel"
    yield "exotel_async.pytest_plugin", "exotel_emulator"


def members() -> Iterator[tuple[str, str]]:
    """The public methods and attributes of all public classes, each with the class.

    What is inherited of another of them is that one's.
    """
    kinds = [getattr(importlib.import_module(module), name) for module, name in names()]
    for path in PARTS.values():
        module, _, name = path.rpartition(".")
        kinds.append(getattr(importlib.import_module(module), name))
    for kind in filter(inspect.isclass, kinds):
        if kind.__name__ == "Ledger":  # whose methods a dialer calls
            continue
        others = {*_OURS.get(kind.__name__, ())}
        for base in kind.__mro__[1:]:
            others |= _members(base) if base in kinds else set()
        for member in sorted(_members(kind) - others):
            yield kind.__name__, member


def _members(kind: type) -> set[str]:
    if issubclass(kind, enum.Enum):
        found = {*kind.__members__}
    elif hasattr(kind, "__total__"):  # a TypedDict
        found = {*kind.__annotations__}
    else:
        usual = {*dir(Exception)} | {*dir(Value)}
        found = {name for name in dir(kind) if name not in usual} | {*kind.__annotations__}
        if attrs.has(kind):
            found |= {one.name for one in attrs.fields(kind)}
    return {name for name in found if not name.startswith("_")}


def options() -> Iterator[tuple[str, str]]:
    """The options of all commands, each with its command."""
    yield from _options(app, "")
    yield from _options(app["campaign"], "campaign ")


def _options(of: App, prefix: str) -> Iterator[tuple[str, str]]:
    for name in of:
        command: Any = of[name]
        if name.startswith("-") or name == "campaign":
            continue
        for argument in command.assemble_argument_collection():
            for option in argument.names:
                if option.startswith("--") and argument.show:
                    yield prefix + name, option


def exit_codes() -> Iterator[tuple[str, set[str]]]:
    """The commands whose help names exit codes, and the codes."""
    for of, prefix in ((app, ""), (app["campaign"], "campaign ")):
        for name in of:
            summary = " ".join(of[name].help.partition("Args:")[0].split())
            _, _, told = summary.partition("Exit codes:")
            if told:
                yield prefix + name, set(re.findall(r"(?:^|,)\s+(\d+)\s", told))


def variables() -> set[str]:
    """The environment variables that the package reads, itself or through what it uses."""
    found = {*environment.TLS_VARIABLES, *_OF_RICH}
    found |= {f"{scheme}_proxy".upper() for scheme in (*environment._PROXIED, "no")}
    for path in _PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        found |= {*re.findall(r"\bEXOTEL_[A-Z]+(?:_[A-Z]+)*\b(?!\*)", text)}
        if "environ" in text or "env(" in text:
            for node in ast.walk(ast.parse(text)):
                found |= {*_read_in(node)}
    return found


def _read_in(node: ast.AST) -> Iterator[str]:
    """The names that are read by `os.environ.get(...)`, `os.environ[...]` and `os.getenv(...)`."""
    asked: list[ast.expr] = []
    if isinstance(node, ast.Call) and ast.unparse(node.func) in {
        "os.environ.get",
        "environ.get",
        "os.getenv",
        "getenv",
        "monkeypatch.setenv",
    }:
        asked = node.args[:1]
    elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
        asked = [node.slice]
    for one in asked:
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value

"""The synchronous classes are those that are written from the async ones."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from typing import Any

import pytest

from exotel_async import AsyncExotel, sync
from tests.sync import generate

KINDS = [*generate.PARTS, *generate.LISTS, *generate.BLOCKS, *generate.RESULTS]


def test_they_are_those_that_are_written_today() -> None:
    text = generate.TARGET.read_text(encoding="utf-8")
    assert text == generate.generate(), "write it again: python -m tests.sync.generate"


def pairs() -> list[tuple[type, type]]:
    """The async classes, each with the one that is made of it."""
    found: list[tuple[type, type]] = [(AsyncExotel, sync.Exotel)]
    for path in KINDS:
        module, _, name = path.rpartition(".")
        found.append((getattr(importlib.import_module(module), name), getattr(sync, name)))
    return found


def public(kind: type) -> set[str]:
    """What users call."""
    return {name for name in dir(kind) if not name.startswith("_")} - generate.NOT_FOR_USERS


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: str(pair[0].__name__))
def test_they_have_the_same_methods_with_the_same_arguments(pair: tuple[type, type]) -> None:
    theirs, ours = pair
    new = {"first_page"} if theirs.__name__ == "CallRecords" else set()
    assert public(ours) == {generate.NAMES.get(name, name) for name in public(theirs)} | new
    for name in public(theirs) | {"__init__"} & vars(ours).keys():
        method: Any = getattr(ours, generate.NAMES.get(name, name))
        if callable(method):
            assert not inspect.iscoroutinefunction(method)
            wanted = inspect.signature(getattr(theirs, name)).parameters
            assert list(inspect.signature(method).parameters) == list(wanted), name
            for parameter, own in inspect.signature(method).parameters.items():
                assert own.default == wanted[parameter].default
                assert own.kind == wanted[parameter].kind
        assert inspect.getdoc(method), name


def test_every_async_class_of_a_session_has_one() -> None:
    """What the annotations of the public methods name is among them."""
    named = set()
    for path in (generate.SESSION, *KINDS):
        for _, method in generate.Source(path).methods():
            if method.returns is not None:
                named.add(ast.unparse(method.returns))
    streams = {
        name
        for name in named
        if isinstance(kind := getattr(importlib.import_module("exotel_async"), name, None), type)
        and (hasattr(kind, "__aiter__") or hasattr(kind, "__aenter__"))
    }
    assert streams == {path.rpartition(".")[2] for path in KINDS if path not in generate.PARTS}


def test_their_docstrings_are_for_those_who_do_not_await() -> None:
    text = generate.TARGET.read_text(encoding="utf-8")
    docstrings = " ".join(" ".join(re.findall(r'"""(.*?)"""', text, re.DOTALL)).split())
    assert not re.search(
        r"\bawait|\basync |aclose|AsyncExotel|\btask|asyncio|coroutine", docstrings
    )
    assert "``with exotel.calls.get_many(sids) as results`` and ``for result in" in docstrings

"""The public names of `exotel_async.webhooks`, and the words in them."""

from __future__ import annotations

import ast
import pickle
import types
from pathlib import Path

import pytest

import exotel_async.webhooks
from exotel_async.models import OpenEnum
from exotel_async.webhooks import (
    AgentState,
    DialEventType,
    FlowCallType,
    HeartbeatStatus,
    HoldMusic,
)

WORDS: list[type[OpenEnum]] = [AgentState, DialEventType, FlowCallType, HeartbeatStatus, HoldMusic]
ALLOWED = {"config", "errors", "events", "listeners", "logs", "masking", "models", "phone"}
ALLOWED |= {"webhooks", "wire"}


def test_all_is_honest() -> None:
    package = exotel_async.webhooks
    public = {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public == set(package.__all__)
    assert package.__all__ == sorted(package.__all__)


@pytest.mark.parametrize("kind", WORDS)
def test_words_are_open(kind: type[OpenEnum]) -> None:
    for member in kind:
        assert kind(member.value.upper()) is member
        assert pickle.loads(pickle.dumps(member)) is member  # noqa: S301
    assert kind("something new") == "something new"


def test_parsing_and_answers_stand_apart_from_the_client() -> None:
    files = list(Path(exotel_async.webhooks.__file__).parent.glob("*.py"))
    imported = {
        node.module.split(".")[1]
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("exotel_async.")
        if node.module
    }
    assert len(files) > 10
    assert imported <= ALLOWED

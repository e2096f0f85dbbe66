"""Functions of the user's that fail: what the log says of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from exotel_async.listeners import tell

SECRET = "emulator-token +919812300001"


def push(*_: object) -> None:
    raise ValueError


class Listener:
    def __repr__(self) -> str:
        return SECRET

    __call__ = push


@pytest.mark.parametrize(
    ("listener", "name"),
    [
        (push, "push"),
        (functools.partial(push, SECRET), "push"),
        (functools.partial(Listener(), SECRET), "Listener"),
        (Listener(), "Listener"),
    ],
)
def test_the_log_names_a_listener_without_what_it_holds(
    listener: Callable[..., Any], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert tell(listener, 1) is None
    [record] = caplog.records
    assert record.getMessage() == f"{name} has failed"

"""Functions of the user's that fail: what the log says of them."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from typing import Any

import pytest

from exotel_async.listeners import call_listener

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
    assert call_listener(listener, 1) is None
    [record] = caplog.records
    assert record.getMessage() == f"The listener {name} has failed"


@pytest.mark.parametrize("raised", [SystemExit, asyncio.CancelledError, GeneratorExit])
def test_nothing_it_raises_gets_further(
    raised: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def listener() -> None:
        raise raised

    assert call_listener(listener) is None
    assert len(caplog.records) == 1


def test_ctrl_c_in_it_is_not_lost() -> None:
    told: list[object] = []

    def listener() -> None:
        raise KeyboardInterrupt

    def wait() -> None:
        told.append(call_listener(listener))
        while True:
            time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        wait()
    assert len(told) <= 1

"""Which functions are taken as handlers, and those that would never run."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from exotel_async.errors import ConfigurationError
from tests.webhooks.payloads import DIAL, LONG, PASSTHRU, query
from tests.webhooks.serving import new_hooks, path, serving

KINDS = ["status_callback", "dial_event", "heartbeat"]
APPLETS = ["passthru", "connect", "dial_whom", "gather", "greeting", "whisper", "sms", "voicebot"]


def generator(event: object) -> Iterator[object]:
    yield event


async def async_generator(event: object) -> AsyncIterator[object]:
    yield event


class Handlers:
    async def method(self, event: object) -> AsyncIterator[object]:
        yield event

    async def __call__(self, event: object) -> AsyncIterator[object]:
        yield event


async def no_argument() -> None: ...


async def two(event: object, other: object) -> None: ...


async def by_keyword(*, event: object) -> None: ...


async def one(event: object) -> None: ...


def with_other(handler: Callable[..., Any]) -> Any:
    """A decorator that adds an argument, as those that open a database session."""

    @functools.wraps(handler)
    async def called(event: object) -> None:
        await handler(event, "other")

    return called


def register(kind: str, handler: Any) -> None:
    decorator = getattr(new_hooks(), kind)
    (decorator("main") if kind in APPLETS else decorator)(handler)


@pytest.mark.parametrize("kind", KINDS + APPLETS)
@pytest.mark.parametrize(
    "handler",
    [
        generator,
        async_generator,
        functools.partial(async_generator),
        functools.partial(functools.partial(generator)),
        Handlers(),
        Handlers().method,
        functools.partial(Handlers()),
    ],
)
def test_a_handler_with_yield_is_refused(kind: str, handler: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{kind}: a handler must not contain yield"):
        register(kind, handler)


@pytest.mark.parametrize("kind", KINDS + APPLETS)
@pytest.mark.parametrize(
    "handler",
    [no_argument, two, by_keyword, functools.partial(one, 1), functools.partial(two), dict.get],
)
def test_a_handler_takes_one_argument(kind: str, handler: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{kind}: a handler must take one argument"):
        register(kind, handler)


@pytest.mark.parametrize(
    "handler", [one, functools.partial(two, other=1), print, [].append, with_other(two), dict]
)
def test_what_can_be_called_with_one_argument_is_taken(handler: Any) -> None:
    for kind in KINDS + APPLETS:
        register(kind, handler)


def hidden(event: object) -> object:
    return async_generator(event)


async def async_hidden(event: object) -> object:
    return generator(event)


@pytest.mark.parametrize("handler", [hidden, async_hidden])
async def test_an_event_whose_handler_returns_a_generator_comes_again(
    handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = new_hooks()
    hooks.status_callback(handler)
    hooks.dial_event(handler)
    hooks.passthru("main")(handler)
    async with serving(hooks) as served:
        for _ in range(2):  # it is not recorded as handled
            got = await served.client.post(path("status_callback"), json=LONG)
            assert got.status_code == 500
        got = await served.client.get(f"{path('dial_event')}?{query(DIAL)}")
        assert got.status_code == 500
        got = await served.client.get(f"{path('passthru', 'main')}?{query(PASSTHRU)}")
        assert got.status_code == 302
    texts = [record.getMessage().partition(";")[0] for record in caplog.records]
    assert texts == [
        "Handling status_callback has failed",
        "Handling status_callback has failed",
        "Handling dial_event has failed",
        "The handler passthru/main has failed",
    ]
    assert caplog.text.count("TypeError: the handler returned a generator, so nothing ran") == 3

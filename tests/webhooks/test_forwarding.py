"""To what status callbacks are forwarded, and when that stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from exotel_async import AsyncExotel, CallStatus, ConfigurationError
from exotel_async.sync import Exotel
from exotel_async.webhooks import StatusCallback
from tests.conftest import SOON
from tests.webhooks.payloads import LONG, SID
from tests.webhooks.serving import new_hooks, path, serving

KEYS: dict[str, Any] = {"account_sid": "acme1", "api_key": "k", "api_token": "t"}


class Plain:
    def notify(self, event: object) -> None: ...


class Awaited:
    async def notify(self, event: object) -> None: ...


class NoArgument:
    def notify(self) -> None: ...


class NoMethod:
    notify = "x"


class OwnExotel(Exotel):
    """A subclass of a user's."""


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda: None, "None"),
        (lambda: 5, "5"),
        (lambda: AsyncExotel(**KEYS), "AsyncExotel"),
        (lambda: AsyncExotel(**KEYS).calls.notify, "method"),
        (Awaited, "Awaited"),
        (NoArgument, "NoArgument"),
        (NoMethod, "NoMethod"),
        (lambda: Plain, "type"),
    ],
)
def test_what_cannot_be_notified_is_refused(make: Callable[[], Any], shown: str) -> None:
    hooks = new_hooks()
    with pytest.raises(ConfigurationError) as caught:
        hooks.forward_to(make())
    assert str(caught.value) == (
        f"forward_to(calls)={shown}: must be the calls of an AsyncExotel, or have a method "
        "notify(event) that is not async"
    )
    with pytest.raises(ConfigurationError, match="nothing is registered"):
        hooks.url("status_callback")


@pytest.mark.parametrize("kind", [Exotel, OwnExotel])
def test_the_session_without_async_is_refused(kind: type[Exotel]) -> None:
    with kind(**KEYS) as exotel:
        for wrong in (exotel, exotel.calls, exotel.with_options(max_wait=1).calls):
            with pytest.raises(
                ConfigurationError,
                match="must be the calls of an AsyncExotel: those of an Exotel would",
            ):
                new_hooks().forward_to(wrong)  # type: ignore[arg-type]


async def test_a_handler_notifies_the_session_without_async_in_a_thread() -> None:
    hooks = new_hooks()
    exotel = Exotel(**KEYS)

    @hooks.status_callback
    async def on_status(event: StatusCallback) -> None:
        await asyncio.to_thread(exotel.calls.notify, event)

    async with serving(hooks) as served:
        assert (await served.client.post(path("status_callback"), json=LONG)).status_code == 200
    call = await asyncio.to_thread(exotel.calls.wait, SID, timeout=SOON)
    assert call.status is CallStatus.COMPLETED
    await asyncio.to_thread(exotel.close)


async def test_the_log_says_closed_where_it_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    hooks = new_hooks()
    closed, elsewhere = AsyncExotel(**KEYS), AsyncExotel(**KEYS)

    async def told() -> None:
        elsewhere.calls.notify(StatusCallback(sid="x1", status=CallStatus.RINGING))

    await asyncio.to_thread(lambda: asyncio.run(told()))
    await closed.aclose()
    hooks.forward_to(elsewhere.calls)
    async with serving(hooks) as served:
        for _ in range(2):
            await served.client.post(path("status_callback"), json=LONG)
        (record,) = caplog.records
        assert record.getMessage().startswith("no longer forwarding status callbacks: ")
        assert "event loop" in record.getMessage()
        assert "closed" not in record.getMessage()
        caplog.clear()
        hooks.forward_to(closed.calls)
        await served.client.post(path("status_callback"), json=LONG)
    (record,) = caplog.records
    assert record.getMessage() == ("no longer forwarding status callbacks: this session is closed")

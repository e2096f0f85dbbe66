"""The pytest plugin of exotel-async: a local Exotel for a test, and a session with it.

    @pytest.mark.exotel(rate=20, window="fixed", faults=[Fault.act_then_drop()])
    async def test_my_program(exotel: AsyncExotel, exotel_emulator: Emulator) -> None: ...

pytest imports it wherever the package is installed, so that it imports nothing itself before a test
asks for a fixture. Event loops that follow one another share the rate limit of an account: those of
tests do not, for most of them have one of their own, and an account that is not real.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from exotel_async import AsyncExotel
    from exotel_async.emulator import Emulator

_MARKER = (
    "exotel(*, faults=[...], rate=200, per=60.0, window='sliding-log', seed=0, speed=60.0, ...): "
    "settings of the test's `exotel_emulator`: any of exotel_async.emulator.Emulator. `faults` are "
    "Fault values, or pairs of one and what `faults.add` takes: (fault, {'path': 'Calls/connect'})."
)
_DEFAULTS: dict[str, Any] = {"speed": 60.0}


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


def pytest_runtest_setup() -> None:
    """Let no test wait for what another one has spent of the rate limit, or for its pause."""
    memory = sys.modules.get("exotel_async.limiter.memory")
    if memory is not None:  # or nothing was spent
        memory.MEMORIES.forget()


@pytest.fixture
async def exotel_emulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Emulator]:
    """A running local Exotel, sixty times as fast as time, with the settings of the markers.

    Budgets are those of the test alone: the variable EXOTEL_RATE_LIMIT_URL is not there.

    Of several markers, on the test, its class and its module, the nearest one decides, setting by
    setting. It needs a plugin that runs async tests on asyncio: anyio's, or pytest-asyncio in auto
    mode.
    """
    emulator = _emulator(request)
    monkeypatch.delenv("EXOTEL_RATE_LIMIT_URL", raising=False)
    async with emulator:
        yield emulator


@pytest.fixture
async def exotel(exotel_emulator: Emulator) -> AsyncIterator[AsyncExotel]:
    """A session with `exotel_emulator`, at its budgets, whose pauses are as much shorter."""
    from exotel_async import AsyncExotel, RateLimit, RetryPolicy  # noqa: PLC0415

    emulator, usual = exotel_emulator, RetryPolicy()
    per = emulator.per / emulator.speed
    async with AsyncExotel(
        account_sid=emulator.account_sid,
        api_key=emulator.api_key,
        api_token=emulator.api_token,
        base_url=emulator.base_url,
        rate_limit=RateLimit(emulator.rate, per=per),
        exophone_rate_limit=RateLimit(emulator.exophone_rate, per=per),
        retry=RetryPolicy(
            backoff=usual.backoff / emulator.speed, backoff_cap=usual.backoff_cap / emulator.speed
        ),
    ) as exotel:
        yield exotel


def _emulator(request: pytest.FixtureRequest) -> Emulator:
    """The emulator the markers of a test describe."""
    _check_loop()
    settings = dict(_DEFAULTS)
    # The nearest one comes first, and is to have the last word.
    for marker in reversed(list(request.node.iter_markers("exotel"))):
        if marker.args:
            raise _problem(f"@pytest.mark.exotel takes keywords only, not {marker.args!r}")
        settings |= marker.kwargs
    try:
        return _made(**settings)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "exotel_async":
            raise
        raise _problem(f"it needs {missing}: pip install 'exotel-async[emulator]'") from None
    except (TypeError, ValueError) as error:
        raise _problem(f"@pytest.mark.exotel: {error}") from None


def _made(faults: Iterable[Any] = (), **settings: Any) -> Emulator:
    from exotel_async.emulator import Emulator, Fault  # noqa: PLC0415

    emulator = Emulator(**settings)
    for ordered in faults:
        fault, where = ordered if isinstance(ordered, tuple) else (ordered, {})
        if not isinstance(fault, Fault):
            raise TypeError(f"{fault!r} is not a Fault")
        emulator.faults.add(fault, **where)
    return emulator


def _check_loop() -> None:
    import asyncio  # noqa: PLC0415

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise _problem(
            "it runs on asyncio alone: with anyio's plugin, have a fixture `anyio_backend` return "
            "'asyncio'"
        ) from None


def _problem(words: str) -> BaseException:
    """What is shown instead of a traceback."""
    return pytest.fail.Exception(f"exotel_emulator: {words}", pytrace=False)

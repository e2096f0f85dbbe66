"""The pytest plugin of exotel-async: an emulator for a test, and a session with it::

    @pytest.mark.exotel(rate=20, window="fixed", faults=[Fault.act_then_drop()])
    async def test_my_program(exotel: AsyncExotel, exotel_emulator: Emulator) -> None: ...

    def test_my_blocking_program(exotel_emulator: Emulator) -> None: ...

The emulator runs in a thread of its own, so it does not matter which plugin runs a test, in which
event loop, or whether there is one. A session belongs to the loop of its test: its fixture is run
by the plugin that runs the test.

pytest imports this module wherever the package is installed, so it imports nothing before a test
requests a fixture. Normally, successive event loops share the rate limit of an account; those of
tests do not, as most tests have a loop of their own, and the account is not real.
"""

from __future__ import annotations

import inspect
import sys
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from exotel_async import AsyncExotel
    from exotel_async.emulator import Emulator

_MARKER = (
    "exotel(*, faults=[...], rate=200, per=60.0, window='sliding-log', seed=0, speed=60.0, ...): "
    "settings of the test's `exotel_emulator`: any of exotel_async.emulator.Emulator. `faults` are "
    "Fault values, or pairs of one and what `faults.add` takes: (fault, {'path': 'Calls/connect'})."
)
_NO_LOOP = (
    "a session belongs to an event loop, and no plugin runs this test in one. Mark an async test "
    "with @pytest.mark.asyncio or @pytest.mark.anyio, or set asyncio_mode or anyio_mode to auto. A "
    "test that is not async takes `exotel_emulator`, and makes its session where its loop is: "
    "AsyncExotel(base_url=exotel_emulator.base_url, ...)"
)
_DEFAULTS: dict[str, Any] = {"speed": 60.0}


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", _MARKER)


def pytest_runtest_setup() -> None:
    """Reset the rate limits, so that no test waits because of the requests of another one."""
    memory = sys.modules.get("exotel_async.limiter.memory")
    if memory is not None:  # else no rate limit was used
        memory.MEMORIES.forget()


@pytest.fixture
def exotel_emulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emulator]:
    """A running emulator, at sixty times real speed, with the settings of the markers.

    It has a thread of its own: its coroutines can be awaited in any asyncio event loop, and by
    `exotel_emulator.run` from a test that is not async. An error in the thread fails the test.
    During the test, clients use no proxy, whatever the environment says, and budgets are not shared
    with other processes: the variable EXOTEL_RATE_LIMIT_URL is removed. With `tls=True`, clients in
    the test trust only the emulator: SSL_CERT_FILE and REQUESTS_CA_BUNDLE are set.

    If there are several markers, on the test, its class and its module, each setting is taken from
    the nearest one that has it.
    """
    emulator = _emulator(request)
    monkeypatch.delenv("EXOTEL_RATE_LIMIT_URL", raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    with emulator:
        if emulator.ca_file is not None:
            for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
                monkeypatch.setenv(name, emulator.ca_file)
        yield emulator


@pytest.fixture
def exotel(request: pytest.FixtureRequest, exotel_emulator: Emulator) -> AsyncExotel:
    """A session with `exotel_emulator`, with its budgets, and with backoff scaled to its speed.

    It belongs to the event loop of the test, whichever plugin runs it: pytest-asyncio, with any
    mode and `loop_scope`, or that of anyio, on asyncio.
    """
    session: AsyncExotel = request.getfixturevalue(_maker(request))
    return session


def _maker(request: pytest.FixtureRequest) -> str:
    """Return the name of the fixture that makes a session in the event loop of a test."""
    test = request.function
    for_the_test = "exotel" in inspect.signature(test).parameters  # else only for other fixtures
    test = getattr(getattr(test, "hypothesis", None), "inner_test", test)
    if for_the_test and not inspect.iscoroutinefunction(test):
        raise _problem("exotel", _NO_LOOP)
    of_pytest_asyncio = request.config.pluginmanager.has_plugin("asyncio")
    mark = request.node.get_closest_marker("asyncio")
    if of_pytest_asyncio and mark is not None:
        usual = request.config.getini("asyncio_default_test_loop_scope")
        return _maker_by_pytest_asyncio(request, mark.kwargs.get("loop_scope") or usual)
    if "anyio_backend" in request.fixturenames:
        backend = request.getfixturevalue("anyio_backend")
        if (backend if isinstance(backend, str) else backend[0]) == "asyncio":
            return "_session_by_anyio"
        words = "it runs on asyncio alone: have a fixture `anyio_backend` return 'asyncio'"
        raise _problem("exotel", words)
    if of_pytest_asyncio and not for_the_test:
        return _maker_by_pytest_asyncio(request, None)
    raise _problem("exotel", _NO_LOOP)


@pytest.fixture
async def _session_by_anyio(exotel_emulator: Emulator) -> AsyncIterator[AsyncExotel]:
    async with _session(exotel_emulator) as exotel:
        yield exotel


def _maker_by_pytest_asyncio(request: pytest.FixtureRequest, scope: Any) -> str:
    """Return the same for the loop of a scope of pytest-asyncio; None: its default for fixtures."""
    import pytest_asyncio  # noqa: PLC0415

    name = f"_session_in_loop_of_{scope}"
    plugins = request.config.pluginmanager
    if not plugins.has_plugin(name):

        async def make(exotel_emulator: Emulator) -> AsyncIterator[AsyncExotel]:
            async with _session(exotel_emulator) as exotel:
                yield exotel

        holder: Any = ModuleType(name)
        holder.fixture = pytest_asyncio.fixture(make, loop_scope=scope, name=name)
        plugins.register(holder, name)
    return name


@asynccontextmanager
async def _session(emulator: Emulator) -> AsyncIterator[AsyncExotel]:
    from exotel_async import AsyncExotel, RateLimit, RetryPolicy  # noqa: PLC0415

    usual = RetryPolicy()
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
        _ = exotel.limiter  # binds it to this loop: in another one it raises a clear error
        yield exotel


def _emulator(request: pytest.FixtureRequest) -> Emulator:
    """Return the emulator that the markers of a test describe."""
    settings = dict(_DEFAULTS)
    # The nearest marker comes first, and takes precedence.
    for marker in reversed(list(request.node.iter_markers("exotel"))):
        if marker.args:
            raise _problem(
                "exotel_emulator", f"@pytest.mark.exotel takes keywords only, not {marker.args!r}"
            )
        settings |= marker.kwargs
    try:
        return _made(**settings)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "exotel_async":
            raise
        raise _problem(
            "exotel_emulator", f"it needs {missing}: pip install 'exotel-async[emulator]'"
        ) from None
    except (TypeError, ValueError) as error:
        raise _problem("exotel_emulator", f"@pytest.mark.exotel: {error}") from None


def _made(faults: Iterable[Any] = (), **settings: Any) -> Emulator:
    from exotel_async.emulator import Emulator, Fault  # noqa: PLC0415

    emulator = Emulator(**settings)
    for ordered in faults:
        fault, where = ordered if isinstance(ordered, tuple) else (ordered, {})
        if not isinstance(fault, Fault):
            raise TypeError(f"{fault!r} is not a Fault")
        emulator.faults.add(fault, **where)
    return emulator


def _problem(fixture: str, words: str) -> BaseException:
    """Return the failure to raise, which is shown without a traceback."""
    return pytest.fail.Exception(f"{fixture}: {words}", pytrace=False)

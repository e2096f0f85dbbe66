"""Which library requests go out by: httpx or httpx2."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from exotel_async import AsyncExotel, ConfigurationError
from exotel_async.emulator import Emulator
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, TLS, session
from tests.support.raw_server import GIVEN


def used(exotel: AsyncExotel) -> str:
    """Return the name of the library that a session has made its client of."""
    return type(exotel._pipeline.transport._made).__module__


@pytest.mark.parametrize(
    ("variable", "argument", "name"),
    [
        (None, None, "httpx"),
        ("", None, "httpx"),
        ("httpx", None, "httpx"),
        (" HTTPX2 ", None, "httpx2"),
        ("httpx", "httpx2", "httpx2"),
        ("httpx2", "httpx", "httpx"),
        ("requests", "httpx2", "httpx2"),  # the variable is not read
    ],
)
async def test_the_argument_or_the_variable_or_httpx(
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    argument: Any,
    name: str,
) -> None:
    monkeypatch.delenv("EXOTEL_HTTP", raising=False)
    if variable is not None:
        monkeypatch.setenv("EXOTEL_HTTP", variable)
    async with session(emulator, http_client=argument) as exotel:
        await exotel.account.balance()
        assert used(exotel) == name


@pytest.mark.parametrize("given", [httpx, httpx2])
async def test_a_client_is_taken_for_what_it_is(
    library: ModuleType, given: ModuleType, emulator: Emulator
) -> None:
    """Whatever the variable says."""
    asked: list[object] = []

    async def note(request: object) -> None:
        asked.append(request)

    class Own(given.AsyncClient):  # type: ignore[misc, name-defined]
        pass

    client = Own(event_hooks={"request": [note]})
    async with client, session(emulator, http_client=client) as exotel:
        call = await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        assert (await exotel.calls.get(call.sid)).sid == call.sid
    assert [type(request) for request in asked] == [given.Request] * 2


def test_both_trust_the_same_certificates() -> None:
    contexts = []
    for name in ("httpx", "httpx2"):
        transport: Any = AsyncExotel(**GIVEN, http_client=name)._pipeline.transport
        transport.prepare()
        contexts.append(transport._made._transport._pool._ssl_context)
    assert contexts[0] is contexts[1]


@pytest.mark.parametrize("name", ["httpx3", "secret-0f3a"])
def test_a_variable_that_names_no_library(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOTEL_HTTP", name)
    with pytest.raises(ConfigurationError) as caught:
        AsyncExotel(**GIVEN)
    assert str(caught.value) == "EXOTEL_HTTP: must be httpx or httpx2"


@pytest.mark.parametrize(
    "given", ["httpx3", object(), httpx.AsyncClient, httpx2.Client(verify=TLS)]
)
def test_what_is_no_client(given: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncExotel(**GIVEN, http_client=given)
    assert str(caught.value) == (
        "http_client: must be an httpx.AsyncClient, an httpx2.AsyncClient, 'httpx' or 'httpx2'"
    )


def test_the_extra_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ConfigurationError) as caught:
        AsyncExotel(**GIVEN, http_client="httpx2")
    assert str(caught.value) == (
        "http_client='httpx2' needs httpx2: pip install 'exotel-async[httpx2]'"
    )
    monkeypatch.setenv("EXOTEL_HTTP", "httpx2")
    with pytest.raises(ConfigurationError) as caught:
        AsyncExotel(**GIVEN)
    assert (
        str(caught.value) == "EXOTEL_HTTP=httpx2 needs httpx2: pip install 'exotel-async[httpx2]'"
    )
    for given in ("httpx", httpx.AsyncClient()):
        AsyncExotel(**GIVEN, http_client=given)
    with pytest.raises(ConfigurationError, match="must be an httpx"):
        AsyncExotel(**GIVEN, http_client=object())  # type: ignore[arg-type]


@pytest.mark.slow(1)
def test_a_program_in_which_httpx2_stands_for_httpx() -> None:
    program = f"""if True:
        import asyncio, httpx2
        httpx2.alias_httpx()
        import httpx
        from exotel_async import AsyncExotel, ConnectionFailed

        async def main():
            for client in (None, "httpx", "httpx2", httpx.AsyncClient()):
                exotel = AsyncExotel(
                    **{GIVEN}, base_url="http://127.0.0.1:1", retry=False, http_client=client
                )
                async with exotel:
                    try:
                        await exotel.account.balance()
                    except ConnectionFailed as error:
                        print(error)

        asyncio.run(main())
    """
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.count("nothing was sent") == 4, ended.stdout

"""What comes in by arguments and variables: it works, or one error says at once what is wrong."""

from __future__ import annotations

import asyncio
import os
import pickle
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async import (
    AsyncExotel,
    ConfigurationError,
    ConnectionFailed,
    InvalidRequest,
    PermissionDenied,
    RateLimit,
    RetryPolicy,
    Timeouts,
)
from exotel_async.emulator import Emulator
from exotel_async.http.base_url import is_this_computer, service_root
from exotel_async.http.http_client import find_library, new_client
from exotel_async.redis import Fallback, SharedTokenBucket
from exotel_async.webhooks import ExotelWebhooks
from tests.conftest import session
from tests.support.ports import free_port
from tests.support.raw_server import GIVEN, Connection, answer, raw_server

TOKEN = "canary-0f3a9b-token"
KEY = "canary-77aa-key"
ELSEWHERE: dict[str, Any] = {"base_url": "https://exotel.invalid", "retry": RetryPolicy.never()}


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL"):
            monkeypatch.delenv(name)


# Variables that httpx goes by

WRONG_PROXIES = {
    "NO_PROXY": "10.0.0.0/8,::1/128",
    "no_proxy": "localhost,[::1]",
    "ALL_PROXY": "socks5://user:secret@proxy.example:1080",
    "all_proxy": "socks4://proxy.example",
    "HTTPS_PROXY": "ftp://user:secret@proxy.example",
    "https_proxy": "http://user:secret@proxy.example:port",
    "HTTP_PROXY": "http://[::1",
}
ODD_PROXIES = [
    "http://127.0.0.1:99999",
    "http://",
    "http:/127.0.0.1:9",
    " http://127.0.0.1:9",
    "http://127.0.0.1:9\n",
]


@pytest.mark.parametrize("url", ODD_PROXIES)
async def test_a_proxy_that_nobody_would_reach(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(ConfigurationError, match=r"^HTTPS_PROXY: must be http://"):
        AsyncExotel(**GIVEN)


@pytest.mark.parametrize("name", WRONG_PROXIES)
async def test_a_proxy_that_cannot_be_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOTEL_HTTP", "httpx")  # httpx2 takes networks of IPv6
    monkeypatch.setenv(name, WRONG_PROXIES[name])
    with pytest.raises(ConfigurationError) as caught:
        AsyncExotel(**GIVEN)
    assert str(caught.value).startswith(f"{name}: ")
    assert "secret" not in "".join(traceback.format_exception(caught.value))


async def test_httpx2_takes_networks_of_ipv6_and_ignores_what_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer({}, status="403 No"))

    async with raw_server(refuse) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "100::/64,10.0.0.0/x")
        # Neither leads anywhere (RFC 6666 and 3849).
        for host, seen in (("[100::1]", ConnectionFailed), ("[2001:db8::1]", PermissionDenied)):
            async with AsyncExotel(
                **GIVEN,
                base_url=f"http://{host}",
                allow_http=True,
                http_client="httpx2",
                timeout=Timeouts(connect=0.5),
                retry=RetryPolicy.never(),
            ) as exotel:
                with pytest.raises(seen):
                    await exotel.account.balance()
    assert len(proxy.requests) == 1


async def test_the_proxy_at_fault_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:8080")
    monkeypatch.setenv("ALL_PROXY", "gopher://proxy.example")
    monkeypatch.setenv("NO_PROXY", "localhost,.example,10.0.0.0/8")
    with pytest.raises(ConfigurationError, match=r"^ALL_PROXY: must be http://"):
        AsyncExotel(**GIVEN)
    monkeypatch.delenv("ALL_PROXY")
    async with AsyncExotel(**GIVEN) as exotel:
        assert exotel.limiter.statistics().granted == 0


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"])
async def test_certificates_that_are_not_there(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, str(tmp_path / "missing" / "file"))
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        AsyncExotel(**GIVEN)


async def test_a_file_that_has_no_certificates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = tmp_path / "bundle.pem"
    wrong.write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(wrong))
    with pytest.raises(ConfigurationError, match=r"^SSL_CERT_FILE: has no certificates"):
        AsyncExotel(**GIVEN)


async def test_a_variable_that_goes_wrong_later_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with AsyncExotel(**GIVEN, **ELSEWHERE, http_client="httpx") as exotel:
        limiter = exotel.limiter  # the session is in use
        monkeypatch.setattr(exotel._pipeline.transport, "_made", None)
        monkeypatch.setenv("NO_PROXY", "::1/128")
        for _ in range(70):  # more than there are places
            async with asyncio.timeout(20):
                with pytest.raises(ConfigurationError, match="NO_PROXY"):
                    await exotel.account.balance()
        now = limiter.statistics()
        assert (now.granted, now.in_flight, now.window_used) == (0, 0, 0)
        monkeypatch.delenv("NO_PROXY")
        with pytest.raises(ConnectionFailed):
            await exotel.account.balance()


async def test_whatever_sending_raises_the_permit_comes_back(emulator: Emulator) -> None:
    async with session(emulator, max_in_flight=2) as exotel:
        await exotel.account.balance()
        transport = exotel._pipeline.transport
        right = transport.exchange

        async def defective(*_: object) -> Any:
            raise MemoryError("a defect")

        transport.exchange = defective  # type: ignore[method-assign, assignment]
        for _ in range(3):
            with pytest.raises(MemoryError):
                await exotel.account.balance()
        transport.exchange = right  # type: ignore[method-assign]
        assert exotel.limiter.statistics().in_flight == 0
        async with asyncio.timeout(20):
            await exotel.account.balance()


async def test_no_proxy_leads_back_to_this_computer(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with session(emulator) as exotel:
        await exotel.account.balance()
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "::1/128")
    async with session(emulator) as exotel:
        await exotel.account.balance()


@pytest.mark.parametrize(
    ("variable", "no_proxy", "is_named"),
    [
        ("HTTPS_PROXY", "", True),
        ("https_proxy", "other.invalid", True),
        ("ALL_PROXY", "", True),
        ("HTTPS_PROXY", "exotel.invalid", False),
        ("HTTPS_PROXY", "other.invalid, *", False),
        ("HTTPS_PROXY", "https://exotel.invalid", False),
        ("HTTP_PROXY", "", False),
    ],
)
async def test_a_proxy_that_cannot_be_reached_is_named_by_its_variable(
    variable: str,
    no_proxy: str,
    is_named: bool,
    library: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, f"http://user:{TOKEN}@127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    async with AsyncExotel(**GIVEN, **ELSEWHERE) as exotel:
        with pytest.raises(ConnectionFailed) as caught:
            await exotel.account.balance()
    text = str(caught.value)
    assert caught.value.proxy == (variable if is_named else None)
    where = f" through the proxy in {variable}" if is_named else ""
    assert text.startswith(f"exotel.invalid cannot be reached{where}: ")
    assert ("proxy" in text) == is_named
    assert TOKEN not in text


def test_a_client_without_the_environment_needs_no_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    assert not new_client(find_library(), proxied=False).is_closed


# What may hold the token

CREDENTIALS = f"{KEY}:{TOKEN}@"
LEAKS: dict[str, Callable[[], object]] = {
    "a base URL without a scheme": lambda: AsyncExotel(
        **GIVEN, base_url=f"{CREDENTIALS}api.exotel.com"
    ),
    "a base URL with one slash": lambda: AsyncExotel(
        **GIVEN, base_url=f"https:/{CREDENTIALS}api.exotel.com"
    ),
    "a base URL with no slash": lambda: AsyncExotel(
        **GIVEN, base_url=f"https:{CREDENTIALS}api.exotel.com"
    ),
    "the base URL of the documentation": lambda: AsyncExotel(
        **GIVEN, base_url=f"https://{CREDENTIALS}api.exotel.com/v1/Accounts/acme1/"
    ),
    "a base URL with the token as its path": lambda: AsyncExotel(
        **GIVEN, base_url=f"https:/{TOKEN}"
    ),
    "a base URL with a query": lambda: AsyncExotel(
        **GIVEN, base_url=f"https://api.exotel.com?token={TOKEN}"
    ),
    "a base URL of another account": lambda: AsyncExotel(
        **GIVEN, base_url=f"https://api.exotel.com/v1/Accounts/{TOKEN}"
    ),
    "account and token in each other's place": lambda: AsyncExotel(
        account_sid=TOKEN,
        api_key=KEY,
        api_token="acme1",
        base_url="https://api.exotel.com/v1/Accounts/acme1/",
    ),
    "an account that is a URL": lambda: AsyncExotel(
        **GIVEN | {"account_sid": f"https://{CREDENTIALS}api.exotel.com/v1/Accounts/acme1"}
    ),
    "an account that is a host": lambda: AsyncExotel(
        **GIVEN | {"account_sid": f"{CREDENTIALS}api.exotel.com"}
    ),
    "a region that is a URL": lambda: AsyncExotel(
        **GIVEN,
        region=f"https://{CREDENTIALS}api.exotel.com",
    ),
    "a budget": lambda: AsyncExotel(**GIVEN, rate_limit=TOKEN),  # type: ignore[arg-type]
    "retries": lambda: AsyncExotel(**GIVEN, retry=TOKEN),  # type: ignore[arg-type]
    "a timeout": lambda: Timeouts(read=TOKEN),  # type: ignore[arg-type]
    "a limit": lambda: RateLimit(TOKEN),  # type: ignore[arg-type]
    "a time zone": lambda: AsyncExotel(**GIVEN, time_zone=TOKEN),  # type: ignore[arg-type]
    "a client": lambda: AsyncExotel(**GIVEN, http_client=TOKEN),  # type: ignore[arg-type]
    "requests in flight": lambda: AsyncExotel(
        **GIVEN,
        max_in_flight=TOKEN,  # type: ignore[arg-type]
    ),
    "the account of a shared limiter": lambda: SharedTokenBucket(
        "redis://localhost", account=f"redis://:{TOKEN}@localhost"
    ),
    "a share of a budget": lambda: Fallback(share=TOKEN),  # type: ignore[arg-type]
    "seconds of a shared limiter": lambda: SharedTokenBucket(
        "redis://localhost",
        account="acme1",
        outage_wait=TOKEN,  # type: ignore[arg-type]
    ),
    "the address of webhooks": lambda: ExotelWebhooks(
        "s" * 32, base_url=f"{CREDENTIALS}shop.example"
    ),
}


@pytest.mark.parametrize("make", LEAKS.values(), ids=LEAKS)
def test_no_error_repeats_what_may_hold_the_token(make: Callable[[], object]) -> None:
    with pytest.raises((ConfigurationError, InvalidRequest)) as caught:
        make()
    shown = [repr(vars(caught.value)), *traceback.format_exception(caught.value)]
    for secret in (TOKEN, KEY):
        assert secret not in "".join(shown)
        assert secret not in pickle.dumps(caught.value).decode("latin-1")


async def test_requests_that_may_hold_the_token(exotel: AsyncExotel) -> None:
    calls, pasted = exotel.calls, f"{CREDENTIALS}api.exotel.com"
    exophone = "08030000000"
    for url in (pasted, f"https://{pasted}", f"https:/{pasted}"):
        for attempt in (
            calls.get(f"{url}/v1/Accounts/acme1/Calls/1"),
            calls.connect_to_flow("+919812300001", flow=f"//{url}", caller_id=exophone),
            calls.connect(f"{url}", "+919812300001", caller_id=exophone),
            exotel.numbers.lookup(url),
            calls.connect(
                "+919812300001", "+919812300002", caller_id=exophone, status_callback=f"/{url}"
            ),
        ):
            with pytest.raises(InvalidRequest) as caught:
                await attempt
            assert TOKEN not in f"{caught.value!s} {vars(caught.value)} {caught.value!r}"


async def test_a_peer_that_repeats_the_token_in_its_status_line(
    library: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def repeat(connection: Connection) -> None:
        request = await connection.request()
        basic = request.split(b"Basic ")[1].split(b"\r\n")[0]
        await connection.say(b"HTTP/1.1 " + basic + b" " + TOKEN.encode() + b"\r\n\r\n")

    caplog.set_level("DEBUG", library.__name__.replace("httpx", "httpcore"))
    secrets = {"api_key": KEY, "api_token": TOKEN, "retry": RetryPolicy.never()}
    async with raw_server(repeat) as server, server.session(**secrets) as exotel:
        failures = [
            await asyncio.gather(attempt, return_exceptions=True)
            for attempt in (
                exotel.account.balance(),
                exotel.calls.connect("+919812300001", "+919812300002", caller_id="08030000000"),
            )
        ]
        basic = server.requests[0].split(b"Basic ")[1].split(b"\r\n")[0].decode()
    for (failure,) in failures:
        assert isinstance(failure, Exception)
        for secret in (TOKEN, basic):
            assert secret not in "".join(traceback.format_exception(failure))
    assert caplog.records
    for record in caplog.records:
        assert TOKEN not in record.getMessage()
        assert basic not in record.getMessage()


async def test_a_peer_that_repeats_the_token_in_its_headers(
    library: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = "Location: /x?From=09812300001\r\n"

    async def repeat(connection: Connection) -> None:
        while await connection.request():
            echo = f"X-Echo: {TOKEN}\r\n{numbers}"
            await connection.say(answer({}, status="403 No", headers=echo))

    caplog.set_level("DEBUG", library.__name__.replace("httpx", "httpcore"))
    async with raw_server(repeat) as server, server.session(api_token=TOKEN) as exotel:
        await asyncio.gather(exotel.account.balance(), return_exceptions=True)
    assert any("send_request_headers" in record.getMessage() for record in caplog.records)
    assert not any(TOKEN in record.getMessage() for record in caplog.records)
    assert not any("9812300001" in record.getMessage() for record in caplog.records)


def test_a_session_that_could_not_be_made_can_be_printed() -> None:
    half = AsyncExotel.__new__(AsyncExotel)
    with pytest.raises(ConfigurationError):
        half.__init__(**GIVEN, base_url="nonsense")  # type: ignore[misc]
    assert repr(half) == "<AsyncExotel account_sid=None>"
    shared = SharedTokenBucket.__new__(SharedTokenBucket)
    assert repr(shared) == "<SharedTokenBucket None, account=None>"


# The address of the service

ROOT = "https://api.in.exotel.com"
PASTED = [
    ROOT,
    f"{ROOT}/",
    f"{ROOT}:443//",
    f"{ROOT}/v1",
    f"{ROOT}/v1/",
    f"{ROOT}/v1/Accounts",
    f"{ROOT}/v1/accounts/acme1",
    f"{ROOT}/v1/Accounts/acme1/",
    f"{ROOT}/v1/Accounts/acme1.json",
    f"{ROOT}/v1/Accounts/acme1/Calls/connect.json",
    f"{ROOT}/v2_beta/Accounts/acme1/",
    f"{ROOT}/v2/accounts/acme1/",
    f"{ROOT}/v3/accounts/acme1/calls",
    f"{ROOT}/v1/Accounts/ac%6De1/",
]


@pytest.mark.parametrize("pasted", PASTED)
def test_what_people_paste_is_understood(pasted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = f"{ROOT}/v1/Accounts/acme1/".replace(":443", "")
    given = AsyncExotel(**GIVEN, base_url=pasted)._pipeline.transport
    assert next(iter(given._prefixes.values())).replace(":443", "") == right
    for subdomain in (pasted, pasted.removeprefix("https://"), f" @{pasted[8:]} "):
        monkeypatch.setenv("EXOTEL_SUBDOMAIN", subdomain)
        found = AsyncExotel(**GIVEN)._pipeline.transport
        assert next(iter(found._prefixes.values())).replace(":443", "") == right
        assert found.host == given.host == ("api.in.exotel.com", None)


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("https://gateway.example/exotel/v1/Accounts/acme1/", "https://gateway.example/exotel"),
        ("https://gateway.example/v1/exotel", "https://gateway.example/v1/exotel"),
        ("http://127.0.0.1:8020/v1/Accounts/acme1", "http://127.0.0.1:8020"),
        ("http://[::1]:8020/", "http://[::1]:8020"),
    ],
)
def test_a_gateway_keeps_its_path(given: str, root: str) -> None:
    assert service_root(given, "base_url", "acme1", "account_sid", allow_http=False) == root


@pytest.mark.parametrize("path", ["acme2", "ACME1", "acme1x", "acme2/Calls/connect.json"])
async def test_the_path_of_another_account(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"^base_url has another account"):
        AsyncExotel(**GIVEN, base_url=f"{ROOT}/v1/Accounts/{path}")
    monkeypatch.setenv("EXOTEL_SUBDOMAIN", f"{ROOT}/v1/Accounts/{path}")
    with pytest.raises(ConfigurationError, match=r"^EXOTEL_SUBDOMAIN has another account"):
        AsyncExotel(**GIVEN)


@pytest.mark.parametrize(
    "given",
    ["nonsense", "https://", "ftp://api.exotel.com", "https://<subdomain>/v1", "https://a b", "",
     "https://api.exotel.com:0", "https://api.exotel.com:port", "https://[::1", "//api.exotel.com",
     "https://api.exotel.com/#v1", "https://api.exotel.com\\v1", "'https://api.exotel.com'",
     "https://'api.exotel.com'", "https://https:/api.exotel.com", "https://api.exotel.com:/v1"],
)  # fmt: skip
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^base_url is not valid: must be http"):
        AsyncExotel(**GIVEN, base_url=given)


@given(st.text(max_size=40) | st.from_regex(r"https?://[ -~]{0,40}", fullmatch=True))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    root = ""
    with suppress(ConfigurationError):
        root = service_root(text, "base_url", "acme1", "account_sid", allow_http=True)
    if root:
        assert root.startswith(("http://", "https://"))
        assert not root.endswith("/")
        assert "@" not in root
        assert service_root(root, "base_url", "acme1", "account_sid", allow_http=True) == root


@pytest.mark.parametrize(
    "host",
    ["localhost", "exotel.localhost", "127.0.0.1", "127.8.8.8", "::1", "0.0.0.0"],  # noqa: S104
)
def test_what_is_this_computer(host: str) -> None:
    assert is_this_computer(host)


@pytest.mark.parametrize("host", ["api.exotel.com", "localhost.example", "10.0.0.1", "1", ""])
def test_what_is_another_computer(host: str) -> None:
    assert not is_this_computer(host)


@pytest.mark.parametrize("host", ["api.exotel.com", "emulator:8020", "10.0.0.7"])
def test_the_token_does_not_travel_in_the_clear(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"^base_url begins with http://.*allow_http=True"):
        AsyncExotel(**GIVEN, base_url=f"http://{host}")
    assert AsyncExotel(**GIVEN, base_url=f"http://{host}", allow_http=True)
    monkeypatch.setenv("EXOTEL_SUBDOMAIN", f"http://{host}")
    with pytest.raises(ConfigurationError, match=r"^EXOTEL_SUBDOMAIN begins with http://"):
        AsyncExotel(**GIVEN)
    assert AsyncExotel(**GIVEN, allow_http=True)

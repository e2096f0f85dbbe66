"""Who may ask for the pages under `/_emulator/`: no name but its own, no page of another origin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.emulator import Emulator
from exotel_async.emulator.control.guard import host_of
from exotel_async.emulator.settings import Settings, host_in_urls
from tests.conftest import TLS
from tests.emulator.support import client_of as api_client_of
from tests.emulator.support import dial

EVERYWHERE = "0.0.0.0"  # noqa: S104 - no socket is opened
STATISTICS, RESET = "/_emulator/statistics", "/_emulator/reset"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(hostnames=["Emulator.test"], rate=1000) as emulator:
        yield emulator


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=emulator.base_url, trust_env=False, verify=TLS) as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_only_names_of_its_own_are_answered(
    emulator: Emulator, client: httpx.AsyncClient, method: str
) -> None:
    """A page elsewhere may let its own name lead here: the name tells (DNS rebinding)."""
    page = STATISTICS if method == "GET" else RESET

    async def asked_as(host: str) -> int:
        return (await client.request(method, page, headers={"Host": host})).status_code

    port = emulator.base_url.rpartition(":")[2]
    for name in ("localhost", "LOCALHOST", "localhost.", "app.localhost", "emulator.test"):
        assert await asked_as(name) == 200, name
        assert await asked_as(f"{name}:{port}") == 200, name
    for address in ("127.0.0.1", "192.168.1.5", "[::1]", f"[::1]:{port}", f"10.0.0.1:{port}"):
        assert await asked_as(address) == 200, address
    for name in (
        "evil.test",
        "evil.test:8020",
        "localhost.evil.test",
        "evil-localhost",
        "127.0.0.1.evil.test",
        "api.exotel.com",
        "evil.test:8020:localhost",
        "[localhost]",
        "",
    ):
        assert await asked_as(name) == 421, name
    refused = await client.request(method, page, headers={"Host": "evil.test"})
    assert "hostnames" in refused.json()["error"]["message"]


async def test_two_names_at_once_are_none(emulator: Emulator) -> None:
    host, port = emulator.base_url.removeprefix("http://").split(":")
    for names in (("localhost", "evil.test"), ("evil.test", "localhost"), ()):
        reader, writer = await asyncio.open_connection(host, int(port))
        hosts = "".join(f"Host: {name}\r\n" for name in names)
        writer.write(f"GET {STATISTICS} HTTP/1.1\r\n{hosts}\r\n".encode())
        assert await reader.readline() == b"HTTP/1.1 421 Misdirected Request\r\n"
        writer.close()


async def test_the_host_that_was_told_is_its_own() -> None:
    async with (
        Emulator(host="localhost") as emulator,
        httpx.AsyncClient(base_url=emulator.base_url, trust_env=False, verify=TLS) as client,
    ):
        assert (await client.get(STATISTICS)).status_code == 200


@pytest.mark.parametrize(
    ("host", "hostnames", "named"),
    [
        (EVERYWHERE, (), "127.0.0.1"),
        ("::", (), "[::1]"),
        (EVERYWHERE, ("exotel", "other"), "exotel"),
        (EVERYWHERE, ("2001:db8::1",), "[2001:db8::1]"),
        ("::1", (), "[::1]"),
        ("127.0.0.1", ("exotel",), "127.0.0.1"),
    ],
)
def test_urls_name_a_host_that_can_be_asked(
    host: str, hostnames: tuple[str, ...], named: str
) -> None:
    assert host_in_urls(Settings(host=host, hostnames=hostnames)) == named


async def test_the_api_answers_to_any_name(emulator: Emulator) -> None:
    """A hosts file may lead `api.exotel.com` here, and credentials protect it."""
    async with api_client_of(emulator, headers={"Host": "api.exotel.com"}) as client:
        await dial(client)


@pytest.mark.parametrize(
    ("headers", "reads", "changes"),
    [
        ({}, True, True),  # a program
        ({"Origin": "same"}, True, True),
        ({"Origin": "same", "Sec-Fetch-Site": "same-origin"}, True, True),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, True, True),  # typed in
        ({"Origin": "http://evil.test"}, False, False),
        ({"Origin": "http://localhost:3000"}, False, False),  # of the same site, even
        ({"Origin": "http://["}, False, False),
        ({"Origin": "null"}, False, False),  # a sandboxed frame, or a file
        ({"Sec-Fetch-Site": "cross-site"}, False, False),
        ({"Sec-Fetch-Site": "same-site"}, False, False),
        (
            {
                "Sec-Fetch-Site": "cross-site",
                "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Dest": "document",
            },
            True,  # a link that was followed: whoever linked does not see the page
            False,
        ),
        (
            {
                "Sec-Fetch-Site": "cross-site",
                "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Dest": "iframe",
            },
            False,
            False,
        ),
    ],
)
async def test_no_page_of_another_origin_is_answered(
    emulator: Emulator,
    client: httpx.AsyncClient,
    headers: dict[str, str],
    reads: bool,
    changes: bool,
) -> None:
    if headers.get("Origin") == "same":
        headers = headers | {"Origin": emulator.base_url}
    async with api_client_of(emulator) as caller:
        await dial(caller)
    read = await client.get(STATISTICS, headers=headers)
    assert (read.status_code == 200) is reads
    assert read.is_success or read.status_code == 403
    reset = await client.post(RESET, headers=headers)
    assert (reset.status_code == 200) is changes
    assert (len(emulator.calls) == 0) is changes
    for answer in (read, reset):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        # Nor may a page show it in a frame, and have the buttons pressed there.
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_no_permission_is_given_beforehand(client: httpx.AsyncClient) -> None:
    asked = {"Origin": "http://evil.test", "Access-Control-Request-Method": "POST"}
    answer = await client.options(RESET, headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_its_own_page_may_be_served_over_https(emulator: Emulator) -> None:
    """A proxy before it may speak TLS: the origin is told apart by host and port."""
    async with httpx.AsyncClient(trust_env=False, verify=TLS) as client:
        headers = {"Host": "emulator.test", "Origin": "https://emulator.test"}
        answer = await client.post(emulator.base_url + RESET, headers=headers)
        assert answer.status_code == 200


@given(st.text("ab.-_9é").map("x{}y".format), st.integers(0, 65535))
def test_the_host_of_a_header_is_told_from_its_port(name: str, port: int) -> None:
    assert host_of(name) == host_of(f"{name}:{port}") == name


@given(st.ip_addresses(v=6), st.integers(0, 65535))
def test_so_is_an_address_of_ipv6(address: object, port: int) -> None:
    assert host_of(f"[{address}]") == host_of(f"[{address}]:{port}") == str(address)


@given(st.text(max_size=20))
def test_no_header_breaks_it(header: str) -> None:
    assert isinstance(host_of(header), str)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "localhost:8020", "*.test", "a_b", "user@host"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"hostnames: .* must be a host's name or address"):
        Emulator(hostnames=[name])

"""Links: which can be followed, and which may see the account's credentials."""

from __future__ import annotations

import asyncio
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.http.urls import (
    is_link,
    is_signed,
    may_be_followed,
    origin,
    redirected,
    takes_credentials,
)

HOME = origin("https://api.exotel.com")
LOCAL = origin("http://127.0.0.1:8080")


@pytest.mark.parametrize(
    "url",
    [
        "https://recordings.exotel.com/exotelrecordings/acme1/a1.mp3",
        "http://127.0.0.1:8080/x.mp3?a=b#c",
        "HTTPS://S3.Example",
        "https://host_1/",
        "http://[::1]:8080/x",
        "https://x.example?X-Amz-Signature=1",
        "https://x.example/\u0928",
    ],
)
def test_links(url: str) -> None:
    assert is_link(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x.mp3",
        "/exotelrecordings/a1.mp3",
        "//x.example/a1.mp3",
        "ftp://x.example/a1.mp3",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///x",
        "https://user:secret@x.example/",
        "https://exotel.com@x.example/",
        "https://x.example\\@exotel.com/",
        "https://x.example:0/",
        "https://x.example:65536/",
        "https://x.example:/",
        "https://[::1/",
        "https://[:::]/",
        "https://x example/",
        "https://x.example/a b",
        "https://x.example/\n",
        " https://x.example/",
        "https://x.example%2f.exotel.com/",
        "https://exotel\u3002com/",
        "https://api.exo\u212aotel.com/",
    ],
)
def test_what_cannot_be_followed(url: str) -> None:
    assert not is_link(url)


@pytest.mark.parametrize(
    ("url", "home", "may"),
    [
        ("https://api.exotel.com/x.mp3", HOME, True),
        ("https://api.exotel.com:443/x.mp3", HOME, True),
        ("https://recordings.exotel.com/x.mp3", HOME, True),
        ("https://Recordings.EXOTEL.in/x.mp3", HOME, True),
        ("https://exotel.com/x.mp3", HOME, True),
        ("https://recordings.exotel.com/x.mp3", LOCAL, True),
        ("http://127.0.0.1:8080/x.mp3", LOCAL, True),
        ("http://api.exotel.com/x.mp3", HOME, False),
        ("http://recordings.exotel.com/x.mp3", HOME, False),
        ("http://127.0.0.1:8081/x.mp3", LOCAL, False),
        ("http://127.0.0.1/x.mp3", LOCAL, False),
        ("https://127.0.0.1:8080/x.mp3", LOCAL, False),
        ("http://127.0.0.2:8080/x.mp3", LOCAL, False),
        ("https://notexotel.com/x.mp3", HOME, False),
        ("https://exotel.com.evil.example/x.mp3", HOME, False),
        ("https://evil.example/exotel.com/x.mp3", HOME, False),
        ("https://evil.example?https://api.exotel.com/", HOME, False),
        ("https://exotel.com./x.mp3", HOME, False),
        ("https://exotel.community/x.mp3", HOME, False),
        ("https://s3-ap-southeast-1.amazonaws.com/exotelrecordings/acme1/x.mp3", HOME, False),
        ("https://api.exotel.com/x.mp3?X-Amz-Signature=1", HOME, False),
        ("https://api.exotel.com/x.mp3?a=b&x-amz-signature=", HOME, False),
        ("https://api.exotel.com/x.mp3?X-Amz%2DSignature=1", HOME, False),
        ("https://api.exotel.com/x.mp3?AWSAccessKeyId=x&Expires=1&Signature=y", HOME, False),
        ("https://api.exotel.com/x.mp3?Signature", HOME, False),
        ("https://api.exotel.com/Signature/x.mp3?a=Signature#Signature=1", HOME, True),
    ],
)
def test_who_may_see_the_credentials(
    url: str, home: tuple[str, str, int | None], *, may: bool
) -> None:
    assert is_link(url)
    assert takes_credentials(url, home) is may


@pytest.mark.parametrize(
    ("location", "leads"),
    [
        ("https://s3.example/x", "https://s3.example/x"),
        ("/other.mp3?X-Amz-Signature=1", "https://api.exotel.com/other.mp3?X-Amz-Signature=1"),
        ("other.mp3", "https://api.exotel.com/a/other.mp3"),
        (" https://s3.example/x ", "https://s3.example/x"),
        ("//s3.example/x", "https://s3.example/x"),
        ("", "https://api.exotel.com/a/b.mp3"),
        ("ftp://s3.example/x", None),
        ("file:///etc/passwd", None),
        ("https://user:secret@s3.example/", None),
        ("https://[", None),
        ("https://s3.example/a b", None),
    ],
)
def test_where_a_redirect_leads(location: str, leads: str | None) -> None:
    assert redirected("https://api.exotel.com/a/b.mp3", location) == leads


@pytest.mark.slow
@given(
    st.text(max_size=40)
    | st.from_regex(r"\Ahttps?://[a-zA-Z0-9.@:\\/\[\]%_?#&=-]{0,30}(exotel\.com)?[^\n]{0,20}\Z")
)
def test_httpx_goes_where_we_believe_it_does(url: str) -> None:
    if not is_link(url):
        return
    parsed: httpx.URL | httpx2.URL
    for library in (httpx, httpx2):
        try:
            parsed = library.URL(url)
        except (httpx.InvalidURL, httpx2.InvalidURL):
            continue
        scheme, host, port = origin(url)
        assert (parsed.scheme, parsed.host) == (scheme, host)
        assert (parsed.port or {"http": 80, "https": 443}[parsed.scheme]) == port
        assert parsed.userinfo == b""
        if takes_credentials(url, HOME):
            assert re.search(r"(^|\.)exotel\.(com|in)$", parsed.host)
            assert not is_signed(str(parsed))


# Where they may lead

PRIVATE = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
]
PRIVATE_IPV6 = ["::/127", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2001:db8::/32"]
PUBLIC = ["8.8.8.8", "93.184.216.34", "52.219.62.10", "2606:4700::1111", "64:ff9b::808:808"]


WORLD = origin("https://93.184.216.34")


def may(host: str, home: Any = WORLD) -> bool:
    return asyncio.run(may_be_followed(f"http://{host}/a1.mp3", home))


def in_any(networks: list[str]) -> st.SearchStrategy[Any]:
    return st.sampled_from(networks).flatmap(lambda network: st.ip_addresses(network=network))


def written(address: IPv4Address) -> list[str]:
    """As resolvers read it, and in the addresses of IPv6 that lead to one of IPv4."""
    number, first = int(address), int(address) >> 24
    return [
        str(address),
        f"{address}.",
        str(number),
        hex(number),
        f"0{number:o}",
        f"{first}.{number & 0xFFFFFF}",
        f"0{first:o}.{number >> 16 & 0xFF}.{number & 0xFFFF}",
        f"[::ffff:{address}]",
        f"[::FFFF:{number >> 16:x}:{number & 0xFFFF:x}]",
        f"[64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}]",
        f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::1]",
    ]


@pytest.mark.slow
@given(in_any(PRIVATE))
def test_private_addresses_are_known_however_they_are_written(address: IPv4Address) -> None:
    for host in written(address):
        assert is_link(f"http://{host}/a1.mp3")
        assert not may(host)
        assert may(host, LOCAL)


@pytest.mark.slow
@given(st.ip_addresses(v=4).filter(lambda a: all(a not in IPv4Network(n) for n in PRIVATE)))
def test_other_addresses_are_the_worlds(address: IPv4Address) -> None:
    if address.is_global and not address.is_reserved:
        assert all(map(may, written(address)))


@given(in_any(PRIVATE_IPV6))
def test_private_addresses_of_ipv6(address: IPv6Address) -> None:
    assert not may(f"[{address}]")
    assert not may(f"[{address.exploded}]")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert may(f"[{address}]" if ":" in address else address)
    assert all(IPv6Address(address) not in IPv6Network(n) for n in PRIVATE_IPV6 if ":" in address)


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "a.localhost.", "nas", "x.local"])
def test_names_of_no_world(host: str) -> None:
    assert not may(host)
    assert may(host, LOCAL)
    assert may(host, origin(f"https://{host}"))
    assert may(host, origin("http://emulator:8020"))

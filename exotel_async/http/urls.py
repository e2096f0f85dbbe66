"""Links to recordings: where they lead, and who may see the account's credentials on the way."""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import parse_qsl, urljoin, urlsplit

# The host of such a link is the same to every parser; no user, no backslash, no other script.
_HOST: Final = r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_LINK: Final = rf"https?://{_HOST}(?:[/?#][^\s\\\x00-\x20\x7f]*)?"
_EXOTEL: Final = r"(?:[a-z0-9-]+\.)*exotel\.(?:com|in)"
_PORTS: Final = {"http": 80, "https": 443}
_LOCAL_NAMES: Final = frozenset({"internal", "local", "localdomain", "localhost"})
"""Last labels that no name of the Internet has."""
_NAT64: Final = IPv6Network("64:ff9b::/96")
_SIGNATURES: Final = frozenset({"x-amz-signature", "signature", "awsaccesskeyid"})

Origin = tuple[str, str, int | None]
"""Scheme, host and port."""


def is_link(url: str) -> bool:
    """Whether it can be followed: a whole URL, http(s), without credentials of its own."""
    if not re.fullmatch(_LINK, url, re.IGNORECASE | re.ASCII):
        return False
    try:
        return urlsplit(url).port != 0
    except ValueError:  # a port or an address that is none
        return False


def origin(url: str) -> Origin:
    """Return where a URL leads: what has another origin is another host to us."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)


def is_signed(url: str) -> bool:
    """Whether a URL opens by itself: S3 refuses it when credentials come along."""
    names = {name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    return not names.isdisjoint(_SIGNATURES)


def takes_credentials(url: str, home: Origin) -> bool:
    """Whether the account's credentials may be sent to a URL, which is a link by `is_link`.

    They go to the service the session was set up for, and in a TLS connection to Exotel's own
    hosts, for that is where recordings are kept. Nowhere else, and to no signed URL.
    """
    if is_signed(url):
        return False
    scheme, host, _ = there = origin(url)
    return there == home or (scheme == "https" and re.fullmatch(_EXOTEL, host) is not None)


def redirected(url: str, location: str) -> str | None:
    """Return where a redirect leads; None if it cannot be followed."""
    try:
        target = urljoin(url, location.strip())
    except ValueError:
        return None
    return target if is_link(target) else None


async def may_be_followed(url: str, home: Origin) -> bool:
    """Whether a link leads to a public address, or to the host of the session itself.

    The author of a link, or a redirect, could otherwise have this computer request what only it
    can reach: itself, its network, or the service that gives a cloud's machine its credentials.

    If `home`, the session's own host, is in a private network, as an emulator is, links may lead
    into private networks. The link is one by `is_link`.
    """
    host = origin(url)[1]
    return host == home[1] or not await _is_private(host) or await _is_private(home[1])


async def _is_private(host: str) -> bool:
    """Whether one of a host's addresses is not public.

    A name that nobody knows here is not: a proxy may know it.
    """
    name = host.rstrip(".")
    address = _address(name)
    if address is not None:
        return not _is_public(address)
    if "." not in name or name.rpartition(".")[2] in _LOCAL_NAMES:
        return True
    try:
        known = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return not all(_is_public(ip_address(place[0])) for *_, place in known)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Read an address, also as resolvers do: 127.1, 0x7f000001 and 017700000001 are 127.0.0.1."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return _is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)

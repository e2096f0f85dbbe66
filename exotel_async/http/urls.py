"""Links to recordings: which may be followed, and to which hosts credentials may be sent."""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import parse_qsl, urljoin, urlsplit

# Restricted so that every URL parser finds the same host: no user, backslash or other scripts.
_HOST: Final = r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_LINK: Final = rf"https?://{_HOST}(?:[/?#][^\s\\\x00-\x20\x7f]*)?"
_EXOTEL: Final = r"(?:[a-z0-9-]+\.)*exotel\.(?:com|in)"
_PORTS: Final = {"http": 80, "https": 443}
_LOCAL_NAMES: Final = frozenset({"internal", "local", "localdomain", "localhost"})
"""Last labels of names that do not exist on the public Internet."""
_NAT64: Final = IPv6Network("64:ff9b::/96")
_SIGNATURES: Final = frozenset({"x-amz-signature", "signature", "awsaccesskeyid"})

Origin = tuple[str, str, int | None]
"""Scheme, host and port."""


def is_link(url: str) -> bool:
    """Return whether a link can be followed: a complete http(s) URL without credentials in it."""
    if not re.fullmatch(_LINK, url, re.IGNORECASE | re.ASCII):
        return False
    try:
        return urlsplit(url).port != 0
    except ValueError:  # an invalid port or address
        return False


def origin(url: str) -> Origin:
    """Return the origin of a URL, by which hosts are compared."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)


def is_signed(url: str) -> bool:
    """Return whether a URL is signed: S3 refuses such a URL if credentials are sent as well."""
    names = {name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    return not names.isdisjoint(_SIGNATURES)


def takes_credentials(url: str, home: Origin) -> bool:
    """Return whether the account's credentials may be sent to a URL, which satisfies `is_link`.

    They are sent to the session's own service, and over TLS to Exotel's hosts, where recordings are
    stored. They are sent nowhere else, and not to a pre-signed link.
    """
    if is_signed(url):
        return False
    scheme, host, _ = there = origin(url)
    return there == home or (scheme == "https" and re.fullmatch(_EXOTEL, host) is not None)


def redirected(url: str, location: str) -> str | None:
    """Return the target of a redirect; None if it cannot be followed."""
    try:
        target = urljoin(url, location.strip())
    except ValueError:
        return None
    return target if is_link(target) else None


async def may_be_followed(url: str, home: Origin) -> bool:
    """Return whether a link, which satisfies `is_link`, leads to a public or the session's host.

    Otherwise the author of a link, or a redirect, could make this computer send requests to hosts
    that only it can reach: itself, its network, or a cloud's metadata service with credentials.

    If `home`, the session's own host, is in a private network, as an emulator is, links may lead
    into private networks.
    """
    host = origin(url)[1]
    return host == home[1] or not await _is_private(host) or await _is_private(home[1])


async def _is_private(host: str) -> bool:
    """Return whether one of a host's addresses is not public.

    A name that cannot be resolved here is not private: a proxy may know it.
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
    """Parse an address as leniently as resolvers: 127.1, 0x7f000001, 017700000001 = 127.0.0.1."""
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

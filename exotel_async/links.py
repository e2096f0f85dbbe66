"""Links to recordings: where they lead, and who may see the account's credentials on the way."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urljoin, urlsplit

# The host of such a link is the same to every parser; no user, no backslash, no other script.
_HOST: Final = r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_LINK: Final = rf"https?://{_HOST}(?:[/?#][^\s\\\x00-\x20\x7f]*)?"
_EXOTEL: Final = r"(?:[a-z0-9-]+\.)*exotel\.(?:com|in)"
_PORTS: Final = {"http": 80, "https": 443}
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
    """Whether the account's credentials may be sent to a URL.

    They go to the service the session was set up for, and in a TLS connection to Exotel's own
    hosts, for that is where recordings are kept. Nowhere else, and to no signed URL.

    Args:
        url: a link, as `is_link` knows it.
        home: the origin of the service.
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

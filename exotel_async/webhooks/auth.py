"""Authentication of requests: by the secret in the path, and by the client's address.

Exotel does not sign its requests (VOICE_V1 6.4), so nothing else is available.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from hmac import compare_digest
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from exotel_async.errors import ConfigurationError
from exotel_async.webhooks.asgi import Headers

_PROPER: Final = r"[A-Za-z0-9._~-]{16,128}"
_LONGEST: Final = 128
_WITH_PORT: Final = r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+"
_MAPPED: Final = 0xFFFF << 32  # the block of IPv4-mapped IPv6 addresses
_Networks = tuple[IPv6Network, ...]


class PathSecrets:
    """The valid secrets; several at once during a rotation."""

    def __init__(self, secrets: object) -> None:
        """Check and store the secrets. Raises ConfigurationError, with no secret in its text."""
        if not isinstance(secrets, Iterable):
            kind = type(secrets).__name__
            raise ConfigurationError(f"secret: must be a text, or several of them, not {kind}")
        found = [secrets] if isinstance(secrets, str) else list(secrets)
        if not found or not all(isinstance(s, str) and re.fullmatch(_PROPER, s) for s in found):
            raise ConfigurationError(
                "a webhook secret must have 16 to 128 letters, digits and ._~- of ASCII: "
                "secrets.token_urlsafe(32) makes a good one"
            )
        self._first = found[0]
        self._digests = [_digest(secret) for secret in found]

    @property
    def current(self) -> str:
        """The secret that is used in new URLs."""
        return self._first

    def admit(self, presented: str) -> bool:
        """Return whether this is a valid secret, in a time independent of how similar it is.

        Digests are compared, so that the time does not depend on the secrets' lengths either.
        """
        if len(presented) > _LONGEST:
            return False
        digest = _digest(presented)
        right = False
        for known in self._digests:
            right |= compare_digest(known, digest)
        return right


class AllowedAddresses:
    """The addresses requests may come from."""

    def __init__(self, allowed: Iterable[str] | None, trusted_proxies: Iterable[str]) -> None:
        """Parse addresses and networks. Raises ConfigurationError if one is not valid."""
        self._proxies = _networks("trusted_proxies", trusted_proxies)
        self._allowed = None if allowed is None else _networks("allowed_addresses", allowed)
        if self._allowed is None and self._proxies:
            raise ConfigurationError("trusted_proxies are of use only with allowed_addresses")
        if self._allowed is not None and not self._allowed:
            raise ConfigurationError(
                "allowed_addresses is empty and would refuse everybody: leave it out to allow all"
            )

    def admit(self, peer: str | None, headers: Headers) -> bool:
        """Return whether a request comes from an allowed address.

        Args:
            peer: the address at the other end of the connection; None: unknown.
            headers: the headers, of which X-Forwarded-For is read from the right, as long as the
                proxy that wrote the entry is trusted.
        """
        if self._allowed is None:
            return True
        address = _address(peer or "")
        if _within(self._proxies, address):
            for entry in _forwarded_for(headers):
                address = _address(entry)
                if not _within(self._proxies, address):
                    break
        return _within(self._allowed, address)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode(errors="backslashreplace")).digest()


def _networks(argument: str, addresses: Iterable[str]) -> _Networks:
    if isinstance(addresses, str) or not isinstance(addresses, Iterable):
        kind = type(addresses).__name__
        raise ConfigurationError(f"{argument} must be several addresses or networks, not {kind}")
    try:
        return tuple(_as_ipv6(one) for one in addresses)
    except ValueError as error:
        raise ConfigurationError(f"{argument}: {error}") from None


def _as_ipv6(network: str) -> IPv6Network:
    """Parse a network; IPv4 networks are returned as IPv4-mapped IPv6."""
    found = ip_network(str(network))  # without str() it would accept numbers and bytes, too
    if isinstance(found, IPv6Network):
        return found
    return IPv6Network((_MAPPED + int(found.network_address), 96 + found.prefixlen))


def _address(written: str) -> IPv6Address | None:
    """Parse an address, ignoring its port; IPv4 becomes IPv4-mapped IPv6. None if invalid."""
    text = written.strip()
    with_port = re.fullmatch(_WITH_PORT, text)
    try:
        found = ip_address(text if with_port is None else with_port[1] or with_port[2])
    except ValueError:
        return None
    return found if isinstance(found, IPv6Address) else IPv6Address(_MAPPED + int(found))


def _within(networks: _Networks, address: IPv6Address | None) -> bool:
    return address is not None and any(address in network for network in networks)


def _forwarded_for(headers: Headers) -> Iterator[str]:
    """Yield the addresses that proxies added, the nearest proxy's first."""
    written = [value for name, value in headers if name == b"x-forwarded-for"]
    if written:
        for entry in reversed(b",".join(written).split(b",")):
            yield entry.decode("latin-1")

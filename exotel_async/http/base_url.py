"""Parsing of the service's base URL in the forms in which people paste it.

Exotel's pages show its base URL with version and account, and most samples with the credentials in
it. No error text here repeats the given value: it may contain the token.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from exotel_async.errors import ConfigurationError

_EXAMPLE: Final = "http(s)://host[:port], as 'https://api.in.exotel.com'"
_NO_URL: Final = r"[\s\\<>\"'{}|^`\x00-\x20\x7f-\x9f]"
# A path before the version is that of a gateway.
_PATH: Final = (
    r"(?P<gateway>.*?)"
    r"(?:/(?:v1|v2_beta|v[0-9][^/]*(?=/accounts))(?:/accounts(?:/(?P<account>[^/]+).*)?)?)?/*"
)


def service_root(
    given: str, source: str, account_sid: str, account_source: str, *, allow_http: bool
) -> str:
    """Return scheme, host, port and a gateway's path, without a trailing slash.

    Args:
        given: the base URL. It may include the path that Exotel documents,
            `/v1/Accounts/{account_sid}/`, and anything after that.
        source: where it was given: the name of an argument or a variable.
        account_sid: the account of the session.
        account_source: where that was given.
        allow_http: whether the token may be sent unencrypted to another computer.

    Raises:
        ConfigurationError: it is not a valid base URL, or is that of another account.
    """
    if not isinstance(given, str):
        raise ConfigurationError(f"{source} must be a string, {_EXAMPLE}")
    if "@" in given:
        raise ConfigurationError(
            f"{source} must not hold credentials: they are given by api_key= and api_token=, or "
            "by EXOTEL_API_KEY and EXOTEL_API_TOKEN"
        )
    parts = _parts(given)
    path = None if parts is None else re.fullmatch(_PATH, parts.path, re.IGNORECASE)
    if parts is None or path is None:
        raise ConfigurationError(f"{source} is not valid: must be {_EXAMPLE}")
    account = path["account"]
    if account is not None and unquote(account).removesuffix(".json") != account_sid:
        raise ConfigurationError(
            # Neither is shown: account and token may have been mixed up.
            f"{source} has another account in its path than {account_source}"
        )
    if parts.scheme == "http" and not (allow_http or is_this_computer(parts.hostname or "")):
        raise ConfigurationError(
            f"{source} begins with http://, which would send the API token unencrypted: "
            "must be https://, unless allow_http=True (--allow-http)"
        )
    return f"{parts.scheme}://{parts.netloc}{path['gateway']}"


def is_this_computer(host: str) -> bool:
    """Return whether a name or an address certainly leads to this computer."""
    return is_loopback(host) or host in {"0.0.0.0", "::"}  # noqa: S104 - nothing listens here


def is_loopback(host: str) -> bool:
    """Return whether it is a name or an address of the loopback interface."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _parts(url: str) -> SplitResult | None:
    """Split a URL; None if it is not http(s), or has more than a host and a path."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        fits = fits and not parts.netloc.endswith(":")  # as in https://https:/host
    except ValueError:  # invalid brackets or port
        return None
    plain = not (re.search(_NO_URL, url) or parts.query or parts.fragment)
    return parts if fits and plain else None

"""Environment variables that an HTTP client uses, and the problems with their values.

Containers and company networks set them, often without the user's knowledge. A proxy's URL may
contain a password: no text here repeats it.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

TLS_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")

_PROXIED: Final = ("http", "https", "all")
_SOCKS: Final = ("socks5", "socks5h")
_URL: Final = "must be http://host:port, https://, socks5:// or socks5h://"


def names_proxies() -> bool:
    """Return whether the environment configures proxies, or exceptions from them."""
    known = getproxies()
    return any(known.get(scheme) for scheme in (*_PROXIED, "no"))


def variable_of_proxy(scheme: str) -> str | None:
    """Return the variable that names the proxy for an http or https URL; None: there is none."""
    known = getproxies()
    return next((_variable(one) for one in (scheme, "all") if known.get(one)), None)


def wrong_proxy() -> str | None:
    """Return which variable names an unusable proxy, and why; None: all are usable."""
    known = getproxies()
    for scheme in _PROXIED:
        problem = _problem_of(known.get(scheme) or "")
        if problem:
            return f"{_variable(scheme)}: {problem}"
    return None


def wrong_exceptions() -> str:
    """Return the problem with the variable for exceptions from proxies."""
    return (
        f"{_variable('no')}: must be host names, domain suffixes, IP addresses or IPv4 networks, "
        "separated by commas"
    )


def missing_certificates() -> str | None:
    """Return the problem with the configured place of trusted certificates; None: no problem."""
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file:
        return None if Path(file).is_file() else "SSL_CERT_FILE: no such file"
    if folders and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        return "SSL_CERT_DIR: no such folder"
    return None


def unreadable_certificates(error: OSError) -> str:
    """Return which variable caused an error while reading certificates."""
    log = os.environ.get("SSLKEYLOGFILE")
    if log and error.filename == log:
        return "SSLKEYLOGFILE: the file cannot be written"
    if os.environ.get("SSL_CERT_FILE"):
        return "SSL_CERT_FILE: has no certificates that can be read"
    return f"the trusted certificates cannot be read: {type(error).__name__}"


def _problem_of(url: str) -> str:
    if not url:
        return ""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        fits = bool(parts.hostname) and parts.port != 0 and parts.path in {"", "/"}
    except ValueError:
        return _URL
    # Unlike urllib, httpx does not strip white space.
    if parts.scheme not in {"http", "https", *_SOCKS} or not fits or url != "".join(url.split()):
        return _URL
    if parts.scheme in _SOCKS and find_spec("socksio") is None:
        return "a SOCKS proxy needs the package socksio: pip install 'httpx[socks]'"
    return ""


def _variable(scheme: str) -> str:
    """Return a proxy variable's name as it is set; lower case takes precedence."""
    name = f"{scheme}_proxy"
    for written in (name, name.upper()):
        if os.environ.get(written):
            return written
    return f"the proxy settings of this system ({scheme})"

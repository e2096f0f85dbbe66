"""Environment variables that an HTTP client uses, and what is wrong with them.

Containers and company networks set them, and the user may never have heard of them. A
proxy's URL may hold a password: no text repeats it.
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
    """Whether it is said which requests go through a proxy, or which do not."""
    known = getproxies()
    return any(known.get(scheme) for scheme in (*_PROXIED, "no"))


def variable_of_proxy(scheme: str) -> str | None:
    """Return the variable that names the proxy for requests by http or https; None: none does."""
    known = getproxies()
    return next((_variable(one) for one in (scheme, "all") if known.get(one)), None)


def wrong_proxy() -> str | None:
    """Return which variable names a proxy that cannot be used, and why; None: all can be."""
    known = getproxies()
    for scheme in _PROXIED:
        problem = _problem_of(known.get(scheme) or "")
        if problem:
            return f"{_variable(scheme)}: {problem}"
    return None


def wrong_exceptions() -> str:
    """Return what is wrong with the variable that says what goes through no proxy."""
    return (
        f"{_variable('no')}: must be host names, domain suffixes, IP addresses or IPv4 networks, "
        "separated by commas"
    )


def missing_certificates() -> str | None:
    """Return what is wrong with where trusted certificates are said to be; None if nothing is."""
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file:
        return None if Path(file).is_file() else "SSL_CERT_FILE: no such file"
    if folders and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        return "SSL_CERT_DIR: no such folder"
    return None


def unreadable_certificates(error: OSError) -> str:
    """Return which variable has led to an error when certificates were read."""
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
    # httpx does not take white space away, as urllib does.
    if parts.scheme not in {"http", "https", *_SOCKS} or not fits or url != "".join(url.split()):
        return _URL
    if parts.scheme in _SOCKS and find_spec("socksio") is None:
        return "a SOCKS proxy needs the package socksio: pip install 'httpx[socks]'"
    return ""


def _variable(scheme: str) -> str:
    """Return how a variable is written where it is set: in lower case it goes before the other."""
    name = f"{scheme}_proxy"
    for written in (name, name.upper()):
        if os.environ.get(written):
            return written
    return f"the proxy settings of this system ({scheme})"

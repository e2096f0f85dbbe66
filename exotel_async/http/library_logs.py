"""Log filters for httpx, httpx2 and httpcore: no full phone numbers and no secrets."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Final

# The secrets of the account that the current exchange is for.
_secrets: Final[ContextVar[tuple[str, ...]]] = ContextVar("exotel_async_secrets", default=())
_in_download: Final[ContextVar[bool]] = ContextVar("exotel_async_in_download", default=False)


def keep_private() -> None:
    """Install the filters. Calling it again has no effect."""
    # These log full URLs, including numbers; our own logger has the same lines, masked.
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).addFilter(_is_not_ours)
    # These log response headers, in which a peer may repeat numbers and the token, and a redirect
    # may show a link that works without credentials.
    for name in ("httpcore.http11", "httpcore.http2", "httpcore2.http11", "httpcore2.http2"):
        logging.getLogger(name).addFilter(_shows_no_response)


def begin(secrets: tuple[str, ...], *, download: bool = False) -> None:
    """Mark this task, from here on, as exchanging a request or downloading a file."""
    _secrets.set(secrets)
    _in_download.set(download)


def _is_not_ours(_: logging.LogRecord) -> bool:
    return not _secrets.get()


def _shows_no_response(record: logging.LogRecord) -> bool:
    secrets = _secrets.get()
    if not secrets:
        return True
    said = record.getMessage()
    return not (
        _in_download.get()
        or said.startswith("receive_response")
        or any(secret in said for secret in secrets)
    )

"""What httpx, httpx2 and what they stand on log of our requests: no whole numbers, no secrets."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Final

# Of the account an exchange is for, while there is one.
_secrets: Final[ContextVar[tuple[str, ...]]] = ContextVar("exotel_async_secrets", default=())
_in_download: Final[ContextVar[bool]] = ContextVar("exotel_async_in_download", default=False)


def keep_private() -> None:
    """Filter what they log. Calling it again changes nothing."""
    # They show whole URLs, numbers and all; our own logger shows the same lines masked.
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).addFilter(_is_not_ours)
    # They show the heads of answers: a peer may repeat numbers and the token in them, and a
    # redirect may lead to a link that opens to anybody.
    for name in ("httpcore.http11", "httpcore.http2", "httpcore2.http11", "httpcore2.http2"):
        logging.getLogger(name).addFilter(_shows_no_answer)


def begin(secrets: tuple[str, ...], *, download: bool = False) -> None:
    """Say that from here on this task exchanges something with the service, or fetches a file."""
    _secrets.set(secrets)
    _in_download.set(download)


def _is_not_ours(_: logging.LogRecord) -> bool:
    return not _secrets.get()


def _shows_no_answer(record: logging.LogRecord) -> bool:
    secrets = _secrets.get()
    if not secrets:
        return True
    said = record.getMessage()
    return not (
        _in_download.get()
        or said.startswith("receive_response")
        or any(secret in said for secret in secrets)
    )

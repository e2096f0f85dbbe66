"""Description of a failed request in words."""

from __future__ import annotations

import os
import socket
import ssl


def describe(error: BaseException) -> str:
    """Return the reason for an exception of the HTTP client, with the name of its class."""
    root = _root(error)
    causes = root.exceptions if isinstance(root, BaseExceptionGroup) else [root]
    reason = ", ".join(dict.fromkeys(filter(None, map(_text, causes))))
    name = type(error).__name__
    return f"{reason} ({name})" if reason else name


def _root(error: BaseException) -> BaseException:
    """Return the innermost cause with a text of its own, as httpx often adds none to its errors.

    If an address refuses a connection, all but the innermost only say that all attempts failed.
    """
    while (below := error.__cause__ or error.__context__) is not None:
        if isinstance(error, TimeoutError):  # its cause is only how the timeout is implemented
            break
        is_summary = isinstance(error, OSError) and error.errno is None
        if str(error) not in {"", str(below)} and not is_summary:
            break
        error = below
    return error


def _text(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)  # asyncio's own text quotes a tuple
    if isinstance(error, TimeoutError):
        return str(error) or "timed out"
    return str(error).rstrip(".")

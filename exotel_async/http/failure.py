"""What went wrong with a request, in words."""

from __future__ import annotations

import os
import socket
import ssl


def describe(error: BaseException) -> str:
    """Return the reason that an exception of the HTTP client gives, and the exception's class."""
    root = _root(error)
    causes = root.exceptions if isinstance(root, BaseExceptionGroup) else [root]
    reason = ", ".join(dict.fromkeys(filter(None, map(_text, causes))))
    name = type(error).__name__
    return f"{reason} ({name})" if reason else name


def _root(error: BaseException) -> BaseException:
    """Return what an exception only passes on. httpx often adds no text of its own.

    Of an address that refuses a connection, all but the innermost say that all attempts failed.
    """
    while (below := error.__cause__ or error.__context__) is not None:
        if isinstance(error, TimeoutError):  # below it is how it was timed
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

"""A request to an endpoint that this SDK does not know, checked before it costs anything."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Final
from urllib.parse import quote, unquote, urlencode

from exotel_async.errors import InvalidRequest
from exotel_async.wire.request import Category, Request, plain_pairs
from exotel_async.wire.validation import one_of

_RULE: Final = (
    "must be a path below the account, such as 'Numbers/09812300001.json': not a URL, without / at "
    "its beginning, and without .., //, ?, #, ; and spaces; the query is params"
)
_DIAL: Final = (
    "is a dial: use calls.connect, calls.connect_to_flow or calls.connect_to_stream, which never "
    "dial twice"
)
# One segment of a path, decoded: printable ASCII. Some servers would decode a % again, and for
# others anything after a ; does not belong to the name.
_PART: Final = r"(?!\.$)(?!.*\.\.)(?!.*[/\\?#;%])[!-~]{1,256}"


_LONGEST: Final = 2000
"""Characters of a path: those of Exotel's API have fewer than a hundred."""


class Method(enum.StrEnum):
    """The HTTP methods that Exotel documents."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"


def raw_request(
    method: str,
    path: str,
    *,
    params: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    category: str = Category.VOICE,
) -> Request:
    """Build a request. Unless it is a GET, it is not repeatable, as its effect is unknown.

    The arguments are those of `AsyncExotel.request`.

    Raises:
        InvalidRequest: it would dial, or lead out of the account; or an argument is malformed.
    """
    chosen = Method(one_of("method", method, Method))
    part = Category(one_of("category", category, Category))
    body = None
    if form is not None:
        if chosen not in {Method.POST, Method.PUT}:
            rule = "is only for POST and PUT; what goes into the URL is params"
            raise InvalidRequest("form", type(form).__name__, rule)
        body = urlencode(plain_pairs("form", form))
    return Request(
        chosen.value,
        _path(path),
        params=plain_pairs("params", params),
        body=body,
        category=part,
        is_raw=True,
    )


def _path(path: object) -> str:
    """Return a path encoded like all our paths, so that numbers in it are recognised and masked."""
    if not isinstance(path, str):
        raise InvalidRequest("path", type(path).__name__, _RULE)
    if len(path) > _LONGEST:
        raise InvalidRequest("path", f"{len(path)} characters", f"must have at most {_LONGEST}")
    if _is_dial(path):
        raise _refused(path, _DIAL)
    # Some endpoints have a trailing slash (VOICE_V1 8).
    parts, slash = (path[:-1], "/") if path.endswith("/") else (path, "")
    return "/".join(_part(part, path) for part in parts.split("/")) + slash


def _part(part: str, path: str) -> str:
    decoded = unquote(part)
    if not re.fullmatch(_PART, decoded):
        raise _refused(path, _RULE)
    # Brackets are kept, because numbers may contain them and are masked in that form.
    return quote(decoded, safe="()")


def _is_dial(path: str) -> bool:
    """Return whether any server might take it for the dial endpoint, however it is written."""
    decoded = _decoded(path)
    names = re.split(r"[/\\]+", re.split(r"[?#;]", decoded.casefold())[0])
    bare = [name for name in (each.strip().partition(".")[0] for each in names) if name]
    return ("calls", "connect") in pairwise(bare)


def _decoded(path: str) -> str:
    while (decoded := unquote(path)) != path:
        path = decoded
    return path


def _refused(path: str, rule: str) -> InvalidRequest:
    before, *rest = re.split(r"[?#;]", _decoded(path), maxsplit=1)
    # A query may contain anything, even the token.
    shown = f"{before}..." if rest else before
    return InvalidRequest("path", shown if rest else path, rule, shown=shown)

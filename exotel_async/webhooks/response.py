"""What goes back to Exotel: status, headers and body, to the byte."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol, runtime_checkable

from attrs import field, frozen

TEXT: Final = "text/plain"
"""Nothing behind it: with a charset Exotel does not take it, users say (VOICE_V1 7.5)."""
JSON: Final = "application/json"


@frozen(kw_only=True)
class Response:
    """An HTTP response as it goes over the wire.

    Attributes:
        status: the HTTP status.
        headers: name, in lower case, and value of each header field; all of them, so that nothing
            is to be added to them. `content-length` is there.
        body: the body.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)

    def without_body(self) -> Response:
        """Return the answer to a HEAD for the same: status and headers do not change."""
        return Response(status=self.status, headers=self.headers)


@runtime_checkable
class Reply(Protocol):
    """What a handler answers an applet with: it knows how it is written."""

    def render(self) -> Response:
        """Return status, headers and body."""
        ...


def response(body: str = "", *, status: int = 200, content_type: str | None = None) -> Response:
    """Make a response of a text; UTF-8, which a text for the caller may need."""
    encoded = body.encode()
    headers = [("content-type", content_type)] if content_type else []
    headers.append(("content-length", str(len(encoded))))
    return Response(status=status, headers=tuple(headers), body=encoded)


def document(content: Mapping[str, Any], *, content_type: str = JSON) -> Response:
    """Make a response of a JSON document; plain ASCII, so that no charset can spoil it."""
    return response(json.dumps(content, separators=(",", ":")), content_type=content_type)

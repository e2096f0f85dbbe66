"""HTTP responses to Exotel: status, headers and body, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol, runtime_checkable

from attrs import field, frozen

TEXT: Final = "text/plain"
"""Without parameters: users report that Exotel does not accept a charset (VOICE_V1 7.5)."""
JSON: Final = "application/json"


@frozen(kw_only=True)
class Response:
    """An HTTP response as it goes over the wire.

    Attributes:
        status: the HTTP status.
        headers: name, in lower case, and value of each header field. The list is complete and
            includes `content-length`: nothing must be added.
        body: the body.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)

    def without_body(self) -> Response:
        """Return the response to a HEAD request for the same: status and headers are unchanged."""
        return Response(status=self.status, headers=self.headers)


@runtime_checkable
class Reply(Protocol):
    """A handler's answer to an applet, which can render itself as an HTTP response."""

    def render(self) -> Response:
        """Return status, headers and body."""
        ...


def response(body: str = "", *, status: int = 200, content_type: str | None = None) -> Response:
    """Make a response with a text body, encoded in UTF-8."""
    encoded = body.encode()
    headers = [("content-type", content_type)] if content_type else []
    headers.append(("content-length", str(len(encoded))))
    return Response(status=status, headers=tuple(headers), body=encoded)


def document(content: Mapping[str, Any], *, content_type: str = JSON) -> Response:
    """Make a response with a JSON body, in plain ASCII, so that the charset does not matter."""
    return response(json.dumps(content, separators=(",", ":")), content_type=content_type)

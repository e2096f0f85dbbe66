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
class Reply:
    """An answer as it goes over the wire.

    Attributes:
        status: the HTTP status.
        headers: name, in lower case, and value of each header field; all of them, so that nothing
            is to be added to them. `content-length` is there.
        body: the body.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)

    def without_body(self) -> Reply:
        """Return the answer to a HEAD for the same: status and headers do not change."""
        return Reply(status=self.status, headers=self.headers)


@runtime_checkable
class Answer(Protocol):
    """What an applet's request is answered with: it knows how it is written."""

    def render(self) -> Reply:
        """Return status, headers and body."""
        ...


def reply(body: str = "", *, status: int = 200, content_type: str | None = None) -> Reply:
    """Make a reply of a text; UTF-8, which a text for the caller may need."""
    encoded = body.encode()
    headers = [("content-type", content_type)] if content_type else []
    headers.append(("content-length", str(len(encoded))))
    return Reply(status=status, headers=tuple(headers), body=encoded)


def document(content: Mapping[str, Any], *, content_type: str = JSON) -> Reply:
    """Make a reply of a JSON document; plain ASCII, so that no charset can spoil it."""
    return reply(json.dumps(content, separators=(",", ":")), content_type=content_type)

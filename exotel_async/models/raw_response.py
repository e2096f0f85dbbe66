"""The response to a request that this SDK has no method for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from exotel_async.errors import DecodeError

_CHARSET: Final = r"(?i)\bcharset\s*=\s*[\"']?([\w.:-]+)"


@frozen(kw_only=True)
class RawResponse:
    """Exotel's response to `AsyncExotel.request`, as it came. Its status is 2xx.

    It holds bytes, and so has no `to_dict`.

    Attributes:
        status: the HTTP status.
        headers: the header fields, names in lower case, as in `APIError.headers`. The values of a
            field that came several times are joined by commas.
        content: the whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(factory=dict, repr=False, hash=False)
    content: bytes = field(default=b"", repr=lambda content: f"<{len(content)} bytes>")

    @property
    def text(self) -> str:
        """The body as text, by the charset of its content type, or else UTF-8.

        Bytes that cannot be decoded are replaced.
        """
        named = re.search(_CHARSET, self.headers.get("content-type", ""))
        try:
            return self.content.decode(named[1] if named else "utf-8", errors="replace")
        except (LookupError, ValueError):  # an unknown charset, or a codec that is not for text
            return self.content.decode(errors="replace")

    def json(self) -> Any:
        """Return the body parsed as JSON. Exotel answers in XML unless a path ends in `.json`.

        Raises:
            DecodeError: the body is not JSON.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            is_markup = self.content.lstrip().startswith(b"<")
        # Raised outside of `except`: as its context, the parser's error would hold the whole body.
        raise DecodeError(
            "the answer is XML or HTML, and not JSON" if is_markup else "the answer is not JSON",
            status=self.status,
            content_type=self.headers.get("content-type"),
            excerpt="",
        )

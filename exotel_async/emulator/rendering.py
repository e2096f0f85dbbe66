"""Documents as JSON or XML: `.json` on the path decides, XML is the default (VOICE_V1 0)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

Document = dict[str, object]
Body: TypeAlias = "Document | Sequence[Document]"
"""The content of a response: only one endpoint returns a list (VOICE_V1 8)."""

_ROW_NAMES = {"Calls": "Call"}
"""The XML element of each row of a list; the rows of `Legs` are wrapped already."""
_encode = json.JSONEncoder(separators=(",", ":")).encode


def as_json(body: Body) -> tuple[str, bytes]:
    """Return the content type and the body."""
    return "application/json", _encode(body).encode()


def as_xml(body: Body) -> tuple[str, bytes]:
    """Return the content type and the body: `TwilioResponse` with the resource as its child."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{_element("TwilioResponse", body)}'
    return "application/xml", text.encode()


def _element(name: str, value: object) -> str:
    if value is None or value == "":
        return f"<{name}/>"
    if isinstance(value, dict):
        inner = "".join(_element(key, item) for key, item in value.items())
    elif isinstance(value, list):
        row = _ROW_NAMES.get(name)
        inner = "".join(
            "".join(_element(key, part) for key, part in item.items())
            if row is None
            else _element(row, item)
            for item in value
        )
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"

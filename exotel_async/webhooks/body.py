"""What comes in, as one nested mapping: the body of a callback, the query of an applet's request.

Whatever the bytes are, only `InvalidWebhook` comes out. Its texts name no value: what came may hold
numbers, and secrets of whoever sent it.
"""

from __future__ import annotations

import enum
import json
from typing import Any, Final
from urllib.parse import parse_qsl

from exotel_async.errors import InvalidWebhook
from exotel_async.webhooks.multipart import read_parts
from exotel_async.webhooks.nesting import DEEPEST, MOST_FIELDS, check_size, nest

# NaN and infinities are no JSON, though Python reads them. As null they do no harm.
_JSON: Final = json.JSONDecoder(parse_constant=lambda _: None)


class MediaType(enum.StrEnum):
    """How a status callback may be encoded (wire notes 6.2)."""

    MULTIPART = "multipart/form-data"
    URLENCODED = "application/x-www-form-urlencoded"
    JSON = "application/json"


_KNOWN: Final = {known.value: known for known in MediaType}


def media_type(content_type: str | None) -> MediaType | None:
    """Return what a Content-Type names, its parameters aside. None: nothing that is read here."""
    return _KNOWN.get((content_type or "").partition(";")[0].strip().lower())


def read_body(body: bytes, content_type: str | None) -> dict[str, Any]:
    """Read the body of a status callback.

    Args:
        body: the whole body. How long it may be is for the caller to decide.
        content_type: the header of that name.

    Raises:
        InvalidWebhook: it is not what it calls itself, or is past the limits of `nest`.
        ConfigurationError: it is multipart, and python-multipart is not installed.
    """
    kind = media_type(content_type)
    if kind is None or content_type is None:
        raise InvalidWebhook(f"the content type must be one of {', '.join(MediaType)}")
    if kind is MediaType.JSON:
        return _read_json(body)
    if kind is MediaType.URLENCODED:
        return read_query(body)
    return nest(read_parts(body, content_type))


def read_query(query: str | bytes) -> dict[str, Any]:
    """Read a query, or a urlencoded form, which is the same.

    Args:
        query: as it came, percent-encoded, without a `?`. It is read as UTF-8; what is not shows as
            the replacement character.

    Raises:
        InvalidWebhook: it is past the limits of `nest`.
    """
    if isinstance(query, bytes):
        query = query.decode(errors="replace")
    try:
        return nest(parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:  # the only one `parse_qsl` has
        too_many = f"more than {MOST_FIELDS} fields"
    raise InvalidWebhook(too_many)


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        document = _JSON.decode(body.decode("utf-8-sig"))
    # No UTF-8, no JSON, a number of thousands of digits, brackets as deep as the stack.
    except (ValueError, RecursionError):
        document = None
    # Raised out here, the error does not carry the parser's, which holds the whole body.
    if not isinstance(document, dict):
        raise InvalidWebhook("not a JSON object")
    # Each list and each object begins with a bracket, and has a value more than commas at most:
    # that is counted soon, and nearly always says enough.
    brackets = body.count(b"{") + body.count(b"[")
    if brackets > DEEPEST or brackets + body.count(b",") > MOST_FIELDS:
        check_size(document)
    return document

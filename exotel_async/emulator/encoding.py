"""Queries and forms decoded from requests, and documents encoded for status callbacks."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Literal
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from exotel_async.emulator.rendering import Document

Pairs = Sequence[tuple[str, str]]
Encoding = Literal["json", "multipart", "urlencoded"]


def read_query(query: bytes) -> Pairs:
    """Return the parameters of a query, in order."""
    # Most requests have none, and parse_qsl is slow to find that out.
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []


async def read_form(content_type: str, body: bytes) -> Pairs | None:
    """Return the fields of a form, in order; an empty list without a body.

    None: the body is not a form. That includes JSON, undocumented for v1 (VOICE_V1 0).
    """
    if not body:
        return []
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    if kind != "multipart/form-data":
        return None
    parser = MultiPartParser(Headers({"content-type": content_type}), _once(body))
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError):
        return None
    fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    await form.close()
    return fields


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def encode(document: Document, encoding: Encoding, *, boundary: str) -> tuple[str, bytes]:
    """Return the content type and body of a status callback."""
    if encoding == "json":
        return "application/json", json.dumps(document).encode()
    fields = form_fields(document)
    if encoding == "urlencoded":
        return "application/x-www-form-urlencoded", urlencode(fields).encode()
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields
    )
    content_type = f"multipart/form-data; boundary={boundary}"
    return content_type, f"{parts}--{boundary}--\r\n".encode()


def form_fields(document: Document) -> list[tuple[str, str]]:
    """Return form fields: text, null as empty, lists as `Legs[0][Status]` (VOICE_V1 6.2)."""
    fields: list[tuple[str, str]] = []
    for name, value in document.items():
        if isinstance(value, list):
            for index, item in enumerate(value):
                fields += [(f"{name}[{index}][{key}]", _text(part)) for key, part in item.items()]
        else:
            fields.append((name, _text(value)))
    return fields


def _text(value: object) -> str:
    return "" if value is None else str(value)

"""Parsing of payloads into one nested mapping: the body of a callback, the query of an applet.

Exotel writes forms and queries in PHP's notation: `Legs[0][Status]` is the status of the first
leg (VOICE_V1 6.2, 7.1). Its names nest three levels deep and its longest payload has some sixty
fields; a payload beyond the limits here is not Exotel's and is refused, so that the cost of a
payload stays proportional to its length.

For any bytes, the only exception is `InvalidWebhook`. Its texts contain no values: a payload may
hold phone numbers and the sender's secrets.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from exotel_async.errors import ConfigurationError, InvalidWebhook
from exotel_async.wire.values import decode_json

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


MAX_FIELDS: Final = 1_000
"""Values in one payload; a nested mapping or list counts in addition to its values."""
HEARTBEAT_FACTOR: Final = 16
"""Factor by which a heartbeat, which lists the account's ExoPhones, may exceed other limits."""
DEEPEST: Final = 8
"""Levels of nesting: `a[b][c]` has three."""

_BRACKETED: Final = r"([^\[\]]+)((?:\[[^\[\]]*\])+)"
# Two digits: a call has two legs and a flow a few more.
_INDEX: Final = r"[0-9]{1,2}"


def nest(fields: Iterable[tuple[str, str]], *, most: int = MAX_FIELDS) -> dict[str, Any]:
    """Return the fields of a form or a query by name, nested according to the brackets in names.

    If a name occurs twice the last value wins, also when it is once plain and once nested. `a[]` is
    the next free index of `a`. A node with all indices from 0 on becomes a list, any other a
    mapping with the words in the brackets as keys: `a[999999999]` costs no more than `a[b]`. A name
    with unbalanced brackets is a plain name.

    Raises:
        InvalidWebhook: more fields than `most`, or nested deeper than `DEEPEST`.
    """
    root: dict[str, Any] = {}
    for position, (name, value) in enumerate(fields):
        if position >= most:
            raise _too_many(most)
        if "[" in name:
            _put(root, name, value)
        else:
            root[name] = value
    return {name: _listed(value) for name, value in root.items()}


def check_size(document: dict[str, Any], *, most: int = MAX_FIELDS) -> None:
    """Check a decoded JSON document against the limits of `nest`.

    Raises:
        InvalidWebhook: more fields than `most`, or nested deeper than `DEEPEST`.
    """
    level: list[Any] = [document]
    left, depth = most, 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise _too_deep()
        below: list[Any] = []
        for holder in level:
            left -= len(holder)
            if left < 0:
                raise _too_many(most)
            values = holder.values() if isinstance(holder, dict) else holder
            below += (value for value in values if isinstance(value, dict | list))
        level = below


def rows(value: object) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield each object of a list with its index, in order; nothing if it is not a list.

    Each may be wrapped as `{"Leg": {...}}`, as in call details (VOICE_V1 2).
    """
    if isinstance(value, list):
        items = list(enumerate(value))
    elif isinstance(value, dict):
        # Some indices are missing, or it would have become a list.
        indexed = ((name, item) for name, item in value.items() if re.fullmatch(_INDEX, name))
        items = sorted(((int(name), item) for name, item in indexed), key=lambda item: item[0])
    else:
        return
    for index, item in items:
        if isinstance(item, dict):
            inner = item.get("Leg", item)
            yield index, inner if isinstance(inner, dict) else item


def _put(root: dict[str, Any], name: str, value: str) -> None:
    if name.count("[") >= DEEPEST:
        raise _too_deep()
    matched = re.fullmatch(_BRACKETED, name)
    if matched is None:
        root[name] = value
        return
    key, node = matched[1], root
    for below in matched[2][1:-1].split("]["):
        child = node.get(key)
        if not isinstance(child, _Node):
            child = node[key] = _Node()
        node, key = child, below or child.free_index()
    node[key] = value


class _Node(dict[str, Any]):
    """The fields nested under one name, before they become a list or a mapping."""

    _first_candidate = 0

    def free_index(self) -> str:
        """Return the first free index, starting at the number of entries."""
        index = max(len(self), self._first_candidate)
        while str(index) in self:
            index += 1
        self._first_candidate = index  # lower ones need not be checked again
        return str(index)


def _listed(value: Any) -> Any:
    """Turn each node that has all its indices into a list; `_put` limits the depth."""
    if not isinstance(value, dict):
        return value
    indices = [str(index) for index in range(len(value))]
    if all(index in value for index in indices):
        return [_listed(value[index]) for index in indices]
    return {name: _listed(item) for name, item in value.items()}


def _too_many(most: int) -> InvalidWebhook:
    return InvalidWebhook(f"more than {most} fields")


def _too_deep() -> InvalidWebhook:
    return InvalidWebhook(f"nested deeper than {DEEPEST} levels")


_LONGEST_TYPE: Final = 1_024  # characters of a Content-Type
_LONGEST_KEPT: Final = 128  # bytes of a Content-Disposition
_PROBLEM: Final = "not multipart/form-data"


def require_parser() -> None:
    """Raise ConfigurationError if python-multipart is not installed."""
    try:
        import python_multipart.multipart  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        hint = "webhooks need python-multipart: pip install 'exotel-async[webhooks]'"
        raise ConfigurationError(hint) from error


def read_parts(body: bytes, content_type: str, *, most: int = MAX_FIELDS) -> list[tuple[str, str]]:
    """Return name and value of each part, in order; a file's value is its content as text.

    Names and values are read as UTF-8; invalid bytes become the replacement character.

    Raises:
        InvalidWebhook: it is not multipart, is truncated, or has more than `most` parts.
        ConfigurationError: python-multipart is not installed: it comes with the extra `webhooks`.
    """
    require_parser()
    from python_multipart.multipart import MultipartParser, parse_options_header  # noqa: PLC0415

    plain = content_type.isascii() and len(content_type) <= _LONGEST_TYPE
    boundary = parse_options_header(content_type)[1].get(b"boundary") if plain else None
    if not boundary:
        raise InvalidWebhook(f"{_PROBLEM}: no boundary")
    parts = _Parts(most)
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except ValueError:  # the base class of the parser's own errors
        parts.whole = False
    if not parts.whole:
        raise InvalidWebhook(f"{_PROBLEM}, or cut off")
    return parts.found


def _read_name(disposition: bytes) -> str | None:
    """Return the name in a Content-Disposition header."""
    from python_multipart.multipart import parse_options_header  # noqa: PLC0415

    name = parse_options_header(disposition.decode("latin-1"))[1].get(b"name")
    return None if name is None else name.decode(errors="replace")


_known_name: Final = lru_cache(maxsize=256)(_read_name)
"""`_read_name` with a cache: Exotel's headers repeat, and a hit takes a quarter of the time."""


class _Parts:
    """Collects the parts from the parser's callbacks."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.found: list[tuple[str, str]] = []
        self.whole = False
        self._name: str | None = None
        self._data: list[bytes] = []
        self._header = b""
        self._header_value = b""

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_header_field": self._add_header,
            "on_header_value": self._add_header_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add_data,
            "on_part_end": self._end,
            "on_end": self._end_all,
        }

    # The parser limits headers and delivers them in one piece; data is split wherever a boundary
    # may begin.
    def _add_header(self, chunk: bytes, start: int, end: int) -> None:
        self._header += chunk[start:end]

    def _add_header_value(self, chunk: bytes, start: int, end: int) -> None:
        self._header_value += chunk[start:end]

    def _add_data(self, chunk: bytes, start: int, end: int) -> None:
        self._data.append(chunk[start:end])

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            long = len(self._header_value) > _LONGEST_KEPT
            self._name = (_read_name if long else _known_name)(self._header_value)
        self._header = self._header_value = b""

    def _end(self) -> None:
        if self._name is None:
            raise InvalidWebhook(f"{_PROBLEM}: a part without a name")
        if len(self.found) >= self._most:
            raise _too_many(self._most)
        self.found.append((self._name, b"".join(self._data).decode("utf-8", "replace")))
        self._name = None
        self._data.clear()

    def _end_all(self) -> None:
        self.whole = True


class MediaType(enum.StrEnum):
    """How a status callback may be encoded (VOICE_V1 6.2)."""

    MULTIPART = "multipart/form-data"
    URLENCODED = "application/x-www-form-urlencoded"
    JSON = "application/json"


_KNOWN: Final = {known.value: known for known in MediaType}


def media_type(content_type: str | None) -> MediaType | None:
    """Return the media type of a Content-Type without parameters. None if it is not supported."""
    return _KNOWN.get((content_type or "").partition(";")[0].strip().lower())


def read_body(
    body: bytes,
    content_type: str | None,
    *,
    most: int = MAX_FIELDS,
    list_name: str | None = None,
) -> dict[str, Any]:
    """Read the body of a status callback or a heartbeat.

    Args:
        body: the whole body. The caller has to limit its length.
        content_type: the Content-Type header.
        most: the maximum number of values.
        list_name: the name under which a JSON list is returned; None: a list is refused.

    Raises:
        InvalidWebhook: it does not match its content type, or exceeds the limits of `nest`; or an
            argument has the wrong type.
        ConfigurationError: it is multipart, and python-multipart is not installed.
    """
    if content_type is not None:
        _check_type("content_type", content_type, str)
    kind = media_type(content_type)
    if kind is None or content_type is None:
        raise InvalidWebhook(f"the content type must be one of {', '.join(MediaType)}")
    if kind is MediaType.URLENCODED:
        return nest(_pairs(body, most, argument="body"), most=most)
    _check_type("body", body, bytes, bytearray)
    if kind is MediaType.JSON:
        return _read_json(body, most, list_name)
    return nest(read_parts(body, content_type, most=most), most=most)


def read_query(query: str | bytes) -> dict[str, Any]:
    """Read a query as received, without the `?`, or a urlencoded form, which is the same.

    It is read as UTF-8; invalid bytes become the replacement character.

    Raises:
        InvalidWebhook: it exceeds the limits of `nest`, or is neither str nor bytes.
    """
    return nest(_pairs(query))


def read_parameters(query: str | bytes) -> dict[str, str]:
    """Read a query that was not written by Exotel: brackets in names have no special meaning.

    If a name occurs twice the last value wins.

    Raises:
        InvalidWebhook: it has more than `MAX_FIELDS` fields, or is neither str nor bytes.
    """
    return dict(_pairs(query))


def _pairs(
    query: str | bytes, most: int = MAX_FIELDS, *, argument: str = "query"
) -> list[tuple[str, str]]:
    _check_type(argument, query, str, bytes, bytearray)
    if not isinstance(query, str):
        query = query.decode(errors="replace")
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=most)
    except ValueError:  # `parse_qsl` raises it only for too many fields
        pass
    raise _too_many(most)


def _check_type(argument: str, value: object, *types: type) -> None:
    if not isinstance(value, types):
        right = " or ".join(one.__name__ for one in types)
        raise InvalidWebhook(f"{argument} must be {right}, not {type(value).__name__}")


def _read_json(body: bytes, most: int, list_name: str | None) -> dict[str, Any]:
    try:
        document = decode_json(body)
    except (ValueError, RecursionError):
        document = None
    if list_name is not None and isinstance(document, list):
        document = {list_name: document}
    # Not raised in the `except` above: its context would be an error that holds the whole body.
    if not isinstance(document, dict):
        raise InvalidWebhook("not a JSON object")
    # A quick upper bound that is nearly always sufficient: each list or object begins with a
    # bracket and has at most one value more than it has commas.
    brackets = body.count(b"{") + body.count(b"[")
    if brackets > DEEPEST or brackets + body.count(b",") > most:
        check_size(document, most=most)
    return document

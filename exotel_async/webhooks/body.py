"""What comes in, as one nested mapping: the body of a callback, the query of an applet's request.

Exotel writes forms and queries the way PHP reads them: `Legs[0][Status]` is the status of the first
leg (VOICE_V1 6.2, 7.1). Its own names nest three deep and its longest payload has some sixty
fields; what is deeper or longer than the limits here is not Exotel's and is refused, so that
nobody's payload costs more than its length.

Whatever the bytes are, only `InvalidWebhook` comes out. Its texts name no value: what came may hold
numbers, and secrets of its sender.
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


MOST_FIELDS: Final = 1_000
"""Values in one payload, nested ones counted with what they hold."""
TIMES_AS_MUCH: Final = 16
"""How many times as long a heartbeat may be as other payloads: it lists the account's ExoPhones."""
DEEPEST: Final = 8
"""Levels of nesting: `a[b][c]` has three."""

_BRACKETED: Final = r"([^\[\]]+)((?:\[[^\[\]]*\])+)"
# Two digits: a call has two legs and a flow some more, and no index makes a list longer.
_INDEX: Final = r"[0-9]{1,2}"


def nest(fields: Iterable[tuple[str, str]], *, most: int = MOST_FIELDS) -> dict[str, Any]:
    """Return the fields of a form or a query by their names, nested by the brackets in them.

    Of two fields of the same name the last one counts, and so of a field that is plain once and
    nested once. `a[]` is the next free index of `a`. What has all its indices from 0 on becomes a
    list, anything else a mapping by the words in the brackets: `a[999999999]` costs no more than
    `a[b]`. A name whose brackets do not match is a plain name.

    Raises:
        InvalidWebhook: more than `most`, or deeper than `DEEPEST`.
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


def check_size(document: dict[str, Any], *, most: int = MOST_FIELDS) -> None:
    """Hold a decoded JSON document to the limits of `nest`.

    Raises:
        InvalidWebhook: more than `most`, or deeper than `DEEPEST`.
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
    """Read a list of objects, in order, each with its index; nothing if it is none.

    Each may be wrapped as `{"Leg": {...}}`: call details have them so (VOICE_V1 2).
    """
    if isinstance(value, list):
        items = list(enumerate(value))
    elif isinstance(value, dict):
        # Some are missing, or it would be a list.
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
    """What is in brackets behind a name; it becomes a list or a mapping."""

    _looked = 0

    def free_index(self) -> str:
        """Return the first index that is free, from the number of entries on."""
        index = max(len(self), self._looked)
        while str(index) in self:
            index += 1
        self._looked = index  # those before are not looked at again
        return str(index)


def _listed(value: Any) -> Any:
    """Make lists of what has all its indices; as deep as `_put` lets it be."""
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


def read_parts(body: bytes, content_type: str, *, most: int = MOST_FIELDS) -> list[tuple[str, str]]:
    """Return name and value of each part, in order; a file is read as the text it holds.

    Names and values are UTF-8; what is not shows as the replacement character.

    Raises:
        InvalidWebhook: it is not multipart, is cut off, or has more than `most` parts.
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
    except ValueError:  # the root of the parser's own errors
        parts.whole = False
    if not parts.whole:
        raise InvalidWebhook(f"{_PROBLEM}, or cut off")
    return parts.found


def _read_name(disposition: bytes) -> str | None:
    """Read the name in a Content-Disposition."""
    from python_multipart.multipart import parse_options_header  # noqa: PLC0415

    name = parse_options_header(disposition.decode("latin-1"))[1].get(b"name")
    return None if name is None else name.decode(errors="replace")


_known_name: Final = lru_cache(maxsize=256)(_read_name)
"""The same. Those of Exotel's fields are always alike, and take a fourth of the time to read."""


class _Parts:
    """Gathers parts from what the parser tells while it reads."""

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

    # Headers are bounded by the parser, and come in one piece; data is cut at whatever may become
    # a boundary.
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
    """Return what a Content-Type names, its parameters aside. None: nothing that is read here."""
    return _KNOWN.get((content_type or "").partition(";")[0].strip().lower())


def read_body(
    body: bytes,
    content_type: str | None,
    *,
    most: int = MOST_FIELDS,
    list_name: str | None = None,
) -> dict[str, Any]:
    """Read the body of a status callback or a heartbeat.

    Args:
        body: the whole body. How long it may be is for the caller to decide.
        content_type: the header of that name.
        most: values it may have.
        list_name: the name that is given to what comes as a list; None: that is refused.

    Raises:
        InvalidWebhook: it is not what it calls itself, or is past the limits of `nest`; or an
            argument is of a wrong type.
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
    """Read a query as it came, without a `?`, or a urlencoded form, which is the same.

    It is read as UTF-8; what is not shows as the replacement character.

    Raises:
        InvalidWebhook: it is past the limits of `nest`, or is neither text nor bytes.
    """
    return nest(_pairs(query))


def read_parameters(query: str | bytes) -> dict[str, str]:
    """Read the query of a URL that was not made by Exotel: brackets in its names mean nothing.

    Of a name that comes twice the last value counts.

    Raises:
        InvalidWebhook: more than `MOST_FIELDS`, or it is neither text nor bytes.
    """
    return dict(_pairs(query))


def _pairs(
    query: str | bytes, most: int = MOST_FIELDS, *, argument: str = "query"
) -> list[tuple[str, str]]:
    _check_type(argument, query, str, bytes, bytearray)
    if not isinstance(query, str):
        query = query.decode(errors="replace")
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=most)
    except ValueError:  # the only one `parse_qsl` has
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
    # Raised out here, the error does not carry the parser's, which holds the whole body.
    if not isinstance(document, dict):
        raise InvalidWebhook("not a JSON object")
    # Each list and each object begins with a bracket, and has a value more than commas at most:
    # that is counted soon, and nearly always says enough.
    brackets = body.count(b"{") + body.count(b"[")
    if brackets > DEEPEST or brackets + body.count(b",") > most:
        check_size(document, most=most)
    return document

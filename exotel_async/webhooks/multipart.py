"""multipart/form-data, Exotel's default for status callbacks, through python-multipart."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from exotel_async.errors import ConfigurationError, InvalidWebhook
from exotel_async.webhooks.nesting import MOST_FIELDS

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

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


def read_parts(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Return name and value of each part, in order; a file is read as the text it holds.

    Names and values are UTF-8; what is not shows as the replacement character.

    Raises:
        InvalidWebhook: it is not multipart, is cut off, or has more than `MOST_FIELDS` parts.
        ConfigurationError: python-multipart is not installed: it comes with the extra `webhooks`.
    """
    require_parser()
    from python_multipart.multipart import MultipartParser, parse_options_header  # noqa: PLC0415

    plain = content_type.isascii() and len(content_type) <= _LONGEST_TYPE
    boundary = parse_options_header(content_type)[1].get(b"boundary") if plain else None
    if not boundary:
        raise InvalidWebhook(f"{_PROBLEM}: no boundary")
    parts = _Parts()
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

    def __init__(self) -> None:
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
        if len(self.found) >= MOST_FIELDS:
            raise InvalidWebhook(f"more than {MOST_FIELDS} fields")
        self.found.append((self._name, b"".join(self._data).decode("utf-8", "replace")))
        self._name = None
        self._data.clear()

    def _end_all(self) -> None:
        self.whole = True

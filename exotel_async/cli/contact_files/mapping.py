"""The value of the option `--map`: which columns hold which fields of a contact."""

from __future__ import annotations

import re
import shlex
from typing import Final

FIELDS: Final = (
    "number",
    "alternatives",
    "key",
    "agent",
    "custom_field",
    "priority",
    "not_before",
    "time_zone",
)
"""What a column may be mapped to: the attributes of a contact, except `fields`."""

_PLAIN: Final = r"[\w .#-]+"
"""Names that shells leave unchanged in double quotes."""


def read_mapping(text: str) -> dict[str, str]:
    """Parse the value of `--map`: `number=Mobile,key="CRM Id"`.

    A column is named by its header, its letter or its number. Quotes are as in CSV, around the
    column or around the whole pair.

    Raises:
        ValueError: it is malformed, or names an unknown field, or one field twice.
    """
    mapping: dict[str, str] = {}
    for pair in _pairs(text):
        name, equals, column = (part.strip() for part in _unquoted(pair).partition("="))
        column = _unquoted(column).strip()
        if not equals or not column:
            raise ValueError(f"{pair!r} is not FIELD=COLUMN, such as number=Mobile")
        name = name.casefold().replace("-", "_")
        if name not in FIELDS:
            raise ValueError(f"{name!r} is not one of {', '.join(FIELDS)}")
        if name in mapping:
            raise ValueError(f"{name!r} is given twice")
        mapping[name] = column
    return mapping


def write_mapping(field: str, column: str) -> str:
    """Return a pair of `--map` as it is typed in a shell: `number="CRM Id"`."""
    pair = f'{field}="{column.replace(chr(34), 2 * chr(34))}"'
    return pair if re.fullmatch(_PLAIN, column) else shlex.quote(pair)


def _pairs(text: str) -> list[str]:
    pairs, start, quoted = [], 0, False
    for place, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            pairs.append(text[start:place])
            start = place + 1
    if quoted:
        raise ValueError(f"a quote in {text!r} is not closed")
    pairs.append(text[start:])
    return [pair.strip() for pair in pairs if pair.strip()]


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    if not text.endswith('"'):
        raise ValueError(f"{text!r} has text after its closing quote")
    return text[1:-1].replace('""', '"')

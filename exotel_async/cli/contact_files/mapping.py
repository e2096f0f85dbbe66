"""Which columns mean what: the text of the option `--map`."""

from __future__ import annotations

import csv
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
"""What a column may be mapped to: the attributes of a contact, but for its fields."""


def read_mapping(text: str) -> dict[str, str]:
    """Read what `--map` was given: `number=Mobile,key="CRM Id"`.

    A column is named by its header, its letter or its number. Quotes are as in CSV, around the
    column or around the whole pair.

    Raises:
        ValueError: it is not written so, or names an unknown field, or one twice.
    """
    mapping: dict[str, str] = {}
    for pair in _pairs(text):
        name, equals, column = (part.strip() for part in pair.partition("="))
        if not equals or not column:
            raise ValueError(f"{pair.strip()!r} is not FIELD=COLUMN, such as number=Mobile")
        name = name.casefold().replace("-", "_")
        if name not in FIELDS:
            raise ValueError(f"{name!r} is not one of {', '.join(FIELDS)}")
        if name in mapping:
            raise ValueError(f"{name!r} is given twice")
        mapping[name] = column
    return mapping


def _pairs(text: str) -> list[str]:
    # CSV knows quotes around a whole cell alone, and these may be around the column.
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
    return [_unquoted(pair) for pair in pairs if pair.strip()]


def _unquoted(pair: str) -> str:
    name, equals, column = pair.strip().partition("=")
    if name.startswith('"'):
        return next(csv.reader([pair.strip()]), [""])[0]
    if column.strip().startswith('"'):
        column = next(csv.reader([column.strip()]), [""])[0]
    return name + equals + column

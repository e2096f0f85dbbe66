"""Writes the emulator's values as plain data, in the form that `reading` takes."""

from __future__ import annotations

import base64
import math
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import attrs

from exotel_async.emulator.control.kinds import key_of, kind_of_applet, own_fields
from exotel_async.emulator.flows.applets import Applet

CALLABLE = "callable"
"""What stands for a function that was set in Python."""


def write(value: object) -> Any:  # noqa: PLR0911 - a type each
    """Return the value in JSON types. An infinite length is null."""
    match value:
        case Enum():
            return value.value
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
        case Decimal():
            return str(value)
        case datetime():
            return value.isoformat()
        case bytes():
            return _write_bytes(value)
        case Mapping():
            return {write(key): write(inner) for key, inner in value.items()}
        case AbstractSet():
            return sorted(write(inner) for inner in value)
        case Collection():
            return [write(inner) for inner in value]
        case Applet():
            return {"applet": kind_of_applet(type(value)), **_changed_fields(value)}
        case _ if attrs.has(type(value)):
            return {key_of(field): write(getattr(value, field.name)) for field in _fields(value)}
    if callable(value):
        return CALLABLE
    raise TypeError(f"{type(value).__name__} is not a plain value")


def _fields(value: object) -> list[attrs.Attribute[Any]]:
    return own_fields(type(value))


def _changed_fields(applet: Applet) -> dict[str, Any]:
    """Return the fields that are not the default, so that a flow is easy to read."""
    given = {field.name: getattr(applet, field.name) for field in _fields(applet)}
    return {
        key_of(field): write(given[field.name])
        for field in _fields(applet)
        if given[field.name] != field.default
    }


def _write_bytes(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}

"""The settings as the page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import singledispatch
from typing import Any

import attrs

from exotel_async.emulator.operations import Operations
from exotel_async.emulator.settings import Settings

_HIDDEN = frozenset({"api_token", "flows"})
"""The token, and the setting with a page of its own."""
_IN_DETAIL = ("scenario", "flow_settings")


@attrs.frozen(kw_only=True)
class Setting:
    """One setting."""

    name: str
    value: str
    changed: bool
    """Whether it is not the default."""


@attrs.frozen(kw_only=True)
class Group:
    """Settings that belong together."""

    name: str
    settings: Sequence[Setting]


def groups(emulator: Operations) -> Sequence[Group]:
    """Return all settings but the token, which stays hidden, and the flows, which have a page."""
    fields = [
        field
        for field in attrs.fields(Settings)
        if field.name not in _HIDDEN and field.name not in _IN_DETAIL
    ]
    nested = [(name, getattr(emulator, name)) for name in _IN_DETAIL]
    return [
        Group(name="emulator", settings=_settings(emulator, fields)),
        *(
            Group(name=name.replace("_", " "), settings=_settings(value, attrs.fields(type(value))))
            for name, value in nested
        ),
    ]


def _settings(owner: object, fields: Sequence[attrs.Attribute[Any]]) -> Sequence[Setting]:
    return [
        Setting(
            name=field.name,
            value=text(value),
            changed=value != default and text(value) != text(default),
        )
        for field in fields
        if field.init
        for value, default in [(getattr(owner, field.name), _default(field))]
    ]


def _default(field: attrs.Attribute[Any]) -> object:
    made = getattr(field.default, "factory", None)
    return field.default if made is None else made()


@singledispatch
def text(value: object) -> str:
    """Return a value as text; of one with fields, those that are not the default."""
    kind = type(value)
    if not attrs.has(kind):
        return getattr(value, "__name__", None) or str(value)
    given = [
        f"{field.name} {text(item)}"
        for field in attrs.fields(kind)
        if field.init and (item := getattr(value, field.name)) != _default(field)
    ]
    return f"{kind.__name__}({', '.join(given)})"


@text.register
def _(value: None) -> str:
    return "none"


@text.register
def _(value: bool) -> str:
    return "yes" if value else "no"


@text.register
def _(value: Enum) -> str:
    return str(value.value)


@text.register
def _(value: Mapping) -> str:  # type: ignore[type-arg]
    return ", ".join(f"{text(name)}: {text(item)}" for name, item in value.items()) or "none"


@text.register(tuple | list)
def _(value: Sequence[object]) -> str:
    return ", ".join(map(text, value)) or "none"


@text.register
def _(value: frozenset) -> str:  # type: ignore[type-arg]
    return ", ".join(sorted(map(text, value))) or "none"

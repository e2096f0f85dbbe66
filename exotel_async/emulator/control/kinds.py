"""The types of the emulator's values, as reading, writing and describing tell them apart."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs

from exotel_async.emulator.flows import applets
from exotel_async.emulator.flows.applets import Applet

_LISTS = (list, Sequence, Collection, frozenset)
_MAPPINGS = (dict, Mapping, MutableMapping)


def is_list(as_type: Any) -> bool:
    """Return whether the type is a collection of any length, of one type."""
    return get_origin(as_type) in _LISTS


def is_mapping(as_type: Any) -> bool:
    """Return whether the type is a mapping."""
    return get_origin(as_type) in _MAPPINGS


def is_tuple(as_type: Any) -> bool:
    """Return whether the type is a tuple of one type, of fixed length."""
    return get_origin(as_type) is tuple


def is_union(as_type: Any) -> bool:
    """Return whether the type is a union."""
    return get_origin(as_type) in {Union, types.UnionType}


def arms(as_type: Any) -> Sequence[Any]:
    """Return the types of a union. `str` beside an enum is dropped: it is one of its words."""
    found = get_args(as_type)
    words = any(isinstance(arm, type) and issubclass(arm, Enum) for arm in found)
    return [arm for arm in found if not (words and arm is str)]


def is_callable(as_type: Any) -> bool:
    """Return whether the type is a function."""
    return get_origin(as_type) is Callable


def is_optional(as_type: Any) -> bool:
    """Return whether None is one of its values."""
    return is_union(as_type) and type(None) in get_args(as_type)


def own_fields(cls: type) -> list[attrs.Attribute[Any]]:
    """Return the fields that a value of the class is made from."""
    return [field for field in attrs.fields(cls) if field.init and not field.name.startswith("_")]


def key_of(field: attrs.Attribute[Any]) -> str:
    """Return the key of a field in plain data: `from` for `from_`, a reserved word in Python."""
    return field.name.rstrip("_")


@cache
def hints(cls: type) -> Mapping[str, Any]:
    """Return the types of a class's fields."""
    return get_type_hints(cls)


def field_type(cls: type, field: attrs.Attribute[Any]) -> Any:
    """Return the type a field takes. An id that is converted to text may be a number."""
    convert: object = field.converter
    return str | int if convert is str else hints(cls)[field.name]


@cache
def kinds_of_applets() -> Mapping[str, type[Applet]]:
    """Return the applets by their name in plain data: `switch_case` for `SwitchCase`."""
    found = [one for one in vars(applets).values() if isinstance(one, type)]
    return {_snake(one.__name__): one for one in found if issubclass(one, Applet) and one != Applet}


def kind_of_applet(cls: type[Applet]) -> str:
    """Return the name of such applets in plain data."""
    return _snake(cls.__name__)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()

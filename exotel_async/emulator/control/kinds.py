"""The types that the emulator's values are made of, as reading and describing see them."""

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
    """Whether it is any number of one type."""
    return get_origin(as_type) in _LISTS


def is_mapping(as_type: Any) -> bool:
    """Whether it leads from keys to values."""
    return get_origin(as_type) in _MAPPINGS


def is_tuple(as_type: Any) -> bool:
    """Whether it is some of one type, and how many is fixed."""
    return get_origin(as_type) is tuple


def is_union(as_type: Any) -> bool:
    """Whether it is one of several."""
    return get_origin(as_type) in {Union, types.UnionType}


def arms(as_type: Any) -> Sequence[Any]:
    """The types of a union. A text beside an enum is one of its words."""
    found = get_args(as_type)
    words = any(isinstance(arm, type) and issubclass(arm, Enum) for arm in found)
    return [arm for arm in found if not (words and arm is str)]


def is_callable(as_type: Any) -> bool:
    """Whether it is a function."""
    return get_origin(as_type) is Callable


def is_optional(as_type: Any) -> bool:
    """Whether None is one of its values."""
    return is_union(as_type) and type(None) in get_args(as_type)


def own_fields(cls: type) -> list[attrs.Attribute[Any]]:
    """The fields that a value of the class is made of."""
    return [field for field in attrs.fields(cls) if field.init and not field.name.startswith("_")]


def key_of(field: attrs.Attribute[Any]) -> str:
    """What plain data call a field: `from` is no name in Python."""
    return field.name.rstrip("_")


@cache
def hints(cls: type) -> Mapping[str, Any]:
    """The types of a class's fields."""
    return get_type_hints(cls)


def field_type(cls: type, field: attrs.Attribute[Any]) -> Any:
    """The type of what a field takes. An id that is turned into text may be a number."""
    convert: object = field.converter
    return str | int if convert is str else hints(cls)[field.name]


@cache
def kinds_of_applets() -> Mapping[str, type[Applet]]:
    """The applets by what `applet` calls them: `switch_case` for `SwitchCase`."""
    found = [one for one in vars(applets).values() if isinstance(one, type)]
    return {_snake(one.__name__): one for one in found if issubclass(one, Applet) and one != Applet}


def kind_of_applet(cls: type[Applet]) -> str:
    """What `applet` calls them."""
    return _snake(cls.__name__)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()

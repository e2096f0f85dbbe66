"""Reads plain data, as in JSON and TOML, strictly into the emulator's values.

A number is not accepted as text, and an unknown key is not ignored. An error has the place, the
value and the rule.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from enum import Enum
from functools import partial
from operator import is_
from typing import Any, Literal, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.cols import list_structure_factory
from cattrs.errors import (
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
)
from cattrs.gen import make_dict_structure_fn, mapping_structure_factory, override

from exotel_async.emulator.control.kinds import (
    arms,
    field_type,
    is_callable,
    is_list,
    is_mapping,
    is_tuple,
    is_union,
    key_of,
    kinds_of_applets,
    own_fields,
)
from exotel_async.emulator.flows.applets import Applet
from exotel_async.emulator.latency import UniformLatency
from exotel_async.emulator.numbers import masked

Hook = Callable[[Any, Any], Any]


class BadInput(ValueError):
    """The input has something wrong in it."""

    def __init__(self, place: str, text: str) -> None:
        super().__init__(f"{place}: {text}" if place else text)
        self.place = place
        """Where: `flows[0].start.keys.1`; empty for the whole."""
        self.text = text
        """The value, its phone numbers masked, and the rule."""


class BadValue(ValueError):
    """A value breaks a rule; its place is added later."""

    def __init__(self, value: object, rule: str) -> None:
        super().__init__(value, rule)
        self.value = value
        self.rule = rule


def read(value: object, as_type: Any, place: str = "") -> Any:
    """Return the value as that type. Raises BadInput with the first thing that is wrong."""
    try:
        return _CONVERTER.structure(value, as_type)
    except Exception as error:  # noqa: BLE001 - a converter of a class may raise anything
        raise next(_problems(error, place)) from None


def read_field(owner: type, name: str, value: object) -> Any:
    """Return the value of one field of a class, converted and validated. Raises BadInput."""
    field = attrs.fields_dict(owner)[name]
    made = read(value, field_type(owner, field), key_of(field))
    try:
        if field.converter is not None:
            convert: Any = field.converter
            made = convert(made)
        if field.validator is not None:
            field.validator(None, field, made)
    except Exception as error:  # noqa: BLE001 - as above
        raise next(_problems(error, key_of(field))) from None
    return made


def unknown_key(place: str, key: str, known: Collection[str]) -> BadInput:
    """Return the error for an unknown key. It lists the keys that look like it, or all."""
    where = f"{place}.{masked(key)}" if place else masked(key)
    near = get_close_matches(key, known)
    if near:
        hint = f"there {'is' if len(near) == 1 else 'are'} {', '.join(near)}"
    else:
        hint = f"the keys are {', '.join(sorted(known))}"
    return BadInput(where, f"is not a key here; {hint}")


def shown(value: object) -> str:
    """Return a value as shown in an error: short, and without whole phone numbers."""
    text = "null" if value is None else repr(value)
    if isinstance(value, bool):
        text = str(value).lower()
    text = masked(text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _problems(error: BaseException, place: str) -> Iterator[BadInput]:
    """Yield what is wrong, according to cattrs's error."""
    if isinstance(error, IterableValidationError | ClassValidationError):
        noted, others = error.group_exceptions()
        for inner, note in noted:
            yield from _problems(inner, _under(place, note))
        for inner in others:
            yield from _problems(inner, place)
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [key_of(field) for field in own_fields(error.cl)]
        for key in sorted(error.extra_fields):
            yield unknown_key(place, str(key), known)
    elif isinstance(error, KeyError):
        yield BadInput(place, "is missing")
    elif isinstance(error, BadValue):
        secret = place.endswith("api_token")
        yield BadInput(place, f"{'the value' if secret else shown(error.value)} {error.rule}")
    elif isinstance(error, BadInput):
        yield BadInput(f"{place}.{error.place}" if place else error.place, error.text)
    else:
        # Validators name the field, as the place may already do.
        name = place.rpartition(".")[2]
        yield BadInput(
            place, masked(str(error)).removeprefix(f"'{name}' ").removeprefix(f"{name}: ")
        )


def _under(place: str, note: Any) -> str:
    if hasattr(note, "name"):
        key = note.name.rstrip("_")
    elif isinstance(note.index, int):
        return f"{place}[{note.index}]"
    else:
        key = masked(str(note.index))
    return f"{place}.{key}" if place else str(key)


def _text(value: object, as_type: type[str]) -> str:
    if issubclass(as_type, Enum):
        # cattrs treats it as text.
        word: str = _words(list(as_type))(value, as_type)
        return word
    if not isinstance(value, str):
        raise BadValue(value, "is not a text")
    return value


def _bool(value: object, _: object) -> bool:
    if not isinstance(value, bool):
        raise BadValue(value, "is neither true nor false")
    return value


def _int(value: object, _: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadValue(value, "is not a whole number")
    return value


def _float(value: object, _: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadValue(value, "is not a number")
    if not abs(value) < float("inf"):
        raise BadValue(value, "is not a finite number")
    return float(value)


def _decimal(value: object, _: object) -> Decimal:
    rule = 'is not an amount, like "0.750"'
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        raise BadValue(value, rule)
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise BadValue(value, rule) from None
    if not amount.is_finite():
        raise BadValue(value, rule)
    return amount


def _date(value: object, _: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise BadValue(value, "is not a date with its offset, like 2026-01-31T09:00:00+05:30")
    return moment


def _bytes(value: object, _: object) -> bytes:
    match value:
        case str():
            return value.encode()
        case {"base64": str(encoded), **others} if not others:
            try:
                return base64.b64decode(encoded, validate=True)
            except ValueError:
                pass
    raise BadValue(value, 'is neither a text nor {"base64": "..."}')


def _words(words: list[Any]) -> Hook:
    """Return a hook that reads one of some words."""

    def read_word(value: object, _: object) -> Any:
        for word in words:
            if value == word and type(value) in {type(word), str}:
                return word
        raise BadValue(value, f"is not one of {', '.join(repr(str(word)) for word in words)}")

    return read_word


def _list(as_type: Any, converter: Converter) -> Hook:
    items: Any = list[get_args(as_type)]  # type: ignore[misc]
    inner = list_structure_factory(items, converter)
    make = frozenset if get_origin(as_type) is frozenset else tuple

    def read_list(value: Any, _: object) -> Any:
        if not isinstance(value, list | tuple):
            raise BadValue(value, "is not a list")
        return make(inner(value, as_type))

    return read_list


def _mapping(as_type: Any, converter: Converter) -> Hook:
    entries: Any = dict[get_args(as_type)]  # type: ignore[misc]
    inner: Hook = mapping_structure_factory(entries, converter)

    def read_mapping(value: Any, _: object) -> Any:
        if not isinstance(value, Mapping):
            raise BadValue(value, "is not an object")
        return inner(value, as_type)

    return read_mapping


def _tuple(as_type: Any, converter: Converter) -> Hook:
    items = get_args(as_type)
    inner = list_structure_factory(list[items[0]], converter)  # type: ignore[valid-type]

    def read_tuple(value: Any, _: object) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(items):
            raise BadValue(value, f"is not a list of {len(items)}")
        return tuple(inner(value, as_type))

    return read_tuple


def _applet(converter: Converter) -> Hook:
    """Return a hook that reads an applet by its kind."""

    def read_applet(value: Any, _: object) -> Applet:
        kinds = kinds_of_applets()
        if not isinstance(value, Mapping):
            raise BadValue(value, 'is not an applet, like {"applet": "hangup"}')
        if "applet" not in value:
            raise BadInput("applet", "is missing")
        kind = value["applet"]
        if not isinstance(kind, str) or kind not in kinds:
            raise BadInput("applet", f"{shown(kind)} is not one of {', '.join(sorted(kinds))}")
        fields = {key: field for key, field in value.items() if key != "applet"}
        applet: Applet = converter.structure(fields, kinds[kind])
        return applet

    return read_applet


def _union(as_type: Any, converter: Converter) -> Hook:
    """Return a hook that reads a value as the first of the types that accepts it."""
    types = arms(as_type)
    hooks = [(arm, converter.get_structure_hook(arm)) for arm in types if arm is not type(None)]

    def read_union(value: Any, _: object) -> Any:
        # TOML has no null: false stands for it.
        if type(None) in types and (value is None or (value is False and bool not in types)):
            return None
        first: Exception | None = None
        for arm, hook in hooks:
            try:
                return hook(value, arm)
            except Exception as error:  # noqa: BLE001
                # The error is clearest for a type whose shape, a class or a list, the value has.
                if first is None or (
                    not isinstance(error, BadValue) and isinstance(first, BadValue)
                ):
                    first = error
        assert first is not None  # noqa: S101 - a union has arms
        if isinstance(first, BadValue) and len(hooks) > 1:
            rules = [_rule(hook, arm) for arm, hook in hooks]
            raise BadValue(value, ", and ".join(rules))
        raise first

    return read_union


def _rule(hook: Hook, arm: Any) -> str:
    """Return the rule that a hook reports for a value that fits nothing."""
    try:
        hook(_NOTHING, arm)
    except BadValue as error:
        return error.rule
    raise AssertionError(f"{arm} takes anything")


_NOTHING = object()


def _class(cls: Any, converter: Converter) -> Hook:
    overrides: dict[str, Any] = {
        field.name: override(
            rename=key_of(field), struct_hook=_field_hook(field_type(cls, field), converter)
        )
        for field in own_fields(cls)
    }
    inner = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, **overrides)

    def read_class(value: Any, _: object) -> Any:
        if not isinstance(value, Mapping):
            raise BadValue(value, "is not an object")
        return inner(value, cls)

    return read_class


def _field_hook(as_type: Any, converter: Converter) -> Hook:
    def read_inner(value: Any, _: object) -> Any:
        # Looked up late: an applet contains applets.
        return converter.get_structure_hook(as_type)(value, as_type)

    return read_inner


def _new_converter() -> Converter:
    made = Converter(detailed_validation=True)

    def on(predicate: Callable[[Any], bool], make: Callable[[Any, Converter], Hook]) -> None:
        made.register_structure_hook_factory(predicate, make)

    for scalar, hook in _SCALARS.items():
        made.register_structure_hook(scalar, hook)
    on(attrs.has, _class)
    on(partial(is_, Applet), lambda _, c: _applet(c))
    on(is_list, _list)
    on(is_mapping, _mapping)
    on(is_tuple, _tuple)
    on(lambda t: get_origin(t) is Literal, lambda t, _: _words(list(get_args(t))))
    on(is_union, _union)
    on(is_callable, lambda _, c: partial(_latency, c))
    return made


def _latency(converter: Converter, value: object, _: object) -> UniformLatency:
    latency: UniformLatency = converter.structure(value, UniformLatency)
    return latency


_SCALARS: Mapping[type, Hook] = {
    str: _text,
    bool: _bool,
    int: _int,
    float: _float,
    Decimal: _decimal,
    datetime: _date,
    bytes: _bytes,
}
_CONVERTER = _new_converter()

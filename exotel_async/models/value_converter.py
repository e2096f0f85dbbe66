"""Values to plain types and back, by a cattrs converter that is made at its first use."""

from __future__ import annotations

import enum
import inspect
import json
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from types import NoneType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints, is_typeddict

import attrs
from cattrs import AttributeValidationNote, BaseValidationError, Converter, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.strategies import configure_union_passthrough

from exotel_async import errors
from exotel_async.errors import ExotelError, InvalidRequest

_V = TypeVar("_V")

_PLACES: Final = 20  # digits of an amount, before and after the point: 1E+999999 is a megabyte
_LONGEST: Final = 10**9  # seconds: three decades


def to_plain(value: object, *, raw: bool) -> dict[str, Any]:
    """Return a value as a dict of plain types."""
    plain: dict[str, Any] = _converter(raw=raw).unstructure(value)
    return plain


def from_plain(data: object, kind: type[_V]) -> _V:
    """Make a value from what `to_plain` returns.

    Raises:
        InvalidRequest: the data is not as `to_plain` writes it.
    """
    try:
        return _converter(raw=True).structure(data, kind)
    except (BaseValidationError, _BadValue) as failure:
        path, cause = _first_cause(failure)
        where = path.lstrip(".") or kind.__name__
        if isinstance(cause, _BadValue):
            raise InvalidRequest(where, cause.value, cause.rule) from None
        if isinstance(cause, KeyError):
            raise InvalidRequest(where, None, "is required") from None
        if isinstance(cause, InvalidRequest):  # raised by a value's own validation
            raise cause from None
        raise


def key_of(attribute: str) -> str:
    """Return the key of an attribute: without the underscore that Python needs after `from`."""
    return attribute.rstrip("_")


class _BadValue(ValueError):
    """A value that is not as `to_plain` writes it."""

    def __init__(self, value: object, rule: str, attribute: str = "") -> None:
        super().__init__(rule)
        self.value = value
        self.rule = rule
        self.attribute = attribute


def _first_cause(failure: BaseException) -> tuple[str, BaseException]:
    """Return the path of the first thing that is wrong, and its error."""
    path = ""
    while isinstance(failure, BaseValidationError):
        failure = failure.exceptions[0]
        for note in getattr(failure, "__notes__", ()):
            if isinstance(note, AttributeValidationNote):
                path += f".{key_of(note.name)}"
            elif isinstance(note, IterableValidationNote):
                path += f"[{note.index}]"
    if isinstance(failure, _BadValue) and failure.attribute:
        path += f".{failure.attribute}"
    return path, failure


@lru_cache(maxsize=2)
def _converter(*, raw: bool) -> Converter:
    converter = Converter(unstruct_collection_overrides={tuple: list})
    configure_union_passthrough(str | None, converter)  # for a text, or else a value
    converter.register_structure_hook_func(
        lambda kind: kind == int | str | None,
        _hook(_exactly(int, str, NoneType), "must be text or a whole number"),
    )
    for kind, (parse, rule) in _SCALARS.items():
        converter.register_structure_hook(kind, _hook(parse, rule))
    converter.register_structure_hook(enum.StrEnum, _word)
    converter.register_structure_hook_func(_is_mapping, _mapping)
    converter.register_structure_hook_func(
        _is_tuple, lambda value, kind: _tuple(converter, value, get_args(kind)[0])
    )
    converter.register_structure_hook_func(_is_error, lambda value, _: _error(converter, value))
    converter.register_structure_hook_factory(_is_value, lambda kind: _reader(converter, kind))
    converter.register_unstructure_hook(date, date.isoformat)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_unstructure_hook(timedelta, _seconds)
    converter.register_unstructure_hook(Decimal, _digits)
    converter.register_unstructure_hook(enum.StrEnum, lambda word: word.value)
    converter.register_unstructure_hook_func(_is_mapping, _plain)
    converter.register_unstructure_hook_func(_is_error, _error_as_dict)
    converter.register_unstructure_hook_factory(
        _is_value, lambda kind: _writer(converter, kind, with_raw=raw)
    )
    return converter


# Values: attrs classes.


def _is_value(kind: Any) -> bool:
    return isinstance(kind, type) and attrs.has(kind)


def _writer(converter: Converter, kind: Any, *, with_raw: bool) -> Any:
    attrs.resolve_types(kind)
    overrides: dict[str, Any] = {}
    for one in attrs.fields(kind):
        omitted = one.name == "raw" and not with_raw
        hook = _plain if one.type is Any or _is_mapping(one.type) else None
        overrides[one.name] = override(omit=omitted, rename=key_of(one.name), unstruct_hook=hook)
    return make_dict_unstructure_fn(kind, converter, **overrides)


def _reader(converter: Converter, kind: Any) -> Any:
    attrs.resolve_types(kind)
    names = [one.name for one in attrs.fields(kind)]
    renamed = [(name, key_of(name)) for name in names if name != key_of(name)]
    overrides: dict[str, Any] = {name: override(rename=key) for name, key in renamed}
    read = make_dict_structure_fn(kind, converter, **overrides)

    def reader(value: Any, _: object) -> Any:
        if isinstance(value, kind):
            return value
        if not isinstance(value, Mapping):
            raise _BadValue(value, f"must be a mapping, as {kind.__name__}.to_dict() gives it")
        for name, key in renamed:
            if name in value and key not in value:
                value = {**value, key: value[name]}
        return read(value, kind)

    return reader


# Errors: their attributes are those in `vars`.


def _is_error(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, ExotelError)


def _error_as_dict(error: ExotelError) -> dict[str, Any]:
    known = {key_of(name): _plain(value) for name, value in vars(error).items()}
    return {"type": type(error).__name__, "text": str(error), **known}


def _error(converter: Converter, data: object) -> ExotelError:
    if isinstance(data, ExotelError):
        return data
    if not isinstance(data, Mapping):
        raise _BadValue(data, "must be a mapping with the type and the text of an error")
    named = data.get("type")
    text = data.get("text")
    if not isinstance(named, str) or not isinstance(text, str):
        raise _BadValue(data, "must have the type and the text of an error")
    # An unknown class, of another version or of an application, is read as a plain ExotelError.
    kind: Any = getattr(errors, named, None)
    kind = kind if _is_error(kind) else ExotelError
    error: ExotelError = kind.__new__(kind, text)
    hints = {**get_type_hints(kind), **get_type_hints(kind.__init__)}
    for name, hint in hints.items():
        if (key := key_of(name)) in data:
            vars(error)[name] = _attribute(converter, key, data[key], hint)
    for parameter in inspect.signature(kind.__init__).parameters.values():
        # Positional parameters are not attributes: they only become part of the text.
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in vars(error):
            if parameter.default is parameter.empty:
                raise _BadValue(None, "is required", key_of(parameter.name))
            vars(error)[parameter.name] = parameter.default
    return error


def _attribute(converter: Converter, key: str, value: object, hint: Any) -> object:
    try:
        return value if hint in {Any, object} else converter.structure(value, hint)
    except _BadValue as unfit:
        raise _BadValue(unfit.value, unfit.rule, key) from None


# Enum words, numbers, times, and their containers.


def _word(value: object, kind: Any) -> Any:
    try:
        if isinstance(value, str):
            return kind(value)
    except ValueError:
        pass
    raise _BadValue(value, f"must be a word, such as {', '.join(repr(one.value) for one in kind)}")


def _exactly(*kinds: type) -> Callable[[Any], Any]:
    def parse(value: object) -> object:
        if isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)):
            return value
        raise TypeError

    return parse


_text: Final = _exactly(str)
_number: Final = _exactly(int, float)  # an int stays one


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    return moment


def _length(value: object) -> timedelta:
    seconds = _number(value)
    if not -_LONGEST <= seconds <= _LONGEST:
        raise ValueError
    return timedelta(seconds=seconds)


def _amount(value: Any) -> Decimal:
    if len(_text(value)) > 2 * _PLACES:
        raise ValueError
    amount = Decimal(value)
    if not amount.is_finite() or not -_PLACES <= amount.adjusted() <= _PLACES:
        raise ValueError
    return amount


# What reads each type, and the rule to report if that raises an error.
_SCALARS: Final[Mapping[type, tuple[Callable[[Any], object], str]]] = {
    str: (_text, "must be text"),
    bool: (_exactly(bool), "must be true or false"),
    int: (_exactly(int), "must be a whole number"),
    float: (_number, "must be a number"),
    date: (date.fromisoformat, "must be a date, such as '2026-03-02'"),
    datetime: (_moment, "must be a time with its UTC offset, such as '2026-03-02T11:20:05+05:30'"),
    timedelta: (_length, "must be a duration in seconds, as a number"),
    Decimal: (_amount, "must be an amount as text, such as '1.50'"),
}


def _hook(parse: Callable[[Any], object], rule: str) -> Any:
    def read(value: object, _: object) -> object:
        try:
            return parse(value)
        except (TypeError, ValueError, InvalidOperation):
            raise _BadValue(value, rule) from None

    return read


def _seconds(length: timedelta) -> float:
    whole, rest = divmod(length, timedelta(seconds=1))
    return length.total_seconds() if rest else whole


def _digits(amount: Decimal) -> str:
    return f"{amount:f}"


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _tuple(converter: Converter, value: object, item: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _BadValue(value, "must be a list")
    return tuple(converter.structure(value, list[item]))


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) is Mapping or is_typeddict(kind)


def _mapping(value: object, _: object) -> Mapping[str, Any]:
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return value
    raise _BadValue(value, "must be a mapping of names to values")


def _plain(value: object) -> Any:
    """Return any object as JSON types."""
    # Keys that are not text, NaN, a cycle, thousands of digits, a `__str__` that raises.
    with suppress(Exception):
        return json.loads(json.dumps(value, default=_as_json, allow_nan=False))
    with suppress(Exception):
        return str(value)
    return type(value).__name__


def _as_json(value: Any) -> object:
    match value:
        case date():  # a datetime, too
            return value.isoformat()
        case timedelta():
            return _seconds(value)
        case Decimal():
            return _digits(value)
        case Mapping():
            return dict(value)
        case AbstractSet():
            return list(value)
    return str(value)

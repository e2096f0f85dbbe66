"""Values as plain types and back, by one cattrs converter that is made at its first use."""

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

_PLACES: Final = 20  # of an amount, before the point and after it: 1E+999999 is a megabyte
_LONGEST: Final = 10**9  # seconds: three decades


def to_plain(value: object, *, raw: bool) -> dict[str, Any]:
    """Return a value as a dict of plain types."""
    plain: dict[str, Any] = _converter(raw=raw).unstructure(value)
    return plain


def from_plain(data: object, kind: type[_V]) -> _V:
    """Make a value of what `to_plain` returns.

    Raises:
        InvalidRequest: that is not possible.
    """
    try:
        return _converter(raw=True).structure(data, kind)
    except (BaseValidationError, _Unfit) as failure:
        path, cause = _first_cause(failure)
        where = path.lstrip(".") or kind.__name__
        if isinstance(cause, _Unfit):
            raise InvalidRequest(where, cause.value, cause.rule) from None
        if isinstance(cause, KeyError):
            raise InvalidRequest(where, None, "is required") from None
        if isinstance(cause, InvalidRequest):  # of a value that checks itself
            raise cause from None
        raise


def key_of(attribute: str) -> str:
    """Return the key of an attribute: without the underscore that Python needs after `from`."""
    return attribute.rstrip("_")


class _Unfit(ValueError):
    """A value that is not as `to_plain` writes it."""

    def __init__(self, value: object, rule: str, attribute: str = "") -> None:
        super().__init__(rule)
        self.value = value
        self.rule = rule
        self.attribute = attribute


def _first_cause(failure: BaseException) -> tuple[str, BaseException]:
    """Return where the first thing is wrong, and its error."""
    path = ""
    while isinstance(failure, BaseValidationError):
        failure = failure.exceptions[0]
        for note in getattr(failure, "__notes__", ()):
            if isinstance(note, AttributeValidationNote):
                path += f".{key_of(note.name)}"
            elif isinstance(note, IterableValidationNote):
                path += f"[{note.index}]"
    if isinstance(failure, _Unfit) and failure.attribute:
        path += f".{failure.attribute}"
    return path, failure


@lru_cache(maxsize=2)
def _converter(*, raw: bool) -> Converter:
    made = Converter(unstruct_collection_overrides={tuple: list})
    configure_union_passthrough(str | None, made)  # for a text, or else a value
    made.register_structure_hook_func(
        lambda kind: kind == int | str | None,
        _hook(_exactly(int, str, NoneType), "must be text or a whole number"),
    )
    for kind, (parse, rule) in _SCALARS.items():
        made.register_structure_hook(kind, _hook(parse, rule))
    made.register_structure_hook(enum.StrEnum, _word)
    made.register_structure_hook_func(_is_mapping, _mapping)
    made.register_structure_hook_func(
        _is_tuple, lambda value, kind: _tuple(made, value, get_args(kind)[0])
    )
    made.register_structure_hook_func(_is_error, lambda value, _: _error(made, value))
    made.register_structure_hook_factory(_is_value, lambda kind: _reader(made, kind))
    made.register_unstructure_hook(date, date.isoformat)
    made.register_unstructure_hook(datetime, datetime.isoformat)
    made.register_unstructure_hook(timedelta, _seconds)
    made.register_unstructure_hook(Decimal, _digits)
    made.register_unstructure_hook(enum.StrEnum, lambda word: word.value)
    made.register_unstructure_hook_func(_is_mapping, _plain)
    made.register_unstructure_hook_func(_is_error, _error_as_dict)
    made.register_unstructure_hook_factory(
        _is_value, lambda kind: _writer(made, kind, with_raw=raw)
    )
    return made


# Values: what attrs has made.


def _is_value(kind: Any) -> bool:
    return isinstance(kind, type) and attrs.has(kind)


def _writer(made: Converter, kind: Any, *, with_raw: bool) -> Any:
    attrs.resolve_types(kind)
    overrides: dict[str, Any] = {}
    for one in attrs.fields(kind):
        omitted = one.name == "raw" and not with_raw
        hook = _plain if one.type is Any or _is_mapping(one.type) else None
        overrides[one.name] = override(omit=omitted, rename=key_of(one.name), unstruct_hook=hook)
    return make_dict_unstructure_fn(kind, made, **overrides)


def _reader(made: Converter, kind: Any) -> Any:
    attrs.resolve_types(kind)
    names = [one.name for one in attrs.fields(kind)]
    renamed = [(name, key_of(name)) for name in names if name != key_of(name)]
    overrides: dict[str, Any] = {name: override(rename=key) for name, key in renamed}
    read = make_dict_structure_fn(kind, made, **overrides)

    def reader(value: Any, _: object) -> Any:
        if isinstance(value, kind):
            return value
        if not isinstance(value, Mapping):
            raise _Unfit(value, f"must be a mapping, as {kind.__name__}.to_dict() gives it")
        for name, key in renamed:
            if name in value and key not in value:
                value = {**value, key: value[name]}
        return read(value, kind)

    return reader


# Errors: their attributes are what `vars` has.


def _is_error(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, ExotelError)


def _error_as_dict(error: ExotelError) -> dict[str, Any]:
    known = {key_of(name): _plain(value) for name, value in vars(error).items()}
    return {"type": type(error).__name__, "text": str(error), **known}


def _error(made: Converter, data: object) -> ExotelError:
    if isinstance(data, ExotelError):
        return data
    if not isinstance(data, Mapping):
        raise _Unfit(data, "must be a mapping with the type and the text of an error")
    named = data.get("type")
    text = data.get("text")
    if not isinstance(named, str) or not isinstance(text, str):
        raise _Unfit(data, "must have the type and the text of an error")
    # One that this version does not know, or a class of somebody's own, is an error nevertheless.
    kind: Any = getattr(errors, named, None)
    kind = kind if _is_error(kind) else ExotelError
    error: ExotelError = kind.__new__(kind, text)
    hints = {**get_type_hints(kind), **get_type_hints(kind.__init__)}
    for name, hint in hints.items():
        if (key := key_of(name)) in data:
            vars(error)[name] = _attribute(made, key, data[key], hint)
    for parameter in inspect.signature(kind.__init__).parameters.values():
        # What is no attribute, but made into the text, comes by position.
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in vars(error):
            if parameter.default is parameter.empty:
                raise _Unfit(None, "is required", key_of(parameter.name))
            vars(error)[parameter.name] = parameter.default
    return error


def _attribute(made: Converter, key: str, value: object, hint: Any) -> object:
    try:
        return value if hint in {Any, object} else made.structure(value, hint)
    except _Unfit as unfit:
        raise _Unfit(unfit.value, unfit.rule, key) from None


# Words, numbers, times, and what holds them.


def _word(value: object, kind: Any) -> Any:
    try:
        if isinstance(value, str):
            return kind(value)
    except ValueError:
        pass
    raise _Unfit(value, f"must be a word, such as {', '.join(repr(one.value) for one in kind)}")


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


# What reads each type, and what is said where that raises an error.
_SCALARS: Final[Mapping[type, tuple[Callable[[Any], object], str]]] = {
    str: (_text, "must be text"),
    bool: (_exactly(bool), "must be true or false"),
    int: (_exactly(int), "must be a whole number"),
    float: (_number, "must be a number"),
    date: (date.fromisoformat, "must be a date, such as '2026-03-02'"),
    datetime: (_moment, "must be a time with its UTC offset, such as '2026-03-02T11:20:05+05:30'"),
    timedelta: (_length, "must be a length of time in seconds, as a number"),
    Decimal: (_amount, "must be an amount as text, such as '1.50'"),
}


def _hook(parse: Callable[[Any], object], rule: str) -> Any:
    def read(value: object, _: object) -> object:
        try:
            return parse(value)
        except (TypeError, ValueError, InvalidOperation):
            raise _Unfit(value, rule) from None

    return read


def _seconds(length: timedelta) -> float:
    whole, rest = divmod(length, timedelta(seconds=1))
    return length.total_seconds() if rest else whole


def _digits(amount: Decimal) -> str:
    return f"{amount:f}"


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _tuple(made: Converter, value: object, item: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _Unfit(value, "must be a list")
    return tuple(made.structure(value, list[item]))


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) is Mapping or is_typeddict(kind)


def _mapping(value: object, _: object) -> Mapping[str, Any]:
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return value
    raise _Unfit(value, "must be a mapping of names to values")


def _plain(value: object) -> Any:
    """Return whatever it is in the types of JSON."""
    # Keys that are no text, NaN, a circle, thousands of digits, a `__str__` of somebody's.
    with suppress(Exception):
        return json.loads(json.dumps(value, default=_as_json, allow_nan=False))
    with suppress(Exception):
        return str(value)
    return type(value).__name__


def _as_json(value: Any) -> object:
    match value:
        case date():  # and a time
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

"""The pydantic schema of a value: how to check, write and describe it. Used by pydantic only."""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Union, get_args, get_origin

import attrs
from pydantic_core import core_schema

from exotel_async.errors import ExotelError
from exotel_async.models.value_converter import from_plain, key_of, to_plain


def core_schema_of(kind: Any, handler: Any) -> core_schema.CoreSchema:
    """Return the schema of a value; `handler` is pydantic's, and makes those of nested values."""
    attrs.resolve_types(kind)
    fields = {
        key_of(one.name): core_schema.typed_dict_field(
            _described(one.type, handler), required=one.default is attrs.NOTHING
        )
        for one in attrs.fields(kind)
        if one.name != "raw"
    }
    # The converter reads and writes: the inner schema only describes.
    return core_schema.no_info_wrap_validator_function(
        lambda data, _: from_plain(data, kind),
        core_schema.typed_dict_schema(fields, metadata=_title_and_summary(kind)),
        ref=f"{kind.__module__}.{kind.__qualname__}:{id(kind)}",
        serialization=core_schema.plain_serializer_function_ser_schema(
            lambda value: to_plain(value, raw=False)
        ),
    )


def _title_and_summary(kind: Any) -> dict[str, Any]:
    summary = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
    return _updates(title=kind.__name__, description=summary)


def _updates(**notes: object) -> dict[str, Any]:
    return {"pydantic_js_updates": notes}


_SCALARS: Final[Mapping[Any, core_schema.CoreSchema]] = {
    str: core_schema.str_schema(),
    int: core_schema.int_schema(),
    float: core_schema.float_schema(),
    bool: core_schema.bool_schema(),
    type(None): core_schema.none_schema(),
    date: core_schema.date_schema(),
    datetime: core_schema.datetime_schema(),
    timedelta: core_schema.float_schema(metadata=_updates(description="seconds")),
    Decimal: core_schema.str_schema(metadata=_updates(description="an amount of money")),
}


def _described(kind: Any, handler: Any) -> core_schema.CoreSchema:
    """Return a schema that describes what the converter writes of this type."""
    if kind in _SCALARS:
        return _SCALARS[kind]
    if isinstance(kind, type) and attrs.has(kind):
        schema: core_schema.CoreSchema = handler.generate_schema(kind)
        return schema
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        return core_schema.str_schema(metadata=_updates(examples=[one.value for one in kind]))
    if isinstance(kind, type) and issubclass(kind, ExotelError):
        fields = {name: core_schema.typed_dict_field(_SCALARS[str]) for name in ("type", "text")}
        return core_schema.typed_dict_schema(fields, metadata=_title_and_summary(kind))
    return _composed(kind, handler)


def _composed(kind: Any, handler: Any) -> core_schema.CoreSchema:
    arguments = get_args(kind)
    if get_origin(kind) in {Union, types.UnionType}:
        return core_schema.union_schema([_described(one, handler) for one in arguments])
    if get_origin(kind) is tuple:
        return core_schema.list_schema(_described(arguments[0], handler))
    # The tag of a dial is anything; its options, headers and the like are mappings.
    return core_schema.any_schema() if kind is Any else core_schema.dict_schema()

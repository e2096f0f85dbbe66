"""JSON Schema (draft 2020-12) of the emulator's values, from their types and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Literal, get_args, get_origin

import attrs

from exotel_async.emulator.control.fault_values import Parameter, field_of, makers, selectors
from exotel_async.emulator.control.field_docs import descriptions
from exotel_async.emulator.control.kinds import (
    arms,
    field_type,
    is_callable,
    is_list,
    is_mapping,
    is_tuple,
    is_union,
    key_of,
    kind_of_applet,
    kinds_of_applets,
    own_fields,
)
from exotel_async.emulator.control.writing import CALLABLE, write
from exotel_async.emulator.faults import Fault
from exotel_async.emulator.flows.applets import Applet
from exotel_async.emulator.latency import UniformLatency

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_BOUNDS = {">": "exclusiveMinimum", ">=": "minimum", "<": "exclusiveMaximum", "<=": "maximum"}
_SCALARS: Mapping[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: {"type": ["string", "number"]},
    datetime: {"type": "string", "format": "date-time"},
    type(None): {"type": "null"},
    object: {},
    Any: {},
    bytes: {
        "description": "Text, or bytes that are not text, in base64.",
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"base64": {"type": "string", "contentEncoding": "base64"}},
                "required": ["base64"],
                "additionalProperties": False,
            },
        ],
    },
}


_NO_NULL = {"const": False, "description": "The same as null, which TOML does not have."}


class Schemas:
    """Describes types; named ones are described once, among the definitions."""

    def __init__(self, root: str, *, output: bool = False) -> None:
        self._root = root
        self._output = output
        """Whether it describes answers, with all fields; input may omit those with a default."""
        self.definitions: dict[str, Schema] = {}

    def of(self, as_type: Any) -> Schema:  # noqa: PLR0911 - a type each
        """Return the schema of a type."""
        if as_type in _SCALARS:
            return dict(_SCALARS[as_type])
        if is_union(as_type):
            return self._union(arms(as_type))
        if get_origin(as_type) is Literal:
            return {"enum": list(get_args(as_type))}
        if is_list(as_type):
            return {"type": "array", "items": self.of(get_args(as_type)[0])}
        if is_tuple(as_type):
            items = [self.of(item) for item in get_args(as_type)]
            return {"type": "array", "prefixItems": items, **_exact_length(len(items))}
        if is_mapping(as_type):
            key, value = get_args(as_type)
            names = {} if key is str else {"propertyNames": self.of(key)}
            return {"type": "object", "additionalProperties": self.of(value), **names}
        if is_callable(as_type):
            latency = self.of(UniformLatency)
            return {"anyOf": [latency, {"const": CALLABLE}]} if self._output else latency
        if issubclass(as_type, Enum):
            return {"enum": [word.value for word in as_type]}
        return self._named(as_type)

    def fields(self, cls: type, fields: Iterable[attrs.Attribute[Any]]) -> Schema:
        """Return the properties for some fields of a class."""
        texts = _descriptions(cls)
        return {key_of(field): self._field(cls, field, texts.get(field.name)) for field in fields}

    def object(self, properties: Schema, required: Collection[str], about: str | None) -> Schema:
        """Return the schema of an object with these properties and no others."""
        return {
            **({"description": about} if about else {}),
            "type": "object",
            "properties": properties,
            **({"required": list(required)} if required else {}),
            "additionalProperties": False,
        }

    def define(self, name: str, schema: Schema) -> Schema:
        """Add a definition, and return a reference to it."""
        self.definitions[name] = schema
        return {"$ref": f"{self._root}{name}"}

    def fault(self) -> Schema:
        """Return the schema of the input for a pending fault."""
        if "Fault" not in self.definitions:
            kinds = [self._fault(name, own) for name, own in makers().items()]
            about = "A fault, and which requests are to meet it."
            self.define("Fault", {"description": about, "oneOf": kinds})
        return {"$ref": f"{self._root}Fault"}

    def _fault(self, name: str, own: Mapping[str, Parameter]) -> Schema:
        given = [*own.values(), *selectors().values()]
        properties: Schema = {"fault": {"const": name}}
        for one in given:
            default = {} if one.required else {"default": write(one.default)}
            held = field_of(name, one.name)
            bounds = {} if held is None else _bounds(held.validator)
            properties[one.name] = {**self.of(one.type), **default, **bounds}
        properties["times"]["minimum"] = 1
        properties["after"]["minimum"] = 0
        required = ["fault", *(one.name for one in given if one.required)]
        return self.object(properties, required, _summary(getattr(Fault, name)))

    def _union(self, types: Iterable[Any]) -> Schema:
        found = [self.of(arm) for arm in types]
        simple = all(set(one) == {"type"} and isinstance(one["type"], str) for one in found)
        optional = {"type": "null"} in found
        if optional and not self._output and {"type": "boolean"} not in found:
            return {"anyOf": [*found, _NO_NULL]}
        return {"type": [one["type"] for one in found]} if simple else {"anyOf": found}

    def _named(self, cls: type) -> Schema:
        reference = {"$ref": f"{self._root}{cls.__name__}"}
        if cls.__name__ in self.definitions:
            return reference
        self.definitions[cls.__name__] = {}  # it may refer to itself
        if cls is Applet:
            kinds = [self.of(kind) for kind in kinds_of_applets().values()]
            self.definitions[cls.__name__] = {"description": _summary(cls), "oneOf": kinds}
            return reference
        fields = own_fields(cls)
        properties = self.fields(cls, fields)
        required = [
            key_of(field) for field in fields if self._output or field.default is attrs.NOTHING
        ]
        if issubclass(cls, Applet):
            properties = {"applet": {"const": kind_of_applet(cls)}, **properties}
            given = [field for field in fields if field.default is attrs.NOTHING]
            required = ["applet", *map(key_of, given)]
        self.definitions[cls.__name__] = self.object(properties, required, _summary(cls))
        return reference

    def _field(self, cls: type, field: attrs.Attribute[Any], text: str | None) -> Schema:
        as_type = field_type(cls, field)
        schema = self.of(as_type)
        if text:
            schema["description"] = text
        if self._output:
            return schema
        if "$ref" not in schema and not is_callable(as_type):
            default: Any = field.default
            if hasattr(default, "factory"):
                default = default.factory()
            if default is not attrs.NOTHING:
                schema["default"] = write(default)
        return schema | _bounds(field.validator)


def _bounds(validator: Any) -> Schema:
    """Return the bounds that attrs's validators check; none of them applies to null."""
    found: Schema = {}
    each = getattr(validator, "validator", validator)  # of an optional one
    for one in getattr(each, "_validators", (each,)):
        if operator := getattr(one, "compare_op", None):
            found[_BOUNDS[operator]] = one.bound
    return found


def _exact_length(number: int) -> Schema:
    return {"minItems": number, "maxItems": number}


@cache
def _descriptions(cls: type) -> Mapping[str, str]:
    try:
        return descriptions(cls)
    except OSError:  # there is no source
        return {}


def _summary(described: Any) -> str | None:
    """Return the first paragraph of its docstring."""
    text = inspect.getdoc(described)
    return None if text is None else " ".join(text.partition("\n\n")[0].split())

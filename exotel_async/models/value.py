"""What all values have in common: conversion to plain types, for JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self


class Value:
    """Base of this package's values: converts to plain types and back, and works with pydantic.

    pydantic takes an instance, or what `from_dict` takes; it writes what `to_dict` returns, and
    describes that in its JSON schema. So FastAPI returns all values from routes annotated with
    them, `-> Call`, and takes them as `Annotated[Call, Body()]`: without `Body`, it looks for
    anything but its own models in the query. From a route without an annotation return `to_dict()`.
    """

    __slots__ = ()

    def to_dict(self, *, raw: bool = False) -> dict[str, Any]:
        """Return the value as a dict of JSON types, keyed by the names of its attributes.

        `from_` becomes `from`. Times are ISO 8601 with their UTC offset, durations are seconds (an
        int where they are whole), money is text, enum members are as Exotel writes them, nested
        values are dicts, tuples are lists; None is included. An error has its class as `type`, its
        text as `text`, and its attributes. Phone numbers are not masked.

        The `tag` and the `options` of a dial become JSON as far as possible, by the same rules;
        anything else in them becomes its `str`.

        Args:
            raw: whether to include the complete original data: `raw`, here and in nested values.
        """
        from exotel_async.models.value_converter import to_plain  # noqa: PLC0415

        return to_plain(self, raw=raw)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make the value from what `to_dict` returned, also after a round trip through JSON.

        It is equal to the original, except for anything that is not JSON in the `tag` and the
        `options` of a dial; a `timedelta` there comes back as seconds, which dials take as well. An
        error comes back as a new one with the same class and content, but never equal: Python does
        not compare errors. `from_` is accepted for `from`. Unknown keys are ignored.

        Raises:
            InvalidRequest: it is not a mapping, lacks a required key, or has something that
                `to_dict` does not write so. The argument is the key: `details.legs[0].duration`.
        """
        from exotel_async.models.value_converter import from_plain  # noqa: PLC0415

        return from_plain(data, cls)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from exotel_async.models.value_schema import core_schema_of  # noqa: PLC0415

        return core_schema_of(cls, handler)

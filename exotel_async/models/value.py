"""What all values have in common: they become plain types, for JSON, and are made of them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self


class Value:
    """A value of this package: as plain types, from them, and in the models of pydantic.

    pydantic takes an instance, or what `from_dict` takes; it writes what `to_dict` gives, and
    describes that in its JSON schema. So FastAPI returns all values from routes that are annotated
    with them, `-> Call`, and takes them as `Annotated[Call, Body()]`: without that, it looks for
    what is no model of its own in the query. From a route without an annotation return `to_dict()`.
    """

    __slots__ = ()

    def to_dict(self, *, raw: bool = False) -> dict[str, Any]:
        """Return the value in the types of JSON, by the names of its attributes.

        `from_` is `from` there. Times are ISO 8601 with their UTC offset, lengths of time are
        seconds (an int where they are whole), money is text, words are as Exotel writes them,
        values in it are dicts, tuples are lists; what is None is there as None. An error has its
        class as `type`, its text as `text`, and its attributes. Phone numbers are whole.

        The `tag` and the `options` of a dial become JSON as far as they can, by the same rules;
        anything else in them becomes its `str`.

        Args:
            raw: whether to include the originals: `raw`, here and in the values within.
        """
        from exotel_async.models.value_converter import to_plain  # noqa: PLC0415

        return to_plain(self, raw=raw)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make the value of what `to_dict` has returned, also after a way through JSON.

        It is equal to the original, except for what was no JSON in the `tag` and the `options` of a
        dial; a `timedelta` there comes back as seconds, which dials take as well. An error comes
        back as another of its class, alike, but never equal: Python does not compare errors.
        `from_` may be written so. Keys that have no meaning are ignored.

        Raises:
            InvalidRequest: it is no mapping, lacks what the value requires, or something in it is
                not as `to_dict` writes it. The argument is the key, as `details.legs[0].duration`.
        """
        from exotel_async.models.value_converter import from_plain  # noqa: PLC0415

        return from_plain(data, cls)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from exotel_async.models.value_schema import core_schema_of  # noqa: PLC0415

        return core_schema_of(cls, handler)

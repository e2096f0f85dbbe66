"""Lists that may be long, in pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from exotel_async.emulator.control.endpoint import (
    Input,
    QueryParameter,
    Refused,
    Result,
    SchemaMaker,
)
from exotel_async.emulator.control.schema import Schema, Schemas

PAGE = (
    QueryParameter(name="after", about="`next` of the previous page.", type=str),
    QueryParameter(
        name="limit",
        about="The most items in it.",
        type=int,
        default=100,
        minimum=1,
        maximum=1000,
    ),
)


def a_page_of(as_type: Any) -> SchemaMaker:
    """Return the description of a page: items of a list, in order, and where the next ones are."""

    def describe(schemas: Schemas) -> Schema:
        properties = {
            "items": {"type": "array", "items": schemas.of(as_type)},
            "next": {
                "type": ["string", "null"],
                "description": "`after` of the next page; null when there is none.",
            },
            "total": {"type": "integer", "description": "How many there are in all pages."},
        }
        return schemas.object(properties, list(properties), None)

    return describe


def page_of(items: Sequence[object], asked: Input) -> Result:
    """Return a page of a list that only grows; `after` is how many come before. Raises Refused."""
    after, limit = asked.query["after"] or "0", asked.query["limit"]
    if re.fullmatch(r"[0-9]{1,15}", after) is None:
        raise Refused(422, f"{after!r} is not what `next` says", field="after")
    first = int(after)
    last = first + limit
    return _page(items[first:last], str(last) if last < len(items) else None, len(items))


def page_by_key(items: Mapping[str, Any], asked: Input, show: Callable[[Any], object]) -> Result:
    """Return a page of a mapping that may shrink; `after` is the last key. Raises Refused."""
    after, limit = asked.query["after"], asked.query["limit"]
    if after is not None and after not in items:
        raise Refused(422, f"{after!r} is not among them (any more)", field="after")
    keys = iter(items)
    while after is not None and next(keys) != after:
        pass
    found = list(islice(keys, limit + 1))
    more = found[limit - 1] if len(found) > limit else None
    return _page([show(items[key]) for key in found[:limit]], more, len(items))


def _page(items: Sequence[object], following: str | None, total: int) -> Result:
    return Result(value={"items": items, "next": following, "total": total})

"""Bracketed names into nested values: `Legs[0][Status]` is the status of the first leg.

Exotel writes forms and queries the way PHP reads them (wire notes 6.2, 7.1). Its own names nest
three deep and its longest payload has some sixty fields; what is deeper or longer than the limits
here is not Exotel's and is refused, so that nobody's payload costs more than its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from exotel_async.errors import InvalidWebhook

MOST_FIELDS: Final = 1_000
"""Values in one payload, nested ones counted with what they hold."""
DEEPEST: Final = 8
"""Levels of nesting: `a[b][c]` has three."""

_BRACKETED: Final = r"([^\[\]]+)((?:\[[^\[\]]*\])+)"
# Two digits: a call has two legs and a flow some more, and no index makes a list longer.
_INDEX: Final = r"[0-9]{1,2}"


def nest(fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the fields of a form or a query by their names, nested by the brackets in them.

    Of two fields of the same name the last one counts, and so of a field that is plain once and
    nested once. `a[]` is the next free index of `a`. What has all its indices from 0 on becomes a
    list, anything else a mapping by the words in the brackets: `a[999999999]` costs no more than
    `a[b]`. A name whose brackets do not match is a plain name.

    Raises:
        InvalidWebhook: more than `MOST_FIELDS`, or deeper than `DEEPEST`.
    """
    root: dict[str, Any] = {}
    for position, (name, value) in enumerate(fields):
        if position >= MOST_FIELDS:
            raise InvalidWebhook(f"more than {MOST_FIELDS} fields")
        if "[" in name:
            _put(root, name, value)
        else:
            root[name] = value
    return {name: _listed(value) for name, value in root.items()}


def check_size(document: dict[str, Any]) -> None:
    """Hold a decoded JSON document to the limits of `nest`.

    Raises:
        InvalidWebhook: more than `MOST_FIELDS`, or deeper than `DEEPEST`.
    """
    level: list[Any] = [document]
    left, depth = MOST_FIELDS, 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise _too_deep()
        below: list[Any] = []
        for holder in level:
            left -= len(holder)
            if left < 0:
                raise InvalidWebhook(f"more than {MOST_FIELDS} fields")
            values = holder.values() if isinstance(holder, dict) else holder
            below += (value for value in values if isinstance(value, dict | list))
        level = below


def rows(value: object) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Read a list of objects, in order, each with its index; nothing if it is none.

    Each may be wrapped as `{"Leg": {...}}`: call details have them so (wire notes 2).
    """
    if isinstance(value, list):
        items = list(enumerate(value))
    elif isinstance(value, dict):
        # Some are missing, or it would be a list.
        indexed = ((name, item) for name, item in value.items() if re.fullmatch(_INDEX, name))
        items = sorted(((int(name), item) for name, item in indexed), key=lambda item: item[0])
    else:
        return
    for index, item in items:
        if isinstance(item, dict):
            inner = item.get("Leg", item)
            yield index, inner if isinstance(inner, dict) else item


def _put(root: dict[str, Any], name: str, value: str) -> None:
    if name.count("[") >= DEEPEST:
        raise _too_deep()
    matched = re.fullmatch(_BRACKETED, name)
    if matched is None:
        root[name] = value
        return
    key, node = matched[1], root
    for below in matched[2][1:-1].split("]["):
        child = node.get(key)
        if not isinstance(child, dict):
            child = node[key] = {}
        node, key = child, below or _free_index(child)
    node[key] = value


def _free_index(node: dict[str, Any]) -> str:
    index = len(node)
    while str(index) in node:
        index += 1
    return str(index)


def _listed(value: Any) -> Any:
    """Make lists of what has all its indices; as deep as `_put` lets it be."""
    if not isinstance(value, dict):
        return value
    indices = [str(index) for index in range(len(value))]
    if all(index in value for index in indices):
        return [_listed(value[index]) for index in indices]
    return {name: _listed(item) for name, item in value.items()}


def _too_deep() -> InvalidWebhook:
    return InvalidWebhook(f"nested deeper than {DEEPEST} levels")

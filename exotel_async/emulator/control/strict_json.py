"""JSON without what parsers disagree about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from exotel_async.emulator.numbers import masked


def read_json(content: str | bytes) -> Any:
    """Parse JSON. Raises ValueError, also for NaN and for duplicate keys."""
    try:
        return json.loads(content, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"the key {masked(twice)} is there twice")
    return found

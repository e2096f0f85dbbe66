"""A misspelt option is told of in the name of the method that it was passed to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any


def check_options(
    name: str, method: Callable[..., Any], options: Mapping[str, object], kind: type[Any]
) -> None:
    """Raise what Python raises for an unknown keyword, with the nearest one that there is.

    Options are handed on from one function to the next: what the last of them would say names a
    function that the caller has never heard of.

    Raises:
        TypeError: one of the options is not in the TypedDict of those that the method takes.
    """
    known: Collection[str] = kind.__optional_keys__
    if all(option in known for option in options):
        return
    from difflib import get_close_matches  # noqa: PLC0415 - only where something is wrong
    from inspect import Parameter, signature  # noqa: PLC0415

    parameters = signature(method).parameters.values()
    names = [each.name for each in parameters if each.kind is not Parameter.VAR_KEYWORD]
    names += sorted(known)
    unknown = next(option for option in options if option not in known)
    # With less in common, `retry` would be taken for `extra`.
    nearest = get_close_matches(unknown, names, n=1, cutoff=0.65)
    hint = f": did you mean {nearest[0]!r}?" if nearest else ""
    raise TypeError(f"{name}() got an unexpected keyword argument {unknown!r}{hint}")

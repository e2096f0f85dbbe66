"""Reporting a misspelt option in the name of the method that it was passed to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any


def check_options(
    name: str, method: Callable[..., Any], options: Mapping[str, object], kind: type[Any]
) -> None:
    """Raise Python's error for an unknown keyword, with the most similar known one as a hint.

    Options are passed on from one function to the next: the error of the last of them would name a
    function that the caller does not know.

    Raises:
        TypeError: an option is not in `kind`, the TypedDict of the options that the method takes.
    """
    known: Collection[str] = kind.__optional_keys__
    if all(option in known for option in options):
        return
    from difflib import get_close_matches  # noqa: PLC0415 - only for errors
    from inspect import Parameter, signature  # noqa: PLC0415

    parameters = signature(method).parameters.values()
    names = [each.name for each in parameters if each.kind is not Parameter.VAR_KEYWORD]
    names += sorted(known)
    unknown = next(option for option in options if option not in known)
    # With a lower cutoff, `retry` would match `extra`.
    nearest = get_close_matches(unknown, names, n=1, cutoff=0.65)
    hint = f": did you mean {nearest[0]!r}?" if nearest else ""
    raise TypeError(f"{name}() got an unexpected keyword argument {unknown!r}{hint}")

"""Options that commands share, and the type of a command's work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from cyclopts import Parameter, Token

Work: TypeAlias = Callable[[], int]
"""The work of a command after its options are parsed. Until then, Ctrl-C ends the process."""

JSON: Final = Parameter(negative="", show_default=False)


def typed(name: str, converter: Callable[[object, tuple[Token, ...]], object]) -> Parameter:
    """Return an option whose value has a syntax of its own, parsed by the converter."""
    return Parameter(
        name=name,
        converter=converter,
        n_tokens=1,
        accepts_keys=False,
        negative="",
        show_default=False,
    )

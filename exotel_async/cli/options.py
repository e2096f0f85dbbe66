"""Options that commands share, and what a command is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from cyclopts import Parameter, Token

Work: TypeAlias = Callable[[], int]
"""What a command does, once it is understood: until then, Ctrl-C just ends the process."""

JSON: Final = Parameter(negative="", show_default=False)


def typed(name: str, converter: Callable[[object, tuple[Token, ...]], object]) -> Parameter:
    """Return an option whose value is typed in a way of its own, and read by the converter."""
    return Parameter(
        name=name,
        converter=converter,
        n_tokens=1,
        accepts_keys=False,
        negative="",
        show_default=False,
    )

"""Options that commands share, and what a command is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeAlias

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


def _mapping(_: object, tokens: tuple[Token, ...]) -> dict[str, str]:
    from exotel_async.cli.contact_files import read_mapping  # noqa: PLC0415 - it imports much

    return read_mapping(",".join(token.value for token in tokens))


Mapped = Annotated[
    dict[str, str] | None,
    typed("--map", _mapping),
    Parameter(
        help="Which columns of FILE mean what, by header, letter or number: number=Mobile,key="
        '"CRM Id". There are number, alternatives, key, agent, custom_field, priority, not_before,'
        " time_zone.",
    ),
]
Sheet = Annotated[
    str | None,
    Parameter(show_default=False, help="The sheet of FILE that is read. Default: the first one."),
]

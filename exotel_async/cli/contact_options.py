"""Options of the commands that take a list of people."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter, Token

from exotel_async.cli.options import typed


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
    Parameter(
        show_default=False,
        help="The sheet of FILE that is read. Default: the first one that is shown and not empty.",
    ),
]

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
        help="Which field is in which column of FILE, by header, letter or number: number=Mobile,"
        'key="CRM Id". Fields: number, alternatives, key, agent, custom_field, priority, '
        "not_before, time_zone.",
    ),
]
Sheet = Annotated[
    str | None,
    Parameter(
        show_default=False,
        help="The sheet of FILE to read. Default: the first visible sheet that is not empty.",
    ),
]

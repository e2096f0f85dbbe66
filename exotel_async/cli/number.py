"""`number`: what Exotel knows about a phone number."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from exotel_async import ExotelError, NotFound, NumberMetadata
from exotel_async.cli.service import exit_of, kind_of
from exotel_async.cli.shared_limiter import reporting_outages
from exotel_async.cli.terminal import Exit, one_line, report_problem, say, show_json, waiting
from exotel_async.masking import mask_number

if TYPE_CHECKING:
    from exotel_async.cli.service import Service


def number(number: str, service: Service, *, whole: bool, as_json: bool) -> Exit:
    """Look a number up and print what Exotel knows about it.

    Args:
        number: the number.
        service: which Exotel to use.
        whole: whether to print all of its digits.
        as_json: whether to print it as JSON.
    """

    async def look_up() -> NumberMetadata:
        async with service.session() as exotel, reporting_outages(exotel):
            return await exotel.numbers.lookup(number)

    try:
        with waiting():
            found = asyncio.run(look_up())
    except NotFound as error:
        # Lookups are documented for Indian numbers only.
        problem = f"the number may not be an Indian one, or {service.explain(error)}"
        report_problem(problem, kind=kind_of(error), as_json=as_json)
        return exit_of(error)
    except ExotelError as error:
        return service.failed(error, as_json=as_json)
    if as_json:
        show_json(found.to_dict())
        return Exit.OK
    shown = found.phone_number or number
    for what, value in (
        ("number", shown if whole else mask_number(shown)),
        ("circle", _named(found.circle_name, found.circle)),
        ("operator", _named(found.operator_name, found.operator)),
        ("type", found.type),
        ("DND", found.dnd),
    ):
        say(f"{what:<10}{one_line(str(value or 'unknown'))}")
    return Exit.OK


def _named(name: str | None, code: str | None) -> str | None:
    return f"{name} ({code})" if name and code else name or code

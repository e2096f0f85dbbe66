"""Request parameters, before an endpoint reads them: in query or form, and empty ones."""

from __future__ import annotations

from collections.abc import Iterable

from exotel_async.emulator.api_errors import bad
from exotel_async.emulator.encoding import Pairs
from exotel_async.emulator.switches import Switches

_HARMLESS = "details"
"""Some clients have it in the query of a dial, where it has no effect (VOICE_V1 1.1)."""


def merged(query: Pairs, form: Pairs, switches: Switches) -> Pairs:
    """Return a form's parameters, with the query's as the switch says. Raises Refusal, 400.

    A parameter in both is taken from the form, an array as a whole, as PHP does.
    """
    if not query:
        return form
    match switches.query_parameters:
        case "ignore":
            return form
        case "refuse":
            names = sorted({name for name, _ in query} - {_HARMLESS})
            if names:
                raise bad(f"Parameters belong in the body, not in the query: {', '.join(names)}")
            return form
    inside = {_array(name) for name, _ in form}
    return [*((name, value) for name, value in query if _array(name) not in inside), *form]


def given(parameters: Iterable[tuple[str, str]], switches: Switches) -> Pairs:
    """Return those that have a value. Raises Refusal, 400, for an empty one if a switch says so."""
    pairs = list(parameters)
    kept = [(name, value) for name, value in pairs if value]
    if len(kept) < len(pairs) and not switches.empty_parameters:
        raise bad(f"{next(name for name, value in pairs if not value)} has no value")
    return kept


def _array(name: str) -> str:
    """Return a parameter's name without its array index."""
    return name.partition("[")[0]

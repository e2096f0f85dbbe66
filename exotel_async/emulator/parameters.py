"""Parameters of a request, before any page reads them: where they may stand, and empty ones."""

from __future__ import annotations

from collections.abc import Iterable

from exotel_async.emulator.api_errors import bad
from exotel_async.emulator.encoding import Pairs
from exotel_async.emulator.switches import Switches

_HARMLESS = "details"
"""Some have it in the query of a dial, where it does nothing (VOICE_V1 1.1)."""


def merged(query: Pairs, form: Pairs, switches: Switches) -> Pairs:
    """The parameters of a form, with those of the query as the switch says. Raises Refusal, 400.

    What stands in both is taken from the form, an array as a whole: PHP does so.
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
    """Those that have a value. Raises Refusal, 400, for one that has none, by a switch."""
    pairs = list(parameters)
    kept = [(name, value) for name, value in pairs if value]
    if len(kept) < len(pairs) and not switches.empty_parameters:
        raise bad(f"{next(name for name, value in pairs if not value)} has no value")
    return kept


def _array(name: str) -> str:
    """What a parameter is called without its place in an array."""
    return name.partition("[")[0]

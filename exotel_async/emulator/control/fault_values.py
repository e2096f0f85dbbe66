"""Faults as plain data: `{"fault": "act_then_drop", "reset": true, "path": "Calls/connect"}`.

`fault` is the name of a class method of `Fault`; its arguments are beside those of `faults.add`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_type_hints

import attrs

from exotel_async.emulator.control.kinds import is_optional
from exotel_async.emulator.control.reading import BadInput, read, shown, unknown_key
from exotel_async.emulator.control.writing import write
from exotel_async.emulator.faults import Fault, Faults, OrderedFault

_FIELD_NAMES = {
    ("act_then_garbage", "kind"): "garbage",
    ("act_then_drip", "pause"): "seconds",
    ("delay_before", "seconds"): "delay",
}
"""The fields that store arguments, where their names differ."""
_TRIED_LAST = ("answer", "delay_before")
"""Methods that can make what others make as well."""


@attrs.frozen
class Parameter:
    """One argument of a method."""

    name: str
    type: Any
    default: Any = attrs.NOTHING

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is attrs.NOTHING

    @property
    def optional(self) -> bool:
        """Whether it may be None."""
        return is_optional(self.type)


def _parameters(method: Callable[..., object], without: str = "") -> Mapping[str, Parameter]:
    types = get_type_hints(method)
    return {
        name: Parameter(
            name,
            types[name],
            attrs.NOTHING if one.default is inspect.Parameter.empty else one.default,
        )
        for name, one in inspect.signature(method).parameters.items()
        if name not in {"self", without}
    }


@cache
def makers() -> Mapping[str, Mapping[str, Parameter]]:
    """Return the class methods that make faults, each with its parameters."""
    names = [name for name, one in vars(Fault).items() if isinstance(one, classmethod)]
    return {name: _parameters(getattr(Fault, name)) for name in names}


@cache
def selectors() -> Mapping[str, Parameter]:
    """Return the parameters that select the requests a fault is for."""
    return _parameters(Faults.add, without="fault")


def field_of(maker: str, argument: str) -> attrs.Attribute[Any] | None:
    """Return the field of a fault that stores an argument of a method, if one does."""
    return attrs.fields_dict(Fault).get(_field_name(maker, argument))


def read_fault(value: object, place: str = "") -> tuple[Fault, Mapping[str, Any]]:
    """Return a fault, and the keywords of `faults.add`. Raises BadInput."""
    below = f"{place}." if place else ""
    if not isinstance(value, Mapping):
        raise BadInput(place, f'{shown(value)} is not a fault, like {{"fault": "act_then_drop"}}')
    if "fault" not in value:
        raise BadInput(f"{below}fault", "is missing")
    name = value["fault"]
    if not isinstance(name, str) or name not in makers():
        raise BadInput(f"{below}fault", f"{shown(name)} is not one of {', '.join(makers())}")
    own, when = makers()[name], selectors()
    known = {**own, **when}
    for key in value:
        if key != "fault" and key not in known:
            raise unknown_key(place, str(key), ["fault", *known])
    for parameter in own.values():
        if parameter.required and parameter.name not in value:
            raise BadInput(f"{below}{parameter.name}", "is missing")
    given = {
        key: read(inner, known[key].type, f"{below}{key}")
        for key, inner in value.items()
        if key != "fault"
    }
    for key, least in (("times", 1), ("after", 0)):
        if given.get(key) is not None and given[key] < least:
            raise BadInput(f"{below}{key}", f"{given[key]} is less than {least}")
    try:
        fault: Fault = getattr(Fault, name)(**{key: given[key] for key in own if key in given})
    except ValueError as error:
        raise BadInput(place, str(error)) from None
    return fault, {key: given[key] for key in when if key in given}


def write_order(order: OrderedFault) -> Mapping[str, Any]:
    """Return a pending fault. `times` is how many are still to meet it, `after` how many pass
    before that."""
    when = {key: getattr(order, key) for key in selectors()}
    return {"id": order.id, **_write_fault(order.fault), **write(when)}


def _write_fault(fault: Fault) -> Mapping[str, Any]:
    """Return a fault by the method that makes exactly this one; if there is none, `fault` is null,
    and its fields follow."""
    for name in sorted(makers(), key=lambda name: (name in _TRIED_LAST, name)):
        given = {key: _argument(fault, name, key) for key in makers()[name]}
        lacks = any(given[key] is None and not one.optional for key, one in makers()[name].items())
        if not lacks and getattr(Fault, name)(**given) == fault:
            return {"fault": name, **write(given)}
    plain = Fault()
    fields = {name: getattr(fault, name) for name in attrs.fields_dict(Fault)}
    changed = {key: one for key, one in fields.items() if one != getattr(plain, key)}
    return {"fault": None, **write(changed)}


def _argument(fault: Fault, maker: str, key: str) -> Any:
    """Return the argument with which a method would have made the fault."""
    if maker == "delay_before" and not fault.acts:
        return None  # what it makes always acts
    return getattr(fault, _field_name(maker, key))


def _field_name(maker: str, argument: str) -> str:
    return _FIELD_NAMES.get((maker, argument), argument)

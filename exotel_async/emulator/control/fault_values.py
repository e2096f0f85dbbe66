"""Faults as plain data: `{"fault": "act_then_drop", "reset": true, "path": "Calls/connect"}`.

`fault` is the name of a class method of `Fault`; its arguments stand beside those of `faults.add`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_type_hints

import attrs

from exotel_async.emulator.control.kinds import is_optional
from exotel_async.emulator.control.reading import Wrong, read, shown, unknown_key
from exotel_async.emulator.control.writing import write
from exotel_async.emulator.faults import Fault, Faults, OrderedFault

_HELD_AS = {
    ("act_then_garbage", "kind"): "garbage",
    ("act_then_drip", "pause"): "seconds",
    ("delay_before", "seconds"): "delay",
}
"""The fields that hold arguments, where those have other names."""
_LAST = ("answer", "delay_before")
"""They make what others make as well."""


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
        """Whether None is one of its values."""
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
    """The class methods that make faults, each with its parameters."""
    names = [name for name, one in vars(Fault).items() if isinstance(one, classmethod)]
    return {name: _parameters(getattr(Fault, name)) for name in names}


@cache
def choices() -> Mapping[str, Parameter]:
    """What can be said of the requests that are to meet a fault."""
    return _parameters(Faults.add, without="fault")


def field_of(maker: str, argument: str) -> attrs.Attribute[Any] | None:
    """The field of a fault that holds an argument of a method, if one does."""
    return attrs.fields_dict(Fault).get(_held_as(maker, argument))


def read_fault(value: object, place: str = "") -> tuple[Fault, Mapping[str, Any]]:
    """A fault, and the keywords of `faults.add`. Raises Wrong."""
    below = f"{place}." if place else ""
    if not isinstance(value, Mapping):
        raise Wrong(place, f'{shown(value)} is not a fault, like {{"fault": "act_then_drop"}}')
    if "fault" not in value:
        raise Wrong(f"{below}fault", "is missing")
    name = value["fault"]
    if not isinstance(name, str) or name not in makers():
        raise Wrong(f"{below}fault", f"{shown(name)} is not one of {', '.join(makers())}")
    own, when = makers()[name], choices()
    known = {**own, **when}
    for key in value:
        if key != "fault" and key not in known:
            raise unknown_key(place, str(key), ["fault", *known])
    for parameter in own.values():
        if parameter.required and parameter.name not in value:
            raise Wrong(f"{below}{parameter.name}", "is missing")
    given = {
        key: read(inner, known[key].type, f"{below}{key}")
        for key, inner in value.items()
        if key != "fault"
    }
    for key, least in (("times", 1), ("after", 0)):
        if given.get(key) is not None and given[key] < least:
            raise Wrong(f"{below}{key}", f"{given[key]} is less than {least}")
    try:
        fault: Fault = getattr(Fault, name)(**{key: given[key] for key in own if key in given})
    except ValueError as error:
        raise Wrong(place, str(error)) from None
    return fault, {key: given[key] for key in when if key in given}


def write_order(order: OrderedFault) -> Mapping[str, Any]:
    """A fault on order. `times` is how many are still to meet it, `after` how many still pass."""
    when = {key: getattr(order, key) for key in choices()}
    return {"id": order.id, **_write_fault(order.fault), **write(when)}


def _write_fault(fault: Fault) -> Mapping[str, Any]:
    """By the method that makes just this one; a fault no method makes has `fault` null, and its
    fields."""
    for name in sorted(makers(), key=lambda name: (name in _LAST, name)):
        held = {key: _held(fault, name, key) for key in makers()[name]}
        lacks = any(held[key] is None and not one.optional for key, one in makers()[name].items())
        if not lacks and getattr(Fault, name)(**held) == fault:
            return {"fault": name, **write(held)}
    plain = Fault()
    fields = {name: getattr(fault, name) for name in attrs.fields_dict(Fault)}
    changed = {key: one for key, one in fields.items() if one != getattr(plain, key)}
    return {"fault": None, **write(changed)}


def _held(fault: Fault, maker: str, key: str) -> Any:
    """The argument that a method would have made the fault with."""
    if maker == "delay_before" and not fault.acts:
        return None  # it never does it
    return getattr(fault, _held_as(maker, key))


def _held_as(maker: str, argument: str) -> str:
    return _HELD_AS.get((maker, argument), argument)

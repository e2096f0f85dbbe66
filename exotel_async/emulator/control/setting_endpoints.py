"""Endpoints that configure an emulator: settings, scenario, flows, callers and faults."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs

from exotel_async.emulator.control.endpoint import (
    Body,
    Endpoint,
    Input,
    Refused,
    Result,
    SchemaMaker,
    of_type,
)
from exotel_async.emulator.control.fault_values import read_fault, write_order
from exotel_async.emulator.control.kinds import key_of, own_fields
from exotel_async.emulator.control.reading import BadInput, read_field, shown, unknown_key
from exotel_async.emulator.control.schema import Schema, Schemas
from exotel_async.emulator.control.writing import write
from exotel_async.emulator.flows.caller import Caller
from exotel_async.emulator.flows.flow import Flow
from exotel_async.emulator.operations import Operations
from exotel_async.emulator.scenario import Scenario
from exotel_async.emulator.settings import READ_AT_START, Settings, check_assigned

_ELSEWHERE = frozenset({"scenario", "flows", "exophone_flows", "callers"})
"""Settings with a path of their own."""
_SECRET = frozenset({"api_token"})
_FLOW_SETTINGS = "flow_settings"


def _shown_fields() -> list[attrs.Attribute[Any]]:
    return [f for f in own_fields(Settings) if f.name not in _ELSEWHERE | _SECRET]


def _changeable_fields() -> list[attrs.Attribute[Any]]:
    return [f for f in own_fields(Settings) if f.name not in _ELSEWHERE | READ_AT_START]


def _settings(emulator: Operations, _: Input) -> Result:
    return Result(
        value={key_of(field): write(getattr(emulator, field.name)) for field in _shown_fields()}
    )


def _change(emulator: Operations, asked: Input) -> Result:
    """Change settings, after all of them have been read."""
    changes = {}
    for name, given in asked.body.items():
        if name in READ_AT_START:
            raise Refused(409, "is read at the start of an emulator only", field=name)
        value = given
        if name == _FLOW_SETTINGS and isinstance(given, Mapping):
            value = {**write(emulator.flow_settings), **given}
        try:
            changes[name] = read_field(Settings, name, value)
        except BadInput as error:
            raise Refused(422, error.text, field=error.place) from None
    for name, value in changes.items():
        setattr(emulator, name, value)
    return _settings(emulator, asked)


def _read_names(document: object) -> Mapping[str, object]:
    """Check the names of settings. `_change` reads the values, which depend on the current ones."""
    if not isinstance(document, Mapping):
        raise BadInput("", f"{shown(document)} is not an object with settings")
    known = {field.name for field in _changeable_fields()} | READ_AT_START
    for name in document:
        if name not in known:
            raise unknown_key("", str(name), known)
    return document


def _shown_schema(schemas: Schemas) -> Schema:
    fields = _shown_fields()
    properties = schemas.fields(Settings, fields)
    for name in READ_AT_START & properties.keys():
        properties[name]["readOnly"] = True
    about = "The settings. Those that are read-only are read at startup."
    schema = schemas.object(properties, [key_of(field) for field in fields], about)
    return schemas.define("Settings", schema)


def _changes_schema(schemas: Schemas) -> Schema:
    properties = schemas.fields(Settings, _changeable_fields())
    about = "The settings to change; of `flow_settings`, too, only those that are given."
    return schemas.define("SettingsChanges", schemas.object(properties, (), about))


def _faults(emulator: Operations, _: Input) -> Result:
    return Result(value=[write_order(order) for order in emulator.faults.orders])


def _add_fault(emulator: Operations, asked: Input) -> Result:
    fault, where = asked.body
    number = emulator.faults.add(fault, **where)
    (added,) = (order for order in emulator.faults.orders if order.id == number)
    return Result(value=write_order(added), location=f"/faults/{number}")


def _clear_faults(emulator: Operations, _: Input) -> Result:
    emulator.faults.clear()
    return Result()


def _remove_fault(emulator: Operations, asked: Input) -> Result:
    number = asked.path["id"]
    try:
        emulator.faults.remove(int(number))
    except (KeyError, ValueError):
        raise Refused(404, f"no fault {number!r} is pending", field="id") from None
    return Result()


def _ordered_fault_schema(schemas: Schemas) -> Schema:
    """Describe a pending fault, whose arguments depend on the fault."""
    properties = {
        "id": {"type": "integer"},
        "fault": {
            "type": ["string", "null"],
            "description": "As it was added; null for one made in Python in another way.",
        },
        "method": {"type": ["string", "null"]},
        "path": {"type": ["string", "null"]},
        "times": {
            "type": ["integer", "null"],
            "description": "How many are still to meet it; null: all.",
        },
        "after": {"type": "integer", "description": "How many still pass before."},
    }
    schema = schemas.object(properties, list(properties), "A pending fault, with its arguments.")
    del schema["additionalProperties"]
    return schemas.define("OrderedFault", schema)


def _resource(
    name: str, as_type: Any, example: object, about: str, check: Callable[[Operations, Any], None]
) -> Collection[Endpoint]:
    """Return the endpoints of a setting with a path of its own: shown, and replaced as a whole."""

    def show(emulator: Operations, _: Input) -> Result:
        return Result(value=getattr(emulator, name))

    def replace(emulator: Operations, asked: Input) -> Result:
        try:
            check(emulator, asked.body)
            setattr(emulator, name, asked.body)
        except ValueError as error:
            raise Refused(422, str(error)) from None
        return show(emulator, asked)

    returns: SchemaMaker = of_type(as_type)
    return [
        Endpoint(
            method="GET",
            path=f"/{name}",
            name=f"get_{name}",
            about=f"{about}.",
            act=show,
            returns=returns,
        ),
        Endpoint(
            method="PUT",
            path=f"/{name}",
            name=f"put_{name}",
            about=f"Replace {about[0].lower()}{about[1:]}, for calls from now on.",
            act=replace,
            takes=Body.of(as_type, example),
            returns=returns,
        ),
    ]


def _nothing_to_check(_: Operations, __: object) -> None:
    pass


def _check_assigned(emulator: Operations, assigned: Mapping[str, str | int]) -> None:
    check_assigned(assigned, emulator.exophones, emulator.flows)


ENDPOINTS: Collection[Endpoint] = [
    Endpoint(
        method="GET",
        path="/settings",
        name="get_settings",
        about="All settings but the API token, and those with a path of their own.",
        act=_settings,
        returns=_shown_schema,
    ),
    Endpoint(
        method="PATCH",
        path="/settings",
        name="change_settings",
        about="Change settings of the running emulator; those not given stay.",
        act=_change,
        takes=Body(
            read=_read_names,
            schema=_changes_schema,
            example={"kyc": False, "flow_settings": {"timeout": 2}},
        ),
        returns=_shown_schema,
        refusals={409: "A setting is read at startup only."},
    ),
    *_resource(
        "scenario",
        Scenario,
        {"busy": 0.5, "numbers": {"09812300001": {"outcome": "no-answer"}}},
        "The scenario: how calls end",
        _nothing_to_check,
    ),
    *_resource(
        "flows",
        Collection[Flow],
        [{"id": "926", "start": {"applet": "greeting", "text": "Hello"}}],
        "The flows",
        _nothing_to_check,
    ),
    *_resource(
        "exophone_flows",
        Mapping[str, str | int],
        {"08030000000": "926"},
        "Which flow an incoming call of each ExoPhone goes to",
        _check_assigned,
    ),
    *_resource(
        "callers",
        Mapping[str, Caller],
        {"09812300002": {"keys": ["1"], "speaks": 5}},
        "What the parties of flows do, by number",
        _nothing_to_check,
    ),
    Endpoint(
        method="GET",
        path="/faults",
        name="get_faults",
        about="The pending faults, oldest first.",
        act=_faults,
        returns=lambda schemas: {"type": "array", "items": _ordered_fault_schema(schemas)},
    ),
    Endpoint(
        method="POST",
        path="/faults",
        name="add_fault",
        about="Add a fault for the next requests, or status callbacks, that match.",
        act=_add_fault,
        takes=Body(
            read=read_fault,
            schema=lambda schemas: schemas.fault(),
            example={"fault": "act_then_drop", "path": "Calls/connect"},
        ),
        returns=_ordered_fault_schema,
        status=201,
    ),
    Endpoint(
        method="DELETE",
        path="/faults",
        name="clear_faults",
        about="Remove all pending faults.",
        act=_clear_faults,
        status=204,
    ),
    Endpoint(
        method="DELETE",
        path="/faults/{id}",
        name="remove_fault",
        about="Remove one pending fault.",
        act=_remove_fault,
        status=204,
        refusals={404: "It is no longer pending."},
    ),
]

"""The file `exotel-async emulator --config` reads: every setting, and pending faults."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from exotel_async.emulator.control.fault_values import read_fault
from exotel_async.emulator.control.kinds import key_of, own_fields
from exotel_async.emulator.control.reading import BadInput, read_field, shown, unknown_key
from exotel_async.emulator.control.schema import DIALECT, Schema, Schemas
from exotel_async.emulator.control.strict_json import read_json
from exotel_async.emulator.faults import Fault
from exotel_async.emulator.settings import Settings

_SCHEMA, _FAULTS = "$schema", "faults"


@attrs.frozen
class Config:
    """The content of a file."""

    settings: Mapping[str, Any] = attrs.field(factory=dict)
    """The keywords of `Emulator` that it gives."""
    faults: Sequence[tuple[Fault, Mapping[str, Any]]] = ()
    """Each with the keywords of `faults.add`."""


def load_config(file: Path) -> Config:
    """Read a file, TOML or JSON by its suffix.

    Raises OSError, and ValueError that names the place, the value and the rule.
    """
    suffix = file.suffix.lower()
    if suffix not in {".toml", ".json"}:
        raise ValueError("it ends neither in .toml nor in .json")
    content = file.read_bytes()
    try:
        text = content.decode()
        document = tomllib.loads(text) if suffix == ".toml" else read_json(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not {suffix[1:].upper()}: {error}") from None
    return read_config(document)


def read_config(document: object) -> Config:
    """Read the parsed document of a file. Raises BadInput."""
    if not isinstance(document, Mapping):
        raise BadInput("", f"{shown(document)} is not an object with settings")
    fields = {key_of(field): field.name for field in own_fields(Settings)}
    settings, faults = {}, []
    for key, value in document.items():
        if key == _FAULTS:
            if not isinstance(value, list):
                raise BadInput(key, f"{shown(value)} is not a list")
            faults = [read_fault(one, f"{key}[{index}]") for index, one in enumerate(value)]
        elif key in fields:
            settings[fields[key]] = read_field(Settings, fields[key], value)
        elif key != _SCHEMA:
            raise unknown_key("", str(key), [*fields, _FAULTS])
    return Config(settings, faults)


def config_schema() -> Schema:
    """Return the JSON Schema of such a file."""
    schemas = Schemas("#/$defs/")
    properties = {
        _SCHEMA: {"type": "string"},
        **schemas.fields(Settings, own_fields(Settings)),
        _FAULTS: {
            "type": "array",
            "items": schemas.fault(),
            "description": "The pending faults.",
        },
    }
    # The command that reads it has another default than the class.
    del properties["port"]["default"]
    about = "Settings of a local Exotel Voice v1: exotel-async emulator --config FILE"
    return {
        "$schema": DIALECT,
        "title": "exotel-async emulator",
        **schemas.object(properties, (), about),
        "$defs": schemas.definitions,
    }
